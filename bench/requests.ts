// Requests made before anything is measured: signed update calls, each with its own nonce, and anonymous queries.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { sha256 } from "@atoll/host-node";
import { type CborInput, encodeCbor, requestIdOf } from "@atoll/types";
import { Principal } from "@icp-sdk/core/principal";

/** `DIDL` with no types and no values. */
const NO_ARGUMENTS = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);
const REQUEST_DOMAIN = Buffer.from("\x0aic-request", "latin1");

export interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKeyDer: Uint8Array;
  readonly sender: Uint8Array;
}

export interface CallBody {
  readonly requestId: Uint8Array;
  readonly body: Uint8Array;
}

export function newSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const publicKeyDer = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  return { privateKey, publicKeyDer, sender: Principal.selfAuthenticating(publicKeyDer).toUint8Array() };
}

export function updateBody(signer: Signer, canisterId: Uint8Array, method: string): CallBody {
  const content = {
    request_type: "call",
    sender: signer.sender,
    canister_id: canisterId,
    method_name: method,
    arg: NO_ARGUMENTS,
    nonce: new Uint8Array(randomBytes(16)),
    ingress_expiry: expiry(),
  };
  const requestId = requestIdOf(content, sha256);
  const signature = sign(null, Buffer.concat([REQUEST_DOMAIN, requestId]), signer.privateKey);
  const envelope = { content, sender_pubkey: signer.publicKeyDer, sender_sig: new Uint8Array(signature) };
  return { requestId, body: encoded(envelope) };
}

export function queryBody(canisterId: Uint8Array, method: string): Uint8Array {
  const content = {
    request_type: "query",
    sender: Uint8Array.of(4),
    canister_id: canisterId,
    method_name: method,
    arg: NO_ARGUMENTS,
    nonce: new Uint8Array(randomBytes(16)),
    ingress_expiry: expiry(),
  };
  return encoded({ content });
}

/** As far ahead as the interface allows, less a minute. */
function expiry(): bigint {
  return BigInt(Date.now() + 4 * 60_000) * 1_000_000n;
}

function encoded(value: CborInput): Uint8Array {
  return encodeCbor(value, { selfDescribed: true });
}
