// The process of install.ts in which the engine compiles whole modules: told what to compile and how often. Whether
// all of a module is compiled at once or each function when it is called is a flag of the process.
import { ownCpu } from "./measure.ts";

export interface CompileOrder {
  readonly wasm: Uint8Array;
  readonly count: number;
}

let made = 0;

/** Copies that differ in a custom section, as the engine keeps what it has compiled and finds it by the bytes. */
export function copies(wasm: Uint8Array, count: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: count }, () => {
    const copy = new Uint8Array(wasm.length + 12);
    copy.set(wasm);
    // Section 0 of 10 bytes, named "n", with a number of 8.
    copy.set([0, 10, 1, 0x6e], wasm.length);
    new DataView(copy.buffer).setFloat64(wasm.length + 4, ++made);
    return copy;
  });
}

/** Microseconds of CPU for each of them. */
export function compileCost(modules: readonly Uint8Array<ArrayBuffer>[]): number {
  const before = ownCpu();
  for (const wasm of modules) new WebAssembly.Module(wasm);
  return (ownCpu() - before) / modules.length;
}

if (import.meta.main) {
  process.on("message", ({ wasm, count }: CompileOrder) => {
    process.send?.(compileCost(copies(wasm, count)));
  });
}
