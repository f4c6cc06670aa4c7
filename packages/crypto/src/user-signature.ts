// One signature by one key of a user, whatever its scheme (interface specification, "Signatures"). The key says by its
// object identifier which scheme it is, and so what the signature must look like.
import { type SignatureAlgorithm, toHex } from "@atoll/types";
import { type CanisterSignatureCheck, verifyCanisterSignature } from "./canister-signature.ts";
import { type PublicKey, parsePublicKey } from "./public-key.ts";
import { verifyWebAuthn } from "./webauthn.ts";

/** What a signature is for: plain RSA keys may sign delegations, never requests. */
export type SignaturePurpose = "request" | "delegation";

/** Undefined when `signature` by `publicKeyDer` over `message` (with its domain separator) is good; else why not. */
export function verifyUserSignature(
  purpose: SignaturePurpose,
  publicKeyDer: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  check: CanisterSignatureCheck,
): string | undefined {
  const parsed = parsePublicKey(publicKeyDer);
  if (!parsed.ok) return `Invalid public key: ${parsed.error}`;
  const { key } = parsed;
  switch (key.kind) {
    case "plain": {
      const error = verifyPlain(purpose, key, message, signature, check);
      return error && `Invalid basic signature: ${error}`;
    }
    case "webauthn": {
      const error = verifyWebAuthn(key.algorithm, key.der, message, signature, check.crypto);
      return error && `WebAuthn error: ${error}`;
    }
    case "canister": {
      const error = verifyCanisterSignature(key, message, signature, check);
      return error && `Invalid canister signature: ${error}`;
    }
  }
}

const ALGORITHM_NAMES: Record<SignatureAlgorithm, string> = {
  ed25519: "Ed25519",
  p256: "EcdsaP256",
  secp256k1: "EcdsaSecp256k1",
  "rsa-pkcs1-sha256": "RsaSha256",
};

function verifyPlain(
  purpose: SignaturePurpose,
  key: Extract<PublicKey, { kind: "plain" }>,
  message: Uint8Array,
  signature: Uint8Array,
  check: CanisterSignatureCheck,
): string | undefined {
  const { algorithm, der } = key;
  const isRsa = algorithm === "rsa-pkcs1-sha256";
  if (isRsa && purpose === "request") {
    return "Algorithm RsaSha256 not supported: RSA signatures are not allowed except in webauthn context";
  }
  if (!isRsa && signature.length !== 64) {
    return `Malformed ${ALGORITHM_NAMES[algorithm]} signature: [${toHex(signature)}] error: 'Invalid length'`;
  }
  if (check.crypto.verify(algorithm, der, message, signature)) return undefined;
  return (
    `${ALGORITHM_NAMES[algorithm]} signature could not be verified: public key ${toHex(der)}, ` +
    `signature ${toHex(signature)}, error: Invalid signature`
  );
}
