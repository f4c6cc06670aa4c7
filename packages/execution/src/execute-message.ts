// Runs one item of a canister's input queue: a call by a user or a canister. (Responses: execute-response.ts.)
// Prepays the largest execution, runs, settles, and lets the effects out only if the execution succeeded.
// Specification, "Message execution"; checklist 6.2.
import {
  describeModule,
  type ExecutionError,
  type ExecutionInput,
  Mode,
  type RunResult,
  toUserError,
} from "@atoll/embedder";
import {
  type CallContext,
  type CallOrigin,
  type CanisterState,
  type ExecutionState,
  type InputItem,
  type PendingExecution,
  touch,
} from "@atoll/state";
import {
  type Cycles,
  ErrorCode,
  type IngressMessage,
  invariant,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  NS_PER_SECOND,
  principalToText,
  type Request,
  STABLE_PAGES_QUERY,
  STABLE_PAGES_UPDATE,
  type UserError,
  userError,
} from "@atoll/types";
import { answer, closeIfDone, openCallContext, rejectWith } from "./call-contexts.ts";
import { commonInput } from "./execution-inputs.ts";
import { collectLogs } from "./logs.ts";
import { beginExecution, type Steps } from "./long-executions.ts";
import { prepay, refundUnused, settle } from "./prepayment.ts";
import { refundDropped } from "./responses.ts";
import type { Round } from "./round.ts";
import { runOn } from "./run-on.ts";
import { sendCalls } from "./send-calls.ts";
import { beforeExecution, messageOf, traceExecution, traceNotExecuted } from "./trace.ts";

type CallItem = Exclude<InputItem, { kind: "response" }>;
type PendingCall = Extract<PendingExecution, { kind: "call" }>;

export function executeCall(round: Round, canister: CanisterState, item: CallItem): void {
  if (item.kind === "ingress" && item.message.expiry < round.state.time) {
    expireIngress(round, item.message);
    return;
  }
  if (item.kind === "request" && isLate(round, item.request)) {
    // From another subnet: the deadline of a caller of this one takes its requests out of the queue.
    traceNotExecuted(round, item, "The deadline passed before it could run.");
    refundDropped(round, item.request.sender, item.request.payment);
    return;
  }
  const { origin, cycles, methodName } = describeCall(item);
  const context = openCallContext(canister, origin, cycles, round);
  touch(round.state, canister);
  const caller = item.kind === "ingress" ? item.message.sender : item.request.sender;
  const target = findMethod(round, canister, methodName);
  const limit = limitOf(round, target);
  const prepaid = prepay(round, canister, limit, caller);
  const refusal = typeof prepaid === "bigint" ? refusalOf(target, canister) : prepaid;
  if (typeof prepaid !== "bigint" || refusal !== undefined) {
    // The charge for executing at all is kept.
    if (typeof prepaid === "bigint") refundUnused(round, canister, 0, { prepaid, limit });
    if (refusal !== undefined) {
      if (round.traceEvents !== undefined) traceNotExecuted(round, item, refusal.message);
      rejectWith(round, context, refusal);
    }
    closeIfDone(round, canister, context, undefined);
    return;
  }
  const call = { kind: "call", item, callContextId: context.id, prepaid, since: round.state.height } as const;
  beginExecution(
    round,
    canister,
    () => call,
    (isLong) => callSteps(round, canister, call, isLong),
  );
  if (item.kind === "ingress" && !context.responded) {
    round.state.ingressHistory.set(item.message.requestId, { state: "processing" }, round.state.time);
  }
}

/** Runs a call whose context is open and whose execution is paid for. */
export function* callSteps(round: Round, canister: CanisterState, call: PendingCall, isLong: boolean): Steps<void> {
  const { item, prepaid } = call;
  const { arg, methodName, deadlineSeconds } = describeCall(item);
  const context = canister.callContexts.get(call.callContextId);
  const target = findRunnable(round, canister, methodName);
  invariant(context !== undefined && target !== undefined, "a call under way has lost its context or its method");
  const input: ExecutionInput = {
    ...commonInput(round, canister, canister.cycles),
    mode: target.isQuery ? Mode.replicatedQuery : Mode.update,
    caller: item.kind === "ingress" ? item.message.sender : item.request.sender,
    callerInfo: item.kind === "ingress" ? item.message.callerInfo : undefined,
    arg,
    rejectCode: 0,
    rejectMessage: "",
    deadlineSeconds,
    cyclesAvailable: context.availableCycles,
    cyclesRefunded: 0n,
    responded: false,
    callContextInstructions: 0,
    maxReplyBytes: MAX_INTER_CANISTER_PAYLOAD_BYTES,
    instructionLimit: limitOf(round, target),
    stablePageLimit: target.isQuery ? STABLE_PAGES_QUERY : STABLE_PAGES_UPDATE,
  };
  const before = beforeExecution(round, canister, prepaid);
  const result = yield* runOn(round, canister, { kind: "export", name: target.exportName }, input, isLong);
  settle(round, canister, result, { prepaid, limit: input.instructionLimit });
  context.instructionsExecuted += result.instructions;
  collectLogs(round, canister, methodName, result);
  if (before !== undefined) {
    const what = { message: messageOf(item), callContextId: context.id, methodName, arg };
    traceExecution(round, canister, before, what, [result]);
  }
  if (result.error === undefined) {
    context.availableCycles -= result.effects.cyclesAccepted;
    if (result.effects.answer !== undefined) answer(round, context, result.effects.answer);
    completeExecution(round, canister, context, result);
  }
  closeIfDone(round, canister, context, result.error);
}

function limitOf(round: Round, target: MethodTarget | UserError): number {
  const isQuery = "code" in target ? target.code === ErrorCode.CompositeQueryCalledInReplicatedMode : target.isQuery;
  return isQuery ? round.fees.limits.query : round.fees.limits.update;
}

function isLate({ state }: Round, { deadlineSeconds }: Request): boolean {
  return deadlineSeconds !== 0 && state.time > BigInt(deadlineSeconds) * NS_PER_SECOND;
}

function expireIngress(round: Round, message: IngressMessage): void {
  const error = userError(
    ErrorCode.IngressMessageTimeout,
    `Ingress message ${message.requestId} timed out waiting to start executing.`,
  );
  traceNotExecuted(round, { kind: "ingress", message }, error.message);
  round.state.ingressHistory.set(message.requestId, { state: "rejected", error }, round.state.time);
}

/** Ends a successful execution: its calls go out under the version that it saw, their effects meet the next one. */
export function completeExecution(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  { effects }: RunResult,
): void {
  const senderVersion = canister.version++;
  sendCalls(round, canister, context, effects.calls, senderVersion);
}

interface CallDescription {
  readonly origin: CallOrigin;
  readonly arg: Uint8Array;
  readonly cycles: Cycles;
  readonly methodName: string;
  readonly deadlineSeconds: number;
}

function describeCall(item: Exclude<InputItem, { kind: "response" }>): CallDescription {
  if (item.kind === "ingress") {
    const { message } = item;
    return {
      origin: {
        kind: "ingress",
        requestId: message.requestId,
        sender: message.sender,
        ...(message.callerInfo === undefined ? {} : { callerInfo: message.callerInfo }),
      },
      arg: message.arg,
      cycles: 0n,
      methodName: message.methodName,
      deadlineSeconds: 0,
    };
  }
  const { arg, ...request } = item.request;
  return {
    origin: { kind: "canister", request },
    arg,
    cycles: request.payment,
    methodName: request.methodName,
    deadlineSeconds: request.deadlineSeconds,
  };
}

interface MethodTarget {
  readonly isQuery: boolean;
  readonly exportName: string;
}

/** Why the method may not run after all. A heap above the limit in the settings only bars updates. */
function refusalOf(target: MethodTarget | UserError, canister: CanisterState): UserError | undefined {
  if ("code" in target) return target;
  const limit = canister.settings.wasmMemoryLimit;
  const bytes = BigInt(canister.execution?.heap.bytes ?? 0);
  if (target.isQuery || limit === 0n || bytes <= limit) return undefined;
  return fail(canister, { kind: "wasm-memory-limit", bytes, limit });
}

function findMethod(round: Round, canister: CanisterState, name: string): MethodTarget | UserError {
  const id = (): string => principalToText(canister.id);
  if (canister.status.kind === "stopped")
    return userError(ErrorCode.CanisterStopped, `Canister ${id()} is not running`);
  if (canister.status.kind === "stopping")
    return userError(ErrorCode.CanisterStopping, `Canister ${id()} is not running`);
  if (canister.execution === undefined) return fail(canister, { kind: "no-module" });
  const found = findRunnable(round, canister, name);
  if (found !== undefined) return found;
  if (moduleOf(round, canister.execution).methods.compositeQuery.includes(name)) {
    return userError(
      ErrorCode.CompositeQueryCalledInReplicatedMode,
      "Composite query cannot be called in replicated mode",
    );
  }
  return fail(canister, { kind: "method-not-found", methodKind: "update", name });
}

/** The update or query method of that name, whatever the canister's status: one that has begun goes on. */
function findRunnable(round: Round, { execution }: CanisterState, name: string): MethodTarget | undefined {
  const methods = execution && moduleOf(round, execution).methods;
  if (methods?.update.includes(name)) return { isQuery: false, exportName: `canister_update ${name}` };
  if (methods?.query.includes(name)) return { isQuery: true, exportName: `canister_query ${name}` };
  return undefined;
}

function moduleOf(round: Round, { moduleHash }: ExecutionState): ReturnType<typeof describeModule> {
  const module = round.state.modules.get(moduleHash);
  invariant(module !== undefined, "a canister's module is missing from the module store");
  return describeModule(module);
}

function fail(canister: CanisterState, error: ExecutionError): UserError {
  return toUserError(error, canister.id);
}
