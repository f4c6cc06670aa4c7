// Arithmetic with the secrets of threshold keys: numbers modulo the order of the groups of BLS12-381, polynomials over them
// and Lagrange's interpolation (consensus and chain-key facts, sections 13 and 14). BigInt takes a time that depends on
// the numbers; see docs/decisions/0015 on what that means for secrets.
import { type EntropyPort, fromHex, toHex } from "@atoll/types";

/** Order of the groups of BLS12-381. */
export const SCALAR_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n;

/** A scalar from 1 to the order - 1, without bias: 48 bytes are reduced. */
export function randomScalar(entropy: EntropyPort): bigint {
  for (;;) {
    const scalar = bytesToBigint(entropy.randomBytes(48)) % SCALAR_ORDER;
    if (scalar !== 0n) return scalar;
  }
}

/** 32 bytes, big-endian. */
export function scalarToBytes(scalar: bigint): Uint8Array {
  return fromHex(scalar.toString(16).padStart(64, "0"));
}

/** Weights of Lagrange's interpolation at 0 for these evaluation points, which must be distinct and not 0. */
export function lagrangeWeights(points: readonly number[]): bigint[] {
  const { numerators, denominator } = lagrangeFractions(points);
  const inverse = invert(modulo(denominator));
  return numerators.map((numerator) => modulo(numerator * inverse));
}

/** The same weights as whole numbers, of either sign, over one denominator above 0: small ones where the points are. */
export function lagrangeFractions(points: readonly number[]): {
  readonly numerators: readonly bigint[];
  readonly denominator: bigint;
} {
  checkEvaluationPoints(points);
  const fractions = points.map((point) => {
    const others = points.filter((other) => other !== point);
    const above = others.reduce((product, other) => product * BigInt(other), 1n);
    const below = others.reduce((product, other) => product * BigInt(other - point), 1n);
    const shared = greatestDivisor(above, below);
    return below < 0n ? [-above / shared, -below / shared] : [above / shared, below / shared];
  }) as [bigint, bigint][];
  const denominator = fractions.reduce(
    (multiple, [, below]) => (multiple / greatestDivisor(multiple, below)) * below,
    1n,
  );
  return { numerators: fractions.map(([above, below]) => above * (denominator / below)), denominator };
}

/** Above 0. */
function greatestDivisor(a: bigint, b: bigint): bigint {
  let [larger, smaller] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (smaller > 0n) [larger, smaller] = [smaller, larger % smaller];
  return larger;
}

/** Throws RangeError unless the points are distinct positive integers, and at least one. */
export function checkEvaluationPoints(points: readonly number[]): void {
  const proper = points.every((point) => Number.isInteger(point) && point > 0 && point <= 0x7fffffff);
  if (points.length === 0 || !proper) throw new RangeError("evaluation points are positive integers");
  if (new Set(points).size !== points.length) throw new RangeError("evaluation points repeat");
}

/** The scalar of exactly 32 big-endian bytes; undefined when it is not below the order. */
export function scalarFromBytes(bytes: Uint8Array): bigint | undefined {
  if (bytes.length !== 32) return undefined;
  const scalar = bytesToBigint(bytes);
  return scalar < SCALAR_ORDER ? scalar : undefined;
}

/** Throws RangeError unless `secret` is the 32 bytes of a scalar from 1 to the order - 1. */
export function checkSecret(secret: Uint8Array): void {
  const scalar = bytesToBigint(secret);
  if (secret.length !== 32 || scalar === 0n || scalar >= SCALAR_ORDER) throw new RangeError("not a BLS secret key");
}

/** The value at `point` of the polynomial with these coefficients, lowest degree first. */
export function evaluatePolynomial(coefficients: readonly bigint[], point: bigint): bigint {
  return coefficients.reduceRight((sum, coefficient) => (sum * point + coefficient) % SCALAR_ORDER, 0n);
}

/** The remainder from 0 to the order - 1, also of a negative number. */
export function modulo(value: bigint): bigint {
  const rest = value % SCALAR_ORDER;
  return rest < 0n ? rest + SCALAR_ORDER : rest;
}

/** The inverse of a scalar other than 0. */
export function invert(value: bigint): bigint {
  let [a, b, x, y] = [value, SCALAR_ORDER, 1n, 0n];
  while (b > 0n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
  }
  return modulo(x);
}

/** Big-endian, of any length. */
export function bytesToBigint(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}
