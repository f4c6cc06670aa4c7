// Stopping: a canister that was asked to stop takes no new calls, finishes its open ones and then is stopped; the
// callers that asked are told. Specification, "IC method stop_canister"; checklist 4.4.
import { type CanisterState, type StopWaiter, touch } from "@atoll/state";
import { ErrorCode, principalToText, STOP_CANISTER_TIMEOUT_NS, type Time, userError } from "@atoll/types";
import { answerManagementCall, EMPTY_REPLY } from "./management/answer.ts";
import type { Round } from "./round.ts";

/** Completes a stop when nothing is open any more. */
export function finishStopping(round: Round, canister: CanisterState): void {
  if (canister.status.kind !== "stopping" || canister.callContexts.size > 0) return;
  const { waiters } = canister.status;
  canister.status = { kind: "stopped" };
  canister.version++;
  touch(round.state, canister);
  for (const waiter of waiters) answerManagementCall(round, waiter.call, { ok: true, reply: EMPTY_REPLY });
}

/** Tells those who have waited for five minutes that the canister did not stop; it goes on stopping. */
export function expireStopCalls(round: Round): void {
  const { state } = round;
  for (const id of state.stopTimeouts.due(state.time)) {
    const canister = state.canisters.get(id);
    if (canister?.status.kind !== "stopping") continue;
    const isLate = (waiter: StopWaiter): boolean => waiter.since + STOP_CANISTER_TIMEOUT_NS <= state.time;
    const late = canister.status.waiters.filter(isLate);
    if (late.length === 0) continue;
    canister.status = { kind: "stopping", waiters: canister.status.waiters.filter((waiter) => !isLate(waiter)) };
    touch(state, canister);
    for (const waiter of late) {
      const error = userError(ErrorCode.StopCanisterRequestTimeout, "Stop canister request timed out");
      answerManagementCall(round, waiter.call, { ok: false, error });
    }
  }
}

/** The first time at which somebody has waited too long for a canister to stop; undefined: nobody waits. */
export function nextStopTimeout({ state }: Pick<Round, "state">): Time | undefined {
  return state.stopTimeouts.earliest;
}

/** Tells callers of stop_canister that the canister was started again before it had stopped. */
export function cancelStopCalls(round: Round, canister: CanisterState, waiters: readonly StopWaiter[]): void {
  for (const waiter of waiters) {
    const error = userError(
      ErrorCode.CanisterStoppingCancelled,
      `Canister ${principalToText(canister.id)}'s stop request was cancelled.`,
    );
    answerManagementCall(round, waiter.call, { ok: false, error });
  }
}
