// Nodes that crash at any moment and lose what was not synced: none of them ever signs what contradicts what it signed before,
// and the subnet goes on when they are back. Sections 5.4, 5.5 and 24 (1, 2 and 5).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { artifactCodec, PoolStorage } from "@atoll/consensus";
import type { CrashKind } from "@atoll/state/store/memory-storage";
import { EnvironmentError } from "@atoll/types";
import { decodeWire } from "@atoll/types/wire";
import { TestSubnet } from "./harness/many-nodes.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, Math.floor(Math.random() * 1e6)];
const KEEP: readonly CrashKind[] = ["all", "synced", "torn"];

describe("crashes and restarts", () => {
  for (const seed of SEEDS) {
    it(`keep all promises and come back (seed ${seed})`, () => {
      const subnet = new TestSubnet({ seed, loss: 0.05, settings: { dkgIntervalLength: 19 } });
      const below = (bound: number) => Math.floor(subnet.random() * bound);
      for (let fault = 0; fault < 60; fault++) {
        subnet.run(20 + below(400));
        const index = below(4);
        if (subnet.node(index).consensus === undefined) subnet.start(index);
        else if (below(2) === 0) subnet.crash(index, KEEP[below(3)] as CrashKind);
        // In the middle of one of the next writes.
        else subnet.node(index).storage.stopAfter(below(6), below);
      }
      subnet.run(500);
      for (const [index, node] of subnet.nodes.entries()) {
        node.storage.stopAfter(Number.MAX_SAFE_INTEGER, below);
        if (node.consensus === undefined) subnet.start(index);
      }
      const goal = Math.max(...subnet.nodes.map((_, i) => subnet.finalized(i))) + 25;
      assert.ok(
        subnet.run(60_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)),
        `${subnet.nodes.map((_, i) => subnet.finalized(i))} instead of ${goal}`,
      );
      assert.deepEqual(subnet.rules.alarms, []);
    });
  }

  it("go on after the power failed everywhere at once", () => {
    for (let seed = 1; seed <= 4; seed++) {
      const subnet = new TestSubnet({ seed });
      for (let time = 0; time < 6; time++) {
        subnet.run(300 + Math.floor(subnet.random() * 700));
        for (const index of subnet.nodes.keys()) subnet.crash(index, "torn");
        for (const index of subnet.nodes.keys()) subnet.start(index);
        const goal = subnet.finalized(0) + 4;
        assert.ok(
          subnet.run(20_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)),
          `seed ${seed}`,
        );
      }
    }
  });

  it("broadcast nothing that is not on the disk, and try again when it is full", () => {
    const subnet = new TestSubnet({ seed: 9 });
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 5));
    const node = subnet.node(2);
    const used = node.storage.list().reduce((sum, name) => sum + (node.storage.size(name) ?? 0), 0);
    node.storage.capacity = used + 100;
    subnet.run(200);
    const before = subnet.running(2).status();
    assert.ok(node.toy.expected() <= before.finalizedHeight + 1, "nothing is executed that is not final on the disk");
    const slots = [...node.slots.keys()].join();
    subnet.run(3_000);
    assert.ok(subnet.failures > 10);
    assert.equal([...node.slots.keys()].join(), slots);
    assert.deepEqual(subnet.running(2).status(), before);
    node.storage.capacity = Number.POSITIVE_INFINITY;
    const goal = subnet.finalized(0) + 10;
    assert.ok(subnet.run(30_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)));
  });

  it("go on while old artifacts cannot be removed from the disk", () => {
    const subnet = new TestSubnet({ seed: 11, settings: { dkgIntervalLength: 9 } });
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 8));
    const { storage } = subnet.node(2);
    const [{ bytes } = { bytes: new Uint8Array() }] = subnet.node(2).slots.values();
    subnet.crash(2, "all");
    // A segment that is full with what is there: the next one begins, and this one gets old.
    const digest = (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest());
    const log = new PoolStorage(storage, digest, 1);
    log.open();
    log.write([{ artifact: decodeWire(artifactCodec, bytes), bytes, hash: digest(bytes) }], true);
    let attempts = 0;
    storage.remove = () => {
      attempts++;
      throw new EnvironmentError("disk-failed", "The file cannot be removed.");
    };
    subnet.start(2);
    assert.ok(subnet.run(60_000, () => attempts > 0));
    const goal = subnet.finalized(0) + 10;
    assert.ok(subnet.run(60_000, () => subnet.finalized(2) >= goal));
    assert.equal(subnet.failures, 0);
  });

  it("sign no block for a while after damage to what was synced, and are whole again", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const subnet = new TestSubnet({ seed });
      subnet.keepEvents = true;
      assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 14));
      const { storage } = subnet.node(1);
      subnet.crash(1, "all");
      const name = storage.list()[0] as string;
      const size = storage.size(name) as number;
      const content = storage.read(name, 0, size);
      for (let i = 0; i < 5; i++) content[Math.floor(subnet.random() * size * 0.9)] = 0xff;
      storage.replace(name, content);
      const before = subnet.finalized(0);
      const from = subnet.events.length;
      subnet.start(1);
      const goal = before + 12;
      assert.ok(
        subnet.run(30_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)),
        `seed ${seed}`,
      );
      const votes = subnet.events
        .slice(from)
        .flatMap(({ node, event }) =>
          node === 1 && event.kind === "signed" && VOTES.includes(event.what) ? [event.height] : [],
        );
      assert.ok(
        votes.length > 0 && Math.min(...votes) > before,
        `seed ${seed}: signed at ${Math.min(...votes)} after ${before}`,
      );
    }
  });
});

const VOTES = ["block-proposal", "notarization-share", "finalization-share"];
