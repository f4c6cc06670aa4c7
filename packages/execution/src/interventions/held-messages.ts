// What becomes of held messages: delivered in any order, answered in place of their receiver, or lost where the protocol
// may lose them. Guaranteed calls are answered under all circumstances, here too. Checklist 6.2, 6.3.
import { type HeldMessage, type InputItem, type SubnetState, touch } from "@atoll/state";
import {
  ErrorCode,
  type InterventionResult,
  MAX_REJECT_MESSAGE_BYTES,
  principalToText,
  RejectCode,
  type Time,
  userError,
} from "@atoll/types";
import { enqueueResponse, refundDropped } from "../responses.ts";
import type { Round } from "../round.ts";
import { inductRequest, rejectRequest } from "../routing.ts";
import { traceNotExecuted } from "../trace.ts";
import { type InterventionOf, MADE, refused, textError } from "./refused.ts";

export function release(round: Round, { numbers }: InterventionOf<"release">): InterventionResult {
  const { held } = round.state.interventions;
  const unknown = numbers.find((number) => !held.has(number));
  if (unknown !== undefined) return notHeld(unknown);
  if (new Set(numbers).size < numbers.length) return refused("A message can be released only once.");
  for (const number of numbers) {
    const message = held.get(number) as HeldMessage;
    held.delete(number);
    deliver(round, message);
  }
  return MADE;
}

/** The checks of delivery are made now: the receiver may have stopped, or be gone. */
function deliver(round: Round, { receiver, item }: HeldMessage): void {
  if (item.kind === "request") inductRequest(round, item.request, { isReleased: true });
  else if (item.kind === "response") enqueueResponse(round, item.response);
  else {
    const canister = round.state.canisters.get(receiver);
    if (canister === undefined) {
      rejectIngress(round, item, RejectCode.DESTINATION_INVALID, `Canister ${principalToText(receiver)} not found`);
      return;
    }
    canister.input.push(item);
    touch(round.state, canister);
  }
}

export function rejectHeld(round: Round, { number, code, message }: InterventionOf<"reject_held">): InterventionResult {
  const { held } = round.state.interventions;
  const known = held.get(number);
  if (known === undefined) return notHeld(number);
  const error = textError("The reject message", message, MAX_REJECT_MESSAGE_BYTES);
  if (error !== undefined) return error;
  if (!Object.values(RejectCode).includes(code)) return refused(`There is no reject code ${code}.`);
  const { item } = known;
  if (code === RejectCode.SYS_UNKNOWN && !hasDeadline(item)) {
    return refused("Only calls with a deadline are rejected with SYS_UNKNOWN.");
  }
  held.delete(number);
  if (item.kind === "ingress") rejectIngress(round, item, code, message);
  else if (item.kind === "request") rejectRequest(round, item.request, code, message);
  // What the callee has accepted is its own; the refund comes back with the reject as it would with the reply.
  else enqueueResponse(round, { ...item.response, payload: { kind: "reject", code, message } });
  return MADE;
}

export function dropHeld(round: Round, { number }: InterventionOf<"drop_held">): InterventionResult {
  const { held } = round.state.interventions;
  const known = held.get(number);
  if (known === undefined) return notHeld(number);
  const { item } = known;
  if (!hasDeadline(item)) {
    const what = item.kind === "ingress" ? "An ingress message" : "A message of a call without a deadline";
    return refused(`${what} is never lost on the Internet Computer: reject it instead.`);
  }
  held.delete(number);
  traceNotExecuted(round, item, "It was dropped while it was held.");
  refund(round, item);
  return MADE;
}

/** Loses held requests whose call is over (named as `<sender> <callback>`): their deadline has passed. */
export function dropHeldRequests(round: Round, calls: { has(name: string): boolean }): void {
  const { held } = round.state.interventions;
  for (const [number, { item }] of held) {
    if (item.kind !== "request" || !calls.has(`${item.request.sender} ${item.request.callbackId}`)) continue;
    held.delete(number);
    traceNotExecuted(round, item, "The deadline passed before it could run.");
    refund(round, item);
  }
}

/** Users' messages expire while they are held, as in a queue. */
export function expireHeldIngress(round: Round): void {
  const { state } = round;
  for (const [number, { item }] of state.interventions.held) {
    if (item.kind !== "ingress" || item.message.expiry >= state.time) continue;
    state.interventions.held.delete(number);
    const sentence = `Ingress message ${item.message.requestId} timed out waiting to start executing.`;
    rejectIngress(round, item, RejectCode.SYS_TRANSIENT, sentence);
  }
}

/** The first time at which a held message of a user has expired; undefined: none is held. */
export function nextHeldExpiry({ interventions }: SubnetState): Time | undefined {
  let first: Time | undefined;
  for (const { item } of interventions.held.values()) {
    if (item.kind === "ingress" && (first === undefined || item.message.expiry < first)) first = item.message.expiry;
  }
  return first === undefined ? undefined : first + 1n;
}

/** An error code for each reject code, for those who read request statuses. */
const ERROR_CODES = {
  [RejectCode.SYS_FATAL]: ErrorCode.SubnetOversubscribed,
  [RejectCode.SYS_TRANSIENT]: ErrorCode.IngressMessageTimeout,
  [RejectCode.DESTINATION_INVALID]: ErrorCode.CanisterNotFound,
  [RejectCode.CANISTER_REJECT]: ErrorCode.CanisterRejectedMessage,
  [RejectCode.CANISTER_ERROR]: ErrorCode.CanisterTrapped,
  [RejectCode.SYS_UNKNOWN]: ErrorCode.DeadlineExpired,
} as const;

function rejectIngress(round: Round, item: IngressItem, code: RejectCode, message: string): void {
  const { state } = round;
  traceNotExecuted(round, item, message);
  const error = userError(ERROR_CODES[code], message);
  state.ingressHistory.set(item.message.requestId, { state: "rejected", error }, state.time);
}

type IngressItem = Extract<InputItem, { kind: "ingress" }>;

function hasDeadline(item: InputItem): boolean {
  if (item.kind === "request") return item.request.deadlineSeconds !== 0;
  return item.kind === "response" && item.response.deadlineSeconds !== 0;
}

function refund(round: Round, item: InputItem): void {
  if (item.kind === "request") refundDropped(round, item.request.sender, item.request.payment);
  if (item.kind === "response") refundDropped(round, item.response.originator, item.response.refund);
}

function notHeld(number: number): InterventionResult {
  return refused(`No message ${number} is held.`);
}
