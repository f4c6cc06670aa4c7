// Requests for the tests of the HTTP interface: envelopes as maps, so that a test can break any part of one, and what
// a driver would hand in.
import { encodeCbor, fromHex, principalToText } from "@atoll/types";
import type { CborInput } from "@atoll/types/cbor";
import type { HttpHandler, HttpRequest, HttpResponse, TimerPort } from "@atoll/types/http";
import { CANISTER } from "./certified-backend.ts";

export const testTimer: TimerPort = {
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

export const CANISTER_TEXT = principalToText(CANISTER);

export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

let counter = 0;

/** An anonymous request; `changes` replace fields of the content, undefined removes one. */
export function envelope(requestType: string, changes: Record<string, CborInput> = {}): Uint8Array {
  const content = {
    request_type: requestType,
    sender: Uint8Array.of(4),
    ingress_expiry: nowNs() + 60_000_000_000n,
    nonce: new TextEncoder().encode(String(counter++)),
    ...(requestType === "read_state"
      ? { paths: [] }
      : { canister_id: fromHex(CANISTER), method_name: "greet", arg: new TextEncoder().encode("DIDL\0\0") }),
    ...changes,
  };
  return encodeCbor({ content }, { selfDescribed: true });
}

export function post(
  handle: HttpHandler,
  target: string,
  body: Uint8Array,
  extra: Partial<HttpRequest> = {},
): Promise<HttpResponse> {
  return handle({ method: "POST", target, headers: headers({ "content-type": "application/cbor" }), body, ...extra });
}

export function headers(fields: Record<string, string>): HttpRequest["headers"] {
  return { get: (name) => fields[name], entries: () => Object.entries(fields) };
}

export function textOf(response: HttpResponse): string {
  return new TextDecoder().decode(response.body);
}
