// What happened to each message of a round, for those who asked to see it: which execution it caused, what that one did
// and sent, how it was answered, or why it never ran. Ids of requests and callbacks connect the events of all subnets
// (packages/replica/src/message-tree.ts). No part of the state; where nobody asked, nothing is made.
import { describe, type RunResult, toUserError } from "@atoll/embedder";
import type { CallContext, CanisterState, InputItem, ManagementCaller, Task } from "@atoll/state";
import type {
  CanisterId,
  Cycles,
  PrincipalId,
  Request,
  RequestId,
  Response,
  ResponsePayload,
  UserError,
} from "@atoll/types";
import type { Round } from "./round.ts";

/** Who is to be answered; names a message in all of the network. */
export type TracedOrigin =
  | { readonly kind: "ingress"; readonly requestId: RequestId }
  | { readonly kind: "request"; readonly sender: CanisterId; readonly callbackId: number };

/** What caused an execution. A response is that to the canister's own call `callbackId`. */
export type TracedMessage =
  | TracedOrigin
  | { readonly kind: "response"; readonly respondent: CanisterId; readonly callbackId: number }
  | { readonly kind: "task"; readonly task: Task };

export interface TracedCall {
  readonly callbackId: number;
  readonly receiver: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly cycles: Cycles;
  readonly deadlineSeconds: number;
}

export interface TracedExecution {
  readonly kind: "execution";
  readonly canister: CanisterId;
  readonly message: TracedMessage;
  /** Undefined for installations, which have none. */
  readonly callContextId: number | undefined;
  /** Of a callback "(reply callback)" or "(reject callback)"; of a task and an installation what runs. */
  readonly methodName: string;
  /** Of a callback the data of the reply. */
  readonly arg: Uint8Array;
  readonly instructions: number;
  /** The balance, with what was paid in advance for this execution. */
  readonly cyclesBefore: Cycles;
  readonly cyclesAfter: Cycles;
  /** For instructions, for sending calls, for the response that it took up, and burned. */
  readonly cyclesConsumed: Cycles;
  /** Pages of 4 KiB written. */
  readonly heapPages: number;
  readonly stablePages: number;
  /** Undefined: it succeeded. */
  readonly error: UserError | undefined;
  /** What it replied or rejected with; undefined: nothing yet, or an earlier one has. */
  readonly answer: ResponsePayload | { readonly kind: "reject"; readonly message: string } | undefined;
  readonly calls: readonly TracedCall[];
  readonly log: readonly Uint8Array[];
}

export type TraceEvent =
  | TracedExecution
  /** A user's message has come in. */
  | {
      readonly kind: "ingress";
      readonly requestId: RequestId;
      readonly sender: PrincipalId;
      readonly receiver: CanisterId;
      readonly methodName: string;
      readonly arg: Uint8Array;
      /** What taking it in has cost. */
      readonly cycles: Cycles;
    }
  /** A call was answered, by its canister or by the system. */
  | {
      readonly kind: "answer";
      readonly to: TracedOrigin;
      readonly payload: ResponsePayload;
      /** Cycles that come back with it. */
      readonly refund: Cycles;
    }
  /** The deadline of a call has passed before an answer came. */
  | { readonly kind: "expired"; readonly to: TracedOrigin }
  /** A message that no canister has executed, and why. */
  | { readonly kind: "not_executed"; readonly message: TracedMessage; readonly reason: string };

// --- origins ---

export function originOf(caller: ManagementCaller | CallContext["origin"]): TracedOrigin | undefined {
  if (caller.kind === "ingress") return { kind: "ingress", requestId: caller.requestId };
  return caller.kind === "canister" ? originOfRequest(caller.request) : undefined;
}

export function originOfRequest({ sender, callbackId }: Pick<Request, "sender" | "callbackId">): TracedOrigin {
  return { kind: "request", sender, callbackId };
}

export function messageOf(item: InputItem): TracedMessage {
  if (item.kind === "ingress") return { kind: "ingress", requestId: item.message.requestId };
  return item.kind === "request" ? originOfRequest(item.request) : responseMessage(item.response);
}

export function responseMessage({ respondent, callbackId }: Response): TracedMessage {
  return { kind: "response", respondent, callbackId };
}

// --- recording ---

export function traceAnswer(
  { traceEvents }: Round,
  origin: ManagementCaller | CallContext["origin"],
  payload: ResponsePayload,
  refund: Cycles,
): void {
  const to = traceEvents && originOf(origin);
  if (to !== undefined) traceEvents?.push({ kind: "answer", to, payload, refund });
}

export function traceNotExecuted({ traceEvents }: Round, item: InputItem, reason: string): void {
  traceEvents?.push({ kind: "not_executed", message: messageOf(item), reason });
}

/** How a canister stood before an execution; undefined where nobody asked. */
interface Before {
  readonly cycles: Cycles;
  readonly instructions: Cycles;
  readonly burned: Cycles;
  readonly nextCallbackId: number;
}

/** `prepaid`: for this execution, and off the balance already. */
export function beforeExecution({ traceEvents }: Round, canister: CanisterState, prepaid: Cycles): Before | undefined {
  if (traceEvents === undefined) return undefined;
  const { cycles, consumed, nextCallbackId } = canister;
  const { instructions, burnedCycles: burned } = consumed;
  return { cycles: cycles + prepaid, instructions, burned, nextCallbackId };
}

type What = Pick<TracedExecution, "message" | "callContextId" | "methodName" | "arg">;

/** `results`: of the callback and its cleanup, or of the one entry point; when all is settled and nothing has left. */
export function traceExecution(
  round: Round,
  canister: CanisterState,
  before: Before,
  what: What,
  results: readonly RunResult[],
  response?: Response,
): void {
  const last = results.at(-1);
  const failed = results.find(({ error }) => error !== undefined)?.error;
  const effects = failed === undefined ? last?.effects : undefined;
  const calls = (effects?.calls ?? []).map(({ receiver, methodName, arg, cycles, deadlineSeconds }, i) => {
    return { callbackId: before.nextCallbackId + i, receiver, methodName, arg, cycles, deadlineSeconds };
  });
  const { consumed } = canister;
  const spent = consumed.instructions - before.instructions + (consumed.burnedCycles - before.burned);
  round.traceEvents?.push({
    kind: "execution",
    canister: canister.id,
    ...what,
    instructions: sum(results, ({ instructions }) => instructions),
    cyclesBefore: before.cycles,
    cyclesAfter: canister.cycles,
    cyclesConsumed: spent + transport(round, calls, response),
    heapPages: sum(results, ({ error, dirtyPages }) => (error === undefined ? dirtyPages.length : 0)),
    stablePages: sum(results, ({ error, stable }) => (error === undefined ? stable.writtenPages : 0)),
    error: failed && { code: toUserError(failed, canister.id).code, message: describe(failed) },
    answer: effects?.answer,
    calls,
    log: results.flatMap((result) => result.effects.log.kept()),
  });
}

/** Installing code is one execution, whatever entry points it runs; `results`: of those. */
export function traceInstallation(
  round: Round,
  canister: CanisterState,
  before: Before,
  what: Pick<TracedExecution, "message" | "methodName" | "arg" | "instructions">,
  results: readonly RunResult[],
  error: UserError | undefined,
): void {
  const { consumed } = canister;
  round.traceEvents?.push({
    kind: "execution",
    canister: canister.id,
    ...what,
    callContextId: undefined,
    cyclesBefore: before.cycles,
    cyclesAfter: canister.cycles,
    cyclesConsumed: consumed.instructions - before.instructions + (consumed.burnedCycles - before.burned),
    heapPages: error === undefined ? sum(results, ({ dirtyPages }) => dirtyPages.length) : 0,
    stablePages: error === undefined ? (results.at(-1)?.stable.writtenPages ?? 0) : 0,
    error,
    answer: undefined,
    calls: [],
    log: results.flatMap((result) => result.effects.log.kept()),
  });
}

/** What its calls cost to send, and the response that it took up. */
function transport({ fees: { nominal } }: Round, calls: readonly TracedCall[], response?: Response): Cycles {
  let cost = response === undefined ? 0n : nominal.responseBytes(payloadBytes(response.payload));
  for (const { methodName, arg } of calls) cost += nominal.call(utf8Length(methodName), arg.length, false).request;
  return cost;
}

function payloadBytes(payload: ResponsePayload): number {
  return payload.kind === "reply" ? payload.data.length : utf8Length(payload.message);
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

function sum(results: readonly RunResult[], of: (result: RunResult) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
}
