// Calls with a best-effort response: when the deadline has passed and nobody has answered, the system does, with
// SYS_UNKNOWN, as the call may or may not have been executed. What the callee answers after that is dropped; cycles
// that come back with it are credited. Specification, "Bounded-wait calls"; checklist 6.3.
import type { Callback } from "@atoll/state";
import { RejectCode, type Time } from "@atoll/types";
import { boundedCalls } from "./open-calls.ts";
import { deliverResponse } from "./responses.ts";
import type { Round } from "./round.ts";

const SECOND_NS = 1_000_000_000n;

export function expireCalls(round: Round): void {
  const { state } = round;
  for (const [canister, callback] of [...boundedCalls(state)]) {
    if (deadlineOf(callback) >= state.time) continue;
    deliverResponse(round, {
      kind: "response",
      originator: canister.id,
      respondent: callback.receiver,
      callbackId: callback.id,
      refund: 0n,
      payload: { kind: "reject", code: RejectCode.SYS_UNKNOWN, message: "Call deadline has expired." },
      deadlineSeconds: callback.deadlineSeconds,
    });
  }
}

/** The first time at which a call expires; undefined: none is bounded. */
export function nextDeadline({ state }: Pick<Round, "state">): Time | undefined {
  let earliest: Time | undefined;
  for (const [, callback] of boundedCalls(state)) {
    const after = deadlineOf(callback) + 1n;
    if (earliest === undefined || after < earliest) earliest = after;
  }
  return earliest;
}

function deadlineOf({ deadlineSeconds }: Callback): Time {
  return BigInt(deadlineSeconds) * SECOND_NS;
}
