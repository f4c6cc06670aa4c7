// BLS12-381 in plain JavaScript (@noble/curves): the reference, and what a host uses that cannot load a faster
// library. Signatures in G1, keys in G2 (interface specification, "Certificate").
import type { BlsPort } from "@atoll/types";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { BLS_SIGNATURE_TAG } from "./expand-message.ts";
import { checkSecret, lagrangeWeights } from "./threshold-bls.ts";

const { shortSignatures, G1 } = bls12_381;
const G1Point = G1.Point;

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
    let sum = G1Point.ZERO;
    shares.forEach(({ signature }, i) => {
      const point = G1Point.fromBytes(signature);
      point.assertValidity();
      sum = sum.add(point.multiplyUnsafe(weights[i] as bigint));
    });
    return sum.toBytes();
  },
};

function hash(message: Uint8Array) {
  return shortSignatures.hash(message, BLS_SIGNATURE_TAG);
}
