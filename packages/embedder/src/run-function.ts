// Runs one entry point of a canister to its end and says what happened. Neither commits nor rolls back: the caller
// decides, because a failed message leaves no trace, a query never does, and a composite query does until it ends.

import type { GlobalValue, PagedMemory, WasmClosure } from "@atoll/state";
import { type Height, InvariantViolation, OS_PAGE_BYTES } from "@atoll/types";
import type { TrapStack } from "./debug/trap-places.ts";
import { Execution } from "./execution.ts";
import {
  contractViolation,
  type ExecutionError,
  SliceEnd,
  Trap,
  type TrapCode,
  withoutBacktrace,
} from "./execution-error.ts";
import type { Effects, ExecutionInput } from "./execution-input.ts";
import type { Export, LiveInstance, SliceLimits } from "./live-instance.ts";
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
  /** Of a trap in a module with line tables, as the engine tells it: for people, and never for the state. */
  readonly trap: TrapStack | undefined;
  /** True when it only came to the end of its slice: undo it, and run it again as a `LongRun`. */
  readonly isUnfinished: boolean;
  /** What the execution did to the balance, in cycles. */
  readonly balanceChange: bigint;
  /** Charged instructions, heap pages included; at most the limit. */
  readonly instructions: number;
  readonly effects: Effects;
  /** Heap pages (4 KiB) that differ from the committed ones, at most. */
  readonly dirtyPages: readonly number[];
  readonly stable: StableMemory;
}

/** Executions whose heap pages nobody needs to know: nothing that follows sees what they wrote. */
const PAGES_NOT_CHARGED = Mode.replicatedQuery | Mode.query | Mode.transform | Mode.inspect;

/** `committed` is the heap as it was before, for finding changed pages; without `slices` it runs to its end. */
export function runFunction(
  live: LiveInstance,
  entry: EntryPoint,
  input: ExecutionInput,
  stable: StableMemory,
  committed: MemoryPages,
  slices: SliceLimits = { slice: input.instructionLimit, operation: input.instructionLimit },
): RunResult {
  const execution = new Execution(input, live, stable);
  live.begin(execution, slices);
  let thrown: unknown;
  try {
    if (input.trapAtStart !== undefined) throw new Trap({ kind: "called-trap", message: input.trapAtStart });
    call(live, entry);
  } catch (caught) {
    thrown = caught;
  }
  return conclude(live, execution, thrown, committed);
}

/** What an execution that ended did; `thrown` is what ended it, undefined when it returned. */
export function conclude(live: LiveInstance, execution: Execution, thrown: unknown, committed: MemoryPages): RunResult {
  const { input, effects, stable } = execution;
  const isUnfinished = thrown instanceof SliceEnd;
  const cause = isOfWrongType(live, input, thrown) ? wrongSignature() : thrown;
  const full = cause === undefined || isUnfinished ? undefined : withBacktrace(classify(cause), live, cause);
  const line = full && trapLine(full);
  if (line !== undefined) effects.log.add(utf8(line));
  const error = full && (input.canister.maySeeLog(input.caller) ? full : withoutBacktrace(full));
  if (error === undefined) execution.discardCall();
  const used = input.instructionLimit - live.remaining();
  const dirtyPages = live.end(committed);
  const isFree = (input.mode & PAGES_NOT_CHARGED) !== 0;
  const pageCharge = isFree ? 0 : dirtyPages.length * (live.is64 ? 4000 : 1000);
  const instructions = Math.min(input.instructionLimit, used + pageCharge);
  const balanceChange = effects.cycles - input.canister.cycles;
  const trap = full !== undefined && isTrap(full) ? live.trapStack(cause) : undefined;
  return { error, trap, isUnfinished, balanceChange, instructions, effects, dirtyPages, stable };
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
  const found = entryFunction(live, entry);
  if (found === undefined) return;
  found.run(...found.args);
}

export function entryFunction(
  live: LiveInstance,
  entry: EntryPoint,
): { readonly run: Export; readonly args: readonly (number | bigint)[] } | undefined {
  if (entry.kind === "nothing") return undefined;
  if (entry.kind === "export") {
    const run = live.exported(entry.name);
    if (run === undefined) throw new Trap({ kind: "engine", detail: `no export ${entry.name}` });
    return { run, args: [] };
  }
  const { functionIndex, env } = entry.closure;
  if (live.description.table === undefined) throw contractViolation("table not found");
  const found = live.tableFunction(functionIndex);
  if (found === undefined) throw new Trap({ kind: "function-not-found", index: shownIndex(functionIndex) });
  if (found === null) throw contractViolation("unexpected null function reference");
  return { run: live.callbackCaller(), args: [live.tableIndex(functionIndex), env] };
}

/** Indexes of 64 bits that cannot be one are all called the largest of 32. */
function shownIndex(index: number | bigint): number {
  return typeof index === "number" ? index >>> 0 : Math.min(Number(BigInt.asUintN(64, index)), 0xffff_ffff);
}

function wrongSignature(): Trap {
  return contractViolation("function invocation does not match its signature");
}

/** A function of another type was called through the table; the engine says the same when there is none at all. */
function isOfWrongType(live: LiveInstance, input: ExecutionInput, thrown: unknown): boolean {
  if (!(thrown instanceof WebAssembly.RuntimeError) || !thrown.message.includes("signature mismatch")) return false;
  // Refused before any function ran, as every function is charged for its beginning: the callback itself.
  return live.remaining() === input.instructionLimit || live.lastCalled() !== null;
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

function isTrap(error: ExecutionError): boolean {
  return error.kind === "trapped" || error.kind === "called-trap";
}

function withBacktrace(error: ExecutionError, live: LiveInstance, thrown: unknown): ExecutionError {
  if (error.kind !== "trapped" && error.kind !== "called-trap") return error;
  // Where the engine's own stack ends depends on the machine.
  if (thrown instanceof RangeError) return error;
  const backtrace = live.backtraceOf(thrown);
  return backtrace === undefined ? error : { ...error, backtrace };
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
function trapLine(error: ExecutionError): string | undefined {
  if (error.kind !== "trapped" && error.kind !== "called-trap") return undefined;
  const what = error.kind === "trapped" ? error.trap : error.message === "" ? "(no message)" : error.message;
  return `[TRAP]: ${what}${error.backtrace === undefined ? "" : `\n${error.backtrace}`}`;
}
