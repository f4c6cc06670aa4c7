// Calls with a best-effort response: when the deadline has passed and nobody has answered, the system does, with
// SYS_UNKNOWN, as the call may or may not have been executed. What the callee answers after that is dropped; cycles
// that come back with it are credited. Specification, "Bounded-wait calls"; checklist 6.3.
import { RejectCode } from "@atoll/types";
import { expiredCalls } from "./open-calls.ts";
import { deliverResponse } from "./responses.ts";
import type { Round } from "./round.ts";

export function expireCalls(round: Round): void {
  for (const [canister, callback] of expiredCalls(round.state)) {
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
