// How a system call is described: where it may be made, what it costs before anything else happens, what it does.
// The tables in this folder follow the specification's list of imports (checklist 3.3) and the cost table
// (instruction-costs 4).
import type { Execution, Value } from "../execution.ts";
import type { Modes } from "../modes.ts";

export interface ApiFunction {
  readonly modes: Modes;
  /** Instructions, taken before the call's own checks. */
  readonly cost: number | ((execution: Execution, ...args: Value[]) => number);
  /** It reads or writes the heap: without a memory it fails, wherever it is called. */
  readonly heap?: true;
  run(execution: Execution, ...args: Value[]): Value | undefined;
}

export type ApiTable = Readonly<Record<string, ApiFunction>>;

/** Fixed cost plus one instruction for each byte of the argument at `position`. */
export function perByte(fixed: number, position: number, factor = 1): ApiFunction["cost"] {
  return (execution, ...args) => fixed + factor * execution.size(args[position] as Value);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

/** Text, or undefined when the bytes are not UTF-8. */
export function strictText(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

export function lossyText(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** `<prefix>_size` and `<prefix>_copy` for a blob; `part` is what the replica calls it when the range is wrong. */
export function blobPair(
  prefix: string,
  part: string,
  modes: Modes,
  blob: (execution: Execution) => Uint8Array,
): ApiTable {
  return {
    [`${prefix}_size`]: { modes, cost: 500, run: (x) => x.pointer(blob(x).length) },
    [`${prefix}_copy`]: {
      modes,
      cost: perByte(500, 2),
      heap: true,
      run: (x, target, offset, size) => {
        x.copyToHeap(`${prefix}_copy`, part, blob(x), target as Value, offset as Value, size as Value);
        return undefined;
      },
    },
  };
}
