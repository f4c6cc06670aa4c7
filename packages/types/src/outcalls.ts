// HTTPS outcalls: what a canister asks of the web, what each node of its subnet got from there, and what they agreed on
// as the answer. Interface specification, "IC method http_request".
import type { RejectCode } from "./errors.ts";
import type { CanisterId, PrincipalId } from "./ids.ts";
import type { ResponsePayload } from "./messages.ts";
import type { Time } from "./units.ts";

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

export type OutcallMethod = "get" | "head" | "post" | "put" | "delete" | "patch";

/** A query method of the canister that asked: it takes out of an answer what differs from node to node. */
export interface OutcallTransform {
  readonly methodName: string;
  readonly context: Uint8Array;
}

/** All that is needed to make an outcall and to agree on its answer. */
export interface OutcallRequest {
  /** Number of the outcall on its subnet; none is given out twice. */
  readonly outcall: number;
  /** The canister that asked. */
  readonly canister: CanisterId;
  readonly url: string;
  readonly method: OutcallMethod;
  readonly headers: readonly HttpHeader[];
  /** undefined: none; that differs from an empty one for who shows the request only. */
  readonly body: Uint8Array | undefined;
  /** Bytes of headers and body, and of what the transform function makes of them; undefined: as many as are allowed. */
  readonly maxResponseBytes: number | undefined;
  readonly transform: OutcallTransform | undefined;
  /** The one node that makes an outcall that is not replicated; undefined: all nodes make it. */
  readonly node: PrincipalId | undefined;
  /** Of the round in which the canister asked. */
  readonly time: Time;
}

/** Outcalls that began and ended, by numbers in ascending order. */
export interface OutcallChanges {
  readonly began: readonly OutcallRequest[];
  readonly ended: readonly number[];
}

/** An answer from outside. */
export interface OutcallReply {
  readonly status: bigint;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array;
}

/** What one node got from outside, before the canister's transform function: an answer, or why there is none. */
export type OutcallAnswer =
  | { readonly kind: "reply"; readonly reply: OutcallReply }
  | { readonly kind: "reject"; readonly code: RejectCode; readonly message: string };

/** Makes one outcall, as one node does. Never rejects: what goes wrong is an answer too. */
export type OutcallClient = (request: OutcallRequest) => Promise<OutcallAnswer>;

/** The agreed end of an outcall: it is delivered to the canister that asked, in the batch that carries it. */
export interface OutcallResponse {
  readonly outcall: number;
  /** A reply is Candid: an `http_request_result`, or whatever the transform function replied. */
  readonly result: ResponsePayload;
}
