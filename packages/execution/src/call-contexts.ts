// The bookkeeping of open calls: a call context lives from the start of an entry point until everything that it
// set off has come back, and is answered exactly once. Specification, "Call contexts"; checklist 6.2.

import { type Answer, type ExecutionError, toUserError } from "@atoll/embedder";
import { type CallContext, type CallOrigin, type CanisterState, touch } from "@atoll/state";
import {
  addCycles,
  type Cycles,
  ErrorCode,
  errorCodeText,
  MAX_REJECT_MESSAGE_BYTES,
  principalToText,
  RejectCode,
  type ResponsePayload,
  rejectCodeOf,
  type UserError,
  userError,
} from "@atoll/types";
import { finishStopping } from "./lifecycle.ts";
import { countUnanswered } from "./message-memory.ts";
import { cutMiddle, deliverResponse, responseTo } from "./responses.ts";
import type { Round } from "./round.ts";
import { traceAnswer } from "./trace.ts";

export function openCallContext(
  canister: CanisterState,
  origin: CallOrigin,
  cycles: Cycles,
  round: Round,
): CallContext {
  const context: CallContext = {
    id: canister.nextCallContextId++,
    origin,
    responded: origin.kind === "task",
    deleted: false,
    availableCycles: cycles,
    outstandingCalls: 0,
    instructionsExecuted: 0,
    startedAt: round.state.time,
  };
  canister.callContexts.set(context.id, context);
  countUnanswered(canister, context, 1);
  return context;
}

/** Answers the call, with what is left of its cycles. */
export function answer(round: Round, context: CallContext, answered: Answer): void {
  if (answered.kind === "reply") respond(round, context, { kind: "reply", data: answered.data });
  else
    respond(
      round,
      context,
      { kind: "reject", code: RejectCode.CANISTER_REJECT, message: answered.message },
      ErrorCode.CanisterRejectedMessage,
    );
}

/** Ends a context if nothing can answer any more: with `failure` if the last execution failed, else "did not reply". */
export function closeIfDone(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  failure: ExecutionError | undefined,
): void {
  if (context.outstandingCalls > 0) return;
  if (!context.responded) {
    if (failure !== undefined) rejectWith(round, context, toUserError(failure, canister.id));
    else noResponse(round, canister, context);
  }
  // Cycles that nobody accepted and nobody can be given: a task has none, an answered call returned them.
  canister.callContexts.delete(context.id);
  finishStopping(round, canister);
  touch(round.state, canister);
}

/** Rejects an open call with an error of the system or of a failed execution. */
export function rejectWith(round: Round, context: CallContext, { code, message: whole }: UserError): void {
  // What the system says may quote what the user said: a method name of megabytes, say.
  const error = userError(code, cutMiddle(whole, MAX_REJECT_MESSAGE_BYTES));
  const message = context.origin.kind === "canister" ? `${errorCodeText(error.code)}: ${error.message}` : error.message;
  respond(round, context, { kind: "reject", code: rejectCodeOf(error.code), message }, error.code);
}

function noResponse(round: Round, canister: CanisterState, context: CallContext): void {
  const id = principalToText(canister.id);
  if (context.origin.kind === "canister") {
    respond(round, context, { kind: "reject", code: RejectCode.CANISTER_ERROR, message: "No response" });
  } else {
    rejectWith(round, context, userError(ErrorCode.CanisterDidNotReply, `Canister ${id} did not reply to the call`));
  }
}

function respond(
  round: Round,
  context: CallContext,
  payload: ResponsePayload,
  code: ErrorCode = ErrorCode.CanisterRejectedMessage,
): void {
  if (context.responded) return;
  const refund = context.availableCycles;
  const respondent = context.origin.kind === "canister" && round.state.canisters.get(context.origin.request.receiver);
  if (respondent) countUnanswered(respondent, context, -1);
  context.responded = true;
  context.availableCycles = 0n;
  const { origin } = context;
  traceAnswer(round, origin, payload, refund);
  if (origin.kind === "ingress") {
    round.state.ingressHistory.set(
      origin.requestId,
      payload.kind === "reply"
        ? { state: "replied", reply: payload.data }
        : { state: "rejected", error: userError(code, payload.message) },
      round.state.time,
    );
  } else if (origin.kind === "canister") {
    deliverResponse(round, responseTo(origin.request, payload, refund));
  }
}

/** Credits cycles to a canister. */
export function credit(round: Round, canister: CanisterState, cycles: Cycles): void {
  canister.cycles = addCycles(canister.cycles, cycles);
  touch(round.state, canister);
}
