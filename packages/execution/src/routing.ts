// Where a message goes once the execution that sent it has succeeded: to a canister of this subnet, to the
// management canister, or back with a reject because there is no such place. Messages within the subnet are
// delivered at once and may run in the same round. (Streams to other subnets join here.)
import { isInRanges, touch } from "@atoll/state";
import {
  type CanisterId,
  MANAGEMENT_CANISTER,
  principalToText,
  RejectCode,
  type Request,
  type ResponsePayload,
} from "@atoll/types";
import { holdBack } from "./interventions/hold.ts";
import { submitManagementCall } from "./management/management-queue.ts";
import { unroutable } from "./management/route-request.ts";
import { deliverResponse, responseTo } from "./responses.ts";
import type { Round } from "./round.ts";

export function sendRequest(round: Round, request: Request): void {
  const { state } = round;
  if (request.receiver === MANAGEMENT_CANISTER || request.receiver === state.config.subnetId) {
    const refusal = unroutable(round, request);
    if (refusal !== undefined) rejectRequest(round, request, refusal.code, refusal.message);
    else submitManagementCall(round, { kind: "canister", request }, request.methodName, request.arg);
    return;
  }
  inductRequest(round, request);
}

/** Puts a request into its receiver's queue, or answers why not. `isReleased`: it was held, and is no longer. */
export function inductRequest(round: Round, request: Request, { isReleased } = { isReleased: false }): void {
  const { state } = round;
  const receiver = state.canisters.get(request.receiver);
  if (receiver === undefined) {
    rejectRequest(round, request, RejectCode.DESTINATION_INVALID, notFound(round, request.receiver));
    return;
  }
  const refusal = refusalOf(round, receiver.id, request);
  if (refusal !== undefined) {
    rejectRequest(round, request, refusal.code, refusal.message);
    return;
  }
  const item = { kind: "request", request, since: state.time } as const;
  if (!isReleased && holdBack(round, receiver.id, item)) return;
  receiver.input.push(item);
  touch(state, receiver);
}

/** Answers a request that never reached a canister; all its cycles go back. */
export function rejectRequest(round: Round, request: Omit<Request, "arg">, code: RejectCode, message: string): void {
  const payload: ResponsePayload = { kind: "reject", code, message };
  deliverResponse(round, responseTo(request, payload, request.payment));
}

function refusalOf(round: Round, id: CanisterId, request: Request): { code: RejectCode; message: string } | undefined {
  const canister = round.state.canisters.get(id);
  if (canister === undefined || canister.status.kind === "running") {
    const minimum = canister?.settings.minimumIncomingCallCycles ?? 0n;
    if (request.sender !== id && request.payment < minimum) {
      return {
        code: RejectCode.CANISTER_ERROR,
        message: `Canister ${principalToText(id)} requires at least ${minimum} cycles with each call, ${request.payment} were attached.`,
      };
    }
    return undefined;
  }
  return {
    code: RejectCode.CANISTER_ERROR,
    message: `Canister ${principalToText(id)} is ${canister.status.kind}`,
  };
}

function notFound(round: Round, id: CanisterId): string {
  return isInRanges(round.state.config, id)
    ? `Canister ${principalToText(id)} not found`
    : `No route to canister ${principalToText(id)}`;
}
