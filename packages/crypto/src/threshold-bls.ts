// Threshold BLS (consensus and chain-key facts, section 13): a subnet's secret key exists only as shares. Share i is
// the value of a secret polynomial at i + 1; any `threshold` signature shares give, by interpolation at 0, the one
// signature of the whole key, and fewer give nothing. A subnet of one node is the same with one share.
import type { BlsPort, EntropyPort } from "@atoll/types";

/** Order of the groups of BLS12-381. */
export const SCALAR_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;

export interface ThresholdKey {
  readonly threshold: number;
  /** Public key of the whole: 96 bytes. */
  readonly publicKey: Uint8Array;
  /** For each node, in the order of their indices: its secret scalar (32 bytes) and the public key to check it by. */
  readonly shares: readonly { readonly secret: Uint8Array; readonly publicKey: Uint8Array }[];
}

export interface SignatureShare {
  /** Position of the node in the sorted list of nodes, from 0. */
  readonly nodeIndex: number;
  readonly signature: Uint8Array;
}

/** Deals a fresh key to `nodes` nodes, of which `threshold` can sign. Whoever runs this knows the key. */
export function dealThresholdKey(nodes: number, threshold: number, entropy: EntropyPort, bls: BlsPort): ThresholdKey {
  const coefficients = Array.from({ length: threshold }, () => randomScalar(entropy));
  return shareSecret(nodes, coefficients, bls);
}

/** The key whose secret polynomial has these coefficients, lowest degree first: its secret is the first. */
export function shareSecret(nodes: number, coefficients: readonly bigint[], bls: BlsPort): ThresholdKey {
  const threshold = coefficients.length;
  if (threshold < 1 || nodes < threshold) throw new RangeError(`cannot share among ${nodes} with ${threshold}`);
  const shares = Array.from({ length: nodes }, (_, index) => {
    const secret = scalarToBytes(evaluate(coefficients, BigInt(index + 1)));
    return { secret, publicKey: bls.publicKey(secret) };
  });
  return { threshold, publicKey: bls.publicKey(scalarToBytes(coefficients[0] as bigint)), shares };
}

/** The signature of the whole key from at least `threshold` shares of different nodes; they are not checked here. */
export function combineShares(shares: readonly SignatureShare[], threshold: number, bls: BlsPort): Uint8Array {
  const chosen = new Map(shares.map((share) => [share.nodeIndex, share]));
  if (chosen.size < threshold) throw new RangeError(`${chosen.size} shares cannot replace ${threshold}`);
  const enough = [...chosen.values()].slice(0, threshold);
  // One share that is enough is the signature: its weight in the interpolation is 1.
  if (threshold === 1) return (enough[0] as SignatureShare).signature;
  return bls.combine(enough.map(({ nodeIndex, signature }) => ({ index: nodeIndex + 1, signature })));
}

/** A scalar from 1 to the order - 1, without bias: 48 bytes are reduced. */
export function randomScalar(entropy: EntropyPort): bigint {
  for (;;) {
    const scalar = bytesToBigint(entropy.randomBytes(48)) % SCALAR_ORDER;
    if (scalar !== 0n) return scalar;
  }
}

/** 32 bytes, big-endian. */
export function scalarToBytes(scalar: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  let rest = scalar;
  for (let i = 31; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Weights of Lagrange's interpolation at 0 for these evaluation points, which must be distinct and not 0. */
export function lagrangeWeights(points: readonly number[]): bigint[] {
  checkEvaluationPoints(points);
  return points.map((point) => {
    let numerator = 1n;
    let denominator = 1n;
    for (const other of points) {
      if (other === point) continue;
      numerator = (numerator * BigInt(other)) % SCALAR_ORDER;
      denominator = modulo(denominator * BigInt(other - point));
    }
    return (numerator * invert(denominator)) % SCALAR_ORDER;
  });
}

/** Throws RangeError unless the points are distinct positive integers, and at least one. */
export function checkEvaluationPoints(points: readonly number[]): void {
  const proper = points.every((point) => Number.isInteger(point) && point > 0 && point <= 0x7fffffff);
  if (points.length === 0 || !proper) throw new RangeError("evaluation points are positive integers");
  if (new Set(points).size !== points.length) throw new RangeError("evaluation points repeat");
}

/** Throws RangeError unless `secret` is the 32 bytes of a scalar from 1 to the order - 1. */
export function checkSecret(secret: Uint8Array): void {
  const scalar = bytesToBigint(secret);
  if (secret.length !== 32 || scalar === 0n || scalar >= SCALAR_ORDER) throw new RangeError("not a BLS secret key");
}

function evaluate(coefficients: readonly bigint[], point: bigint): bigint {
  return coefficients.reduceRight((sum, coefficient) => (sum * point + coefficient) % SCALAR_ORDER, 0n);
}

function modulo(value: bigint): bigint {
  const rest = value % SCALAR_ORDER;
  return rest < 0n ? rest + SCALAR_ORDER : rest;
}

function invert(value: bigint): bigint {
  let [a, b, x, y] = [value, SCALAR_ORDER, 1n, 0n];
  while (b > 0n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
  }
  return modulo(x);
}

function bytesToBigint(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
