// Sums of products in G1 that must be zero, and many of them checked as one: with factors that nobody can choose, the sum of
// relations is zero only if each one is. The factors are hashed from everything that is checked, so that all nodes come
// to the same answer. Consensus and chain-key facts, section 14.1 (merged verification).
import type { BlsPort, CryptoPort, G1Point } from "@atoll/types";
import { bytesToBigint, modulo } from "../scalar-field.ts";
import { stretch } from "./oracle.ts";

/** The sum of all scalar * point, which is zero if the relation holds. Scalars may be negative or beyond the order. */
export type Relation = readonly (readonly [point: G1Point, scalar: bigint])[];

/** A factor that is no multiple by chance of anything that a dealer could prepare: 128 bits. */
const FACTOR_BYTES = 16;

/** `seed`: 32 bytes hashed from all that the relations are made of. */
export function allHold(
  relations: readonly Relation[],
  seed: Uint8Array,
  bls: BlsPort,
  sha256: CryptoPort["sha256"],
): boolean {
  const factors = stretch(sha256, seed, FACTOR_BYTES * relations.length);
  const sum = new Map<G1Point, bigint>();
  relations.forEach((relation, i) => {
    const factor = bytesToBigint(factors.subarray(FACTOR_BYTES * i, FACTOR_BYTES * (i + 1)));
    for (const [point, scalar] of relation) sum.set(point, (sum.get(point) ?? 0n) + factor * modulo(scalar));
  });
  return bls.g1.isZero(bls.g1.sum([...sum.keys()], [...sum.values()].map(modulo)));
}
