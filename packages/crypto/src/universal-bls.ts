// BLS12-381 in plain JavaScript (@noble/curves): the reference, and what a host uses that cannot load a faster
// library. Signatures in G1, keys in G2 (interface specification, "Certificate").
import type { BlsPort, CurveGroup, G1Point, G2Point } from "@atoll/types";
import { normalizeZ, pippenger } from "@noble/curves/abstract/curve.js";
import type { WeierstrassPoint, WeierstrassPointCons } from "@noble/curves/abstract/weierstrass.js";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { checkSecret, lagrangeWeights } from "./scalar-field.ts";
import { BLS_SIGNATURE_TAG } from "./threshold-bls.ts";

const { shortSignatures } = bls12_381;
const SignaturePoint = bls12_381.G1.Point;
type Signature = InstanceType<typeof SignaturePoint>;

export const universalBls: BlsPort = {
  publicKey(secret) {
    checkSecret(secret);
    return shortSignatures.getPublicKey(secret).toBytes();
  },
  sign(secret, message) {
    checkSecret(secret);
    return shortSignatures.sign(hash(message), secret).toBytes();
  },
  verify(publicKey, message, signature) {
    if (publicKey.length !== 96 || signature.length !== 48) return false;
    try {
      return shortSignatures.verify(signature, hash(message), publicKey);
    } catch {
      return false;
    }
  },
  combine(shares) {
    const weights = lagrangeWeights(shares.map(({ index }) => index));
    const points = shares.map(({ signature }) => signaturePoint(signature));
    return sum(points.map((point, i) => point.multiplyUnsafe(weights[i] as bigint))).toBytes();
  },
  aggregate: (signatures) => sum(signatures.map(signaturePoint)).toBytes(),
  verifyAggregate(publicKeys, message, signature) {
    if (publicKeys.some((key) => key.length !== 96) || signature.length !== 48) return false;
    try {
      const keys = publicKeys.map((key) => group2.fromBytes(key) ?? refuse());
      const key = group2.sum(keys, Array(keys.length).fill(1n));
      return shortSignatures.verify(signature, hash(message), group2.toBytes(key));
    } catch {
      return false;
    }
  },
  verifyAll: (statements) =>
    statements.every(({ publicKeys, message, signature }) =>
      universalBls.verifyAggregate(publicKeys, message, signature),
    ),
  g1: curveGroup(bls12_381.G1.Point, 48) as unknown as CurveGroup<G1Point>,
  g2: curveGroup(bls12_381.G2.Point, 96) as unknown as CurveGroup<G2Point>,
  hashToG1: (message) => hash(message) as unknown as G1Point,
  walkG1(start, step, count) {
    const points: Signature[] = [];
    let at = start as unknown as Signature;
    for (let i = 0; i < count; i++) {
      points.push(at);
      at = at.add(step as unknown as Signature);
    }
    const path = new Uint8Array(48 * count);
    normalizeZ(SignaturePoint, points).forEach((point, i) => {
      path.set(point.toBytes(), 48 * i);
    });
    return path;
  },
};
const group2 = universalBls.g2;

function hash(message: Uint8Array) {
  return shortSignatures.hash(message, BLS_SIGNATURE_TAG);
}

function signaturePoint(bytes: Uint8Array): Signature {
  const point = SignaturePoint.fromBytes(bytes);
  point.assertValidity();
  return point;
}

function sum(points: readonly Signature[]): Signature {
  if (points.length === 0) throw new RangeError("a sum of nothing");
  return points.reduce((a, b) => a.add(b), SignaturePoint.ZERO);
}

function refuse(): never {
  throw new RangeError("not a public key");
}

/** From here on, many points at once are worth the tables. */
const MANY_POINTS = 16;

function curveGroup<F>(make: WeierstrassPointCons<F>, size: number): CurveGroup<WeierstrassPoint<F>> {
  return {
    generator: make.BASE,
    fromBytes(bytes) {
      if (bytes.length !== size) return undefined;
      try {
        const point = make.fromBytes(bytes);
        point.assertValidity();
        return point.is0() ? undefined : point;
      } catch {
        return undefined;
      }
    },
    toBytes: (point) => point.toBytes(),
    isZero: (point) => point.is0(),
    sum(points, scalars) {
      if (points.length === 0 || points.length !== scalars.length) throw new RangeError("a sum of nothing");
      if (points.length >= MANY_POINTS) return pippenger(make, [...points], [...scalars]);
      return points.reduce((total, point, i) => total.add(point.multiplyUnsafe(scalars[i] as bigint)), make.ZERO);
    },
  };
}
