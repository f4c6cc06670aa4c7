// Runs one entry point on a canister's live instance and commits its memories, or leaves no trace. In one go when that
// is enough; otherwise slice by slice on an instance taken out of the pool.
import {
  commitMemories,
  type EntryPoint,
  type ExecutionInput,
  type InstanceSource,
  type LiveInstance,
  LongRun,
  Mode,
  type RunResult,
  rollBack,
  runFunction,
  StableMemory,
} from "@atoll/embedder";
import { type CanisterState, type ExecutionState, touch } from "@atoll/state";
import { invariant } from "@atoll/types";
import { withTrap } from "./interventions/trap-next.ts";
import type { Steps } from "./long-executions.ts";
import { updateLowMemoryHook } from "./low-memory-hook.ts";
import { noteHeapDelta } from "./rate-limits.ts";
import { availableMemory } from "./resource-usage.ts";
import { memoryMetrics, OVERHEAD_INSTRUCTIONS, type Round } from "./round.ts";

/** `isLong`: it is known that one slice is not enough. */
export function* runOn(
  round: Round,
  canister: CanisterState,
  entry: EntryPoint,
  input: ExecutionInput,
  isLong: boolean,
): Steps<RunResult> {
  const execution = canister.execution as ExecutionState;
  const module = round.state.modules.get(execution.moduleHash);
  invariant(module !== undefined, "a canister's module is missing from the module store");
  const source = { module, heap: execution.heap, globals: execution.globals };
  if (!isLong) {
    const live = round.pool.get(canister.id, source);
    const stable = new StableMemory(execution.stable, input.stablePageLimit);
    const given = withTrap(round.state, canister, entry, input);
    const result = runFunction(live, entry, given, stable, execution.heap, round.long.limits);
    round.instructionsLeft -= result.instructions + OVERHEAD_INSTRUCTIONS;
    round.executions = (round.executions ?? 0) + 1;
    const isKept = keepOrUndo(round, canister, execution, live, input, result);
    if (!isKept) round.pool.drop(canister.id);
    if (!result.isUnfinished) return result;
  }
  return yield* runInSlices(round, canister, execution, source, entry, input);
}

function* runInSlices(
  round: Round,
  canister: CanisterState,
  execution: ExecutionState,
  source: InstanceSource,
  entry: EntryPoint,
  input: ExecutionInput,
): Steps<RunResult> {
  const live = round.pool.takeSuspendable(canister.id, source);
  const stable = new StableMemory(execution.stable, input.stablePageLimit);
  const run = new LongRun(live, entry, input, stable, execution.heap, round.long.limits);
  while (run.result === undefined) yield run;
  const result = fits(round, canister, execution, live, run.result) ? run.result : withoutMemory(run.result);
  const isKept = keepOrUndo(round, canister, execution, live, input, result);
  if (isKept) round.pool.putBack(canister.id, live);
  return result;
}

/** Others may have taken the memory that was free when this execution grew: it counts as taken only now. */
function fits(
  round: Round,
  canister: CanisterState,
  execution: ExecutionState,
  live: LiveInstance,
  { stable, error }: RunResult,
): boolean {
  const grown = live.bytes().length + stable.bytes - execution.heap.bytes - execution.stable.bytes;
  if (error !== undefined || grown <= 0) return true;
  const promised = Number(canister.settings.memoryAllocation);
  const before = memoryMetrics(round.state, canister).total;
  const taken = Math.max(0, before + grown - Math.max(before, promised));
  return taken <= availableMemory(round);
}

function withoutMemory(result: RunResult): RunResult {
  return { ...result, error: { kind: "out-of-memory" } };
}

/** False: the instance must be thrown away. */
function keepOrUndo(
  round: Round,
  canister: CanisterState,
  execution: ExecutionState,
  live: LiveInstance,
  input: ExecutionInput,
  result: RunResult,
): boolean {
  touch(round.state, canister);
  if (result.error === undefined && !result.isUnfinished && input.mode !== Mode.replicatedQuery) {
    execution.globals = commitMemories(live, result, execution.heap, execution.stable, round.state.height);
    const { certifiedData, globalTimer } = result.effects;
    if (certifiedData !== undefined) canister.certifiedData = certifiedData;
    if (globalTimer !== undefined) canister.globalTimer = globalTimer;
    updateLowMemoryHook(canister);
    noteHeapDelta(round, canister, result.dirtyPages.length + result.stable.writtenPages);
    return true;
  }
  if (rollBack(live, result.dirtyPages, execution.heap, execution.globals)) return true;
  // The heap grew in vain and must be loaded again: work that the canister causes and the meter does not see.
  round.instructionsLeft -= execution.heap.bytes;
  return false;
}
