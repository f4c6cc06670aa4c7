// Calls with a best-effort response: when the deadline has passed and nobody has answered, the system does, with
// SYS_UNKNOWN, as the call may or may not have been executed. One that still waits in its callee's queue never will be:
// its cycles go back. What a callee answers late is dropped; cycles that come back with it are credited. Specification,
// "Bounded-wait calls"; checklist 6.3.
import { type CanisterState, type InputItem, touch } from "@atoll/state";
import { type CanisterId, RejectCode } from "@atoll/types";
import { dropHeldRequests } from "./interventions/held-messages.ts";
import { expiredCalls } from "./open-calls.ts";
import { enqueueResponse, refundDropped } from "./responses.ts";
import type { Round } from "./round.ts";
import { traceNotExecuted } from "./trace.ts";

export function expireCalls(round: Round): void {
  const expired = expiredCalls(round.state);
  if (expired.length === 0) return;
  const callees = new Map<CanisterId, Set<string>>();
  for (const [canister, callback] of expired) {
    round.traceEvents?.push({ kind: "expired", to: { kind: "request", sender: canister.id, callbackId: callback.id } });
    // Never held: it is the caller's own system that answers.
    enqueueResponse(round, {
      kind: "response",
      originator: canister.id,
      respondent: callback.receiver,
      callbackId: callback.id,
      refund: 0n,
      payload: { kind: "reject", code: RejectCode.SYS_UNKNOWN, message: "Call deadline has expired." },
      deadlineSeconds: callback.deadlineSeconds,
    });
    const calls = callees.get(callback.receiver) ?? new Set();
    callees.set(callback.receiver, calls.add(nameOf(canister.id, callback.id)));
  }
  for (const [id, calls] of callees) {
    dropHeldRequests(round, calls);
    const callee = round.state.canisters.get(id);
    if (callee !== undefined) dropRequests(round, callee, calls);
  }
}

/** Takes requests out of the queue that have waited for too long. */
function dropRequests(round: Round, callee: CanisterState, calls: ReadonlySet<string>): void {
  const isLate = (item: InputItem): boolean =>
    item.kind === "request" && calls.has(nameOf(item.request.sender, item.request.callbackId));
  for (const item of callee.input.extract(isLate)) {
    traceNotExecuted(round, item, "The deadline passed before it could run.");
    if (item.kind === "request") refundDropped(round, item.request.sender, item.request.payment);
  }
  touch(round.state, callee);
}

function nameOf(canister: CanisterId, callbackId: number): string {
  return `${canister} ${callbackId}`;
}
