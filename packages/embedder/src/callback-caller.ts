// Calls a function of a canister's table as a callback, `(env) -> ()`, with the engine's own check of its type.
// JavaScript would convert the argument to whatever the function takes (a float, a reference), run it and only then
// show what it gives back. A tiny module that imports the table and does one `call_indirect` has neither weakness.
// Specification, "Callbacks".

const I32 = 0x7f;
const I64 = 0x7e;

export type CallbackCaller = (index: number | bigint, env: number | bigint) => void;

const compiled = new Map<string, WebAssembly.Module>();

/** `wide`: whether indexes of the table, and the canister's pointers, have 64 bits. */
export function callbackCaller(
  table: WebAssembly.Table,
  wide: { readonly table: boolean; readonly pointer: boolean },
): CallbackCaller {
  const key = `${wide.table} ${wide.pointer}`;
  let module = compiled.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(assemble(wide.table ? I64 : I32, wide.pointer ? I64 : I32));
    compiled.set(key, module);
  }
  return new WebAssembly.Instance(module, { canister: { table } }).exports.call as CallbackCaller;
}

function assemble(index: number, env: number): Uint8Array<ArrayBuffer> {
  const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];
  const types = [2, 0x60, 1, env, 0, 0x60, 2, index, env, 0];
  const table = [1, ...name("canister"), ...name("table"), 1, 0x70, index === I64 ? 4 : 0, 0];
  const body = [0, 0x20, 1, 0x20, 0, 0x11, 0, 0, 0x0b];
  const sections: [id: number, content: number[]][] = [
    [1, types],
    [2, table],
    [3, [1, 1]],
    [7, [1, ...name("call"), 0, 0]],
    [10, [1, body.length, ...body]],
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...sections.flatMap(([id, content]) => [id, content.length, ...content]),
  ]);
}
