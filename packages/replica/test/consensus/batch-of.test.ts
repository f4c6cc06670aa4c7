// From the bytes of a block to the batch that is executed: strict where a block is checked, and where it is executed the
// same on every node whatever the bytes are. Consensus and chain-key facts, sections 8.4 and 9.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeliveredBatch } from "@atoll/consensus";
import { ed25519KeyToDer } from "@atoll/crypto";
import { WireError } from "@atoll/types/wire";
import fc from "fast-check";
import { type BatchPayload, decodePayload, EMPTY_PAYLOAD, encodePayload } from "../../src/consensus/payload-codec.ts";
import { A, B, envelope, makeNodes, NOW, node, verdict } from "./payload-nodes.ts";

const principal = fc.uint8Array({ minLength: 29, maxLength: 29 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const share = fc.record({ signer: principal, signature: bytes(64) });
const sorted = <T>(item: fc.Arbitrary<T>, key: (value: T) => string | number) =>
  fc
    .uniqueArray(item, { selector: key, maxLength: 4 })
    .map((items) => items.sort((a, b) => (key(a) < key(b) ? -1 : 1)));
const result = fc.oneof(
  bytes(20).map((data) => ({ kind: "reply", data })),
  fc
    .record({ code: fc.integer({ min: 1, max: 6 }), message: fc.string() })
    .map((fields) => ({ kind: "reject", ...fields })),
);
const signed = sorted(share, ({ signer }) => signer);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const payloads = fc.record({
  ingress: fc.array(bytes(50), { maxLength: 4 }),
  slices: sorted(fc.record({ source: principal, certified: bytes(50) }), ({ source }) => source),
  outcalls: sorted(fc.record({ outcall: fc.nat(), result, shares: signed }), ({ outcall }) => outcall),
  divergent: sorted(
    fc.record({
      outcall: fc.nat(),
      shares: signed.chain((shares) =>
        fc.tuple(...shares.map((each) => hash.map((value) => ({ ...each, hash: value })))),
      ),
    }),
    ({ outcall }) => outcall,
  ),
}) as unknown as fc.Arbitrary<BatchPayload>;

describe("the codec of payloads", () => {
  test("gives back what was encoded, and takes no other bytes for it", () => {
    fc.assert(
      fc.property(payloads, fc.nat(), fc.integer({ min: 1, max: 255 }), (payload, place, change) => {
        const encoded = encodePayload(payload);
        assert.deepEqual(decodePayload(encoded), structuredClone(payload));
        if (encoded.length === 0) return;
        const at = place % encoded.length;
        const changed = encoded.with(at, (encoded[at] as number) ^ change);
        try {
          const other = decodePayload(changed);
          assert.deepEqual(encodePayload(other), changed);
        } catch (error) {
          assert.ok(error instanceof WireError, String(error));
        }
      }),
    );
  });

  test("knows one empty payload, which has no bytes", () => {
    assert.deepEqual(encodePayload(EMPTY_PAYLOAD), new Uint8Array());
    assert.throws(() => decodePayload(new Uint8Array(4)), WireError);
  });

  test("refuses sections out of order, and with one thing twice", () => {
    const refused = (payload: Partial<BatchPayload>): void => {
      assert.throws(() => decodePayload(encodePayload({ ...EMPTY_PAYLOAD, ...payload })), WireError);
    };
    const slice = { source: "01" as never, certified: new Uint8Array() };
    refused({ slices: [slice, slice] });
    refused({
      slices: [
        { ...slice, source: B },
        { ...slice, source: A },
      ],
    });
  });
});

const delivered = (batch: Uint8Array | undefined, fields: Partial<DeliveredBatch> = {}): DeliveredBatch => ({
  ...{ height: 1, time: NOW, randomness: new Uint8Array(32).fill(3), registryVersion: 1, batch, needsStateHash: false },
  ...{ remoteDkgs: [], blockmaker: "aa" as never, failed: ["bb" as never], ...fields },
});

describe("the batch of a block", () => {
  test("has what the block carries", async () => {
    const nodes = makeNodes();
    const ingress = [await envelope({ canister: B, methodName: "set", arg: Uint8Array.of(1, 2) }), await envelope()];
    const batch = node(nodes).payloads.batchOf(delivered(encodePayload({ ...EMPTY_PAYLOAD, ingress })));
    assert.deepEqual(batch.blockmaker, { proposer: "aa", failed: ["bb"] });
    assert.equal(batch.time, NOW);
    assert.deepEqual(batch.randomness, new Uint8Array(32).fill(3));
    assert.equal(batch.isCheckpoint, undefined);
    assert.equal(batch.nodes, undefined);
    const [first] = batch.ingress;
    const { receiver, effectiveCanisterId, methodName, arg, byteSize } = first as NonNullable<typeof first>;
    assert.deepEqual(
      { receiver, effectiveCanisterId, methodName, arg, byteSize },
      {
        receiver: B,
        effectiveCanisterId: B,
        methodName: "set",
        arg: Uint8Array.of(1, 2),
        byteSize: ingress[0]?.length,
      },
    );
    assert.equal(batch.ingress.length, 2);
  });

  test("of a summary block has no messages; a checkpoint follows, and it names the nodes", () => {
    const nodes = makeNodes();
    const batch = node(nodes).payloads.batchOf(delivered(undefined, { needsStateHash: true }));
    assert.deepEqual(batch.ingress, []);
    assert.equal(batch.isCheckpoint, true);
    const expected = nodes.registry.nodes.map(({ nodeId, signingKey }) => {
      return { nodeId, publicKey: ed25519KeyToDer(signingKey) };
    });
    assert.deepEqual(batch.nodes, expected);
  });

  test("is the same on a node that has checked the block and on one that took it unseen, whatever its bytes are", async () => {
    const good = encodePayload({
      ...EMPTY_PAYLOAD,
      ingress: [await envelope(), await envelope({ canister: B })],
      slices: [{ source: "0c".repeat(29) as never, certified: new Uint8Array(40) }],
    });
    const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 3 });
    const altered = changes.map((list) => {
      const copy = good.slice();
      for (const [at, change] of list) copy.set([(copy[at] as number) ^ change], at);
      return copy;
    });
    fc.assert(
      fc.property(fc.oneof(altered, bytes(200)), (batch) => {
        const [one, other] = [makeNodes(1), makeNodes(1)];
        verdict(one, batch, { by: 0 });
        const [here, there] = [one, other].map((each) => node(each).payloads.batchOf(delivered(batch.slice())));
        assert.deepEqual(here, there);
        assert.deepEqual(node(one).alarms, node(other).alarms);
      }),
      { numRuns: 150 },
    );
  });

  test("that nobody can read is empty, and an alarm", async () => {
    const nodes = makeNodes();
    const garbage = new Uint8Array(50).fill(200);
    assert.equal(verdict(nodes, garbage), "invalid");
    for (const { payloads: each, alarms } of nodes.nodes) {
      assert.deepEqual(each.batchOf(delivered(garbage)).ingress, []);
      assert.equal(alarms.length, 1);
    }
    const mixed = encodePayload({ ...EMPTY_PAYLOAD, ingress: [Uint8Array.of(1), await envelope()] });
    assert.equal(node(nodes).payloads.batchOf(delivered(mixed)).ingress.length, 1);
    assert.equal(node(nodes).alarms.length, 2);
  });
});
