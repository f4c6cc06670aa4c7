// A dealing: shares of a secret, encrypted to their receivers in chunks of 16 bits, and two proofs by which everybody sees
// that the shares are right. Groth, "Non-interactive distributed key generation and key resharing" (2021/339), without
// forward secrecy: consensus and chain-key facts, section 14.2. All of it has a fixed size that follows from the number
// of receivers and the threshold, and no point is taken that is not an element of its group other than zero.
import type { BlsPort, CurveGroup, G1Point, G2Point } from "@atoll/types";
import { type Codec, decodeWire, record, WireError, type WireReader, type WireWriter } from "@atoll/types/wire";
import { scalarFromBytes, scalarToBytes } from "../scalar-field.ts";

/** A scalar has so many chunks, the highest first. */
export const CHUNKS = 16;
export const CHUNK_BITS = 16n;
/** Parallel repetitions of the proof of chunking, each with challenges of 8 bits. */
export const REPETITIONS = 32;

/** What a dealing is made and checked for. */
export interface DealingTerms {
  /** Encryption keys in the order of the share indices. */
  readonly receivers: readonly Uint8Array[];
  /** Shares that make the secret: the number of coefficients. */
  readonly threshold: number;
  /** Names the key generation, its epoch and the dealer: a dealing is good for no other. */
  readonly associatedData: Uint8Array;
}

/** The shares: commitments to the polynomial, and R_j and C_ij of the encryption. */
export interface EncryptedShares {
  readonly coefficients: readonly G2Point[];
  readonly randomizers: readonly G1Point[];
  /** By receiver and chunk. */
  readonly ciphertexts: readonly (readonly G1Point[])[];
}

/** That every chunk is small. */
export interface ChunkingProof {
  readonly commitments: ChunkingCommitments;
  /** z_s: one for each repetition. */
  readonly sums: readonly bigint[];
  readonly masks: ChunkingMasks;
  /** z_r: one for each receiver. */
  readonly responses: readonly bigint[];
  /** z_beta. */
  readonly blinding: bigint;
}
/** First move: B_k and C_k. */
export interface ChunkingCommitments {
  readonly blinders: readonly G1Point[];
  readonly maskedSums: readonly G1Point[];
}
/** Second move: D_0 to D_n, and Y. */
export interface ChunkingMasks {
  readonly randomness: readonly G1Point[];
  readonly sum: G1Point;
}

/** That the chunks make up the shares that the coefficients commit to. */
export interface SharingProof {
  readonly commitments: SharingCommitments;
  /** z_r and z_a. */
  readonly randomness: bigint;
  readonly share: bigint;
}
/** F, A and Y. */
export interface SharingCommitments {
  readonly randomness: G1Point;
  readonly share: G2Point;
  readonly ciphertext: G1Point;
}

export interface Dealing {
  readonly shares: EncryptedShares;
  readonly chunking: ChunkingProof;
  readonly sharing: SharingProof;
}

/** The encodings of a dealing and of the parts that its challenges are made from. */
export interface DealingCodecs {
  readonly dealing: Codec<Dealing>;
  readonly shares: Codec<EncryptedShares>;
  readonly chunkingCommitments: Codec<ChunkingCommitments>;
  readonly sums: Codec<readonly bigint[]>;
  readonly masks: Codec<ChunkingMasks>;
  readonly chunking: Codec<ChunkingProof>;
  readonly sharing: Codec<SharingProof>;
  readonly sharingCommitments: Codec<SharingCommitments>;
}

export function dealingCodecs(bls: BlsPort, receivers: number, threshold: number): DealingCodecs {
  const g1 = element(bls.g1, G1_BYTES);
  const g2 = element(bls.g2, G2_BYTES);
  const shares = record<EncryptedShares>({
    coefficients: exactly(g2, threshold),
    randomizers: exactly(g1, CHUNKS),
    ciphertexts: exactly(exactly(g1, CHUNKS), receivers),
  });
  const chunkingCommitments = record<ChunkingCommitments>({
    blinders: exactly(g1, REPETITIONS),
    maskedSums: exactly(g1, REPETITIONS),
  });
  const masks = record<ChunkingMasks>({ randomness: exactly(g1, receivers + 1), sum: g1 });
  const sums = exactly(scalar, REPETITIONS);
  const chunking = record<ChunkingProof>({
    commitments: chunkingCommitments,
    sums,
    masks,
    responses: exactly(scalar, receivers),
    blinding: scalar,
  });
  const sharingCommitments = record<SharingCommitments>({ randomness: g1, share: g2, ciphertext: g1 });
  const sharing = record<SharingProof>({ commitments: sharingCommitments, randomness: scalar, share: scalar });
  const dealing = record<Dealing>({ shares, chunking, sharing });
  return { dealing, shares, chunkingCommitments, sums, masks, chunking, sharing, sharingCommitments };
}

const G1_BYTES = 48;
export const G2_BYTES = 96;
const SCALAR_BYTES = 32;

/** Bytes of the encrypted shares, with which a dealing begins. */
export function sharesLength(receivers: number, threshold: number): number {
  return G2_BYTES * threshold + G1_BYTES * CHUNKS * (receivers + 1);
}

/** Bytes of every dealing with so many receivers and that threshold. */
export function dealingLength(receivers: number, threshold: number): number {
  const chunking = G1_BYTES * (2 * REPETITIONS + receivers + 2) + SCALAR_BYTES * (REPETITIONS + receivers + 1);
  const sharing = 2 * G1_BYTES + G2_BYTES + 2 * SCALAR_BYTES;
  return sharesLength(receivers, threshold) + chunking + sharing;
}

/** What a receiver needs of a dealing that everybody has checked: reading all points would take a hundred times as long. */
export interface DealingPart {
  readonly randomizers: readonly G1Point[];
  readonly ciphertext: readonly G1Point[];
}

/** Undefined when the bytes cannot be such a dealing. `index`: of the receiver. */
export function readDealingPart(
  bls: BlsPort,
  content: Uint8Array,
  receivers: number,
  threshold: number,
  index: number,
): DealingPart | undefined {
  if (content.length !== dealingLength(receivers, threshold)) return undefined;
  const row = exactly(element(bls.g1, G1_BYTES), CHUNKS);
  const rowBytes = G1_BYTES * CHUNKS;
  const rows = G2_BYTES * threshold;
  const at = rows + rowBytes * (1 + index);
  try {
    return {
      randomizers: decodeWire(row, content.subarray(rows, rows + rowBytes)),
      ciphertext: decodeWire(row, content.subarray(at, at + rowBytes)),
    };
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** The commitments of a dealing alone: 96 bytes each. Undefined when the bytes cannot be such a dealing. */
export function readCoefficients(content: Uint8Array, receivers: number, threshold: number): Uint8Array[] | undefined {
  if (content.length !== dealingLength(receivers, threshold)) return undefined;
  return Array.from({ length: threshold }, (_, k) => content.slice(G2_BYTES * k, G2_BYTES * (k + 1)));
}

function exactly<T>(item: Codec<T>, count: number): Codec<readonly T[]> {
  return {
    write(writer: WireWriter, values) {
      if (values.length !== count) throw new RangeError(`${values.length} instead of ${count}`);
      for (const value of values) item.write(writer, value);
    },
    read: (reader: WireReader) => Array.from({ length: count }, () => item.read(reader)),
  };
}

function element<P>(group: CurveGroup<P>, size: number): Codec<P> {
  return {
    write: (writer, point) => writer.raw(group.toBytes(point)),
    read(reader) {
      const point = group.fromBytes(reader.raw(size));
      if (point === undefined) throw new WireError("not a point of the group");
      return point;
    },
  };
}

const scalar: Codec<bigint> = {
  write: (writer, value) => writer.raw(scalarToBytes(value)),
  read(reader) {
    const value = scalarFromBytes(reader.raw(SCALAR_BYTES));
    if (value === undefined) throw new WireError("a scalar is too large");
    return value;
  },
};
