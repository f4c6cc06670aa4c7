// Proof of sharing (Groth 2021/339, section 6.4): what is encrypted to each receiver, its chunks put together, is the value
// of the committed polynomial at its index. One proof for all receivers: their values are summed with powers of a challenge.
import type { EntropyPort, G1Point } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import { modulo, randomScalar, SCALAR_ORDER } from "../scalar-field.ts";
import type { ProofPorts, Statement } from "./chunking-proof.ts";
import { CHUNK_BITS, CHUNKS, type EncryptedShares, type SharingCommitments, type SharingProof } from "./dealing.ts";
import { oracleScalar } from "./oracle.ts";
import type { Relation } from "./relation.ts";

/** `shares`: by receiver. `randomness`: r_j of the randomizers. */
export function proveSharing(
  statement: Statement,
  shares: readonly bigint[],
  randomness: readonly bigint[],
  entropy: EntropyPort,
  ports: ProofPorts,
): SharingProof {
  const { g1, g2 } = ports.bls;
  const powers = indexPowers(statement, ports);
  const rho = randomScalar(entropy);
  const alpha = randomScalar(entropy);
  const commitments = {
    randomness: g1.sum([g1.generator], [rho]),
    share: g2.sum([g2.generator], [alpha]),
    ciphertext: g1.sum([...statement.receivers, g1.generator], [...powers.map((power) => modulo(power * rho)), alpha]),
  };
  const challenge = secondChallenge(statement, commitments, ports);
  const whole = randomness.reduce((sum, r, j) => sum + r * chunkWeight(j), 0n);
  const total = shares.reduce((sum, share, i) => sum + share * (powers[i] as bigint), 0n);
  return {
    commitments,
    randomness: modulo(modulo(whole) * challenge + rho),
    share: modulo(modulo(total) * challenge + alpha),
  };
}

/** The relations in G1 that hold if the proof is good; undefined when the one in G2 does not. */
export function sharingRelations(
  statement: Statement,
  coefficients: EncryptedShares["coefficients"],
  proof: SharingProof,
  ports: ProofPorts,
): readonly Relation[] | undefined {
  const { g1, g2 } = ports.bls;
  const powers = indexPowers(statement, ports);
  const challenge = secondChallenge(statement, proof.commitments, ports);
  const commitment = coefficients.map((_, k) => modulo(modulo(momentOf(powers, k)) * challenge));
  const inG2 = g2.sum(
    [...coefficients, proof.commitments.share, g2.generator],
    [...commitment, 1n, modulo(-proof.share)],
  );
  if (!g2.isZero(inG2)) return undefined;
  const ofRandomness: Relation = [
    ...statement.randomizers.map((randomizer, j) => [randomizer, challenge * chunkWeight(j)] as const),
    [proof.commitments.randomness, 1n],
    [g1.generator, -proof.randomness],
  ];
  const ofCiphertexts: Relation = [
    ...statement.ciphertexts.flatMap((row, i) => {
      const weight = modulo((powers[i] as bigint) * challenge);
      return row.map((point, j): readonly [G1Point, bigint] => [point, weight * chunkWeight(j)]);
    }),
    [proof.commitments.ciphertext, 1n],
    ...statement.receivers.map((receiver, i) => [receiver, -(powers[i] as bigint) * proof.randomness] as const),
    [g1.generator, -proof.share],
  ];
  return [ofRandomness, ofCiphertexts];
}

/** 2^16 to the power of how many chunks follow. */
function chunkWeight(chunk: number): bigint {
  return 1n << (CHUNK_BITS * BigInt(CHUNKS - 1 - chunk));
}

/** x, x^2, ...: one for each receiver. */
function indexPowers(statement: Statement, { sha256 }: ProofPorts): bigint[] {
  const x = oracleScalar(sha256, "sharing-1", statement.hash);
  const powers = [x];
  while (powers.length < statement.receivers.length) powers.push(((powers.at(-1) as bigint) * x) % SCALAR_ORDER);
  return powers;
}

/** The sum of x^i i^k over all receivers, i from 1: what coefficient k contributes. */
function momentOf(powers: readonly bigint[], k: number): bigint {
  return powers.reduce((sum, power, i) => sum + power * (BigInt(i + 1) ** BigInt(k) % SCALAR_ORDER), 0n);
}

function secondChallenge(
  statement: Statement,
  commitments: SharingCommitments,
  { sha256, codecs }: ProofPorts,
): bigint {
  return oracleScalar(sha256, "sharing-2", statement.hash, encodeWire(codecs.sharingCommitments, commitments));
}
