// One round of execution: long executions go on, waiting management calls are made, then each canister with work runs
// its tasks and messages, until nothing is left or the round has used its instructions. The order is fair: who has had
// least of the rounds, by the share that its compute allocation gives it, goes first. Checklist 6.1.
import { type CanisterState, type PendingExecution, type Task, touch } from "@atoll/state";
import { callSteps, executeCall } from "./execute-message.ts";
import { executeResponse, responseSteps } from "./execute-response.ts";
import { executeTask, taskSteps } from "./execute-task.ts";
import { inOrderOfService, serve } from "./fair-share.ts";
import { type BeginSteps, beginAgain, heapBytesOf } from "./long-executions.ts";
import { installSteps } from "./management/install-code.ts";
import { executeWaitingManagementCalls } from "./management/management-queue.ts";
import { isCountedOut, isOver, type Round } from "./round.ts";

export function executeRound(round: Round): void {
  executeWaitingManagementCalls(round);
  const { state } = round;
  const withTasks = new Set([...state.withTimer.due(state.time), ...state.withHeartbeat]);
  let isFirstPass = true;
  let most = state.serviceReceived;
  while (!isOver(round)) {
    const candidates = new Set([...state.withLowMemoryHook, ...(isFirstPass ? withTasks : []), ...state.withInput]);
    const queue = inOrderOfService(round, candidates);
    if (queue.length === 0) {
      // Everybody had what they wanted: who had more than others owes them nothing.
      state.serviceReceived = most;
      break;
    }
    for (const canister of queue) {
      if (isOver(round)) break;
      // What ran before it may have deleted it, or begun to install code in it.
      if (canister.pendingExecution !== undefined || !state.canisters.has(canister.id)) continue;
      const before = round.instructionsLeft;
      executeHook(round, canister);
      if (isFirstPass && withTasks.has(canister.id)) executeTasks(round, canister);
      executeInputs(round, canister);
      serve(round, canister, before - round.instructionsLeft);
      most = Math.max(most, canister.serviceReceived);
    }
    isFirstPass = false;
  }
  beginPendingExecutions(round);
  round.long.choose(round);
}

/** The low-memory hook comes before whatever is next, in the round in which memory got low. */
function executeHook(round: Round, canister: CanisterState): void {
  if (canister.lowMemoryHook !== "ready" || canister.pendingExecution !== undefined || isCountedOut(round)) return;
  executeTask(round, canister, "lowWasmMemory");
}

/** Timer, heartbeat and messages take turns at being first; where it is the messages' turn, tasks wait a round. */
function executeTasks(round: Round, canister: CanisterState): void {
  for (const task of tasksInTurn(round, canister)) {
    if (isOver(round) || canister.pendingExecution !== undefined) return;
    executeTask(round, canister, task);
    executeHook(round, canister);
  }
}

const TURNS = 3;

function tasksInTurn({ state }: Round, canister: CanisterState): readonly Task[] {
  const isTimerDue = canister.globalTimer !== 0n && canister.globalTimer <= state.time;
  const hasHeartbeat = state.withHeartbeat.has(canister.id);
  touch(state, canister);
  for (let i = 0; i < TURNS; i++) {
    const turn = canister.nextTurn;
    canister.nextTurn = (turn + 1) % TURNS;
    if (turn === 0 && isTimerDue) return hasHeartbeat ? ["globalTimer", "heartbeat"] : ["globalTimer"];
    if (turn === 1 && hasHeartbeat) return isTimerDue ? ["heartbeat", "globalTimer"] : ["heartbeat"];
    if (turn === 2 && canister.input.length > 0) return [];
  }
  return [];
}

/** Runs what is in the queue now; what these messages cause comes in the next pass. */
function executeInputs(round: Round, canister: CanisterState): void {
  for (let left = canister.input.length; left > 0 && !isOver(round); left--) {
    if (canister.pendingExecution !== undefined) break;
    const item = canister.input.shift();
    if (item === undefined) break;
    if (item.kind === "response") executeResponse(round, canister, item.response);
    else executeCall(round, canister, item);
    if (!round.state.canisters.has(canister.id)) return;
    executeHook(round, canister);
  }
  touch(round.state, canister);
}

/** Long executions that no stack is kept for: there was no room, or a checkpoint has dropped it. The oldest first. */
function beginPendingExecutions(round: Round): void {
  const { state, long } = round;
  if (state.withPending.size === long.size) return;
  const waiting: [CanisterState, PendingExecution][] = [];
  for (const id of state.withPending) {
    const canister = state.canisters.get(id);
    if (canister?.pendingExecution !== undefined && !long.has(id)) waiting.push([canister, canister.pendingExecution]);
  }
  waiting.sort(([a, { since }], [b, { since: other }]) => since - other || (a.id < b.id ? -1 : 1));
  for (const [canister, pending] of waiting) {
    if (!long.hasRoomFor(heapBytesOf(canister))) return;
    beginAgain(round, canister, stepsOf(round, canister, pending));
  }
}

function stepsOf(round: Round, canister: CanisterState, pending: PendingExecution): BeginSteps {
  switch (pending.kind) {
    case "call":
      return (isLong) => callSteps(round, canister, pending, isLong);
    case "response":
      return (isLong) => responseSteps(round, canister, pending, isLong);
    case "task":
      return (isLong) => taskSteps(round, canister, pending, isLong);
    case "install":
      return (isLong) => installSteps(round, canister, pending, isLong);
  }
}
