// The bookkeeping of open calls: a call context lives from the start of an entry point until everything that it
// set off has come back, and is answered exactly once. Specification, "Call contexts"; checklist 6.2.

import { type Answer, type ExecutionError, type OutgoingCall, toUserError } from "@atoll/embedder";
import { type CallContext, type CallOrigin, type CanisterState, touch } from "@atoll/state";
import {
  addCycles,
  type Cycles,
  ErrorCode,
  errorCodeText,
  MAX_REJECT_MESSAGE_BYTES,
  principalToText,
  RejectCode,
  type Request,
  type ResponsePayload,
  rejectCodeOf,
  type UserError,
  userError,
} from "@atoll/types";
import { finishStopping } from "./lifecycle.ts";
import { addCallback } from "./open-calls.ts";
import type { Round } from "./round.ts";
import { deliverResponse, sendRequest } from "./routing.ts";

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
  return context;
}

/** Registers the callbacks of the calls that a successful execution made, and sends the calls. */
export function sendCalls(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  calls: readonly OutgoingCall[],
  senderVersion: number,
): void {
  const requests: Request[] = [];
  for (const call of calls) {
    const id = canister.nextCallbackId++;
    addCallback(round.state, canister, {
      id,
      callContextId: context.id,
      receiver: call.receiver,
      cyclesSent: call.cycles,
      prepaidExecution: call.prepaidExecution,
      prepaidResponse: call.prepaidResponse,
      onReply: call.onReply,
      onReject: call.onReject,
      ...(call.onCleanup === undefined ? {} : { onCleanup: call.onCleanup }),
      deadlineSeconds: call.deadlineSeconds,
    });
    context.outstandingCalls++;
    requests.push({
      kind: "request",
      sender: canister.id,
      receiver: call.receiver,
      callbackId: id,
      payment: call.cycles,
      methodName: call.methodName,
      arg: call.arg,
      deadlineSeconds: call.deadlineSeconds,
      senderVersion,
    });
  }
  for (const request of requests) sendRequest(round, request);
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
  context.responded = true;
  context.availableCycles = 0n;
  const { origin } = context;
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

/** The response to a request, its reject message cut to what may travel. */
export function responseTo(request: Omit<Request, "arg">, payload: ResponsePayload, refund: Cycles) {
  const cut: ResponsePayload =
    payload.kind === "reject" ? { ...payload, message: cutMiddle(payload.message, MAX_REJECT_MESSAGE_BYTES) } : payload;
  return {
    kind: "response" as const,
    originator: request.sender,
    respondent: request.receiver,
    callbackId: request.callbackId,
    refund,
    payload: cut,
    deadlineSeconds: request.deadlineSeconds,
  };
}

/** `text` with its middle replaced by "..." if it has more than `limit` bytes of UTF-8. */
export function cutMiddle(text: string, limit: number): string {
  const encoder = new TextEncoder();
  if (text.length <= limit && encoder.encode(text).length <= limit) return text;
  const half = Math.floor((limit - 3) / 2);
  const characters = [...text];
  const take = (source: Iterable<string>): string[] => {
    const taken: string[] = [];
    let bytes = 0;
    for (const character of source) {
      bytes += encoder.encode(character).length;
      if (bytes > half) break;
      taken.push(character);
    }
    return taken;
  };
  return `${take(characters).join("")}...${take(characters.slice().reverse()).reverse().join("")}`;
}

/** Credits cycles to a canister. */
export function credit(round: Round, canister: CanisterState, cycles: Cycles): void {
  canister.cycles = addCycles(canister.cycles, cycles);
  touch(round.state, canister);
}
