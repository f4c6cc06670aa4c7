// The names of a module's functions for backtraces, in a custom section that the rewritten module carries: looked up
// by index at the time of a trap, without unpacking or parsing what was uploaded. Instruction costs, section 9.
import { eachName } from "./function-names.ts";
import { FunctionTrait, type ModuleInfo } from "./module-info.ts";
import { Writer } from "./writer.ts";

const SECTION = "atoll names";
const HEADER_BYTES = 8;
/** Hostile names may be megabytes long and many. */
const MAX_NAME_BYTES = 2_000;
const MAX_TABLE_BYTES = 4 * 1024 * 1024;

/**
 * The rewritten module with the names of the original's functions. Unchanged when it names none, and when it has tail
 * calls: whether the engine shows the frame of a function that ended in one depends on how far that is optimised.
 */
export function withNameTable(rewritten: Uint8Array, original: Uint8Array, info: ModuleInfo): Uint8Array {
  if (info.nameSection === undefined || hasTailCalls(info)) return rewritten;
  const table = nameTable(original, info);
  if (table === undefined) return rewritten;
  const out = new Writer(rewritten.length + table.length + 64);
  out.raw(rewritten);
  out.section(0, () => {
    out.name(SECTION);
    out.raw(table);
  });
  return out.finish();
}

function hasTailCalls({ functionTraits }: ModuleInfo): boolean {
  return functionTraits.some((traits) => (traits & FunctionTrait.tailCalls) !== 0);
}

/** Imported and local functions (u32 each), end of each local function's name (u32), then the names. */
function nameTable(bytes: Uint8Array, info: ModuleInfo): Uint8Array | undefined {
  const { importedFunctions, localFunctions, nameSection } = info;
  const spans = new Map<number, readonly [start: number, end: number]>();
  let total = 0;
  if (nameSection === undefined) return undefined;
  eachName(bytes, nameSection.offset, nameSection.offset + nameSection.length, (index, start, end) => {
    const local = index - importedFunctions;
    const length = Math.min(end - start, MAX_NAME_BYTES);
    if (local < 0 || local >= localFunctions || spans.has(local) || total + length > MAX_TABLE_BYTES) return;
    spans.set(local, [start, start + length]);
    total += length;
  });
  if (spans.size === 0) return undefined;
  const table = new Uint8Array(HEADER_BYTES + 4 * localFunctions + total);
  const view = new DataView(table.buffer);
  view.setUint32(0, importedFunctions, true);
  view.setUint32(4, localFunctions, true);
  let end = HEADER_BYTES + 4 * localFunctions;
  for (let local = 0; local < localFunctions; local++) {
    const span = spans.get(local);
    if (span !== undefined) {
      table.set(bytes.subarray(span[0], span[1]), end);
      end += span[1] - span[0];
    }
    view.setUint32(HEADER_BYTES + 4 * local, end, true);
  }
  return table;
}

export interface NameTable {
  readonly importedFunctions: number;
  readonly localFunctions: number;
  /** Of a local function, counted from the first local one; undefined: it has none. */
  name(local: number): string | undefined;
}

/** The names that a compiled module carries; undefined when it has none. */
export function nameTableOf(module: WebAssembly.Module): NameTable | undefined {
  const section = WebAssembly.Module.customSections(module, SECTION)[0];
  if (section === undefined) return undefined;
  const bytes = new Uint8Array(section);
  const view = new DataView(section);
  const localFunctions = view.getUint32(4, true);
  const endOf = (local: number): number =>
    local < 0 ? HEADER_BYTES + 4 * localFunctions : view.getUint32(HEADER_BYTES + 4 * local, true);
  return {
    importedFunctions: view.getUint32(0, true),
    localFunctions,
    name: (local) => {
      const name = bytes.subarray(endOf(local - 1), endOf(local));
      return name.length === 0 ? undefined : new TextDecoder().decode(name);
    },
  };
}
