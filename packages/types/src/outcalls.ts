// HTTPS outcalls as consensus sees them: what the nodes of a subnet agreed on as the answer to a request.
// Interface specification, "IC method http_request".
import type { RejectCode } from "./errors.ts";

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/** An answer from outside, before or after the canister's transform function. */
export interface OutcallReply {
  readonly status: bigint;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array;
}

/** The agreed end of an outcall: it is delivered to the canister that asked, in the batch that carries it. */
export interface OutcallResponse {
  /** Number of the request on its subnet. */
  readonly outcall: number;
  readonly result:
    | { readonly kind: "reply"; readonly reply: OutcallReply }
    | { readonly kind: "reject"; readonly code: RejectCode; readonly message: string };
}
