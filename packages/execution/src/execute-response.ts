// Runs the reply or reject callback that waited for a response, and the cleanup callback if that one traps.
// The callback's execution was paid for when the call was made. Specification, "Callbacks"; checklist 6.2.
import { type EntryPoint, type ExecutionError, type ExecutionInput, Mode, type RunResult } from "@atoll/embedder";
import {
  type Callback,
  type CallContext,
  type CanisterState,
  noteConsumption,
  type PendingExecution,
  touch,
} from "@atoll/state";
import {
  addCycles,
  type CallerInfo,
  invariant,
  MANAGEMENT_CANISTER,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  type PrincipalId,
  type Response,
  STABLE_PAGES_UPDATE,
} from "@atoll/types";
import { answer, closeIfDone } from "./call-contexts.ts";
import { completeExecution } from "./execute-message.ts";
import { commonInput } from "./execution-inputs.ts";
import { collectLogs } from "./logs.ts";
import { beginExecution, type Steps } from "./long-executions.ts";
import { removeCallback } from "./open-calls.ts";
import { type Prepayment, refundUnused, settle } from "./prepayment.ts";
import type { Round } from "./round.ts";
import { runOn } from "./run-on.ts";
import { beforeExecution, responseMessage, traceExecution, traceNotExecuted } from "./trace.ts";

/** Share of a callback's instructions that is kept back for its cleanup. */
const CLEANUP_SHARE = 0.05;

export function executeResponse(round: Round, canister: CanisterState, response: Response): void {
  const callback = canister.callbacks.get(response.callbackId);
  canister.cycles = addCycles(canister.cycles, response.refund);
  touch(round.state, canister);
  if (callback === undefined) {
    traceNotExecuted(round, { kind: "response", response }, "Nobody waits for the response any more.");
    return;
  }
  removeCallback(round.state, canister, callback);
  const context = canister.callContexts.get(callback.callContextId);
  refundTransport(round, canister, callback, response);
  if (context === undefined) return;
  context.outstandingCalls--;
  if (context.deleted || canister.execution === undefined) {
    traceNotExecuted(round, { kind: "response", response }, "The code that made the call is gone.");
    refundUnused(round, canister, 0, prepaymentOf(round, callback));
    closeIfDone(round, canister, context, undefined);
    return;
  }
  const pending = { kind: "response", response, callback, since: round.state.height } as const;
  beginExecution(
    round,
    canister,
    () => pending,
    (isLong) => responseSteps(round, canister, pending, isLong),
  );
}

/** Runs the callback of a response that has been taken off its queue and accounted for. */
export function* responseSteps(
  round: Round,
  canister: CanisterState,
  { response, callback }: Extract<PendingExecution, { kind: "response" }>,
  isLong: boolean,
): Steps<void> {
  const context = canister.callContexts.get(callback.callContextId);
  invariant(context !== undefined, "a callback under way has lost its call context");
  const error = yield* runCallback(round, canister, context, callback, response, isLong);
  closeIfDone(round, canister, context, error);
}

function* runCallback(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  callback: Callback,
  response: Response,
  isLong: boolean,
): Steps<ExecutionError | undefined> {
  const isReply = response.payload.kind === "reply";
  const limit = Math.floor(round.fees.limits.update * (1 - CLEANUP_SHARE));
  const entry: EntryPoint = { kind: "closure", closure: isReply ? callback.onReply : callback.onReject };
  const input = callbackInput(round, canister, context, response, isReply ? Mode.reply : Mode.reject, limit);
  const before = beforeExecution(round, canister, callback.prepaidExecution);
  const result = yield* runOn(round, canister, entry, input, isLong);
  const name = isReply ? "(reply callback)" : "(reject callback)";
  if (result.error !== undefined && callback.onCleanup !== undefined) {
    return yield* runCleanup(round, canister, context, callback, response, { name, result, before });
  }
  context.instructionsExecuted += result.instructions;
  collectLogs(round, canister, name, result);
  settle(round, canister, result, prepaymentOf(round, callback));
  if (before !== undefined)
    traceExecution(round, canister, before, whatOf(context, response, name), [result], response);
  if (result.error !== undefined) return result.error;
  context.availableCycles -= result.effects.cyclesAccepted;
  if (result.effects.answer !== undefined) answer(round, context, result.effects.answer);
  completeExecution(round, canister, context, result);
  return undefined;
}

interface FailedCallback {
  readonly name: string;
  readonly result: RunResult;
  readonly before: ReturnType<typeof beforeExecution>;
}

function whatOf({ id: callContextId }: CallContext, response: Response, methodName: string) {
  const { payload } = response;
  const arg = payload.kind === "reply" ? payload.data : new Uint8Array();
  return { message: responseMessage(response), callContextId, methodName, arg };
}

/** Also writes down what the callback did: not before the cleanup is through, as both begin again when it is aborted. */
function* runCleanup(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  callback: Callback,
  response: Response,
  { name, result: failed, before }: FailedCallback,
): Steps<ExecutionError> {
  const failure = failed.error as ExecutionError;
  if (callback.onCleanup === undefined) return failure;
  const limit = round.fees.limits.update - failed.instructions;
  const common = callbackInput(round, canister, context, response, Mode.cleanup, limit);
  const input = { ...common, callContextInstructions: common.callContextInstructions + failed.instructions };
  const result = yield* runOn(round, canister, { kind: "closure", closure: callback.onCleanup }, input, false);
  const instructions = failed.instructions + result.instructions;
  context.instructionsExecuted += instructions;
  collectLogs(round, canister, name, failed);
  collectLogs(round, canister, "(cleanup callback)", result);
  settle(round, canister, { ...result, instructions }, prepaymentOf(round, callback));
  if (before !== undefined) {
    traceExecution(round, canister, before, whatOf(context, response, name), [failed, result], response);
  }
  if (result.error !== undefined) return { kind: "cleanup", callback: failure, cleanup: result.error };
  canister.version++;
  return failure;
}

function callbackInput(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  response: Response,
  mode: typeof Mode.reply | typeof Mode.reject | typeof Mode.cleanup,
  instructionLimit: number,
): ExecutionInput {
  const { payload } = response;
  return {
    ...commonInput(round, canister, canister.cycles),
    mode,
    caller: callerOf(context),
    callerInfo: callerInfoOf(context),
    arg: payload.kind === "reply" ? payload.data : new Uint8Array(),
    rejectCode: payload.kind === "reply" ? 0 : payload.code,
    rejectMessage: payload.kind === "reply" ? "" : payload.message,
    deadlineSeconds: context.origin.kind === "canister" ? context.origin.request.deadlineSeconds : 0,
    cyclesAvailable: context.availableCycles,
    cyclesRefunded: response.refund,
    responded: context.responded,
    callContextInstructions: context.instructionsExecuted,
    maxReplyBytes: MAX_INTER_CANISTER_PAYLOAD_BYTES,
    instructionLimit,
    stablePageLimit: STABLE_PAGES_UPDATE,
  };
}

function callerOf({ origin }: CallContext): PrincipalId {
  if (origin.kind === "ingress") return origin.sender;
  return origin.kind === "canister" ? origin.request.sender : MANAGEMENT_CANISTER;
}

function callerInfoOf({ origin }: CallContext): CallerInfo | undefined {
  return origin.kind === "ingress" ? origin.callerInfo : undefined;
}

function prepaymentOf({ fees }: Round, { prepaidExecution }: Callback): Prepayment {
  return { prepaid: prepaidExecution, limit: fees.limits.update };
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** The response was prepaid at its largest; what it did not need goes back. */
function refundTransport(round: Round, canister: CanisterState, callback: Callback, response: Response): void {
  const bytes = response.payload.kind === "reply" ? response.payload.data.length : utf8Length(response.payload.message);
  const cost = round.fees.responseBytes(bytes);
  if (callback.prepaidResponse > cost) canister.cycles = addCycles(canister.cycles, callback.prepaidResponse - cost);
  const nominal = round.fees.nominal.responseBytes(bytes);
  noteConsumption(round.state, canister, "requestAndResponseTransmission", nominal);
}
