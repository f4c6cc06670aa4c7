// What messages take of memory. A call whose response must be delivered has room for the largest response reserved at
// both ends, from the moment it is made until the response is read; best-effort messages count as they are, and the
// largest are dropped when there are too many. Checklist 3.4.
import { MAX_INTER_CANISTER_PAYLOAD_BYTES, type Request, type ResponsePayload } from "@atoll/types";
import type { InputItem } from "./canister-state.ts";

/** Bytes, apart for the two kinds of calls. */
export interface MessageBytes {
  readonly guaranteed: number;
  readonly bestEffort: number;
}

/** Reserved for a response that must be delivered. */
export const RESPONSE_RESERVATION = MAX_INTER_CANISTER_PAYLOAD_BYTES;

const NOTHING: MessageBytes = { guaranteed: 0, bestEffort: 0 };

/** What an item in a canister's input queue takes, beside what is reserved for the canister's own open calls. */
export function inputBytes(item: InputItem): MessageBytes {
  if (item.kind === "ingress") return NOTHING;
  if (item.kind === "request") {
    const bytes = requestBytes(item.request);
    if (item.request.deadlineSeconds !== 0) return { guaranteed: 0, bestEffort: bytes };
    // The reservation is for the answer that will be given; only larger requests take more.
    return { guaranteed: Math.max(bytes, RESPONSE_RESERVATION), bestEffort: 0 };
  }
  const bytes = payloadBytes(item.response.payload);
  if (item.response.deadlineSeconds !== 0) return { guaranteed: 0, bestEffort: bytes };
  // It is there now: the reservation has become the response itself.
  return { guaranteed: bytes - RESPONSE_RESERVATION, bestEffort: 0 };
}

export function requestBytes({ methodName, arg }: Pick<Request, "methodName" | "arg">): number {
  return methodName.length + arg.length;
}

export function payloadBytes(payload: ResponsePayload): number {
  return payload.kind === "reply" ? payload.data.length : payload.message.length;
}
