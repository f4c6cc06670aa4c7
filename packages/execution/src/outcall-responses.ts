// How HTTPS outcalls end: by the answer that the nodes agreed on, which a batch brings, or without one after a minute.
// Whoever asked gets the answer and the cycles that the outcall did not cost. Specification, "IC method http_request";
// checklist 4.6.
import type { OutcallContext, SubnetState } from "@atoll/state";
import { OUTCALL_TIMEOUT_NS, type OutcallResponse, RejectCode, type ResponsePayload, type Time } from "@atoll/types";
import { deliverResponse, responseTo } from "./responses.ts";
import type { Round } from "./round.ts";
import { originOfRequest } from "./trace.ts";

const TIMED_OUT: ResponsePayload = {
  kind: "reject",
  code: RejectCode.SYS_TRANSIENT,
  message: "Canister http request timed out",
};

/** Rejects what has waited too long. Before answers are delivered: late ones find nobody. */
export function expireOutcalls(round: Round): void {
  const { outcalls, time } = round.state;
  const limit = time - OUTCALL_TIMEOUT_NS;
  for (let late = outcalls.takeOlderThan(limit); late !== undefined; late = outcalls.takeOlderThan(limit)) {
    endOutcall(round, late, TIMED_OUT);
  }
}

/** Numbers that are not open (any more) are nobody's: several nodes may propose the same answer. */
export function deliverOutcallResponses(round: Round, responses: readonly OutcallResponse[]): void {
  for (const { outcall, result } of responses) {
    const context = round.state.outcalls.take(outcall);
    if (context !== undefined) endOutcall(round, context, result);
  }
}

function endOutcall(round: Round, { request }: OutcallContext, payload: ResponsePayload): void {
  round.traceEvents?.push({ kind: "answer", to: originOfRequest(request), payload, refund: request.payment });
  deliverResponse(round, responseTo(request, payload, request.payment));
}

/** The first time at which an outcall has waited too long; undefined: none waits. */
export function nextOutcallTimeout({ outcalls }: Pick<SubnetState, "outcalls">): Time | undefined {
  const { oldest } = outcalls;
  return oldest === undefined ? undefined : oldest + OUTCALL_TIMEOUT_NS + 1n;
}
