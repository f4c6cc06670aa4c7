// Runs the system tasks of a canister: global timer, heartbeat, low-memory hook. They happen only while the canister is running
// and can pay; nobody waits for an answer. Specification, "Global timer", "Heartbeat"; checklist 3.2.
import { describeModule, type ExecutionInput, Mode } from "@atoll/embedder";
import { type CanisterState, type PendingExecution, type Task, touch } from "@atoll/state";
import { invariant, MANAGEMENT_CANISTER, STABLE_PAGES_UPDATE } from "@atoll/types";
import { closeIfDone, openCallContext } from "./call-contexts.ts";
import { completeExecution } from "./execute-message.ts";
import { commonInput } from "./execution-inputs.ts";
import { collectLogs } from "./logs.ts";
import { beginExecution, type Steps } from "./long-executions.ts";
import { prepay, settle } from "./prepayment.ts";
import type { Round } from "./round.ts";
import { runOn } from "./run-on.ts";
import { beforeExecution, traceExecution } from "./trace.ts";

const TASKS = {
  globalTimer: { entry: "globalTimer", name: "canister_global_timer", label: "global timer" },
  heartbeat: { entry: "heartbeat", name: "canister_heartbeat", label: "heartbeat" },
  lowWasmMemory: { entry: "onLowWasmMemory", name: "canister_on_low_wasm_memory", label: "on low Wasm memory" },
} as const;

export function executeTask(round: Round, canister: CanisterState, task: Task): void {
  if (canister.status.kind !== "running" || canister.execution === undefined) return;
  if (task === "globalTimer") {
    canister.globalTimer = 0n;
    touch(round.state, canister);
  } else if (task === "lowWasmMemory") {
    // Whether it can be paid for or not: once.
    canister.lowMemoryHook = "executed";
    touch(round.state, canister);
  }
  const module = round.state.modules.get(canister.execution.moduleHash);
  if (module === undefined) return;
  if (!describeModule(module).entryPoints[TASKS[task].entry]) return;
  const prepaid = prepay(round, canister, round.fees.limits.update, MANAGEMENT_CANISTER);
  if (typeof prepaid !== "bigint") return;
  const context = openCallContext(canister, { kind: "task" }, 0n, round);
  const pending = { kind: "task", task, callContextId: context.id, prepaid, since: round.state.height } as const;
  beginExecution(
    round,
    canister,
    () => pending,
    (isLong) => taskSteps(round, canister, pending, isLong),
  );
}

/** Runs a task that is due and paid for. */
export function* taskSteps(
  round: Round,
  canister: CanisterState,
  { task, callContextId, prepaid }: Extract<PendingExecution, { kind: "task" }>,
  isLong: boolean,
): Steps<void> {
  const context = canister.callContexts.get(callContextId);
  invariant(context !== undefined, "a task under way has lost its call context");
  const { name, label } = TASKS[task];
  const input: ExecutionInput = {
    ...commonInput(round, canister, canister.cycles),
    mode: Mode.task,
    task: label,
    caller: MANAGEMENT_CANISTER,
    arg: new Uint8Array(),
    rejectCode: 0,
    rejectMessage: "",
    deadlineSeconds: 0,
    cyclesAvailable: 0n,
    cyclesRefunded: 0n,
    responded: true,
    callContextInstructions: 0,
    maxReplyBytes: 0,
    instructionLimit: round.fees.limits.update,
    stablePageLimit: STABLE_PAGES_UPDATE,
  };
  const before = beforeExecution(round, canister, prepaid);
  const result = yield* runOn(round, canister, { kind: "export", name }, input, isLong);
  settle(round, canister, result, { prepaid, limit: input.instructionLimit });
  collectLogs(round, canister, name, result);
  if (before !== undefined) {
    const what = { message: { kind: "task", task }, callContextId, methodName: name, arg: input.arg } as const;
    traceExecution(round, canister, before, what, [result]);
  }
  if (result.error === undefined) completeExecution(round, canister, context, result);
  closeIfDone(round, canister, context, result.error);
}
