// One query by a user, from the checks on the canister to its reply; composite queries call other queries of the
// subnet depth first. Checklist 6.2, 1.10, instruction-costs 6.
import { type ExecutionError, type ExecutionInput, Mode, type OutgoingCall, toUserError } from "@atoll/embedder";
import {
  type CallerInfo,
  type CanisterId,
  ErrorCode,
  INSTRUCTIONS_PER_COMPOSITE_CALL,
  MANAGEMENT_CANISTER,
  MAX_COMPOSITE_QUERY_DEPTH,
  MAX_INSTRUCTIONS_PER_QUERY,
  MAX_QUERY_REPLY_BYTES,
  type PrincipalId,
  principalToText,
  type QueryResult,
  RejectCode,
  type ResponsePayload,
  rejectCodeOf,
  STABLE_PAGES_QUERY,
  type UserError,
  userError,
} from "@atoll/types";
import type { RoundEvent } from "../round.ts";
import { executeManagementQuery } from "./management-query.ts";
import type { QueryExecutor, QuerySession } from "./query-executor.ts";
import { queryInput } from "./query-input.ts";
import { queryCanister, queryFreezingThreshold } from "./query-state.ts";

export interface QueryCall {
  readonly sender: PrincipalId;
  readonly receiver: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly callerInfo?: CallerInfo | undefined;
  readonly dataCertificate?: Uint8Array | undefined;
  /** The transform function of an HTTPS outcall is asked, not the canister by a user. */
  readonly isTransform?: boolean;
}

/** The answer, with what the canisters of the call graph printed: for the person at the terminal, nothing keeps it. */
export type QueryOutcome = QueryResult & { readonly events?: readonly RoundEvent[] };

/** Of text in the events of one query. */
const MAX_EVENT_BYTES = 256 * 1024;

/** What a whole call graph shares. */
interface Graph {
  readonly executor: QueryExecutor;
  readonly dataCertificate: Uint8Array | undefined;
  instructionsLeft: number;
  /** A limit of the whole graph was reached: the query fails with it, whatever else was answered by then. */
  failure: UserError | undefined;
  /** Canisters with a query under way, outermost first. */
  readonly stack: CanisterId[];
  readonly events: RoundEvent[];
  eventBytes: number;
}

export function executeQuery(executor: QueryExecutor, call: QueryCall): QueryOutcome {
  const { dataCertificate } = call;
  if (call.receiver === MANAGEMENT_CANISTER) return executeManagementQuery(call.methodName, { executor, ...call });
  const instructionsLeft = executor.fees.limits.query;
  const events: RoundEvent[] = [];
  const graph: Graph = {
    executor,
    dataCertificate,
    instructionsLeft,
    failure: undefined,
    stack: [],
    events,
    eventBytes: 0,
  };
  const result = resultOf(graph, runQuery(graph, call));
  return events.length === 0 ? result : { ...result, events };
}

function resultOf({ failure }: Graph, outcome: Outcome): QueryResult {
  if (failure !== undefined) return { kind: "rejected", error: failure };
  if (outcome.kind === "reply") return { kind: "replied", reply: outcome.data };
  return { kind: "rejected", error: outcome.error };
}

type Outcome =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "error"; readonly error: UserError };

function runQuery(graph: Graph, call: QueryCall): Outcome {
  const refusal = checkCanister(graph, call.receiver);
  if (refusal !== undefined) return failed(refusal);
  const session = graph.executor.session(call.receiver, { fresh: graph.stack.includes(call.receiver) });
  if (session === undefined) return failed(toUserError({ kind: "no-module" }, call.receiver));
  graph.stack.push(call.receiver);
  try {
    return runSession(graph, session, call);
  } finally {
    graph.stack.pop();
    session.end();
  }
}

function checkCanister(graph: Graph, id: CanisterId): UserError | undefined {
  const { state, fees } = graph.executor;
  const canister = queryCanister(state, id);
  const text = (): string => principalToText(id);
  if (canister === undefined) return userError(ErrorCode.CanisterNotFound, `Canister ${text()} not found`);
  if (canister.view.status === "stopped") return userError(ErrorCode.CanisterStopped, `Canister ${text()} is stopped`);
  if (canister.view.status === "stopping")
    return userError(ErrorCode.CanisterStopping, `Canister ${text()} is stopping`);
  if (canister.view.cycles < queryFreezingThreshold(fees, canister)) {
    return userError(
      ErrorCode.CanisterOutOfCycles,
      `Canister ${text()} is unable to process query calls because it's frozen. Please top up the canister with cycles and try again.`,
    );
  }
  return undefined;
}

function runSession(graph: Graph, session: QuerySession, call: QueryCall): Outcome {
  const { methods } = session.live.description;
  const isComposite = methods.compositeQuery.includes(call.methodName);
  if (!isComposite && !methods.query.includes(call.methodName)) {
    return failed(toUserError({ kind: "method-not-found", methodKind: "query", name: call.methodName }, call.receiver));
  }
  if (isComposite && call.isTransform === true) {
    const sentence = "Composite query cannot be used as transform in canister http outcalls.";
    return failed(userError(ErrorCode.CompositeQueryCalledInReplicatedMode, sentence));
  }
  // A whole call graph has no more anywhere, also where a single query has; neither has a transform function.
  if (isComposite || call.isTransform === true)
    graph.instructionsLeft = Math.min(graph.instructionsLeft, MAX_INSTRUCTIONS_PER_QUERY);
  const mode = isComposite ? Mode.compositeQuery : Mode.query;
  const name = `${isComposite ? "canister_composite_query" : "canister_query"} ${call.methodName}`;
  const conversation: Conversation = {
    ...{ graph, session, call, spent: 0 },
    ...{ answer: undefined, failure: undefined, calls: [] },
  };
  execute(conversation, { kind: "export", name }, { ...inputOf(conversation), mode, arg: call.arg });
  evaluateCalls(conversation);
  const outcome = conclude(conversation);
  graph.executor.stats.add({
    canister: call.receiver,
    instructions: conversation.spent,
    requestBytes: call.arg.length,
    responseBytes: responseBytes(outcome),
  });
  return outcome;
}

/** Of a reply or of the canister's own reject; a failure is nobody's response. */
function responseBytes(outcome: Outcome): number {
  if (outcome.kind === "reply") return outcome.data.length;
  const { code, message } = outcome.error;
  return code === ErrorCode.CanisterRejectedMessage ? new TextEncoder().encode(message).length : 0;
}

/** A query under way on one canister, its callbacks included. */
interface Conversation {
  readonly graph: Graph;
  readonly session: QuerySession;
  readonly call: QueryCall;
  answer: Outcome | undefined;
  /** Of the last execution. */
  failure: ExecutionError | undefined;
  /** Calls that wait for their turn, in the order in which they were made. */
  readonly calls: OutgoingCall[];
  spent: number;
}

function conclude({ call, answer, failure }: Conversation): Outcome {
  if (answer !== undefined) return answer;
  if (failure !== undefined) return failed(toUserError(failure, call.receiver));
  const text = principalToText(call.receiver);
  return failed(userError(ErrorCode.CanisterDidNotReply, `Canister ${text} did not produce a response`));
}

/** Runs one function. False: it failed, and left no trace. */
function execute(
  conversation: Conversation,
  entry: Parameters<QuerySession["run"]>[0],
  input: ExecutionInput,
): boolean {
  const { graph, session } = conversation;
  const result = session.run(entry, input);
  graph.instructionsLeft -= result.instructions;
  conversation.spent += result.instructions;
  conversation.failure = result.error;
  tell(conversation, result.effects.log.kept());
  if (result.error !== undefined) return false;
  const { answer, calls } = result.effects;
  if (answer !== undefined) {
    conversation.answer =
      answer.kind === "reply"
        ? { kind: "reply", data: answer.data }
        : failed(userError(ErrorCode.CanisterRejectedMessage, answer.message));
  }
  conversation.calls.push(...calls);
  return true;
}

function tell({ graph, call }: Conversation, lines: readonly Uint8Array[]): void {
  for (const text of lines) {
    graph.eventBytes += text.length;
    if (graph.eventBytes > MAX_EVENT_BYTES) return;
    const { receiver: canister, methodName: method } = call;
    graph.events.push({ kind: "canister-log", canister, method, time: graph.executor.state.time, text });
  }
}

/** Performs the calls one by one, with the callbacks of each, until there is an answer: what is left cannot change it. */
function evaluateCalls(conversation: Conversation): void {
  const { graph, calls } = conversation;
  for (let call = calls.shift(); call !== undefined; call = calls.shift()) {
    if (conversation.answer !== undefined) return;
    graph.failure ??= limitReached(graph);
    if (graph.failure !== undefined) return;
    const payload = callPayload(conversation, call);
    graph.failure ??= limitReached(graph);
    if (graph.failure !== undefined) return;
    runCallback(conversation, call, payload);
  }
}

function limitReached(graph: Graph): UserError | undefined {
  if (graph.stack.length > MAX_COMPOSITE_QUERY_DEPTH) {
    return userError(ErrorCode.QueryCallGraphTooDeep, "Composite query calls exceeded the maximum call depth.");
  }
  if (graph.instructionsLeft > 0) return undefined;
  return userError(
    ErrorCode.QueryCallGraphTotalInstructionLimitExceeded,
    "Composite query calls exceeded the instruction limit.",
  );
}

function runCallback(conversation: Conversation, call: OutgoingCall, payload: ResponsePayload): void {
  const isReply = payload.kind === "reply";
  const ran = execute(
    conversation,
    { kind: "closure", closure: isReply ? call.onReply : call.onReject },
    {
      ...inputOf(conversation),
      mode: isReply ? Mode.compositeReply : Mode.compositeReject,
      arg: isReply ? payload.data : new Uint8Array(),
      rejectCode: isReply ? 0 : payload.code,
      rejectMessage: isReply ? "" : payload.message,
    },
  );
  const { failure } = conversation;
  if (ran || failure === undefined || call.onCleanup === undefined) return;
  const input = { ...inputOf(conversation), mode: Mode.compositeCleanup };
  execute(conversation, { kind: "closure", closure: call.onCleanup }, input);
  const cleanup = conversation.failure;
  conversation.failure = cleanup === undefined ? failure : { kind: "cleanup", callback: failure, cleanup };
}

/** The response to a call made by a composite query. */
function callPayload({ graph, session }: Conversation, call: OutgoingCall): ResponsePayload {
  graph.instructionsLeft -= INSTRUCTIONS_PER_COMPOSITE_CALL;
  const sender = session.canister.view.id;
  const { receiver, methodName, arg } = call;
  if (receiver === MANAGEMENT_CANISTER || receiver === graph.executor.state.config.subnetId) {
    return payloadOf(executeManagementQuery(methodName, { executor: graph.executor, sender, arg }));
  }
  const outcome = runQuery(graph, { sender, receiver, methodName, arg });
  if (outcome.kind === "reply") return outcome;
  const { code, message } = outcome.error;
  if (code === ErrorCode.CanisterRejectedMessage) return { kind: "reject", code: RejectCode.CANISTER_REJECT, message };
  return { kind: "reject", code: rejectCodeOf(code), message };
}

/** What the management canister answers, as a canister gets it. */
function payloadOf(result: QueryResult): ResponsePayload {
  if (result.kind === "replied") return { kind: "reply", data: result.reply };
  const { code, message } = result.error;
  return { kind: "reject", code: rejectCodeOf(code), message };
}

function inputOf({ graph, session, call, answer, spent }: Conversation): ExecutionInput {
  return queryInput(graph.executor, session, {
    caller: call.sender,
    callerInfo: call.callerInfo,
    responded: answer !== undefined,
    callContextInstructions: spent,
    dataCertificate: call.receiver === graph.stack[0] ? graph.dataCertificate : undefined,
    maxReplyBytes: MAX_QUERY_REPLY_BYTES,
    instructionLimit: Math.max(0, graph.instructionsLeft),
    stablePageLimit: STABLE_PAGES_QUERY,
  });
}

function failed(error: UserError): Outcome & { kind: "error" } {
  return { kind: "error", error };
}
