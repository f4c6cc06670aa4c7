// The kinds of answers of the HTTP interface: CBOR with the self-describe tag, plain text, nothing, and the reject of
// a message that never reached a block. Interface specification, "HTTPS interface" and "Synchronous call".
import { errorCodeText, rejectCodeOf, type UserError } from "@atoll/types";
import { type CborInput, encodeCbor } from "@atoll/types/cbor";
import type { HttpResponse } from "@atoll/types/http";
import type { ReplicaHealth } from "../backend.ts";
import { BARE_HEADERS, CBOR_HEADERS, JSON_HEADERS, TEXT_HEADERS } from "./cors.ts";

const encoder = new TextEncoder();
const SELF_DESCRIBED = { selfDescribed: true } as const;
const NOTHING = new Uint8Array(0);

export function cborAnswer(value: CborInput): HttpResponse {
  return { status: 200, headers: CBOR_HEADERS, body: encodeCbor(value, SELF_DESCRIBED) };
}

export function jsonAnswer(value: unknown): HttpResponse {
  return { status: 200, headers: JSON_HEADERS, body: encoder.encode(JSON.stringify(value)) };
}

export function textAnswer(status: number, text: string): HttpResponse {
  return { status, headers: TEXT_HEADERS, body: encoder.encode(text) };
}

export function emptyAnswer(status: number): HttpResponse {
  return { status, headers: BARE_HEADERS, body: NOTHING };
}

/** What a user is told about an error: `reject_code`, `reject_message`, `error_code`, in queries and calls alike. */
export function rejectFields(error: UserError) {
  return {
    reject_code: rejectCodeOf(error.code) as number,
    reject_message: error.message,
    error_code: errorCodeText(error.code),
  };
}

/** 503 for read requests while the replica cannot vouch for what it would say. */
export function unhealthyAnswer(health: ReplicaHealth): HttpResponse {
  return textAnswer(503, `Replica is unhealthy: ${health}. Check the /api/v2/status for more information.`);
}

export function noCertifiedStateAnswer(): HttpResponse {
  return textAnswer(503, "Certified state unavailable. Please try again.");
}
