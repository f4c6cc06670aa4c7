// One round of execution: timers and heartbeats that are due, then messages, canister by canister, until nothing
// is left or the round has used its instructions. The order depends on the state alone: canisters by id, the first
// one moving on with each height so that none is always last. Checklist 6.1.
import { type CanisterState, touch } from "@atoll/state";
import type { CanisterId } from "@atoll/types";
import { executeCall } from "./execute-message.ts";
import { executeResponse } from "./execute-response.ts";
import { executeTask } from "./execute-task.ts";
import type { Round } from "./round.ts";

export function executeRound(round: Round): void {
  const { state } = round;
  for (const id of inTurn(round, state.withTimer)) {
    const canister = state.canisters.get(id);
    if (canister !== undefined && canister.globalTimer !== 0n && canister.globalTimer <= state.time) {
      executeTask(round, canister, "globalTimer");
    }
  }
  for (const id of inTurn(round, state.withHeartbeat)) {
    const canister = state.canisters.get(id);
    if (canister !== undefined) executeTask(round, canister, "heartbeat");
  }
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

function inTurn(round: Round, ids: ReadonlySet<CanisterId>): CanisterId[] {
  const sorted = [...ids].sort();
  const start = sorted.length === 0 ? 0 : round.state.height % sorted.length;
  return [...sorted.slice(start), ...sorted.slice(0, start)];
}
