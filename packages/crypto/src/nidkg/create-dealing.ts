// A dealer's part: a random polynomial, whose constant term is the dealer's share when a key is shared anew; its value for each
// receiver encrypted to that receiver; the proofs. Section 14.2; Groth 2021/339, sections 6.2 and 7.
import type { CryptoPort, EntropyPort, G1Point } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import { concatBytes } from "../domain.ts";
import { evaluatePolynomial, modulo, randomScalar } from "../scalar-field.ts";
import { type ProofPorts, proveChunking, type Statement } from "./chunking-proof.ts";
import { CHUNK_BITS, CHUNKS, type DealingTerms, dealingCodecs, type EncryptedShares } from "./dealing.ts";
import { number32, oracle } from "./oracle.ts";
import { proveSharing } from "./sharing-proof.ts";

export type DealingCrypto = Pick<CryptoPort, "sha256" | "bls">;

/** `secret`: what is shared; undefined: a random one. Throws RangeError for terms that make no sense. */
export function createDealing(
  terms: DealingTerms,
  secret: bigint | undefined,
  crypto: DealingCrypto,
  entropy: EntropyPort,
): Uint8Array {
  const polynomial = Array.from({ length: terms.threshold }, () => randomScalar(entropy));
  if (secret !== undefined) polynomial[0] = secret;
  const shares = terms.receivers.map((_, i) => evaluatePolynomial(polynomial, BigInt(i + 1)));
  return encryptShares(terms, polynomial, shares.map(chunksOf), crypto, entropy);
}

/** The dealing of these chunks, honest or not. */
export function encryptShares(
  terms: DealingTerms,
  polynomial: readonly bigint[],
  chunks: readonly (readonly bigint[])[],
  crypto: DealingCrypto,
  entropy: EntropyPort,
): Uint8Array {
  const { bls, sha256 } = crypto;
  const { g1, g2 } = bls;
  const receivers = readReceivers(terms, crypto);
  if (receivers === undefined) throw new RangeError("a receiver's key is not a key");
  const codecs = dealingCodecs(bls, receivers.length, terms.threshold);
  const randomness = Array.from({ length: CHUNKS }, () => randomScalar(entropy));
  const shares: EncryptedShares = {
    coefficients: polynomial.map((coefficient) => g2.sum([g2.generator], [coefficient])),
    randomizers: randomness.map((r) => g1.sum([g1.generator], [r])),
    ciphertexts: receivers.map((receiver, i) =>
      randomness.map((r, j) => g1.sum([receiver, g1.generator], [r, modulo(chunks[i]?.[j] as bigint)])),
    ),
  };
  const statement = statementOf(terms, receivers, shares, encodeWire(codecs.shares, shares), sha256);
  const ports: ProofPorts = { bls, sha256, codecs };
  const chunking = proveChunking(statement, chunks, randomness, entropy, ports);
  const sharing = proveSharing(statement, chunks.map(joinChunks), randomness, entropy, ports);
  return encodeWire(codecs.dealing, { shares, chunking, sharing });
}

/** Undefined when one is no point of the group. Throws RangeError unless so many receivers can have such a threshold. */
export function readReceivers(terms: DealingTerms, { bls }: DealingCrypto): G1Point[] | undefined {
  const { receivers, threshold } = terms;
  if (threshold < 1 || threshold > receivers.length) throw new RangeError(`${threshold} of ${receivers.length} shares`);
  const points = receivers.map((key) => bls.g1.fromBytes(key));
  return points.every((each) => each !== undefined) ? points : undefined;
}

/** `encoded`: of `shares`. */
export function statementOf(
  terms: DealingTerms,
  receivers: readonly G1Point[],
  shares: EncryptedShares,
  encoded: Uint8Array,
  sha256: CryptoPort["sha256"],
): Statement {
  const sizes = concatBytes(number32(receivers.length), number32(terms.threshold));
  const hash = oracle(sha256, "dealing", terms.associatedData, sizes, concatBytes(...terms.receivers), encoded);
  return { hash, receivers, randomizers: shares.randomizers, ciphertexts: shares.ciphertexts };
}

/** 16 numbers of 16 bits, the highest first. */
export function chunksOf(share: bigint): bigint[] {
  const mask = (1n << CHUNK_BITS) - 1n;
  return Array.from({ length: CHUNKS }, (_, j) => (share >> (CHUNK_BITS * BigInt(CHUNKS - 1 - j))) & mask);
}

export function joinChunks(chunks: readonly bigint[]): bigint {
  return modulo(chunks.reduce((value, chunk) => (value << CHUNK_BITS) + chunk, 0n));
}
