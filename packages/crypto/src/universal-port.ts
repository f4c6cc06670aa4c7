// A crypto port that runs anywhere JavaScript does: for the browser, and as the reference against which the faster
// ports are compared. 10 to 30 times slower than native code.
import type { CryptoPort, SignatureAlgorithm } from "@atoll/types";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { readTwoIntegers } from "./der.ts";
import { parsePublicKey, rawPublicKey } from "./public-key.ts";
import { sha224, sha256 } from "./sha.ts";
import { universalBls } from "./universal-bls.ts";

export function createUniversalCrypto(): CryptoPort {
  return {
    sha256,
    sha224,
    verify: universalVerify,
    verifyAllEd25519: (signed) =>
      signed.every((one) => universalVerify("ed25519", one.publicKeyDer, one.message, one.signature)),
    signEd25519: (seed, message) => ed25519.sign(message, seed),
    ed25519PublicKey: (seed) => ed25519.getPublicKey(seed),
    bls: universalBls,
  };
}

/** See CryptoPort.verify. */
export function universalVerify(
  algorithm: SignatureAlgorithm,
  publicKeyDer: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const parsed = parsePublicKey(publicKeyDer);
  if (!parsed.ok || parsed.key.kind !== "plain" || parsed.key.algorithm !== algorithm) return false;
  const key = rawPublicKey(publicKeyDer) as Uint8Array;
  try {
    return VERIFIERS[algorithm](key, message, signature);
  } catch {
    return false;
  }
}

type Verifier = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

// As in the replica: a high s is refused with secp256k1 (where everybody normalises) and accepted with P-256 (where
// nobody does).
const VERIFIERS: Record<SignatureAlgorithm, Verifier> = {
  // Also what OpenSSL refuses, and the replica does not: docs/decisions/0018.
  ed25519: (key, message, signature) => ed25519.verify(signature, message, key, { zip215: true }),
  p256: (key, message, signature) => signature.length === 64 && p256.verify(signature, message, key, { lowS: false }),
  secp256k1: (key, message, signature) =>
    signature.length === 64 && secp256k1.verify(signature, message, key, { lowS: true }),
  "rsa-pkcs1-sha256": verifyRsa,
};

function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** DigestInfo of SHA-256 (RFC 8017, section 9.2). */
const DIGEST_INFO = Uint8Array.of(
  ...[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20],
);

/** RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2.2): the signature, raised to e, must be the padded digest. */
function verifyRsa(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const integers = readTwoIntegers(key);
  if (integers === undefined) return false;
  const size = integers[0].length;
  const modulus = bigEndian(integers[0]);
  const value = bigEndian(signature);
  if (signature.length !== size || value >= modulus) return false;
  const expected = new Uint8Array(size).fill(0xff);
  expected.set([0, 1]);
  expected[size - 52] = 0;
  expected.set(DIGEST_INFO, size - 51);
  expected.set(sha256(message), size - 32);
  return power(value, bigEndian(integers[1]), modulus) === bigEndian(expected);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
