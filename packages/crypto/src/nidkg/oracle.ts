// The random oracle of the proofs: SHA-256 over the name of a purpose and parts with their lengths, so that no two
// different inputs look alike. Challenges that a verifier would draw at random are drawn from it (Fiat and Shamir), and so
// is whatever else must be the same for everybody. Consensus and chain-key facts, section 14.
import type { CryptoPort } from "@atoll/types";
import { concatBytes } from "../domain.ts";
import { bytesToBigint, SCALAR_ORDER } from "../scalar-field.ts";

type Sha256 = CryptoPort["sha256"];

const encoder = new TextEncoder();

/** 32 bytes. */
export function oracle(sha256: Sha256, purpose: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const framed = [encoder.encode(purpose), ...parts].flatMap((part) => [number32(part.length), part]);
  return sha256(concatBytes(...framed));
}

/** A scalar without bias: 64 bytes are reduced. */
export function oracleScalar(sha256: Sha256, purpose: string, ...parts: readonly Uint8Array[]): bigint {
  return bytesToBigint(stretch(sha256, oracle(sha256, purpose, ...parts), 64)) % SCALAR_ORDER;
}

/** `length` bytes that follow from 32. */
export function stretch(sha256: Sha256, seed: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(32 * Math.ceil(length / 32));
  for (let at = 0; at < length; at += 32) bytes.set(sha256(concatBytes(seed, number32(at))), at);
  return bytes.subarray(0, length);
}

export function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
