// Threshold BLS (consensus and chain-key facts, section 13): a subnet's secret key exists only as shares. Share i is
// the value of a secret polynomial at i + 1; any `threshold` signature shares give, by interpolation at 0, the one
// signature of the whole key, and fewer give nothing. A subnet of one node is the same with one share.
import type { BlsPort, EntropyPort } from "@atoll/types";
import { evaluatePolynomial, randomScalar, scalarToBytes } from "./scalar-field.ts";

/** Domain separation tag by which messages are hashed to the curve: signatures in G1, basic scheme. */
export const BLS_SIGNATURE_TAG: Uint8Array = new TextEncoder().encode("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_");

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
    const secret = scalarToBytes(evaluatePolynomial(coefficients, BigInt(index + 1)));
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
