// One query by a user, from the checks on the canister to its reply; composite queries call other queries of the
// subnet depth first. Checklist 6.2, 1.10, instruction-costs 6.
import { type ExecutionError, type ExecutionInput, Mode, type OutgoingCall, toUserError } from "@atoll/embedder";
import {
  type CallerInfo,
  type CanisterId,
  ErrorCode,
  errorCodeText,
  INSTRUCTIONS_PER_COMPOSITE_CALL,
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
import type { QueryExecutor, QuerySession } from "./query-executor.ts";
import { queryInput } from "./query-input.ts";
import { memoryBytesOf } from "./query-state.ts";

export interface QueryCall {
  readonly sender: PrincipalId;
  readonly receiver: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly callerInfo?: CallerInfo | undefined;
  readonly dataCertificate?: Uint8Array | undefined;
}

/** What a whole call graph shares. */
interface Graph {
  readonly executor: QueryExecutor;
  instructionsLeft: number;
  /** Canisters with a query under way, outermost first. */
  readonly stack: CanisterId[];
}

export function executeQuery(executor: QueryExecutor, call: QueryCall): QueryResult {
  const graph: Graph = { executor, instructionsLeft: MAX_INSTRUCTIONS_PER_QUERY, stack: [] };
  const outcome = runQuery(graph, call);
  if (outcome.kind === "reply") return { kind: "replied", reply: outcome.data };
  return { kind: "rejected", error: outcome.error };
}

type Outcome =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "error"; readonly error: UserError };

function runQuery(graph: Graph, call: QueryCall): Outcome {
  const refusal = checkCanister(graph, call.receiver);
  if (refusal !== undefined) return failed(refusal);
  const session = graph.executor.session(call.receiver);
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
  const canister = state.canisters.get(id);
  const text = (): string => principalToText(id);
  if (canister === undefined) return userError(ErrorCode.CanisterNotFound, `Canister ${text()} not found`);
  if (canister.view.status === "stopped") return userError(ErrorCode.CanisterStopped, `Canister ${text()} is stopped`);
  if (canister.view.status === "stopping")
    return userError(ErrorCode.CanisterStopping, `Canister ${text()} is stopping`);
  if (canister.view.cycles < fees.freezingThreshold(canister.view, memoryBytesOf(canister))) {
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
  const mode = isComposite ? Mode.compositeQuery : Mode.query;
  const name = `${isComposite ? "canister_composite_query" : "canister_query"} ${call.methodName}`;
  const conversation: Conversation = { graph, session, call, answer: undefined, failure: undefined, spent: 0 };
  execute(conversation, { kind: "export", name }, { ...inputOf(conversation), mode, arg: call.arg });
  return conclude(conversation);
}

/** A query under way on one canister, its callbacks included. */
interface Conversation {
  readonly graph: Graph;
  readonly session: QuerySession;
  readonly call: QueryCall;
  answer: Outcome | undefined;
  failure: ExecutionError | undefined;
  spent: number;
}

function conclude(conversation: Conversation): Outcome {
  if (conversation.answer !== undefined) return conversation.answer;
  const { receiver } = conversation.call;
  if (conversation.failure !== undefined) return failed(toUserError(conversation.failure, receiver));
  const text = principalToText(receiver);
  return failed(
    userError(ErrorCode.CanisterDidNotReply, `Error from Canister ${text}: Canister ${text} did not reply to the call`),
  );
}

/** Runs one function, then every call it made with the callbacks of each, depth first and in order. */
function execute(
  conversation: Conversation,
  entry: Parameters<QuerySession["run"]>[0],
  input: ExecutionInput,
): boolean {
  const { graph, session } = conversation;
  const result = session.run(entry, input);
  graph.instructionsLeft -= result.instructions;
  conversation.spent += result.instructions;
  if (result.error !== undefined) {
    conversation.failure = result.error;
    return false;
  }
  const { answer, calls } = result.effects;
  if (answer !== undefined && conversation.answer === undefined) {
    conversation.answer =
      answer.kind === "reply"
        ? { kind: "reply", data: answer.data }
        : failed(userError(ErrorCode.CanisterRejectedMessage, answer.message));
  }
  for (const call of calls) performCall(conversation, call);
  return true;
}

function performCall(conversation: Conversation, call: OutgoingCall): void {
  const payload = callPayload(conversation, call);
  const isReply = payload.kind === "reply";
  const base = inputOf(conversation);
  const ran = execute(
    conversation,
    { kind: "closure", closure: isReply ? call.onReply : call.onReject },
    {
      ...base,
      mode: isReply ? Mode.compositeReply : Mode.compositeReject,
      arg: isReply ? payload.data : new Uint8Array(),
      rejectCode: isReply ? 0 : payload.code,
      rejectMessage: isReply ? "" : payload.message,
    },
  );
  if (!ran && call.onCleanup !== undefined) {
    const failure = conversation.failure;
    execute(
      conversation,
      { kind: "closure", closure: call.onCleanup },
      { ...inputOf(conversation), mode: Mode.compositeCleanup },
    );
    conversation.failure = failure;
  }
}

/** The response to a call made by a composite query. */
function callPayload({ graph, session }: Conversation, call: OutgoingCall): ResponsePayload {
  graph.instructionsLeft -= INSTRUCTIONS_PER_COMPOSITE_CALL;
  const refuse = (code: ErrorCode, message: string): ResponsePayload => ({
    kind: "reject",
    code: rejectCodeOf(code),
    message: `${errorCodeText(code)}: ${message}`,
  });
  if (graph.instructionsLeft <= 0) {
    return refuse(
      ErrorCode.QueryCallGraphTotalInstructionLimitExceeded,
      "Composite query calls exceeded the instruction limit of the whole call graph.",
    );
  }
  if (graph.stack.length >= MAX_COMPOSITE_QUERY_DEPTH) {
    return refuse(ErrorCode.QueryCallGraphTooDeep, "Composite query calls exceeded the maximum call depth.");
  }
  if (graph.stack.includes(call.receiver)) {
    return refuse(ErrorCode.QueryCallGraphLoopDetected, "Loop detected in the composite query call graph.");
  }
  const sender = session.canister.view.id;
  const outcome = runQuery(graph, { sender, receiver: call.receiver, methodName: call.methodName, arg: call.arg });
  if (outcome.kind === "reply") return outcome;
  const { code, message } = outcome.error;
  if (code === ErrorCode.CanisterRejectedMessage) return { kind: "reject", code: RejectCode.CANISTER_REJECT, message };
  return refuse(code, message);
}

function inputOf({ graph, session, call, answer, spent }: Conversation): ExecutionInput {
  return queryInput(graph.executor, session, {
    caller: call.sender,
    callerInfo: call.callerInfo,
    responded: answer !== undefined,
    callContextInstructions: spent,
    dataCertificate: graph.stack.length === 1 ? call.dataCertificate : undefined,
    maxReplyBytes: MAX_QUERY_REPLY_BYTES,
    instructionLimit: Math.max(0, graph.instructionsLeft),
    stablePageLimit: STABLE_PAGES_QUERY,
  });
}

function failed(error: UserError): Outcome & { kind: "error" } {
  return { kind: "error", error };
}
