// Where a message goes once the execution that sent it has succeeded: to a canister of this subnet, to the
// management canister, towards another subnet, or back with a reject because there is no such place. Messages within
// the subnet are delivered at once and may run in the same round.
import { requestBytes, touch } from "@atoll/state";
import {
  type CanisterId,
  MANAGEMENT_CANISTER,
  MAX_INTER_CANISTER_PAYLOAD_BYTES,
  type PrincipalId,
  principalToText,
  RejectCode,
  type RejectReason,
  type Request,
  type ResponsePayload,
} from "@atoll/types";
import { holdBack } from "./interventions/hold.ts";
import { inUnits } from "./management/management-errors.ts";
import { submitManagementCall } from "./management/management-queue.ts";
import { resolveDestination } from "./management/route-request.ts";
import { hostOf, sendAway } from "./outgoing.ts";
import { rejectionOf } from "./reject-signals.ts";
import { deliverResponse, responseTo } from "./responses.ts";
import type { Round } from "./round.ts";
import { originOfRequest } from "./trace.ts";

export function sendRequest(round: Round, request: Request): void {
  const { state } = round;
  if (request.receiver === MANAGEMENT_CANISTER || state.topology.subnets.some((each) => isOf(each, request))) {
    const destination = resolveDestination(round, request);
    if (typeof destination !== "string") rejectRequest(round, request, destination.code, destination.message);
    else if (destination === state.config.subnetId) callManagement(round, request);
    else routeRequest(round, { ...request, receiver: destination }, destination);
    return;
  }
  routeRequest(round, request, hostOf(round, request.receiver));
}

function isOf({ subnetId }: { readonly subnetId: PrincipalId }, { receiver }: Request): boolean {
  return subnetId === receiver;
}

/** `host`: the subnet of the receiver. */
export function routeRequest(round: Round, request: Request, host: PrincipalId | undefined): void {
  const { config } = round.state;
  if (host === undefined) {
    const message = `No route to canister ${principalToText(request.receiver)}`;
    rejectRequest(round, request, RejectCode.DESTINATION_INVALID, message);
  } else if (host !== config.subnetId) {
    const size = requestBytes(request);
    if (size <= MAX_INTER_CANISTER_PAYLOAD_BYTES) sendAway(round, host, request);
    else rejectRequest(round, request, RejectCode.CANISTER_ERROR, tooLarge(request, size));
  } else if (request.receiver === config.subnetId) {
    callManagement(round, request);
  } else {
    inductRequest(round, request);
  }
}

/** Puts a request into its receiver's queue, or answers why not. `isReleased`: it was held, and is no longer. */
export function inductRequest(round: Round, request: Request, { isReleased } = { isReleased: false }): void {
  const refusal = enqueueRequest(round, request, { isReleased });
  if (refusal !== undefined) rejectRequest(round, request, refusal.code, refusal.message);
}

export function callManagement(round: Round, request: Request): void {
  submitManagementCall(round, { kind: "canister", request }, request.methodName, request.arg);
}

function tooLarge({ sender }: Request, size: number): string {
  const limit = inUnits(BigInt(MAX_INTER_CANISTER_PAYLOAD_BYTES));
  const sent = `attempted to send a message of size ${inUnits(BigInt(size))} exceeding the limit ${limit}`;
  return `Canister ${principalToText(sender)} violated contract: ${sent}`;
}

/** Why a canister does not take a request. `reason`: the signal for it, where there is one. */
export interface Obstacle {
  readonly reason: RejectReason | undefined;
  readonly code: RejectCode;
  readonly message: string;
}

/** Puts a request into the queue of its receiver, or says why that cannot be. */
export function enqueueRequest(
  round: Round,
  request: Request,
  { isReleased } = { isReleased: false },
): Obstacle | undefined {
  const { state } = round;
  const receiver = state.canisters.get(request.receiver);
  const refusal =
    receiver === undefined ? obstacle("canister_not_found", request) : refusalOf(round, receiver.id, request);
  if (receiver === undefined || refusal !== undefined) return refusal;
  const item = { kind: "request", request, since: state.time } as const;
  if (!isReleased && holdBack(round, receiver.id, item)) return undefined;
  receiver.input.push(item);
  touch(state, receiver);
  return undefined;
}

/** Answers a request that never reached a canister; all its cycles go back. */
export function rejectRequest(round: Round, request: Omit<Request, "arg">, code: RejectCode, message: string): void {
  const payload: ResponsePayload = { kind: "reject", code, message };
  if (round.traceEvents !== undefined) {
    const origin = originOfRequest(request);
    round.traceEvents.push({ kind: "not_executed", message: origin, reason: message });
    round.traceEvents.push({ kind: "answer", to: origin, payload, refund: request.payment });
  }
  deliverResponse(round, responseTo(request, payload, request.payment));
}

function refusalOf(round: Round, id: CanisterId, request: Request): Obstacle | undefined {
  const canister = round.state.canisters.get(id);
  if (canister?.status.kind === "stopped") return obstacle("canister_stopped", request);
  if (canister?.status.kind === "stopping") return obstacle("canister_stopping", request);
  const minimum = canister?.settings.minimumIncomingCallCycles ?? 0n;
  if (request.sender === id || request.payment >= minimum) return undefined;
  return {
    reason: undefined,
    code: RejectCode.CANISTER_ERROR,
    message: `Canister ${principalToText(id)} requires at least ${minimum} cycles with each call, ${request.payment} were attached.`,
  };
}

function obstacle(reason: RejectReason, request: Request): Obstacle {
  return { reason, ...rejectionOf(reason, request) };
}
