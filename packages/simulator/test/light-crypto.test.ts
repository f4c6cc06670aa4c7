// The light signatures must keep to the rules that the real ones keep by mathematics, or the simulator would overlook what
// the protocol forbids, or forbid what it allows.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import type { DkgConfig, DkgId, DkgTranscript } from "@atoll/consensus";
import type { PrincipalId } from "@atoll/types";
import { faultyDealing, type LightWorld, lightCrypto, lightNodeRecord, lightTranscript } from "../src/index.ts";

const world: LightWorld = {
  secret: new Uint8Array(32).fill(7),
  sha256: (data) => new Uint8Array(hash("sha256", data, "buffer")),
};
const ids = ["a1", "a2", "a3", "a4"] as PrincipalId[];
let counter = 0;
const entropy = { randomBytes: (length: number) => new Uint8Array(length).fill(++counter) };
const nodes = () => ids.map((id) => lightCrypto(world, id, entropy));
const records = ids.map((id) => lightNodeRecord(world, id));
const keys = (node: PrincipalId) => records[ids.indexOf(node)];
const dkgId = (startHeight: number): DkgId => ({
  startHeight,
  dealerSubnet: "ff" as PrincipalId,
  tag: "high",
  target: undefined,
});
const first = lightTranscript(world, { dkgId: dkgId(0), receivers: ids, threshold: 3, registryVersion: 1 });
const message = Uint8Array.of(1, 2, 3);

function reshare(config: Partial<DkgConfig> = {}): DkgConfig {
  return {
    dkgId: dkgId(10),
    dealers: ids,
    receivers: ids.slice(0, 3),
    threshold: 2,
    collectionThreshold: 3,
    registryVersion: 1,
    resharing: first,
    ...config,
  };
}

function run(config: DkgConfig, dealers: readonly number[]): DkgTranscript | undefined {
  const all = nodes();
  const dealings = dealers.map((i) => {
    const crypto = all[i];
    assert.ok(crypto !== undefined);
    assert.ok(crypto.loadTranscript(first));
    const content = crypto.createDealing(config, keys);
    assert.ok(content !== undefined);
    return { dealer: ids[i] as PrincipalId, content };
  });
  return all[0]?.createTranscript(config, dealings);
}

function shares(transcript: DkgTranscript, indices: readonly number[], bytes = message) {
  return indices.map((index) => {
    const crypto = lightCrypto(world, transcript.receivers[index] as PrincipalId, entropy);
    assert.ok(crypto.loadTranscript(transcript));
    const signature = crypto.signThreshold(transcript.dkgId, bytes);
    assert.ok(signature !== undefined);
    return { index, signature };
  });
}

describe("light crypto", () => {
  const [a, b] = nodes();
  const [recordA, recordB] = records;
  assert.ok(a && b && recordA && recordB);

  it("verifies a basic signature under the key of its node only, and of its message only", () => {
    const signature = a.signBasic(message);
    assert.ok(a.verifyBasic(recordA, message, signature));
    assert.ok(b.verifyBasic(recordA, message, signature));
    assert.ok(!b.verifyBasic(recordB, message, signature));
    assert.ok(!b.verifyBasic(recordA, Uint8Array.of(1), signature));
    assert.ok(!b.verifyBasic(recordA, message, new Uint8Array()));
  });

  it("verifies a multi-signature by exactly its signers", () => {
    const combined = a.combineMulti([a.signMulti(message), b.signMulti(message)]);
    assert.ok(combined);
    assert.ok(a.verifyMulti([recordA, recordB], message, combined));
    assert.ok(!a.verifyMulti([recordA], message, combined));
    assert.ok(!a.verifyMulti([recordA, recordB, records[2] as never], message, combined));
    assert.ok(!a.verifyMulti([], message, combined));
    assert.equal(a.combineMulti([Uint8Array.of(1)]), undefined);
    assert.ok(!a.verifyMulti([recordA], message, a.signBasic(message)));
  });

  it("gives one threshold signature, whoever contributes to it", () => {
    const key = first.coefficients[0] as Uint8Array;
    const one = a.combineThreshold(first, shares(first, [0, 1, 2]));
    const other = a.combineThreshold(first, shares(first, [3, 1, 2, 0]));
    assert.ok(one && other);
    assert.deepEqual(one, other);
    assert.ok(b.verifyThreshold(key, message, one));
    assert.ok(!b.verifyThreshold(key, Uint8Array.of(9), one));
  });

  it("makes no threshold signature of too few, repeated, wrong or mixed shares", () => {
    const key = first.coefficients[0] as Uint8Array;
    const right = shares(first, [0, 1, 2]);
    assert.equal(a.combineThreshold(first, right.slice(0, 2)), undefined);
    assert.equal(a.combineThreshold(first, [...right.slice(0, 2), ...right.slice(0, 1)]), undefined);
    const wrong = [...right.slice(0, 2), ...shares(first, [3], Uint8Array.of(5))];
    const combined = a.combineThreshold(first, wrong);
    assert.ok(combined !== undefined && !a.verifyThreshold(key, message, combined));
    assert.ok(a.verifyThresholdShare(first, 0, message, right[0]?.signature as Uint8Array));
    assert.ok(!a.verifyThresholdShare(first, 1, message, right[0]?.signature as Uint8Array));
    assert.ok(!a.verifyThresholdShare(first, 9, message, right[0]?.signature as Uint8Array));
  });

  it("keeps the key at a resharing, and does not combine old shares with new ones", () => {
    const next = run(reshare(), [0, 1, 3]);
    assert.ok(next);
    assert.deepEqual(next.coefficients[0], first.coefficients[0]);
    const key = next.coefficients[0] as Uint8Array;
    const combined = a.combineThreshold(next, shares(next, [0, 2]));
    assert.ok(combined && a.verifyThreshold(key, message, combined));
    const mixed = a.combineThreshold(next, [...shares(next, [0]), ...shares(first, [1])]);
    assert.ok(mixed && !a.verifyThreshold(key, message, mixed));
  });

  it("lets nobody sign who is no receiver or has not loaded, and no transcript that was made up", () => {
    const next = run(reshare(), [0, 1, 2]);
    assert.ok(next);
    const outsider = lightCrypto(world, "a4" as PrincipalId, entropy);
    assert.ok(!outsider.loadTranscript(next));
    assert.equal(outsider.signThreshold(next.dkgId, message), undefined);
    const forged = { ...first, receivers: ["a4" as PrincipalId], threshold: 1 };
    assert.ok(!outsider.loadTranscript({ ...forged, coefficients: first.coefficients.slice(0, 1) }));
    assert.ok(!outsider.loadTranscript(forged));
    assert.ok(outsider.loadTranscript(first));
    outsider.retainTranscripts([]);
    assert.equal(outsider.signThreshold(first.dkgId, message), undefined);
  });

  it("rejects faulty dealings, of the wrong dealer or for another key generation", () => {
    const config = reshare();
    assert.ok(a.loadTranscript(first));
    const content = a.createDealing(config, keys) as Uint8Array;
    assert.ok(b.verifyDealing(config, keys, "a1" as PrincipalId, content));
    assert.ok(!b.verifyDealing(config, keys, "a2" as PrincipalId, content));
    assert.ok(!b.verifyDealing(config, keys, "a1" as PrincipalId, faultyDealing(content)));
    assert.ok(!b.verifyDealing(reshare({ threshold: 3 }), keys, "a1" as PrincipalId, content));
    assert.ok(!b.verifyDealing(config, keys, "a1" as PrincipalId, new Uint8Array()));
    assert.equal(lightCrypto(world, "a1" as PrincipalId, entropy).createDealing(config, keys), undefined);
  });
});
