// Rounds of several nodes, with everything that can go wrong on the way: section 5, and 5.10 worked to the message.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ArtifactPool, type Block, blockHash } from "@atoll/consensus";
import { sha256 } from "@atoll/crypto/sha";
import type { PrincipalId } from "@atoll/types";
import { proposalDelay } from "../src/round.ts";
import { TestSubnet } from "./harness/many-nodes.ts";

const allAt = (subnet: TestSubnet, height: number, nodes = [...subnet.nodes.keys()]) =>
  nodes.every((i) => subnet.finalized(i) >= height);

describe("a subnet of four nodes", () => {
  it("makes rounds, certifies and makes catch-up packages, and nobody blames anybody", () => {
    const subnet = new TestSubnet();
    assert.ok(subnet.run(60_000, () => allAt(subnet, 45)));
    subnet.run(500);
    for (const [i, { toy }] of subnet.nodes.entries()) {
      assert.ok(toy.certifiedHeight() >= 44, `node ${i} certified ${toy.certifiedHeight()}`);
      assert.ok(subnet.running(i).catchUpPackage().height >= 40);
    }
    assert.deepEqual(subnet.rules.invalid, []);
    assert.deepEqual(subnet.rules.alarms, []);
  });

  it("takes the beacon of a height, whose signature can wait till then, once that is notarized", () => {
    const subnet = new TestSubnet({ seed: 3, loss: 0.1 });
    const isAbove = (i: number) => {
      const { beaconHeight, notarizedHeight } = subnet.running(i).status();
      return beaconHeight > notarizedHeight;
    };
    let isEarly = false;
    const isDone = () => {
      isEarly ||= [...subnet.nodes.keys()].some(isAbove);
      return allAt(subnet, 15);
    };
    assert.ok(subnet.run(60_000, isDone));
    assert.equal(isEarly, false);
    assert.deepEqual(subnet.rules.invalid, []);
  });

  it("combines the shares of a signature once, or twice when others make it up, however long it waits", () => {
    const subnet = new TestSubnet({ seed: 5 });
    assert.ok(subnet.run(60_000, () => allAt(subnet, 40)));
    // Beacon, tape and certification of each height; a package now and then.
    const most = Math.max(...[...subnet.nodes.keys()].map((i) => subnet.finalized(i)));
    assert.ok(subnet.combinations > 2 * 4 * most, `${subnet.combinations} at height ${most}`);
    assert.ok(subnet.combinations < 4 * 4 * most, `${subnet.combinations} at height ${most}`);
  });

  it("makes a good round in the order of the protocol", () => {
    // Messages take exactly 10 ms, as in the worked example.
    const subnet = new TestSubnet({ delay: () => 10_000_000n });
    subnet.keepEvents = true;
    assert.ok(subnet.run(60_000, () => allAt(subnet, 6)));
    const at = (kind: string, height: number, what?: string) =>
      subnet.events
        .filter(({ event }) => event.kind === kind && "height" in event && event.height === height)
        .filter(({ event }) => what === undefined || (event.kind === "signed" && event.what === what))
        .map(({ at: time, node }) => ({ ms: Number(time) / 1e6, node }));
    const first = (kind: string, height: number, what?: string) => at(kind, height, what)[0]?.ms ?? Number.NaN;
    const round = 5;
    const start = first("notarized", round - 1);
    const near = (ms: number, expected: number) => assert.ok(Math.abs(ms - start - expected) < 1, `${ms - start} ms`);
    // At once: the beacon after this round's, and the one proposal, of rank 0.
    near(first("signed", round, "random-beacon-share"), 0);
    const proposals = at("signed", round, "block-proposal");
    assert.equal(proposals.length, 1);
    near(proposals[0]?.ms as number, 0);
    // After the notary delay all four sign; 10 ms later it is notarized, and 10 ms later final.
    assert.equal(at("signed", round, "notarization-share").length, 4);
    near(first("signed", round, "notarization-share"), 60);
    near(first("notarized", round), 70);
    assert.equal(at("signed", round, "finalization-share").length, 4);
    near(first("signed", round, "finalization-share"), 70);
    near(first("finalized", round), 80);
    // Only then the tape of the next height; the batch is executed, and 10 ms later its state is certified.
    near(first("signed", round + 1, "random-tape-share"), 80);
    near(first("delivered", round), 80);
    near(first("signed", round, "certification-share"), 80);
    near(first("certified", round), 90);
  });

  it("asks every role that what has changed concerns", () => {
    const subnet = new TestSubnet();
    subnet.asksAgain = true;
    assert.ok(subnet.run(60_000, () => allAt(subnet, 24)));
  });

  it("falls back to the maker of rank 1, after its delay, when that of rank 0 is silent", () => {
    const subnet = new TestSubnet();
    subnet.keepEvents = true;
    subnet.isLinked = (from, to) => from !== 3 && to !== 3;
    assert.ok(subnet.run(120_000, () => allAt(subnet, 20, [0, 1, 2])));
    const ranks = subnet.events.flatMap(({ node, event }) =>
      event.kind === "finalized" && node === 0 ? [event.rank] : [],
    );
    assert.ok(ranks.includes(1) && ranks.includes(0), `ranks ${ranks}`);
    const fallback = subnet.events.find(({ event }) => event.kind === "notarized" && event.rank === 1);
    assert.ok(fallback !== undefined && fallback.event.kind === "notarized");
    const { height } = fallback.event;
    const began = subnet.events.find(({ event }) => event.kind === "notarized" && event.height === height - 1);
    // The proposal of rank 1 waits for one unit delay, and its notaries for one more of their own.
    const elapsed = Number(fallback.at - (began?.at ?? 0n)) / 1e6;
    assert.ok(elapsed >= 260, `${elapsed} ms`);
  });

  it("stands still with two of four nodes, and goes on with three", () => {
    const subnet = new TestSubnet();
    assert.ok(subnet.run(60_000, () => allAt(subnet, 5)));
    subnet.isLinked = (from, to) => from < 2 && to < 2;
    subnet.run(1_000);
    const stuck = subnet.finalized(0);
    subnet.run(10_000);
    assert.ok(subnet.finalized(0) <= stuck + 1);
    subnet.isLinked = (from, to) => from < 3 && to < 3;
    assert.ok(subnet.run(60_000, () => allAt(subnet, stuck + 20, [0, 1, 2])));
    subnet.isLinked = () => true;
    const goal = subnet.finalized(0) + 25;
    assert.ok(subnet.run(60_000, () => allAt(subnet, goal)));
  });

  it("brings a node that was away back to the tip, by blocks or by a package and its state", () => {
    for (const away of [4, 150]) {
      const subnet = new TestSubnet({ settings: { dkgIntervalLength: 29 } });
      assert.ok(subnet.run(60_000, () => allAt(subnet, 3)));
      subnet.isLinked = (from, to) => from !== 2 && to !== 2;
      const gone = subnet.finalized(0);
      assert.ok(subnet.run(200_000, () => allAt(subnet, gone + away, [0, 1, 3])));
      subnet.isLinked = () => true;
      const goal = subnet.finalized(0) + 10;
      assert.ok(
        subnet.run(30_000, () => allAt(subnet, goal)),
        `at ${subnet.finalized(2)} instead of ${goal}`,
      );
      assert.ok(
        subnet.run(10_000, () => subnet.node(2).toy.certifiedHeight() >= goal),
        "execution is behind",
      );
      assert.equal(subnet.node(2).toy.fetches > 0, away > 100);
    }
  });

  it("lets a node go on that has executed all but the height of a package", () => {
    const subnet = new TestSubnet({ settings: { dkgIntervalLength: 49, cupHoldBack: 0n, minimumChainLength: 0 } });
    const node = subnet.node(2);
    assert.ok(subnet.run(60_000, () => node.toy.expected() === 50));
    subnet.isLinked = (from, to) => from !== 2 && to !== 2;
    assert.ok(subnet.run(60_000, () => allAt(subnet, 62, [0, 1, 3])));
    assert.equal(node.toy.expected(), 50);
    subnet.isLinked = () => true;
    assert.ok(
      subnet.run(3_000, () => node.toy.executedHeight() >= 60),
      `executed ${node.toy.executedHeight()}`,
    );
  });

  it("does not let a maker that signs two blocks split it, and says who it was", () => {
    const subnet = new TestSubnet();
    subnet.keepEvents = true;
    subnet.rules.faulty.add(1);
    // Every second node gets another block of node 1, signed as rightly as the first.
    subnet.tamper = (from, to, id, bytes) =>
      from === 1 && id.startsWith("block-proposal/") && to >= 2 ? subnet.anotherBlock(1, bytes) : undefined;
    assert.ok(subnet.run(120_000, () => allAt(subnet, 40)));
    const found = subnet.events.filter(({ event }) => event.kind === "equivocation");
    assert.ok(found.length > 0);
    assert.ok(found.every(({ event }) => event.kind === "equivocation" && event.node === subnet.node(1).id));
  });

  it("survives artifacts of every kind with any byte changed, and blames who sent them", () => {
    const subnet = new TestSubnet({ seed: 5 });
    subnet.rules.faulty.add(3);
    const kinds = new Set<string>();
    subnet.tamper = (from, _to, id, bytes) => {
      if (from !== 3 || subnet.random() < 0.2) return undefined;
      kinds.add(id.slice(0, id.indexOf("/")));
      const changed = bytes.slice();
      for (let i = 0; i < 1 + subnet.random() * 3; i++) {
        const place = Math.floor(subnet.random() * changed.length);
        changed[place] = Math.floor(subnet.random() * 256);
      }
      return changed;
    };
    assert.ok(subnet.run(200_000, () => allAt(subnet, 60, [0, 1, 2])));
    assert.ok(kinds.size >= 12, [...kinds].join());
    const others = subnet.nodes.slice(0, 3).map(({ id }) => id);
    assert.ok(subnet.rules.invalid.length > 0);
    for (const blamed of subnet.rules.invalid.filter((line) => others.some((id) => line.includes(`from ${id}`))))
      assert.fail(blamed);
  });
});

describe("the delay of a maker", () => {
  /** Of the maker of rank 1, in delays of one rank, on a chain of blocks of these ranks. */
  const delayOn = (ranks: readonly number[]) => {
    const subnet = new TestSubnet({ nodes: 1 });
    const genesis = subnet.genesis();
    const pool = new ArtifactPool(sha256);
    const now = { wall: 0n, monotonic: 0n };
    let parent: Block = genesis.block;
    pool.apply([{ kind: "add", artifact: genesis }], now);
    for (const [i, rank] of ranks.entries()) {
      const block = { ...genesis.block, height: i + 1, parent: blockHash(parent), rank };
      const proposal = {
        kind: "block-proposal",
        block,
        signer: "a0" as PrincipalId,
        signature: new Uint8Array(),
      } as const;
      pool.apply([{ kind: "add", artifact: proposal }], now);
      parent = block;
    }
    const { settings } = subnet.record;
    return Number(proposalDelay(pool, settings, 1, parent) / settings.unitDelay);
  };
  const some = (count: number, rank: number) => Array.from({ length: count }, () => rank);

  it("is longer when more than ten of the last thirty blocks were of a higher rank", () => {
    assert.equal(delayOn([...some(20, 0), ...some(10, 1)]), 1);
    assert.equal(delayOn([...some(20, 0), ...some(11, 2)]), 2);
    assert.equal(delayOn([...some(11, 1), ...some(19, 0)]), 2);
    assert.equal(delayOn([...some(11, 1), ...some(20, 0)]), 1);
    assert.equal(delayOn(some(11, 1)), 2);
    assert.equal(delayOn(some(10, 1)), 1);
  });
});
