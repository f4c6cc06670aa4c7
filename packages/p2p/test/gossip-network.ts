// Nodes with gossip and a pool of bytes each, in a network in memory: what the tests of the broadcast run.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type PeerHandler, type PrincipalId, principalFromBytes, type Time } from "@atoll/types";
import { Gossip } from "../src/gossip.ts";
import type { GossipLimits } from "../src/limits.ts";
import { MemoryNetwork, type MemoryNetworkOptions } from "../src/memory-transport.ts";
import { decodeFrame, encodeFrame, type Frame, type Message, SESSION_BYTES } from "../src/messages.ts";

export const MS: Time = 1_000_000n;
export const SECOND: Time = 1000n * MS;

export interface TestNode {
  readonly id: PrincipalId;
  readonly gossip: Gossip;
  /** What was received and taken, by id; how often each came. */
  readonly taken: Map<string, Uint8Array>;
  readonly times: Map<string, number>;
  /** Artifacts that the handler was asked to name. */
  named: number;
  /** How many artifacts of a frame the handler was shown that it had not received before. */
  readonly prepared: number[];
  /** Ids that the handler does not want now. */
  readonly unwanted: Set<string>;
  /** Peers of whom everything is invalid. */
  readonly invalidFrom: Set<PrincipalId>;
  serve: PeerHandler["serve"];
  /** Told of what was taken. */
  onReceive: (peer: PrincipalId, id: string, artifact: Uint8Array) => void;
  wakeAt: Time;
}

export interface RawPeer {
  readonly id: PrincipalId;
  isConnected: boolean;
  readonly received: Message[];
  onFrame: (frame: Frame) => void;
  onMessage: (message: Message) => void;
  send(to: TestNode, messages: readonly Message[], session?: Uint8Array): boolean;
  sendBytes(to: TestNode, bytes: Uint8Array): boolean;
}

const RAW_SESSION = new Uint8Array(SESSION_BYTES).fill(7);

export const idOf = (artifact: Uint8Array) => `test/${createHash("sha256").update(artifact).digest("hex")}`;

/** Numbers of a seeded sequence in [0, 1). */
export function seeded(seed: number): () => number {
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
      named: 0,
      prepared: [],
      unwanted: new Set(),
      invalidFrom: new Set(),
      serve: () => undefined,
      onReceive: () => undefined,
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
    let turns = 0;
    for (;;) {
      for (const node of this.nodes) if (node.wakeAt <= this.network.now) step(node);
      // A node that always has something to do never lets time pass.
      assert.ok(++turns < 100_000, "nodes rest");
      if (this.nodes.some((node) => node.wakeAt <= this.network.now)) continue;
      const times = [end, this.network.nextTime() ?? end, ...this.nodes.map(({ wakeAt }) => wakeAt)];
      const next = times.reduce((a, b) => (b < a ? b : a));
      this.network.advance(next);
      if (next >= end) return;
    }
  }

  /** A peer of the test's own making, connected to the nodes there are. */
  startRaw(index: number): RawPeer {
    const id = nodeId(index);
    const transport = this.network.join(id);
    const peer: RawPeer = {
      id,
      isConnected: false,
      received: [],
      onFrame: () => undefined,
      onMessage: () => undefined,
      send: (to, messages, session = RAW_SESSION) => transport.send(to.id, encodeFrame({ session, messages })),
      sendBytes: (to, bytes) => transport.send(to.id, bytes),
    };
    transport.start({
      onConnected: () => {
        peer.isConnected = true;
      },
      onDisconnected: () => {
        peer.isConnected = false;
      },
      onFrame: (_from, bytes) => {
        const frame = decodeFrame(bytes);
        if (frame === undefined) return;
        peer.onFrame(frame);
        for (const message of frame.messages) {
          peer.received.push(message);
          peer.onMessage(message);
        }
      },
      onWritable: () => undefined,
    });
    transport.setPeers(this.nodes.map((node) => node.id));
    for (const { gossip } of this.nodes) gossip.setPeers([...this.nodes.map((node) => node.id), id]);
    this.run(10n * MS);
    return peer;
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
    prepare: (_peer, artifacts) => {
      node.prepared.push(artifacts.filter((artifact) => !node.times.has(idOf(artifact))).length);
    },
    idOf: (bytes) => {
      node.named++;
      return idOf(bytes);
    },
    wants: (id) => !node.unwanted.has(id) && !node.taken.has(id),
    serve: (peer, question) => node.serve(peer, question),
    receive(peer, id, artifact) {
      if (node.invalidFrom.has(peer)) return "invalid";
      node.times.set(id, (node.times.get(id) ?? 0) + 1);
      if (artifact[0] === 0xbd) return "invalid";
      if (node.unwanted.has(id)) return "unwanted";
      node.taken.set(id, artifact);
      node.onReceive(peer, id, artifact);
      return "taken";
    },
  };
}

export function artifact(length: number, mark: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(mark & 127);
  new DataView(bytes.buffer).setUint32(Math.min(1, length - 4), mark);
  return bytes;
}
