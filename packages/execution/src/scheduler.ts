// One round of execution: timers and heartbeats that are due, then messages, canister by canister, until nothing
// is left or the round has used its instructions. The order depends on the state alone: canisters by id, the first
// one moving on with the height so that none is always last. Checklist 6.1.
import { type CanisterState, touch } from "@atoll/state";
import type { CanisterId } from "@atoll/types";
import { executeCall } from "./execute-message.ts";
import { executeResponse } from "./execute-response.ts";
import { executeTask } from "./execute-task.ts";
import type { Round } from "./round.ts";

export function executeRound(round: Round): void {
  // In turns: a canister whose heartbeat takes all there is must not keep everybody's messages from ever running.
  const isTasksTurn = round.state.height % 2 === 0;
  if (isTasksTurn) executeTasks(round);
  executeMessages(round);
  if (!isTasksTurn) executeTasks(round);
}

function executeTasks(round: Round): void {
  const { state } = round;
  for (const id of inTurn(round, dueTimers(round))) {
    if (round.instructionsLeft <= 0) return;
    const canister = state.canisters.get(id);
    if (canister !== undefined) executeTask(round, canister, "globalTimer");
  }
  for (const id of inTurn(round, state.withHeartbeat)) {
    if (round.instructionsLeft <= 0) return;
    const canister = state.canisters.get(id);
    if (canister !== undefined) executeTask(round, canister, "heartbeat");
  }
}

function executeMessages(round: Round): void {
  const { state } = round;
  while (round.instructionsLeft > 0 && state.withInput.size > 0) {
    for (const id of inTurn(round, state.withInput)) {
      const canister = state.canisters.get(id);
      if (canister !== undefined) executeInputs(round, canister);
      if (round.instructionsLeft <= 0) break;
    }
  }
}

/** Runs what is in the queue now; what these messages cause comes in the next pass. */
function executeInputs(round: Round, canister: CanisterState): void {
  for (let left = canister.input.length; left > 0 && round.instructionsLeft > 0; left--) {
    const item = canister.input.shift();
    if (item === undefined) break;
    if (item.kind === "response") executeResponse(round, canister, item.response);
    else executeCall(round, canister, item);
    if (!round.state.canisters.has(canister.id)) return;
  }
  touch(round.state, canister);
}

function dueTimers({ state }: Round): ReadonlySet<CanisterId> {
  return new Set(state.withTimer.due(state.time));
}

function inTurn(round: Round, ids: ReadonlySet<CanisterId>): CanisterId[] {
  const sorted = [...ids].sort();
  const start = sorted.length === 0 ? 0 : Math.floor(round.state.height / 2) % sorted.length;
  return [...sorted.slice(start), ...sorted.slice(0, start)];
}
