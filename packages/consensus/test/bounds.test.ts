// A node's pool, in memory and on the disk, is as large after eight hundred rounds as after three hundred; and peers cannot make it
// larger. Sections 7 and 21.2.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { ArtifactPool, blockHash, encodeArtifact, type RandomTape } from "@atoll/consensus";
import type { PrincipalId } from "@atoll/types";
import { TestSubnet } from "./harness/many-nodes.ts";

const at = (wall: bigint) => ({ wall, monotonic: wall });

describe("the pool of a node", () => {
  it("does not grow over 800 rounds, and keeps what slow peers need", () => {
    const subnet = new TestSubnet({ settings: { dkgIntervalLength: 49 } });
    const sizes: { slots: number; disk: number }[] = [];
    for (const goal of [150, 300, 500, 800]) {
      assert.ok(subnet.run(600_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)));
      const { storage, slots } = subnet.node(1);
      const disk = storage.list().reduce((sum, name) => sum + (storage.size(name) as number), 0);
      sizes.push({ slots: slots.size, disk });
      const { catchUpHeight } = subnet.running(1).status();
      const oldest = Math.min(...[...slots.keys()].map((id) => Number(id.split("/")[1])));
      assert.equal(oldest, catchUpHeight - 20);
    }
    // Between two packages the pool holds up to an interval more or less.
    const [first, second, ...rest] = sizes;
    const most = Math.max(first?.slots ?? 0, second?.slots ?? 0);
    for (const { slots, disk } of rest) {
      assert.ok(slots < most + 5 * 50, `${slots} slots after ${most}`);
      assert.ok(disk < 3 * 1024 * 1024, `${disk} bytes on the disk`);
    }
    assert.deepEqual(subnet.rules.alarms, []);
    assert.deepEqual(subnet.rules.invalid, []);
    assert.equal(subnet.rules.finalizedHeights >= 760, true);
  });

  it("holds no more unvalidated artifacts of one peer than it may send, and gives the room back", () => {
    const pool = new ArtifactPool((data) => {
      // Only the first bytes differ here.
      const hash = new Uint8Array(32);
      hash.set(data.subarray(0, 32));
      return hash;
    });
    const entry = (height: number, peer: string, size = 48) => {
      const artifact: RandomTape = {
        kind: "random-tape",
        protocolVersion: "test",
        height,
        dkgId: { startHeight: 0, dealerSubnet: "5b" as PrincipalId, tag: "low", target: undefined },
        signature: new Uint8Array(size),
      };
      return { ...pool.entryOf(artifact, encodeArtifact(artifact), at(0n), undefined), peer: peer as PrincipalId };
    };
    let taken = 0;
    while (taken < 50_000 && pool.receive(entry(taken, "a1"))) taken++;
    assert.equal(taken, 10_000);
    assert.ok(pool.receive(entry(1_000_000, "a2")), "another peer has its own room");
    pool.apply([{ kind: "purge", section: "unvalidated", below: 100 }], at(1n));
    assert.ok(pool.receive(entry(2_000_000, "a1")));
  });

  it("takes of one peer only a few artifacts of a kind at a height, since checking each may take a pairing", () => {
    const pool = new ArtifactPool((data) => new Uint8Array(createHash("sha256").update(data).digest()));
    const notarization = (height: number, fill: number) =>
      ({
        kind: "notarization",
        protocolVersion: "test",
        height,
        blockHash: new Uint8Array(32),
        signers: ["a1" as PrincipalId],
        signature: new Uint8Array(48).fill(fill),
      }) as const;
    const receive = (height: number, fill: number, peer: string) => {
      const artifact = notarization(height, fill);
      const entry = pool.entryOf(artifact, encodeArtifact(artifact), at(0n), undefined);
      return pool.receive({ ...entry, peer: peer as PrincipalId }) ? entry.id : undefined;
    };
    const ids = Array.from({ length: 200 }, (_, i) => receive(7, i, "a1")).filter((id) => id !== undefined);
    assert.ok(ids.length >= 14, "an honest node has something from each of the makers of a large subnet");
    assert.ok(ids.length <= 20, `${ids.length} of one height`);
    assert.ok(receive(8, 0, "a1") !== undefined, "of another height");
    assert.ok(receive(7, 250, "a2") !== undefined, "of another peer");
    pool.apply([{ kind: "invalid", id: ids[0] as string, why: "it is wrong" }], at(1n));
    assert.ok(receive(7, 251, "a1") !== undefined, "there is room again");
  });

  it("takes back what was applied since the last commit", () => {
    const pool = new ArtifactPool((data) => data.slice(0, 32));
    const tape = (height: number): RandomTape => ({
      kind: "random-tape",
      protocolVersion: "test",
      height,
      dkgId: { startHeight: 0, dealerSubnet: "5b" as PrincipalId, tag: "low", target: undefined },
      signature: new Uint8Array(48),
    });
    const heights = () => [
      pool.validated.heights("random-tape", 0, 99),
      pool.unvalidated.heights("random-tape", 0, 99),
    ];
    pool.apply(
      [
        { kind: "add", artifact: tape(1) },
        { kind: "add", artifact: tape(2) },
      ],
      at(0n),
    );
    pool.commit();
    const received = pool.entryOf(tape(5), encodeArtifact(tape(5)), at(0n), undefined);
    pool.receive({ ...received, peer: "a1" as PrincipalId });
    pool.apply(
      [
        { kind: "add", artifact: tape(3) },
        { kind: "move", id: received.id },
      ],
      at(1n),
    );
    pool.apply([{ kind: "purge", section: "validated", below: 2 }], at(1n));
    assert.deepEqual(heights(), [[2, 3, 5], []]);
    pool.rollback();
    assert.deepEqual(heights(), [[1, 2], [5]]);
    pool.rollback();
    assert.deepEqual(heights(), [[1, 2], [5]]);
  });

  it("knows how far the chain has got, also after something was taken back", () => {
    const pool = new ArtifactPool((data) => createHash("sha256").update(data).digest());
    assert.throws(() => pool.tips, /without a catch-up package/);
    const genesis = new TestSubnet().genesis();
    const { protocolVersion, beacon } = genesis;
    pool.apply([{ kind: "add", artifact: genesis }], at(0n));
    pool.commit();
    const heights = () => {
      const { catchUpPackage, finalized, notarized, beacon: drawn, summaries } = pool.tips;
      return [catchUpPackage.height, finalized, notarized, drawn, ...summaries.map(({ height }) => height)];
    };
    assert.deepEqual(heights(), [0, 0, 0, 0, 0]);
    const { summaries } = pool.tips;
    const reference = { protocolVersion, blockHash: new Uint8Array(32), signers: [], signature: new Uint8Array(48) };
    const { payload } = genesis.block;
    assert.ok(payload.kind === "summary");
    const height = payload.summary.intervalLength + 1;
    const summary = { ...payload.summary, height };
    const block = { ...genesis.block, height, payload: { kind: "summary", summary } } as const;
    const proposal = {
      kind: "block-proposal",
      block,
      signer: "a1" as PrincipalId,
      signature: new Uint8Array(48),
    } as const;
    pool.apply(
      [
        { kind: "add", artifact: { ...beacon, height: 3 } },
        { kind: "add", artifact: { kind: "notarization", height: 2, ...reference } },
        { kind: "add", artifact: { kind: "finalization", height: 1, ...reference } },
      ],
      at(1n),
    );
    assert.deepEqual(heights(), [0, 1, 2, 3, 0]);
    assert.equal(pool.tips.summaries, summaries, "the same list, as nothing else is in force");
    // The next summary counts when it is final and here, whichever comes first.
    const final = { ...reference, kind: "finalization", height: block.height, blockHash: blockHash(block) } as const;
    pool.apply([{ kind: "add", artifact: final }], at(1n));
    assert.deepEqual(heights(), [0, block.height, 2, 3, 0]);
    pool.apply([{ kind: "add", artifact: proposal }], at(1n));
    assert.deepEqual(heights(), [0, block.height, 2, 3, 0, block.height]);
    pool.rollback();
    assert.deepEqual(heights(), [0, 0, 0, 0, 0]);
  });
});
