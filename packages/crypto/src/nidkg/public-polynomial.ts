// The public half of a shared key: commitments to the coefficients of its polynomial. Those of several dealings are combined by
// the weights of Lagrange's interpolation, for a new key as for one that is shared anew; the value at a receiver's place
// is the public key of its share. Sections 13 and 14.1.
import type { BlsPort, G2Point } from "@atoll/types";
import { SCALAR_ORDER } from "../scalar-field.ts";

/** The weighted sum, coefficient by coefficient. Undefined when they have different degrees or one is no point, or the key is zero. */
export function combinePolynomials(
  polynomials: readonly (readonly Uint8Array[])[],
  weights: readonly bigint[],
  bls: BlsPort,
): Uint8Array[] | undefined {
  const { g2 } = bls;
  const [first] = polynomials;
  if (first === undefined || polynomials.length !== weights.length) return undefined;
  const combined: Uint8Array[] = [];
  for (const k of first.keys()) {
    const points = polynomials.map((coefficients) => g2.fromBytes(coefficients[k] ?? new Uint8Array()));
    if (!areAll(points)) return undefined;
    const sum = g2.sum(points, weights);
    if (g2.isZero(sum)) return undefined;
    combined.push(g2.toBytes(sum));
  }
  return combined;
}

/** The public key of the share of the receiver at a place (96 bytes). Undefined when a coefficient is no point. */
export function sharePublicKeys(
  coefficients: readonly Uint8Array[],
  { g2 }: BlsPort,
): ((index: number) => Uint8Array | undefined) | undefined {
  const points = coefficients.map((bytes) => g2.fromBytes(bytes));
  if (points.length === 0 || !areAll(points)) return undefined;
  return (index) => {
    const powers = points.map((_, k) => BigInt(index + 1) ** BigInt(k) % SCALAR_ORDER);
    const sum = g2.sum(points, powers);
    // Zero is no key.
    return g2.isZero(sum) ? undefined : g2.toBytes(sum);
  };
}

function areAll(points: readonly (G2Point | undefined)[]): points is readonly G2Point[] {
  return points.every((point) => point !== undefined);
}
