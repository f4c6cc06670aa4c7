// Calls as a test makes them: as any principal, without a signature. They enter a block like a user's message whose
// signature was checked, under the request id that the same request would have over HTTP.
import {
  type CallerInfo,
  type CanisterId,
  type CryptoPort,
  fromHex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type NetworkTopology,
  type PrincipalId,
  principalToBytes,
  type QueryRequest,
  subnetOf,
  type Time,
  toHex,
} from "@atoll/types";
import { requestIdOf } from "@atoll/types/request-id";

export interface CanisterCall {
  readonly sender: PrincipalId;
  /** The management canister is no bytes. */
  readonly receiver: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  /** For the management canister: the canister that the call is about, or the subnet that shall take it. */
  readonly effective?: PrincipalId;
  readonly callerInfo?: CallerInfo;
}

/** Names a message from the moment that it was let in. */
export interface MessageId {
  readonly subnet: PrincipalId;
  /** Request id, hex of 32 bytes. */
  readonly requestId: string;
}

const EXPIRY_NS = 300_000_000_000n;
/** Around the fields of a call in an envelope without a signature. */
const ENVELOPE_BYTES = 150;

export function ingressOf(call: CanisterCall, time: Time, nonce: bigint, crypto: Pick<CryptoPort, "sha256">) {
  const { sender, receiver, methodName, arg, effective, callerInfo } = call;
  const content = contentOf(call, time, nonce);
  const message: IngressMessage = {
    requestId: toHex(requestIdOf(content, crypto.sha256)),
    sender,
    receiver,
    effectiveCanisterId:
      receiver === MANAGEMENT_CANISTER ? ((effective ?? MANAGEMENT_CANISTER) as CanisterId) : receiver,
    methodName,
    arg,
    expiry: content.ingress_expiry,
    byteSize: ENVELOPE_BYTES + methodName.length + arg.length,
    ...(callerInfo && { callerInfo }),
  };
  return message;
}

export function queryOf(
  call: CanisterCall,
  time: Time,
  nonce: bigint,
  crypto: Pick<CryptoPort, "sha256">,
): QueryRequest {
  const { byteSize: _, expiry: __, ...request } = ingressOf(call, time, nonce, crypto);
  return request;
}

function contentOf({ sender, receiver, methodName, arg }: CanisterCall, time: Time, nonce: bigint) {
  return {
    request_type: "call",
    sender: principalToBytes(sender),
    canister_id: principalToBytes(receiver),
    method_name: methodName,
    arg,
    ingress_expiry: time + EXPIRY_NS,
    nonce: fromHex(nonce.toString(16).padStart(16, "0")),
  };
}

/** The subnet that takes the call: the one that hosts its canister, else the one asked for; undefined: nobody does. */
export function subnetFor(topology: NetworkTopology, call: CanisterCall, about: CanisterId | undefined) {
  if (call.receiver !== MANAGEMENT_CANISTER) return subnetOf(topology, call.receiver)?.subnetId;
  const effective = about ?? call.effective;
  return effective === undefined ? undefined : subnetOf(topology, effective)?.subnetId;
}
