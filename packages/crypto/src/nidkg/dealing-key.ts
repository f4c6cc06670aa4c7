// The key that shares are encrypted to: in G1, with a proof that its owner has the secret, bound to the node that registers it.
// The proof multiplies a hashed point by the secret too, and shows that both multiples are by the same number (Chaum and
// Pedersen). Sections 2 and 14.1.
import type { CryptoPort, G1Point } from "@atoll/types";
import { concatBytes, equalBytes } from "../domain.ts";
import { modulo, scalarFromBytes, scalarToBytes } from "../scalar-field.ts";
import { oracle, oracleScalar } from "./oracle.ts";

type KeyCrypto = Pick<CryptoPort, "sha256" | "bls">;

/** The multiple of the hashed point (48 bytes), the challenge and the response (32 each). */
const PROOF_BYTES = 112;

/** 48 bytes. `secret`: 32 bytes, a scalar other than 0. */
export function dealingPublicKey(secret: Uint8Array, { bls }: KeyCrypto): Uint8Array {
  return bls.g1.toBytes(bls.g1.sum([bls.g1.generator], [scalarOf(secret)]));
}

/** `owner`: what the node is known by, its signing key. The same proof whenever it is made. */
export function proveDealingKey(secret: Uint8Array, owner: Uint8Array, crypto: KeyCrypto): Uint8Array {
  const { g1 } = crypto.bls;
  const x = scalarOf(secret);
  const publicKey = dealingPublicKey(secret, crypto);
  const base = hashedBase(publicKey, owner, crypto);
  const multiple = g1.toBytes(g1.sum([base], [x]));
  const nonce = oracleScalar(crypto.sha256, "dealing-key-nonce", secret, owner);
  const commitments = [g1.sum([g1.generator], [nonce]), g1.sum([base], [nonce])];
  const challenge = challengeOf(publicKey, owner, multiple, commitments, crypto);
  return concatBytes(multiple, scalarToBytes(challenge), scalarToBytes(modulo(nonce + challenge * x)));
}

/** False for whatever is wrong with the bytes. */
export function verifyDealingKey(
  publicKey: Uint8Array,
  proof: Uint8Array,
  owner: Uint8Array,
  crypto: KeyCrypto,
): boolean {
  if (proof.length !== PROOF_BYTES) return false;
  const { g1 } = crypto.bls;
  const key = g1.fromBytes(publicKey);
  const multiple = g1.fromBytes(proof.subarray(0, 48));
  const challenge = scalarFromBytes(proof.subarray(48, 80));
  const response = scalarFromBytes(proof.subarray(80));
  if (key === undefined || multiple === undefined || challenge === undefined || response === undefined) return false;
  const factors = [response, modulo(-challenge)];
  const commitments = [
    g1.sum([g1.generator, key], factors),
    g1.sum([hashedBase(publicKey, owner, crypto), multiple], factors),
  ];
  const expected = challengeOf(publicKey, owner, proof.subarray(0, 48), commitments, crypto);
  return equalBytes(scalarToBytes(expected), scalarToBytes(challenge));
}

function hashedBase(publicKey: Uint8Array, owner: Uint8Array, { sha256, bls }: KeyCrypto): G1Point {
  return bls.hashToG1(oracle(sha256, "dealing-key-base", publicKey, owner));
}

function challengeOf(
  publicKey: Uint8Array,
  owner: Uint8Array,
  multiple: Uint8Array,
  commitments: readonly G1Point[],
  { sha256, bls }: KeyCrypto,
): bigint {
  const points = commitments.map((point) => bls.g1.toBytes(point));
  return oracleScalar(sha256, "dealing-key-challenge", publicKey, owner, multiple, ...points);
}

function scalarOf(secret: Uint8Array): bigint {
  const scalar = scalarFromBytes(secret);
  if (scalar === undefined || scalar === 0n) throw new RangeError("not a secret dealing key");
  return scalar;
}
