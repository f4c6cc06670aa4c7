// Runs one entry point of a canister to its end and says what happened. Neither commits nor rolls back: the caller
// decides, because a failed message leaves no trace, a query never does, and a composite query does until it ends.

import type { GlobalValue, PagedMemory, WasmClosure } from "@atoll/state";
import { type Height, InvariantViolation, OS_PAGE_BYTES } from "@atoll/types";
import { Execution } from "./execution.ts";
import { contractViolation, type ExecutionError, Trap, type TrapCode } from "./execution-error.ts";
import type { Effects, ExecutionInput } from "./execution-input.ts";
import type { LiveInstance } from "./live-instance.ts";
import { Mode } from "./modes.ts";
import type { MemoryPages, StableMemory } from "./stable-memory.ts";
import { utf8 } from "./system-api/api-function.ts";

export type EntryPoint =
  /** No code at all: collects what the host itself wrote. */
  | { readonly kind: "nothing" }
  | { readonly kind: "export"; readonly name: string }
  | { readonly kind: "closure"; readonly closure: WasmClosure };

export interface RunResult {
  readonly error: ExecutionError | undefined;
  /** Charged instructions, heap pages included; at most the limit. */
  readonly instructions: number;
  readonly effects: Effects;
  /** Heap pages (4 KiB) that differ from the committed ones, at most. */
  readonly dirtyPages: readonly number[];
  readonly stable: StableMemory;
}

/** Executions whose heap pages nobody needs to know: nothing that follows sees what they wrote. */
const PAGES_NOT_CHARGED = Mode.replicatedQuery | Mode.query | Mode.transform | Mode.inspect;

/** `committed` is the heap as it was before, for finding changed pages. */
export function runFunction(
  live: LiveInstance,
  entry: EntryPoint,
  input: ExecutionInput,
  stable: StableMemory,
  committed: MemoryPages,
): RunResult {
  const execution = new Execution(input, live, stable);
  live.begin(execution);
  let error: ExecutionError | undefined;
  try {
    call(live, entry);
  } catch (thrown) {
    error = classify(thrown);
    const line = trapLine(error);
    if (line !== undefined) execution.effects.log.add(line);
  }
  if (error === undefined) execution.discardCall();
  const used = input.instructionLimit - live.remaining();
  const dirtyPages = live.end(committed);
  const isFree = (input.mode & PAGES_NOT_CHARGED) !== 0;
  const pageCharge = isFree ? 0 : dirtyPages.length * (live.is64 ? 4000 : 1000);
  const instructions = Math.min(input.instructionLimit, used + pageCharge);
  return { error, instructions, effects: execution.effects, dirtyPages, stable };
}

/** Makes what the execution wrote the committed state of both memories; gives the globals to keep. */
export function commitMemories(
  live: LiveInstance,
  result: RunResult,
  heap: PagedMemory,
  stable: PagedMemory,
  height: Height,
): readonly GlobalValue[] {
  const bytes = live.bytes();
  for (const page of result.dirtyPages) {
    heap.write(page, bytes.subarray(page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES), height);
  }
  heap.wasmPages = live.wasmPages;
  for (const [page, content] of result.stable.written) stable.write(page, content, height);
  stable.wasmPages = result.stable.wasmPages;
  live.restoreSegments();
  return live.readGlobals();
}

/** Puts the heap back as it was. False: it grew, and the instance must be thrown away. */
export function rollBack(
  live: LiveInstance,
  dirtyPages: readonly number[],
  heap: MemoryPages,
  globals: readonly GlobalValue[],
): boolean {
  if (live.wasmPages !== Math.max(heap.wasmPages, live.description.memory?.initialPages ?? 0)) return false;
  for (const page of dirtyPages) live.writePage(page, heap.read(page));
  live.writeGlobals(globals);
  live.restoreSegments();
  return true;
}

function call(live: LiveInstance, entry: EntryPoint): void {
  if (entry.kind === "nothing") return;
  if (entry.kind === "export") {
    const found = live.exported(entry.name);
    if (found === undefined) throw new Trap({ kind: "engine", detail: `no export ${entry.name}` });
    found();
    return;
  }
  callBack(live, entry.closure);
}

function callBack(live: LiveInstance, { functionIndex, env }: WasmClosure): void {
  if (live.description.table === undefined) throw contractViolation("table not found");
  const found = live.tableFunction(functionIndex);
  if (found === undefined) throw new Trap({ kind: "function-not-found", index: shownIndex(functionIndex) });
  if (found === null) throw contractViolation("unexpected null function reference");
  const before = live.remaining();
  try {
    live.callBack(functionIndex, env);
  } catch (thrown) {
    // Refused before the function ran, as every function is charged for its beginning.
    const isRefused = isSignatureMismatch(thrown) && live.remaining() === before;
    throw isRefused ? contractViolation("function invocation does not match its signature") : thrown;
  }
}

/** Indexes of 64 bits that cannot be one are all called the largest of 32. */
function shownIndex(index: number | bigint): number {
  return typeof index === "number" ? index >>> 0 : Math.min(Number(BigInt.asUintN(64, index)), 0xffff_ffff);
}

function isSignatureMismatch(thrown: unknown): boolean {
  return thrown instanceof WebAssembly.RuntimeError && thrown.message.includes("signature mismatch");
}

function classify(thrown: unknown): ExecutionError {
  if (thrown instanceof Trap) return thrown.error;
  if (thrown instanceof WebAssembly.RuntimeError) return { kind: "trapped", trap: trapCode(thrown.message) };
  // The engine's own stack ran out before our depth counter did: same outcome for the canister.
  if (thrown instanceof RangeError && thrown.message.includes("call stack"))
    return { kind: "trapped", trap: "stack overflow" };
  if (thrown instanceof InvariantViolation) throw thrown;
  // Something between the engine and us that nobody foresaw: no canister may halt its subnet with it.
  return { kind: "engine", detail: thrown instanceof Error ? thrown.message : String(thrown) };
}

function trapCode(message: string): TrapCode {
  if (message.includes("unreachable")) return "unreachable";
  if (message.includes("memory access out of bounds") || message.includes("data segment")) return "heap out of bounds";
  if (message.includes("by zero")) return "integer division by 0";
  if (message.includes("table index is out of bounds") || message.includes("table access"))
    return "table out of bounds";
  return "unknown";
}

/** Only traps are told to the log; other failures are the caller's to see. */
function trapLine(error: ExecutionError): Uint8Array | undefined {
  switch (error.kind) {
    case "called-trap":
      return utf8(`[TRAP]: ${error.message === "" ? "(no message)" : error.message}`);
    case "trapped":
      return utf8(`[TRAP]: ${error.trap}`);
    default:
      return undefined;
  }
}
