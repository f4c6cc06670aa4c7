// Where in a canister's code a trap happened: the functions on its stack, innermost first, by the names of the module's
// name section. Part of log lines and, for those who may read the log, of reject messages, so it must be the same on
// every machine: docs/decisions/0008-backtraces.md says why it is. Instruction costs, section 9.
import { Trap } from "./execution-error.ts";
import { demangle } from "./rust-names.ts";
import { INJECTED_IMPORTS, type NameTable, nameTableOf } from "./wasm/index.ts";

export const MAX_FRAMES = 20;
/** Beside the canister's frames there are the host's, and those of functions that the rewriter added. */
const CAPTURED_FRAMES = 60;

/** Makes errors that are created from now on remember enough of the stack. */
export function captureFrames(): void {
  const limited = Error as unknown as { stackTraceLimit: number };
  if (limited.stackTraceLimit !== CAPTURED_FRAMES) limited.stackTraceLimit = CAPTURED_FRAMES;
}

/** The frames as the replica prints them, one a line; undefined when none of the functions has a name. */
export function backtraceOf(module: WebAssembly.Module, thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || thrown.stack === undefined) return undefined;
  const names = namesOf(module);
  if (names === undefined) return undefined;
  let isNamed = false;
  const lines: string[] = [];
  if (thrown instanceof Trap && thrown.within !== undefined) {
    isNamed = true;
    lines.push(thrown.within);
  }
  for (const { index } of framesOf(thrown.stack)) {
    const local = index - names.importedFunctions - INJECTED_IMPORTS;
    if (local < 0 || local >= names.localFunctions) continue;
    if (lines.length === MAX_FRAMES) break;
    const name = names.name(local);
    if (name !== undefined) isNamed = true;
    lines.push(name === undefined ? `unknown function at index ${names.importedFunctions + local}` : demangle(name));
  }
  return isNamed ? `Canister Backtrace:\n${lines.map((line) => `${line}\n`).join("")}` : undefined;
}

/** Reading it copies it: canisters may trap thousands of times a round. */
const tables = new WeakMap<WebAssembly.Module, NameTable | { readonly none: true }>();

function namesOf(module: WebAssembly.Module): NameTable | undefined {
  let table = tables.get(module);
  if (table === undefined) {
    table = nameTableOf(module) ?? { none: true };
    tables.set(module, table);
  }
  return "none" in table ? undefined : table;
}

/** Functions of the rewritten module in which the trap happened: all frames but those of the host's own code. */
export function framesOf(stack: string): { readonly index: number; readonly offset: number }[] {
  const frames: { index: number; offset: number }[] = [];
  let trapped: string | undefined;
  for (const [, url, index, offset] of stack.matchAll(FRAME)) {
    trapped ??= url;
    if (url === trapped) frames.push({ index: Number(index), offset: Number(offset) });
  }
  return frames;
}

const FRAME = /^ {4}at (wasm:\/\/wasm\/[0-9a-f]+):wasm-function\[(\d+)\]:(0x[0-9a-f]+)$/gm;
