// The `name` section: names of functions, for backtraces in logs and reject messages (instruction costs, section
// 9). Read only when a backtrace is made; a malformed name section is no error, it just names nothing.
import type { ModuleInfo } from "./module-info.ts";
import type { ParsedModule } from "./parse.ts";
import { MalformedModule, Reader } from "./reader.ts";
import { advised, type Refusal } from "./refusal.ts";

const MAX_FUNCTION_NAME_BYTES = 1024 * 1024;
const FUNCTION_NAMES = 1;

/** Where the section's content lies; a refusal when a local function's name is longer than 1 MiB. */
export function nameSection(module: ParsedModule): ModuleInfo["nameSection"] | Refusal {
  const custom = module.customs.find(({ name }) => name === "name");
  if (custom === undefined) return undefined;
  let tooLong: Refusal | undefined;
  eachName(module.bytes, custom.start, custom.end, (index, start, end) => {
    const isLocal = index >= module.importedFunctionTypes.length;
    if (isLocal && end - start > MAX_FUNCTION_NAME_BYTES) tooLong ??= nameTooLong(module.bytes, index, start, end);
  });
  return tooLong ?? { offset: custom.start, length: custom.end - custom.start };
}

/** Characters of a name that the refusal shows. */
const SHOWN = 100;

function nameTooLong(bytes: Uint8Array, index: number, start: number, end: number): Refusal {
  const beginning = new TextDecoder().decode(bytes.subarray(start, start + 4 * SHOWN));
  const shown = Array.from(beginning).slice(0, SHOWN).join("");
  return advised(
    `Wasm module contains a function at index ${index} with name '${shown}...' of size ${end - start} bytes that exceeds the maximum allowed size of ${MAX_FUNCTION_NAME_BYTES} bytes.`,
    "Try using shorter function names.",
    "function-name-too-large",
  );
}

/** Function index in the original module -> name. `bytes` are those that were validated. */
export function functionNames(bytes: Uint8Array, info: ModuleInfo): Map<number, string> {
  const names = new Map<number, string>();
  const section = info.nameSection;
  if (section !== undefined) {
    eachName(bytes, section.offset, section.offset + section.length, (index, start, end) => {
      names.set(index, new TextDecoder().decode(bytes.subarray(start, end)));
    });
  }
  return names;
}

/** Calls `visit` with each name in the section, in its order. A malformed one ends early. */
export function eachName(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (index: number, start: number, end: number) => void,
): void {
  const reader = new Reader(bytes, start, end);
  try {
    while (reader.pos < end) {
      const kind = reader.byte();
      const size = reader.u32();
      const next = reader.pos + size;
      if (kind === FUNCTION_NAMES) {
        for (let count = reader.count(); count > 0; count--) {
          const index = reader.u32();
          const length = reader.u32();
          const nameStart = reader.pos;
          reader.skip(length);
          visit(index, nameStart, reader.pos);
        }
      }
      reader.pos = next;
    }
  } catch (error) {
    if (!(error instanceof MalformedModule)) throw error;
  }
}
