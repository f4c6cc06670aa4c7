// Nodes that crash at any moment and lose what was not synced: none of them ever signs what contradicts what it signed before,
// and the subnet goes on when they are back. Sections 5.4, 5.5 and 24 (1, 2 and 5).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { artifactCodec, heightOf, PoolStorage } from "@atoll/consensus";
import type { CrashKind, MemoryStorage } from "@atoll/state/store/memory-storage";
import { EnvironmentError } from "@atoll/types";
import { decodeWire } from "@atoll/types/wire";
import { readRecords } from "../src/pool-record.ts";
import { TestSubnet } from "./harness/many-nodes.ts";

const digest = (data: Uint8Array) => new Uint8Array(createHash("sha256").update(data).digest());
const SEEDS = [1, 2, 3, Math.floor(Math.random() * 1e6)];
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

  it("take back a step as a whole when its write fails, whatever it did", () => {
    // So slow that the second maker proposes too.
    const delay = (random: () => number) => BigInt(5 + Math.floor(random() * 350)) * 1_000_000n;
    const subnet = new TestSubnet({ seed: 5, delay });
    const { storage } = subnet.node(2);
    const append = storage.append.bind(storage);
    let failsNext = true;
    storage.append = (...written) => {
      failsNext = !failsNext;
      if (!failsNext) throw new EnvironmentError("ENOSPC", "The disk is full.");
      append(...written);
    };
    assert.ok(subnet.run(120_000, () => subnet.finalized(2) >= 30));
    assert.ok(subnet.failures > 50);
    const final = subnet.finalized(2);
    const blocks = (index: number) =>
      subnet
        .running(index)
        .published()
        .flatMap(({ artifact }) =>
          artifact.kind === "block-proposal" && artifact.block.height <= final ? [artifact.block] : [],
        );
    const heights = blocks(2).map(({ height }) => height);
    assert.deepEqual(heights, [...new Set(heights)], "blocks that did not become final are gone");
    assert.deepEqual(subnet.rules.alarms, []);
  });

  it("do not broadcast again what is settled, although it is still on the disk", () => {
    const subnet = new TestSubnet({ seed: 13 });
    assert.ok(subnet.run(60_000, () => subnet.finalized(2) >= 8));
    subnet.crash(2, "all");
    subnet.start(2);
    const final = subnet.finalized(2);
    assert.ok(final >= 8);
    const settled = subnet
      .running(2)
      .published()
      .filter(({ artifact }) => artifact.kind === "notarization-share" || artifact.kind === "finalization-share")
      .filter(({ artifact }) => heightOf(artifact) <= final);
    assert.deepEqual(settled, []);
  });

  it("go on alone from a finalization share whose notarization is lost", () => {
    const subnet = new TestSubnet({ seed: 15, nodes: 1 });
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 8));
    const { storage } = subnet.node(0);
    const final = subnet.finalized(0);
    subnet.crash(0, "all");
    // As a torn write may leave it: of what was decided last the block, and that this node has called it the only one.
    const { artifacts } = new PoolStorage(storage, digest).open();
    for (const name of storage.list()) storage.remove(name);
    const kept = artifacts.filter(({ artifact }) => {
      const { kind } = artifact;
      const height = heightOf(artifact);
      if (height === final)
        return kind === "block-proposal" || kind === "finalization-share" || kind === "random-beacon";
      return height < final || kind === "block-proposal";
    });
    assert.ok(kept.some(({ artifact }) => artifact.kind === "finalization-share" && artifact.height === final));
    const log = new PoolStorage(storage, digest);
    log.open();
    log.write(kept.map(({ artifact, bytes }) => ({ artifact, bytes, hash: digest(bytes), isVote: false })));
    subnet.start(0);
    assert.equal(subnet.finalized(0), final - 1);
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= final + 3));
    assert.deepEqual(subnet.rules.alarms, []);
  });

  it("go on while old artifacts cannot be removed from the disk", () => {
    const subnet = new TestSubnet({ seed: 11, settings: { dkgIntervalLength: 9 } });
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 8));
    const { storage } = subnet.node(2);
    const [{ bytes } = { bytes: new Uint8Array() }] = subnet.node(2).slots.values();
    subnet.crash(2, "all");
    // A segment that is full with what is there: the next one begins, and this one gets old.
    const log = new PoolStorage(storage, digest, 1);
    log.open();
    log.write([{ artifact: decodeWire(artifactCodec, bytes), bytes, hash: digest(bytes), isVote: true }]);
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

  for (const nodes of [1, 3, 4]) {
    it(`contradict nothing after damage to what was synced last, and go on (${nodes} nodes)`, () => {
      for (let seed = 1; seed <= 2; seed++) {
        const subnet = new TestSubnet({ seed, nodes });
        for (let fault = 0; fault < 20; fault++) {
          subnet.run(100 + Math.floor(subnet.random() * 300));
          const index = Math.floor(subnet.random() * nodes);
          subnet.crash(index, "synced");
          damageEnd(subnet.node(index).storage, subnet.random);
          subnet.start(index);
        }
        const goal = Math.max(...subnet.nodes.map((_, i) => subnet.finalized(i))) + 10;
        assert.ok(
          subnet.run(60_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)),
          `seed ${seed}: ${subnet.nodes.map((_, i) => subnet.finalized(i))} instead of ${goal}`,
        );
      }
    });
  }

  it("sign nothing where they may have signed when nothing of the log can be read", () => {
    const subnet = new TestSubnet({ seed: 3 });
    subnet.keepEvents = true;
    assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 6));
    const { storage } = subnet.node(1);
    subnet.crash(1, "all");
    for (const name of storage.list()) storage.replace(name, new Uint8Array(storage.size(name) ?? 0));
    const heights = (from: number): number[] =>
      subnet.events
        .slice(from)
        .flatMap(({ node, event }) =>
          node === 1 && event.kind === "signed" && VOTES.includes(event.what) ? [event.height] : [],
        );
    const before = Math.max(...heights(0));
    const from = subnet.events.length;
    subnet.start(1);
    assert.ok(subnet.run(30_000, () => subnet.finalized(1) > before + 15));
    // Its own earlier blocks come back from the others.
    assert.deepEqual(
      heights(from).filter((height) => height > before),
      [],
    );
    assert.deepEqual(subnet.rules.alarms, []);
  });

  it("sign no block for a while when votes are lost for good, and are whole again", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const subnet = new TestSubnet({ seed });
      subnet.keepEvents = true;
      assert.ok(subnet.run(60_000, () => subnet.finalized(0) >= 14));
      const { storage } = subnet.node(1);
      subnet.crash(1, "all");
      const name = storage.list()[0] as string;
      const size = storage.size(name) as number;
      const content = storage.read(name, 0, size);
      // What is left says how many votes there were.
      const { synced } = readRecords(content, digest).records.at(-1) ?? { synced: 0 };
      content.fill(0, Math.floor(synced * (0.3 + 0.4 * subnet.random())), synced);
      storage.replace(name, content);
      const before = subnet.finalized(0);
      const from = subnet.events.length;
      subnet.start(1);
      const goal = before + 12;
      assert.ok(
        subnet.run(30_000, () => subnet.nodes.every((_, i) => subnet.finalized(i) >= goal)),
        `seed ${seed}`,
      );
      // Its own earlier blocks come back from the others.
      const signed = new Set<string>();
      const votes = subnet.events.flatMap(({ node, event }, place) => {
        if (node !== 1 || event.kind !== "signed" || !VOTES.includes(event.what)) return [];
        const isNew = !signed.has(event.what + event.hash);
        signed.add(event.what + event.hash);
        return isNew && place >= from ? [event.height] : [];
      });
      assert.ok(
        votes.length > 0 && Math.min(...votes) > before,
        `seed ${seed}: signed at ${Math.min(...votes)} after ${before}`,
      );
    }
  });
});

const VOTES = ["block-proposal", "notarization-share", "finalization-share"];

/** A part of one of the sectors that were written last reads as zeros. */
function damageEnd(storage: MemoryStorage, random: () => number): void {
  const name = storage.list().findLast((each) => each.startsWith("pool-v2-"));
  const size = name === undefined ? 0 : (storage.size(name) ?? 0);
  if (name === undefined || size === 0) return;
  const content = storage.read(name, 0, size);
  const end = size - Math.floor(random() * Math.min(size, 5000));
  content.fill(0, Math.max(Math.floor((end - 1) / 512) * 512, end - 1 - Math.floor(random() * 500)), end);
  storage.replace(name, content);
}
