// POST /verify_signature: whether a canister has signed a message, judged from a root key that the client names.
// Interface specification, "Canister signatures".
import { parsePublicKey, subnetKeyFromDer, verifyCanisterSignature } from "@atoll/crypto";
import type { CryptoPort } from "@atoll/types";
import type { Outcome } from "./answers.ts";
import type { Json } from "./json.ts";
import * as shape from "./shapes.ts";

const check = shape.record({ msg: shape.bytes, sig: shape.bytes, pubkey: shape.bytes, root_pubkey: shape.bytes });

/** Throws a Refusal when the body is not what it should be. */
export function verifySignature(body: Json, crypto: CryptoPort): Outcome {
  const { msg, sig, pubkey, root_pubkey } = check(body, "");
  const parsed = parsePublicKey(pubkey);
  if (!parsed.ok || parsed.key.kind !== "canister") {
    const why = parsed.ok ? "it is not the key of a canister" : parsed.error;
    return { status: 400, body: { Err: `Failed to parse DER encoded public key: ${why}` } };
  }
  if (subnetKeyFromDer(root_pubkey) === undefined) {
    return { status: 400, body: { Err: "Failed to parse DER encoded root public key: it is not a BLS12-381 key" } };
  }
  const problem = verifyCanisterSignature(parsed.key, msg, sig, { crypto, rootKeys: [root_pubkey] });
  if (problem === undefined) return { status: 200, body: { Ok: null } };
  return { status: 406, body: { Err: `Canister signature verification failed: ${problem}` } };
}
