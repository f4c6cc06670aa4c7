// The contract of abortable broadcast (section 21.2) under whatever the network does: what is active in the end reaches
// every connected peer, what was retracted is not sent any more, and what is kept for peers is bounded by what they have
// active. Each seed is one run: loss, repetition, reordering, broken connections, cuts, and nodes that start anew.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArtifactOrigin } from "@atoll/types";
import { artifact, GossipNetwork, idOf, MS, SECOND } from "./gossip-network.ts";

const SEEDS = Number(process.env.SEEDS ?? 10);
const NODES = 4;
const STEPS = 120;

interface Published {
  readonly id: string;
  readonly bytes: Uint8Array;
}

class Run {
  readonly net: GossipNetwork;
  readonly #isRelaying: boolean;
  /** What each node has published and not retracted. */
  readonly active: Map<string, Published>[] = [];
  /** When a node retracted an id. */
  readonly retracted: Map<string, bigint>[] = [];
  #mark = 0;

  constructor(seed: number) {
    this.net = new GossipNetwork(seed, {
      minDelay: MS,
      maxDelay: 300n * MS,
      loss: 0.2,
      repetition: 0.2,
      window: 100_000,
    });
    this.#isRelaying = seed % 2 === 0;
    for (let i = 0; i < NODES; i++) this.start(i);
    this.net.connectAll();
  }

  start(index: number): void {
    const node = this.net.start(index);
    this.active[index] = new Map();
    this.retracted[index] = new Map();
    node.onReceive = (peer, id, bytes) => {
      const from = this.net.nodes.findIndex((each) => each.id === peer);
      const at = this.retracted[from]?.get(id);
      // On its way when it was retracted: an inline artifact for one delay, a fetch that had begun until it is given up.
      if (at !== undefined)
        assert.ok(this.net.network.now - at < 6n * SECOND, `${id} came long after it was retracted`);
      if (this.#isRelaying && !this.active[index]?.has(id)) this.publish(index, { id, bytes });
    };
  }

  publish(index: number, published: Published, origin?: ArtifactOrigin): void {
    this.active[index]?.set(published.id, published);
    this.retracted[index]?.delete(published.id);
    this.net.node(index).taken.set(published.id, published.bytes);
    this.net.node(index).gossip.publish(published.id, published.bytes, origin);
  }

  /** By some of the nodes, each by itself. */
  publishAggregate(length: number): void {
    const bytes = artifact(length, ++this.#mark);
    for (let index = 0; index < NODES; index++)
      if (this.below(4) > 0) this.publish(index, { id: idOf(bytes), bytes }, "aggregate");
  }

  publishNew(index: number, length: number): void {
    const bytes = artifact(length, ++this.#mark);
    this.publish(index, { id: idOf(bytes), bytes });
  }

  retract(index: number, id: string): void {
    this.active[index]?.delete(id);
    this.retracted[index]?.set(id, this.net.network.now);
    this.net.node(index).gossip.retract(id);
  }

  below(count: number): number {
    return Math.floor(this.net.random() * count);
  }

  doSomething(): void {
    const index = this.below(NODES);
    const other = (index + 1 + this.below(NODES - 1)) % NODES;
    const [a, b] = [this.net.node(index).id, this.net.node(other).id];
    const dice = this.net.random();
    if (dice < 0.2) {
      this.publishAggregate(this.net.random() < 0.9 ? 8 + this.below(1017) : 1025 + this.below(5000));
    } else if (dice < 0.5) {
      const length = this.net.random() < 0.7 ? 8 + this.below(1017) : 1025 + this.below(700_000);
      this.publishNew(index, length);
    } else if (dice < 0.55) {
      for (let i = 0; i < 40; i++) this.publishNew(index, 8 + this.below(1017));
    } else if (dice < 0.85) {
      const ids = [...(this.active[index]?.keys() ?? [])];
      const id = ids[this.below(ids.length)];
      if (id !== undefined) this.retract(index, id);
    } else if (dice < 0.92) {
      this.net.network.disconnect(a, b);
    } else if (dice < 0.98) {
      this.net.network.cut(a, b, this.net.random() < 0.5);
    } else {
      this.start(index);
      this.net.connectAll();
    }
  }

  heal(): void {
    for (const { id: a } of this.net.nodes) {
      for (const { id: b } of this.net.nodes) if (a < b) this.net.network.cut(a, b, false);
    }
  }
}

test("what is active in the end reaches every peer, whatever the network did, and nothing else is kept", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = new Run(seed);
    for (let i = 0; i < STEPS; i++) {
      run.doSomething();
      run.net.run(BigInt(run.below(200)) * MS);
    }
    run.heal();
    // Frames still get lost while the rest arrives.
    run.net.run(200n * SECOND);
    checkArrived(run, `seed ${seed}`);
    for (const [index, active] of run.active.entries()) {
      for (const id of [...active.keys()].filter(() => run.net.random() < 0.5)) run.retract(index, id);
    }
    run.net.run(900n * SECOND);
    checkBounds(run, `seed ${seed}`);
  }
});

function checkArrived(run: Run, seed: string): void {
  for (const [index, node] of run.net.nodes.entries()) {
    assert.equal(node.gossip.peers().length, NODES - 1, `${seed}: node ${index} is connected`);
    for (const [from, active] of run.active.entries()) {
      for (const id of active.keys()) assert.ok(node.taken.has(id), `${seed}: ${index} lacks ${id} of ${from}`);
    }
  }
}

function checkBounds(run: Run, seed: string): void {
  for (const [index, node] of run.net.nodes.entries()) {
    for (const { backlog } of node.gossip.statistics().values())
      assert.equal(backlog, 0, `${seed}: nothing is to be sent`);
    const others = run.active.filter((_, from) => from !== index);
    const offered = new Set(others.flatMap((active) => [...active.keys()]));
    assert.ok(node.gossip.size().offeredIds <= offered.size, `${seed}: only what is active is known`);
  }
}
