// What a client signs: the request id of a content, and the hash of a delegation, made from the fields we know
// (interface specification, "Request ids" and "Authentication").
import { type CryptoPort, type HashableFields, principalToBytes, requestIdOf } from "@atoll/types";
import { concatBytes, DOMAIN } from "./domain.ts";
import type { CallContent, Delegation, ReadStateContent } from "./envelope.ts";

type Sha256 = CryptoPort["sha256"];

/** Whoever reads an envelope names it before it authenticates it. */
const requestIds = new WeakMap<CallContent | ReadStateContent, Uint8Array>();

/** The request id: 32 bytes. The same object is hashed once: it must not change, nor must what this gives. */
export function requestIdOfContent(content: CallContent | ReadStateContent, sha256: Sha256): Uint8Array {
  let requestId = requestIds.get(content);
  if (requestId === undefined) {
    requestId = requestIdOf(contentFields(content), sha256);
    requestIds.set(content, requestId);
  }
  return requestId;
}

/** What the sender signs for a request. */
export function requestMessage(requestId: Uint8Array): Uint8Array {
  return concatBytes(DOMAIN.request, requestId);
}

/** What the previous key signs for a delegation. */
export function delegationMessage(delegation: Delegation, sha256: Sha256): Uint8Array {
  const fields: HashableFields = {
    pubkey: delegation.publicKey,
    expiration: delegation.expiration,
    targets: delegation.targets,
    permissions: delegation.permissions,
  };
  return concatBytes(DOMAIN.delegation, requestIdOf(fields, sha256));
}

/** What an identity provider signs for attributes of a sender. */
export function senderInfoMessage(info: Uint8Array): Uint8Array {
  return concatBytes(DOMAIN.senderInfo, info);
}

function contentFields(content: CallContent | ReadStateContent): HashableFields {
  const common = {
    request_type: content.requestType,
    sender: principalToBytes(content.sender),
    ingress_expiry: content.ingressExpiry,
    nonce: content.nonce,
  };
  if (content.requestType === "read_state") return { ...common, paths: content.paths };
  const { senderInfo } = content;
  return {
    ...common,
    canister_id: principalToBytes(content.canisterId),
    method_name: content.methodName,
    arg: content.arg,
    sender_info: senderInfo && {
      info: senderInfo.info,
      signer: principalToBytes(senderInfo.signer),
      sig: senderInfo.sig,
    },
  };
}
