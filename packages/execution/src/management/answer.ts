// How the answer of a management method gets back to whoever called: into the ingress history, or as a response
// to the calling canister with whatever cycles the method did not use.

import type { ManagementCaller } from "@atoll/state";
import { type ResponsePayload, rejectCodeOf, type UserError } from "@atoll/types";
import { deliverResponse, responseTo } from "../responses.ts";
import type { Round } from "../round.ts";
import { traceAnswer } from "../trace.ts";

/** Candid of the empty tuple: `DIDL`, no types, no values. */
export const EMPTY_REPLY = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

/** What a method did: its reply and the cycles it kept, an error, or an answer that comes in a later round. */
export type MethodResult =
  | { readonly ok: true; readonly reply: Uint8Array; readonly cyclesUsed?: bigint }
  | { readonly ok: false; readonly error: UserError };

export function answerManagementCall(round: Round, caller: ManagementCaller, result: MethodResult): void {
  const used = result.ok ? (result.cyclesUsed ?? 0n) : 0n;
  // The text alone: unlike the failures of a callee that is a canister, these carry no IC code.
  const payload: ResponsePayload = result.ok
    ? { kind: "reply", data: result.reply }
    : { kind: "reject", code: rejectCodeOf(result.error.code), message: result.error.message };
  const refund = caller.kind === "ingress" ? 0n : caller.request.payment - used;
  traceAnswer(round, caller, payload, refund);
  if (caller.kind === "ingress") {
    round.state.ingressHistory.set(
      caller.requestId,
      result.ok ? { state: "replied", reply: result.reply } : { state: "rejected", error: result.error },
      round.state.time,
    );
    return;
  }
  deliverResponse(round, responseTo(caller.request, payload, refund));
}
