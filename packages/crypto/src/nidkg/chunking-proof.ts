// Proof of chunking (Groth 2021/339, section 6.5): the encrypted chunks are small enough to be found by their receivers.
// 32 times over, a random combination of all chunks is shown, masked so that it tells nothing about them (masks that would
// tell are thrown away and drawn anew), and proved to be what is encrypted.
// It is a proof with slack: a dealer who cheats can have chunks a good deal larger than 2^16, even fractions of
// numbers. `discrete-log.ts` finds those, and says how large they can be.
import { type BlsPort, type CryptoPort, type EntropyPort, EnvironmentError, type G1Point } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import { concatBytes } from "../domain.ts";
import { bytesToBigint, modulo, randomScalar, SCALAR_ORDER } from "../scalar-field.ts";
import { CHUNK_BITS, CHUNKS, type ChunkingProof, type DealingCodecs, REPETITIONS } from "./dealing.ts";
import { oracle, oracleScalar, stretch } from "./oracle.ts";
import type { Relation } from "./relation.ts";

/** What both proofs are about, with the hash of all of it and of what the dealing is for. */
export interface Statement {
  readonly hash: Uint8Array;
  readonly receivers: readonly G1Point[];
  readonly randomizers: readonly G1Point[];
  readonly ciphertexts: readonly (readonly G1Point[])[];
}

export interface ProofPorts {
  readonly bls: BlsPort;
  readonly sha256: CryptoPort["sha256"];
  readonly codecs: DealingCodecs;
}

/** The largest value of a challenge. */
const MAX_CHALLENGE = 255n;

/** Every combination that an honest dealer shows is below this (Z). */
export function chunkingBound(receivers: number): bigint {
  return 2n * BigInt(REPETITIONS) * largestSum(receivers);
}

/** S: the largest combination of chunks of their proper size. */
function largestSum(receivers: number): bigint {
  return BigInt(receivers) * BigInt(CHUNKS) * ((1n << CHUNK_BITS) - 1n) * MAX_CHALLENGE;
}

/** Each attempt succeeds in six of ten cases, so that so many fail only if the entropy is none. */
const MAX_ATTEMPTS = 500;

/**
 * `chunks`: by receiver and chunk. `randomness`: r_j of the randomizers. `isShown`: whether a combination may be seen;
 * outside the range it would say something about the chunks, and nobody would accept it.
 */
export function proveChunking(
  statement: Statement,
  chunks: readonly (readonly bigint[])[],
  randomness: readonly bigint[],
  entropy: EntropyPort,
  ports: ProofPorts,
  isShown: (sum: bigint, bound: bigint) => boolean = isInRange,
): ChunkingProof {
  const { bls, sha256, codecs } = ports;
  const { g1 } = bls;
  const base = maskBase(statement, ports);
  // Chosen once for all attempts: whether a mask is thrown away does not depend on them.
  const betas = repeat(() => randomScalar(entropy));
  const blinders = betas.map((beta) => g1.sum([g1.generator], [beta]));
  const hidden = betas.map((beta) => g1.sum([base], [beta]));
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const masks = repeat(() => randomMask(statement.receivers.length, entropy));
    const maskedSums = masks.map((mask, k) => g1.sum([hidden[k] as G1Point, g1.generator], [1n, modulo(mask)]));
    const commitments = { blinders, maskedSums };
    const seed = oracle(sha256, "chunking-1", statement.hash, encodeWire(codecs.chunkingCommitments, commitments));
    const challenges = expandChallenges(seed, statement.receivers.length, sha256);
    const sums = masks.map((mask, k) => mask + combination(chunks, challenges, k));
    const bound = chunkingBound(statement.receivers.length);
    if (sums.every((sum) => isShown(sum, bound))) {
      const witness = { base, betas, randomness };
      return { commitments, sums, ...respond(statement, witness, seed, challenges, sums, entropy, ports) };
    }
  }
  throw new EnvironmentError("EENTROPY", "The random numbers of this machine are not random: no dealing can be made.");
}

/** The relations that hold if the proof is good; undefined when it cannot be. */
export function chunkingRelations(
  statement: Statement,
  proof: ChunkingProof,
  ports: ProofPorts,
): readonly Relation[] | undefined {
  const { bls, sha256, codecs } = ports;
  const { receivers, randomizers, ciphertexts } = statement;
  const { commitments, sums, masks, responses, blinding } = proof;
  if (!sums.every((sum) => isInRange(sum, chunkingBound(receivers.length)))) return undefined;
  const seed = oracle(sha256, "chunking-1", statement.hash, encodeWire(codecs.chunkingCommitments, commitments));
  const powers = challengePowers(seed, sums, encodeWire(codecs.masks, masks), ports);
  const weights = weigh(expandChallenges(seed, receivers.length, sha256), receivers.length, powers);
  const { generator } = bls.g1;
  const ofRandomness = receivers.map(
    (_, i): Relation => [
      ...randomizers.map((randomizer, j) => [randomizer, weights[i]?.[j] as bigint] as const),
      [masks.randomness[i + 1] as G1Point, 1n],
      [generator, -(responses[i] as bigint)],
    ],
  );
  const ofBlinders: Relation = [
    ...commitments.blinders.map((blinder, k) => [blinder, powers[k] as bigint] as const),
    [masks.randomness[0] as G1Point, 1n],
    [generator, -blinding],
  ];
  const ofSums: Relation = [
    ...ciphertexts.flatMap((row, i) => row.map((point, j) => [point, weights[i]?.[j] as bigint] as const)),
    ...commitments.maskedSums.map((sum, k) => [sum, powers[k] as bigint] as const),
    [masks.sum, 1n],
    ...receivers.map((receiver, i) => [receiver, -(responses[i] as bigint)] as const),
    [maskBase(statement, ports), -blinding],
    [generator, -sums.reduce((total, sum, k) => total + sum * (powers[k] as bigint), 0n)],
  ];
  return [...ofRandomness, ofBlinders, ofSums];
}

function isInRange(sum: bigint, bound: bigint): boolean {
  return sum >= 0n && sum < bound;
}

interface Witness {
  readonly base: G1Point;
  readonly betas: readonly bigint[];
  readonly randomness: readonly bigint[];
}

function respond(
  statement: Statement,
  witness: Witness,
  seed: Uint8Array,
  challenges: Uint8Array,
  sums: readonly bigint[],
  entropy: EntropyPort,
  ports: ProofPorts,
): Pick<ChunkingProof, "masks" | "responses" | "blinding"> {
  const { g1 } = ports.bls;
  const { receivers } = statement;
  const first = randomScalar(entropy);
  const deltas = receivers.map(() => randomScalar(entropy));
  const masks = {
    randomness: [first, ...deltas].map((delta) => g1.sum([g1.generator], [delta])),
    sum: g1.sum([witness.base, ...receivers], [first, ...deltas]),
  };
  const powers = challengePowers(seed, sums, encodeWire(ports.codecs.masks, masks), ports);
  const weights = weigh(challenges, receivers.length, powers);
  const responses = deltas.map((delta, i) =>
    modulo(witness.randomness.reduce((total, r, j) => total + r * (weights[i]?.[j] as bigint), delta)),
  );
  const blinding = modulo(witness.betas.reduce((total, beta, k) => total + beta * (powers[k] as bigint), first));
  return { masks, responses, blinding };
}

/** y_0: a point of which nobody knows what multiple of another it is. */
function maskBase(statement: Statement, { bls, sha256 }: ProofPorts): G1Point {
  return bls.hashToG1(oracle(sha256, "chunking-base", statement.hash));
}

/** sigma: from -S to Z - 1. */
function randomMask(receivers: number, entropy: EntropyPort): bigint {
  const below = largestSum(receivers);
  return (bytesToBigint(entropy.randomBytes(32)) % (below + chunkingBound(receivers))) - below;
}

/** e_ijk: a byte for each receiver, chunk and repetition. */
function expandChallenges(seed: Uint8Array, receivers: number, sha256: CryptoPort["sha256"]): Uint8Array {
  return stretch(sha256, seed, receivers * CHUNKS * REPETITIONS);
}

function challengeOf(challenges: Uint8Array, i: number, j: number, k: number): bigint {
  return BigInt(challenges[(i * CHUNKS + j) * REPETITIONS + k] as number);
}

function combination(chunks: readonly (readonly bigint[])[], challenges: Uint8Array, k: number): bigint {
  let sum = 0n;
  chunks.forEach((row, i) => {
    row.forEach((chunk, j) => {
      sum += chunk * challengeOf(challenges, i, j, k);
    });
  });
  return sum;
}

/** x, x^2, ...: the second challenge binds the repetitions into one relation. */
function challengePowers(
  seed: Uint8Array,
  sums: readonly bigint[],
  masks: Uint8Array,
  { sha256, codecs }: ProofPorts,
): bigint[] {
  const x = oracleScalar(sha256, "chunking-2", concatBytes(seed, encodeWire(codecs.sums, sums)), masks);
  const powers = [x];
  while (powers.length < REPETITIONS) powers.push(((powers.at(-1) as bigint) * x) % SCALAR_ORDER);
  return powers;
}

/** For each receiver and chunk the sum of e_ijk x^k. */
function weigh(challenges: Uint8Array, receivers: number, powers: readonly bigint[]): bigint[][] {
  return Array.from({ length: receivers }, (_, i) =>
    Array.from({ length: CHUNKS }, (_, j) =>
      modulo(powers.reduce((sum, power, k) => sum + power * challengeOf(challenges, i, j, k), 0n)),
    ),
  );
}

function repeat<T>(make: () => T): T[] {
  return Array.from({ length: REPETITIONS }, make);
}
