// Certification by shares: one node, and four of which any three suffice; the client's own BLS verifies the result.
// Interface specification, "Certification"; consensus facts on certification (threshold 2f + 1).
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { certify, type RootShare, signShare } from "@atoll/consensus";
import { dealThresholdKey, stateRootMessage } from "@atoll/crypto";
import { createNodeCrypto } from "@atoll/host-node";
import type { CryptoPort } from "@atoll/types";
import { blsVerify } from "@icp-sdk/core/agent";

const ROOT = Uint8Array.from({ length: 32 }, (_, i) => i);
const entropy = { randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
let port: CryptoPort;
before(async () => {
  port = await createNodeCrypto();
});

function sharesOf(nodes: number, threshold: number): { publicKey: Uint8Array; shares: RootShare[] } {
  const key = dealThresholdKey(nodes, threshold, entropy, port.bls);
  const shares = key.shares.map(({ secret }, nodeIndex) => signShare({ nodeIndex, secret }, 7, ROOT, port.bls));
  return { publicKey: key.publicKey, shares };
}

describe("certification", () => {
  test("one node is the case of one share out of one", async () => {
    const { publicKey, shares } = sharesOf(1, 1);
    const certification = certify(shares, 1, port.bls);
    assert.ok(certification !== undefined);
    assert.equal(certification.height, 7);
    assert.ok(await blsVerify(publicKey, certification.signature, stateRootMessage(ROOT)));
  });

  test("any three of four nodes make the same signature, two make none", async () => {
    const { publicKey, shares } = sharesOf(4, 3);
    const [a, b, c, d] = shares as [RootShare, RootShare, RootShare, RootShare];
    assert.equal(certify([a, b], 3, port.bls), undefined);
    const signatures = [
      [a, b, c],
      [d, c, a],
      [b, d, c],
    ].map((chosen) => certify(chosen, 3, port.bls)?.signature);
    assert.deepEqual(signatures[1], signatures[0]);
    assert.deepEqual(signatures[2], signatures[0]);
    assert.ok(await blsVerify(publicKey, signatures[0] as Uint8Array, stateRootMessage(ROOT)));
  });

  test("a share of another key spoils the signature", async () => {
    const { publicKey, shares } = sharesOf(4, 3);
    const foreign = sharesOf(4, 3).shares[2] as RootShare;
    const spoiled = certify([...shares.slice(0, 2), foreign], 3, port.bls);
    assert.equal(await blsVerify(publicKey, spoiled?.signature as Uint8Array, stateRootMessage(ROOT)), false);
  });
});
