// Threshold signatures: any threshold of shares gives the one signature of the group key, and the published BLS
// ciphersuite accepts it. A real certificate's parts are the known answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, principalToText, toHex } from "@atoll/types";
import { blsVerify } from "@icp-sdk/core/agent";
import { Principal } from "@icp-sdk/core/principal";
import { lagrangeWeights, randomScalar, SCALAR_ORDER, scalarToBytes } from "../src/scalar-field.ts";
import { sha224 } from "../src/sha.ts";
import { selfAuthenticatingId, subnetKeyFromDer, subnetKeyToDer } from "../src/subnet-key.ts";
import { combineShares, dealThresholdKey, shareSecret } from "../src/threshold-bls.ts";
import { universalBls as bls } from "../src/universal-bls.ts";

let counter = 0;
const entropy = {
  randomBytes: (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + ++counter * 13) & 255),
};
const message = new TextEncoder().encode("message");

test("every 3 of 4 shares combine to the same signature, checked by the agent's verifier", () => {
  const key = dealThresholdKey(4, 3, entropy, bls);
  const shares = key.shares.map(({ secret }, nodeIndex) => ({ nodeIndex, signature: bls.sign(secret, message) }));
  const combined = [0, 1, 2, 3].map((left) =>
    combineShares(
      shares.filter((_, i) => i !== left),
      3,
      bls,
    ),
  );
  for (const signature of combined) assert.equal(toHex(signature), toHex(combined[0] as Uint8Array));
  assert.equal(blsVerify(key.publicKey, combined[0] as Uint8Array, message), true);
  shares.forEach(({ signature, nodeIndex }) => {
    assert.equal(bls.verify((key.shares[nodeIndex] as { publicKey: Uint8Array }).publicKey, message, signature), true);
    assert.equal(bls.verify(key.publicKey, message, signature), false);
  });
});

test("fewer shares, or the same node twice, do not combine", () => {
  const key = dealThresholdKey(4, 3, entropy, bls);
  const [first, second] = key.shares.map(({ secret }, nodeIndex) => ({
    nodeIndex,
    signature: bls.sign(secret, message),
  }));
  assert.throws(() => combineShares([first, second] as never, 3, bls), RangeError);
  assert.throws(() => combineShares([first, second, first] as never, 3, bls), RangeError);
  const two = combineShares([first, second] as never, 2, bls);
  assert.equal(bls.verify(key.publicKey, message, two), false);
});

test("a subnet of one node is the same scheme with one share", () => {
  const key = shareSecret(1, [42n], bls);
  const signature = bls.sign((key.shares[0] as { secret: Uint8Array }).secret, message);
  assert.deepEqual(key.shares[0]?.publicKey, key.publicKey);
  assert.deepEqual(combineShares([{ nodeIndex: 0, signature }], 1, bls), signature);
  assert.throws(() => shareSecret(1, [1n, 2n], bls), RangeError);
  assert.throws(() => shareSecret(1, [], bls), RangeError);
});

test("weights interpolate a polynomial at 0", () => {
  const polynomial = (x: bigint) => (5n + 3n * x + 7n * x * x) % SCALAR_ORDER;
  for (const points of [
    [1, 2, 3],
    [9, 4, 28],
    [28, 1, 5, 6],
  ]) {
    const weights = lagrangeWeights(points);
    const value = points.reduce((sum, point, i) => sum + polynomial(BigInt(point)) * (weights[i] as bigint), 0n);
    assert.equal(value % SCALAR_ORDER, 5n);
  }
  assert.throws(() => lagrangeWeights([1, 1]), RangeError);
  const scalar = randomScalar(entropy);
  assert.ok(scalar > 0n && scalar < SCALAR_ORDER);
  assert.equal(BigInt(`0x${toHex(scalarToBytes(scalar))}`), scalar);
});

test("DER of subnet keys and subnet ids: mainnet's root key", () => {
  // The root key of the Internet Computer mainnet, as the agent carries it, and the id of its subnet.
  const der = fromHex(
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100814c0e6ec71fab583b08bd81373c255c3c371b2e84" +
      "863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc5341583bf4b4392e467db96d65b9bb4cb717112f8472e0d5a4d14505ffd7484" +
      "b01291091c5f87b98883463f98091a0baaae",
  );
  const key = subnetKeyFromDer(der) as Uint8Array;
  assert.equal(key.length, 96);
  assert.deepEqual(subnetKeyToDer(key), der);
  const id = selfAuthenticatingId(der, sha224);
  assert.equal(principalToText(id), "tdb26-jop6k-aogll-7ltgs-eruif-6kk7m-qpktf-gdiqx-mxtrf-vb5e6-eqe");
  assert.equal(Principal.selfAuthenticating(der).toText(), principalToText(id));
  assert.equal(subnetKeyFromDer(der.subarray(1)), undefined);
  assert.equal(subnetKeyFromDer(key), undefined);
  assert.throws(() => subnetKeyToDer(der), RangeError);
});
