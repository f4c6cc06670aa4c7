// A user's call as it travels in a batch, made of its signed envelope: the one place where the fields of the one become
// those of the other. On a subnet of many nodes blocks carry the envelopes, and every node makes the same message of
// them. Interface specification, "Request: Call" and "Effective canister id".
import { type CallContent, type Envelope, type EnvelopeResult, parseEnvelope, requestIdOfContent } from "@atoll/crypto";
import { effectiveCanisterId } from "@atoll/execution";
import {
  type CanisterId,
  type CryptoPort,
  type IngressMessage,
  isInRange,
  MANAGEMENT_CANISTER,
  MAX_INGRESS_BYTES_APPLICATION,
  MAX_INGRESS_BYTES_SYSTEM,
  type RequestId,
  type Time,
  toHex,
} from "@atoll/types";
import type { SubnetDescription } from "./backend.ts";

/** What an envelope says; nothing of it is verified. */
export interface ParsedIngress {
  readonly envelope: Envelope<CallContent>;
  readonly message: IngressMessage;
  /** The message may be in blocks up to that time only: the first of its delegations ends then. */
  readonly delegatedUntil: Time | undefined;
}

export type ParsedIngressResult =
  | { readonly ok: true; readonly parsed: ParsedIngress }
  | { readonly ok: false; readonly error: string };

/** The network asks for the name of the very bytes that it hands over next, and what came over HTTP is broadcast. */
const envelopes = new WeakMap<Uint8Array, EnvelopeResult<"call">>();
const parsed = new WeakMap<Uint8Array, ParsedIngressResult>();

/** The envelope of a call. The same object is read once: its bytes must not change. */
export function parseCall(bytes: Uint8Array): EnvelopeResult<"call"> {
  let result = envelopes.get(bytes);
  if (result === undefined) {
    result = parseEnvelope(bytes, "call");
    envelopes.set(bytes, result);
  }
  return result;
}

/**
 * Reads an envelope without a URL beside it: the effective canister is the one that the call itself names. The same object
 * is read once: its bytes must not change.
 */
export function parseIngress(bytes: Uint8Array, sha256: CryptoPort["sha256"]): ParsedIngressResult {
  let result = parsed.get(bytes);
  if (result === undefined) {
    result = readIngress(bytes, sha256);
    parsed.set(bytes, result);
  }
  return result;
}

/** What was read of these bytes is not needed any more: it takes several times their memory. */
export function forgetIngress(bytes: Uint8Array): void {
  envelopes.delete(bytes);
  parsed.delete(bytes);
}

function readIngress(bytes: Uint8Array, sha256: CryptoPort["sha256"]): ParsedIngressResult {
  const result = parseCall(bytes);
  if (!result.ok) return result;
  const { content, authentication } = result.envelope;
  const effective = effectiveCanister(content);
  if (effective === undefined) return { ok: false, error: "a call to the management canister about no canister" };
  let delegatedUntil: Time | undefined;
  for (const { delegation } of authentication?.delegations ?? []) {
    if (delegatedUntil === undefined || delegation.expiration < delegatedUntil) delegatedUntil = delegation.expiration;
  }
  const requestId = toHex(requestIdOfContent(content, sha256));
  const message = ingressMessageOf(content, requestId, effective, bytes.length);
  return { ok: true, parsed: { envelope: result.envelope, message, delegatedUntil } };
}

/** The management canister: for calls that are about no canister that exists. Undefined: it cannot be told. */
function effectiveCanister({ canisterId, methodName, arg }: CallContent): CanisterId | undefined {
  if (canisterId !== MANAGEMENT_CANISTER) return canisterId;
  const id = effectiveCanisterId(methodName, arg);
  return id === "any" ? MANAGEMENT_CANISTER : id;
}

/** Why a subnet does not take a message at all; undefined: its size and the canister it is about are right. */
export function refuseIngress(
  message: IngressMessage,
  subnet: Pick<SubnetDescription, "type" | "canisterRanges">,
): string | undefined {
  if (message.byteSize > maxIngressBytes(subnet.type)) return `it has ${message.byteSize} bytes`;
  const { effectiveCanisterId: id } = message;
  const isHere = id === MANAGEMENT_CANISTER || subnet.canisterRanges.some((range) => isInRange(range, id));
  return isHere ? undefined : "its canister is on another subnet";
}

/** Of one envelope. */
export function maxIngressBytes(type: SubnetDescription["type"]): number {
  return type === "system" ? MAX_INGRESS_BYTES_SYSTEM : MAX_INGRESS_BYTES_APPLICATION;
}

/** `byteSize`: of the envelope. */
export function ingressMessageOf(
  content: CallContent,
  requestId: RequestId,
  effectiveCanisterId: CanisterId,
  byteSize: number,
): IngressMessage {
  const { senderInfo } = content;
  return {
    requestId,
    sender: content.sender,
    receiver: content.canisterId,
    effectiveCanisterId,
    methodName: content.methodName,
    arg: content.arg,
    expiry: content.ingressExpiry,
    byteSize,
    ...(senderInfo && { callerInfo: { data: senderInfo.info, signer: senderInfo.signer } }),
  };
}
