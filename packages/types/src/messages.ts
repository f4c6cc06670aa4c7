// The messages of the protocol: what users send in (ingress), what canisters send each other (request, response),
// and what becomes of an ingress message. Interface specification, "Abstract behaviour" and "Request status".
import type { RejectCode, UserError } from "./errors.ts";
import type { CanisterId, PrincipalId } from "./ids.ts";
import type { Cycles, Time } from "./units.ts";

/** A request id: lower-case hex of 32 bytes. */
export type RequestId = string;

/** Attributes that an identity provider vouched for with the caller's own canister-signature key. */
export interface CallerInfo {
  readonly data: Uint8Array;
  readonly signer: CanisterId;
}

/** An authenticated call by a user, as it travels in a batch. */
export interface IngressMessage {
  readonly requestId: RequestId;
  readonly sender: PrincipalId;
  readonly receiver: CanisterId;
  /** The canister whose subnet handles the call, and who pays when `receiver` is the management canister. */
  readonly effectiveCanisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly expiry: Time;
  /** Size of the signed envelope: what induction is charged for. */
  readonly byteSize: number;
  readonly callerInfo?: CallerInfo;
}

/** A call from one canister to another (or to the management canister). */
export interface Request {
  readonly kind: "request";
  readonly sender: CanisterId;
  readonly receiver: CanisterId;
  readonly callbackId: number;
  readonly payment: Cycles;
  readonly methodName: string;
  readonly arg: Uint8Array;
  /** Seconds since 1970 at which a best-effort call gives up; 0 for a guaranteed response. */
  readonly deadlineSeconds: number;
  /** Version of the sending canister, for the origin in canister history. */
  readonly senderVersion: number;
}

export type ResponsePayload =
  | { readonly kind: "reply"; readonly data: Uint8Array }
  | { readonly kind: "reject"; readonly code: RejectCode; readonly message: string };

export interface Response {
  readonly kind: "response";
  /** Who called and now gets the answer. */
  readonly originator: CanisterId;
  readonly respondent: CanisterId;
  readonly callbackId: number;
  readonly refund: Cycles;
  readonly payload: ResponsePayload;
  readonly deadlineSeconds: number;
}

export type CanisterMessage = Request | Response;

/** What became of an ingress message. `done` remains when the answer itself had to be dropped. */
export type IngressStatus =
  | { readonly state: "received" }
  | { readonly state: "processing" }
  | { readonly state: "replied"; readonly reply: Uint8Array }
  | { readonly state: "rejected"; readonly error: UserError }
  | { readonly state: "done" };

/** A query by a user, authenticated. */
export interface QueryRequest {
  readonly requestId: RequestId;
  readonly sender: PrincipalId;
  readonly receiver: CanisterId;
  readonly effectiveCanisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly callerInfo?: CallerInfo;
}

/** Answer to a query. A canister's own reject has error code CanisterRejectedMessage (IC0406). */
export type QueryResult =
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  | { readonly kind: "rejected"; readonly error: UserError };
