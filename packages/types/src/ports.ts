// The six doors through which effects enter a replica. A driver hands them in; nothing below `replica` reaches
// for a clock, a file or a socket by itself. Every port is synchronous unless its nature forbids it, because a
// round must not wait.
import type { PrincipalId } from "./ids.ts";
import type { Time } from "./units.ts";

export interface ClockPort {
  /** Wall or virtual time in ns since 1970. */
  now(): Time;
}

export interface EntropyPort {
  /** `length` unpredictable bytes. */
  randomBytes(length: number): Uint8Array;
}

/**
 * A flat folder of files, as small as a simulator can tear apart: append, sync, replace.
 * Errors of the environment are thrown as EnvironmentError (codes: "ENOSPC", "EIO", ...).
 */
export interface StoragePort {
  /** Names of all files, sorted. */
  list(): string[];
  /** Size in bytes, or undefined when there is no such file. */
  size(name: string): number | undefined;
  /** Bytes [offset, offset + length), fewer at the end of the file. */
  read(name: string, offset: number, length: number): Uint8Array;
  /** Adds the parts, in order, at the end of the file, which is made when missing. Not durable before `sync`. */
  append(name: string, parts: readonly Uint8Array[]): void;
  /** What was appended to `name` so far survives a power cut once this returns. */
  sync(name: string): void;
  /** Durably replaces the whole file at once: after a crash there is the old or the new content. */
  replace(name: string, content: Uint8Array): void;
  /** Cuts the file to `size` bytes. */
  truncate(name: string, size: number): void;
  remove(name: string): void;
  /** Gives a file another name, durably and at once; a file that had that name is gone. */
  rename(name: string, to: string): void;
}

/** The signature algorithms of the request format (specification, "Signature algorithms"). */
export type SignatureAlgorithm = "ed25519" | "p256" | "secp256k1" | "rsa-pkcs1-sha256";

export interface CryptoPort {
  /** SHA-256 of `data`: 32 bytes. */
  sha256(data: Uint8Array): Uint8Array;
  /** SHA-224 of `data`: 28 bytes. */
  sha224(data: Uint8Array): Uint8Array;
  /**
   * Verifies over the message itself (hashing is part of the algorithm). `publicKey` is DER SubjectPublicKeyInfo;
   * ECDSA signatures are r || s (64 bytes). Wrong lengths and malformed keys give false, never an exception. Every port
   * gives the same answer for every input.
   */
  verify(algorithm: SignatureAlgorithm, publicKeyDer: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Whether `verify` with "ed25519" is true of every one of them, which together are less work than singly. */
  verifyAllEd25519(signed: readonly SignedMessage[]): boolean;
  /** Ed25519 signature (64 bytes) with a 32-byte seed. */
  signEd25519(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /** Public key (32 bytes) of an Ed25519 seed. */
  ed25519PublicKey(seed: Uint8Array): Uint8Array;
  bls: BlsPort;
}

/** As `verify` takes it. */
export interface SignedMessage {
  readonly publicKeyDer: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** BLS12-381 with signatures in G1 (48 bytes) and keys in G2 (96 bytes), BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_. */
export interface BlsPort {
  /** Public key of a 32-byte big-endian secret scalar. */
  publicKey(secret: Uint8Array): Uint8Array;
  sign(secret: Uint8Array, message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Lagrange interpolation at 0 of signature shares: `index` is the 1-based evaluation point of each share. Throws when one
   * is no point of the curve; whether it is a signature shows when the result is verified.
   */
  combine(shares: readonly { index: number; signature: Uint8Array }[]): Uint8Array;
  /** The sum of signatures of one message by different keys. Throws as `combine` does. */
  aggregate(signatures: readonly Uint8Array[]): Uint8Array;
  /**
   * Whether a sum of signatures is by all these keys, one or more. Only for keys whose owners have proved that they have
   * the secret: others could be made up so that they cancel.
   */
  verifyAggregate(publicKeys: readonly Uint8Array[], message: Uint8Array, signature: Uint8Array): boolean;
  /**
   * Whether `verifyAggregate` is true of every one of them, which together are less work than singly. `factors`: one for
   * each but the first, out of 2^128 that whoever made the signatures could not foresee (`verifyTogether` of crypto).
   */
  verifyAll(statements: readonly SignedStatement[], factors: readonly bigint[]): boolean;
  readonly g1: CurveGroup<G1Point>;
  readonly g2: CurveGroup<G2Point>;
  /** The point that a signature of `message` multiplies. */
  hashToG1(message: Uint8Array): G1Point;
  /** The compressed forms of start, start + step, start + 2 step, ...: 48 bytes for each of `count`. */
  walkG1(start: G1Point, step: G1Point, count: number): Uint8Array;
}

/** A sum of signatures of one message by all these keys, as `verifyAggregate` takes it. */
export interface SignedStatement {
  readonly publicKeys: readonly Uint8Array[];
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

declare const point: unique symbol;
/** Points as an implementation keeps them: of use only to the port that made them. */
export interface G1Point {
  readonly [point]: "G1";
}
export interface G2Point {
  readonly [point]: "G2";
}

/** A group of prime order, whose scalars are from 0 to the order - 1. */
export interface CurveGroup<P> {
  readonly generator: P;
  /** From the compressed form; undefined unless it is an element of the group other than zero. */
  fromBytes(bytes: Uint8Array): P | undefined;
  /** Compressed: 48 bytes in G1, 96 in G2. */
  toBytes(point: P): Uint8Array;
  isZero(point: P): boolean;
  /** The sum of all scalar * point; there is at least one. Takes a time that depends on the scalars. */
  sum(points: readonly P[], scalars: readonly bigint[]): P;
}

/**
 * The other nodes of a subnet. What a node publishes reaches every peer sooner or later, however often connections break,
 * unless it is retracted first: abortable broadcast (consensus and chain-key facts, section 21). What peers publish and
 * ask arrives at the `PeerHandler` that whoever joins the two gave to the network.
 */
export interface PeerNetwork {
  /** `id`: unique among what is published; the same bytes have the same id on every node. */
  publish(id: string, artifact: Uint8Array, origin?: ArtifactOrigin): void;
  /** Peers that have not got it yet need not get it any more. */
  retract(id: string): void;
  /** One question to one peer. Rejects with EnvironmentError: not connected, refused, no answer in time. */
  request(peer: PrincipalId, question: Uint8Array): Promise<Uint8Array>;
  /** Peers that are connected now, sorted. */
  peers(): readonly PrincipalId[];
  /** An artifact of the peer that was taken has turned out to be wrong: it counts as an invalid one. */
  blame(peer: PrincipalId): void;
}

/**
 * Who makes an artifact. "own", the default: this node, or whoever it has it from. "aggregate": each node by itself, from the
 * shares of all, so that most peers will soon have it anyhow.
 */
export type ArtifactOrigin = "own" | "aggregate";

/** What comes in from authenticated peers. Nothing is thrown whatever the bytes are. */
export interface PeerHandler {
  /** Artifacts of one frame that are named and, if they are new, received next: some work is less for all at once. */
  prepare?(peer: PrincipalId, artifacts: readonly Uint8Array[]): void;
  /** "unwanted": not now; the network offers it again later. "invalid": counts against the peer. */
  receive(peer: PrincipalId, id: string, artifact: Uint8Array): "taken" | "unwanted" | "invalid";
  /** Whether an artifact that is only known by its id should be fetched. */
  wants(id: string): boolean;
  /** Undefined: refused. */
  serve(peer: PrincipalId, question: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** The id of an artifact, from its bytes. */
  idOf(artifact: Uint8Array): string;
}

export type LogLevel = "debug" | "info" | "warning" | "error";
export interface LogPort {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}

export interface Ports {
  readonly clock: ClockPort;
  readonly entropy: EntropyPort;
  readonly storage: StoragePort;
  readonly crypto: CryptoPort;
  readonly log: LogPort;
}
