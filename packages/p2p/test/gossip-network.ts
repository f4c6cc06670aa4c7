// Nodes with gossip and a pool of bytes each, in a network in memory: what the tests of the broadcast run.
import { createHash } from "node:crypto";
import { type PeerHandler, type PrincipalId, principalFromBytes, type Time } from "@atoll/types";
import { Gossip } from "../src/gossip.ts";
import type { GossipLimits } from "../src/limits.ts";
import { MemoryNetwork, type MemoryNetworkOptions } from "../src/memory-transport.ts";

export const MS: Time = 1_000_000n;
export const SECOND: Time = 1000n * MS;

export interface TestNode {
  readonly id: PrincipalId;
  readonly gossip: Gossip;
  /** What was received and taken, by id; how often each came. */
  readonly taken: Map<string, Uint8Array>;
  readonly times: Map<string, number>;
  /** Ids that the handler does not want now. */
  readonly unwanted: Set<string>;
  serve: PeerHandler["serve"];
  wakeAt: Time;
}

export const idOf = (artifact: Uint8Array) => `test/${createHash("sha256").update(artifact).digest("hex")}`;

/** Numbers of a seeded sequence in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const nodeId = (index: number) => principalFromBytes(Uint8Array.of(index + 1, 2));

export const CALM = { minDelay: 1n * MS, maxDelay: 1n * MS, loss: 0, repetition: 0, window: 1 << 22 };

export class GossipNetwork {
  readonly network: MemoryNetwork;
  readonly nodes: TestNode[] = [];
  readonly random: () => number;
  readonly #limits: Partial<GossipLimits>;

  constructor(seed: number, faults: Omit<MemoryNetworkOptions, "random">, limits: Partial<GossipLimits> = {}) {
    this.random = seeded(seed);
    this.network = new MemoryNetwork({ ...faults, random: this.random });
    this.#limits = limits;
  }

  /** Starts a node, or starts it again with nothing. */
  start(index: number): TestNode {
    const { network, random } = this;
    const id = nodeId(index);
    const transport = network.join(id);
    const gossip = new Gossip(
      { self: id, limits: this.#limits },
      {
        transport,
        entropy: { randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)) },
        now: () => network.now,
      },
    );
    const node: TestNode = {
      id,
      gossip,
      taken: new Map(),
      times: new Map(),
      unwanted: new Set(),
      serve: () => undefined,
      wakeAt: network.now,
    };
    gossip.onWork = () => {
      node.wakeAt = network.now;
    };
    transport.start(gossip);
    gossip.start(handlerOf(node));
    this.nodes[index] = node;
    return node;
  }

  connectAll(): void {
    const ids = this.nodes.map(({ id }) => id);
    for (const { gossip } of this.nodes) gossip.setPeers(ids);
  }

  /** Lets the virtual time pass. */
  run(duration: Time): void {
    const end = this.network.now + duration;
    for (;;) {
      for (const node of this.nodes) if (node.wakeAt <= this.network.now) step(node);
      if (this.nodes.some((node) => node.wakeAt <= this.network.now)) continue;
      const times = [end, this.network.nextTime() ?? end, ...this.nodes.map(({ wakeAt }) => wakeAt)];
      const next = times.reduce((a, b) => (b < a ? b : a));
      this.network.advance(next);
      if (next >= end) return;
    }
  }

  node(index: number): TestNode {
    return this.nodes[index] as TestNode;
  }
}

function step(node: TestNode): void {
  node.wakeAt = 1n << 62n;
  const next = node.gossip.step();
  if (next < node.wakeAt) node.wakeAt = next;
}

function handlerOf(node: TestNode): PeerHandler {
  return {
    idOf,
    wants: (id) => !node.unwanted.has(id) && !node.taken.has(id),
    serve: (peer, question) => node.serve(peer, question),
    receive(_peer, id, artifact) {
      node.times.set(id, (node.times.get(id) ?? 0) + 1);
      if (artifact[0] === 0xbd) return "invalid";
      if (node.unwanted.has(id)) return "unwanted";
      node.taken.set(id, artifact);
      return "taken";
    },
  };
}

export function artifact(length: number, mark: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(mark & 127);
  new DataView(bytes.buffer).setUint32(Math.min(1, length - 4), mark);
  return bytes;
}
