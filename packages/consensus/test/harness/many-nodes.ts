// Several nodes in one process: virtual time, one seed, messages that are late and get lost and are sent again until they are
// retracted. What each node signs and takes for settled is watched by the safety rules of section 24.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import {
  type ArtifactId,
  artifactCodec,
  blockHash,
  blockMetadataBytes,
  type ConsensusCrypto,
  type ConsensusEvent,
  type ConsensusNode,
  type DkgTag,
  encodeArtifact,
  genesisCatchUpPackage,
  highThreshold,
  type Instant,
  lowThreshold,
  openConsensus,
  type StepResult,
} from "@atoll/consensus";
import { type LightWorld, lightCrypto, lightNodeRecord, lightTranscript } from "@atoll/simulator/light-crypto";
import { type CrashKind, MachineStopped, MemoryStorage } from "@atoll/state/store/memory-storage";
import {
  type ConsensusSettings,
  DEFAULT_CONSENSUS_SETTINGS,
  EnvironmentError,
  type PrincipalId,
  type RegistryRecord,
} from "@atoll/types";
import { decodeWire } from "@atoll/types/wire";
import { SafetyRules } from "./safety-rules.ts";
import { type ToyArchive, ToyNode } from "./toy-node.ts";

const MS = 1_000_000n;
const SETTINGS: ConsensusSettings = {
  ...DEFAULT_CONSENSUS_SETTINGS,
  unitDelay: 200n * MS,
  initialNotaryDelay: 60n * MS,
  dkgIntervalLength: 9,
  dkgDealingsPerBlock: 4,
  minimumChainLength: 20,
  backlogDelay: 400n * MS,
  cupHoldBack: 3_000n * MS,
  registryStableAge: 0n,
};

const world: LightWorld = {
  secret: new Uint8Array(32).fill(7),
  // By way of a string, which is three times faster than a buffer.
  sha256(data) {
    const text = hash("sha256", data, "latin1");
    const bytes = new Uint8Array(32);
    for (let i = 0; i < 32; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  },
};
const SUBNET = "5b" as PrincipalId;
const START = 1_700_000_000_000_000_000n;

export interface SubnetOptions {
  readonly nodes?: number;
  readonly seed?: number;
  readonly settings?: Partial<ConsensusSettings>;
  /** Of a message, in ns. */
  readonly delay?: (random: () => number) => bigint;
  /** Chance that a message has to be sent again. */
  readonly loss?: number;
}

interface Published {
  readonly bytes: Uint8Array;
}

export interface TestNode {
  readonly id: PrincipalId;
  readonly storage: MemoryStorage;
  toy: ToyNode;
  consensus: ConsensusNode | undefined;
  /** What it broadcasts now. */
  readonly slots: Map<ArtifactId, Published>;
  wakeAt: bigint;
  /** Times that were set for its next step: only the last one counts. */
  turns: number;
  /** Added to its wall clock. */
  skew: bigint;
}

export class TestSubnet {
  now = 0n;
  readonly nodes: TestNode[];
  readonly rules = new SafetyRules();
  readonly record: RegistryRecord;
  readonly events: { readonly node: number; readonly at: bigint; readonly event: ConsensusEvent }[] = [];
  /** After each step a node is asked whether it has forgotten anything. */
  asksAgain = false;
  keepEvents = false;
  /** How often a node combined shares of a threshold signature. */
  combinations = 0;
  /** Steps that could not be written. */
  failures = 0;
  /** Whether a message may pass now. */
  isLinked: (from: number, to: number) => boolean = () => true;
  /** What a node sends instead of an artifact; undefined: as it is. */
  tamper: ((from: number, to: number, id: ArtifactId, bytes: Uint8Array) => Uint8Array | undefined) | undefined;
  readonly random: () => number;
  readonly #options: SubnetOptions;
  readonly #archive: ToyArchive = new Map();
  readonly #queue: { at: bigint; order: number; run: () => void }[] = [];
  #order = 0;

  constructor(options: SubnetOptions = {}) {
    this.#options = options;
    this.random = seeded(options.seed ?? 1);
    const ids = Array.from(
      { length: options.nodes ?? 4 },
      (_, i) => `a${i.toString(16).padStart(3, "0")}` as PrincipalId,
    );
    this.record = {
      version: 1,
      subnetId: SUBNET,
      nodes: ids.map((id) => lightNodeRecord(world, id)),
      settings: { ...SETTINGS, ...options.settings },
      protocolVersion: "test",
      haltAtCupHeight: false,
      isHalted: false,
    };
    this.nodes = ids.map((id) => ({
      id,
      storage: new MemoryStorage(),
      toy: new ToyNode(world.sha256, this.#archive),
      consensus: undefined,
      slots: new Map(),
      wakeAt: 0n,
      turns: 0,
      skew: 0n,
    }));
    for (const index of ids.keys()) this.start(index);
  }

  node(index: number): TestNode {
    return this.nodes[index] as TestNode;
  }

  running(index: number): ConsensusNode {
    const { consensus } = this.node(index);
    assert.ok(consensus !== undefined, `node ${index} is not running`);
    return consensus;
  }

  finalized(index: number): number {
    return this.running(index).status().finalizedHeight;
  }

  /** The genesis that all nodes begin with. */
  genesis() {
    const receivers = this.record.nodes.map(({ nodeId }) => nodeId);
    const transcript = (tag: DkgTag, threshold: number) =>
      lightTranscript(world, {
        // A target keeps it apart from the key that the first interval makes.
        dkgId: { startHeight: 0, dealerSubnet: SUBNET, tag, target: new Uint8Array(32) },
        receivers,
        threshold,
        registryVersion: 1,
      });
    const { length } = receivers;
    return genesisCatchUpPackage({
      record: this.record,
      time: START,
      low: transcript("low", lowThreshold(length)),
      high: transcript("high", highThreshold(length)),
    });
  }

  start(index: number): void {
    const node = this.node(index);
    const { toy } = node;
    let nonce = index;
    const entropy = {
      randomBytes: (length: number) => world.sha256(Uint8Array.of(index, ++nonce & 255, nonce >> 8)).slice(0, length),
    };
    node.consensus = openConsensus(
      {
        self: node.id,
        subnetId: SUBNET,
        protocolVersion: "test",
        genesis: this.genesis(),
        onEvent: (event) => this.#note(index, event),
      },
      {
        crypto: this.#counted(lightCrypto(world, node.id, entropy)),
        registry: {
          latestVersion: () => 1,
          record: (version) => (version === 1 ? this.record : undefined),
          knownSince: () => 0n,
        },
        state: toy,
        batches: toy,
        payloads: toy,
      },
      { storage: node.storage, log: { log: () => {} } },
    );
    node.slots.clear();
    for (const { id, bytes } of node.consensus.published()) this.#publish(index, id, bytes);
    // A new connection: what it was sent before it may have lost.
    for (const [from, { slots }] of this.nodes.entries())
      if (from !== index) for (const [id, slot] of slots) this.#send(from, index, id, slot);
    this.#wake(index, this.now);
  }

  #counted(crypto: ConsensusCrypto): ConsensusCrypto {
    return {
      ...crypto,
      combineThreshold: (...args) => {
        this.combinations++;
        return crypto.combineThreshold(...args);
      },
    };
  }

  /** The state is durable of its own accord; the pool is what this is about. */
  crash(index: number, keep: CrashKind): void {
    const node = this.node(index);
    node.consensus = undefined;
    node.slots.clear();
    node.storage.crash({ keep, random: (below) => Math.floor(this.random() * below) });
  }

  /** Until the time has passed, or `until` holds. */
  run(ms: number, until: () => boolean = () => false): boolean {
    const end = this.now + BigInt(ms) * MS;
    for (;;) {
      if (until()) return true;
      const next = this.#pop(end);
      if (next === undefined) break;
      this.now = next.at;
      next.run();
    }
    this.now = end;
    return until();
  }

  instant(index: number): Instant {
    return { wall: START + this.now + this.node(index).skew, monotonic: this.now };
  }

  /** The same block at a later time, signed by the same node. */
  anotherBlock(index: number, bytes: Uint8Array): Uint8Array {
    const artifact = decodeWire(artifactCodec, bytes);
    assert.ok(artifact.kind === "block-proposal");
    const { block: first, signer } = artifact;
    const block = { ...first, context: { ...first.context, time: first.context.time + 1n } };
    const { protocolVersion, height } = block;
    const metadata = { protocolVersion, height, blockHash: blockHash(block), subnetId: SUBNET };
    const crypto = lightCrypto(world, this.node(index).id, { randomBytes: (length) => new Uint8Array(length) });
    const signature = crypto.signBasic(blockMetadataBytes(metadata));
    return encodeArtifact({ kind: "block-proposal", block, signer, signature });
  }

  #note(index: number, event: ConsensusEvent): void {
    this.rules.check(index, event);
    if (this.keepEvents) this.events.push({ node: index, at: this.now, event });
  }

  #step(index: number): void {
    const node = this.node(index);
    if (node.consensus === undefined) return;
    let result: StepResult;
    try {
      result = node.consensus.step(this.instant(index));
    } catch (failure) {
      this.#afterFailure(index, failure);
      return;
    }
    const { published, retracted, wakeAt } = result;
    if (this.asksAgain && wakeAt > this.now) this.#askAgain(index, node.consensus);
    for (const id of retracted) node.slots.delete(id);
    for (const { id, bytes } of published) this.#publish(index, id, bytes);
    this.#wake(index, wakeAt > this.now ? wakeAt : this.now + 1n);
  }

  /** Called again before its time a node asks every role, whatever has changed. Only dealings are made one by one. */
  #askAgain(index: number, consensus: ConsensusNode): void {
    const { published, retracted } = consensus.step(this.instant(index));
    const ids = [...published.map(({ id }) => id), ...retracted].filter((id) => !id.startsWith("dkg-dealing/"));
    for (const { id, bytes } of published) this.#publish(index, id, bytes);
    assert.deepEqual(ids, [], `node ${index} had more to say at ${this.now} ns`);
  }

  /** A machine that stopped starts again later; one whose disk is full tries again. */
  #afterFailure(index: number, failure: unknown): void {
    if (failure instanceof MachineStopped) {
      this.crash(index, this.random() < 0.5 ? "torn" : "synced");
      this.#schedule(this.now + 100n * MS, () => {
        if (this.node(index).consensus === undefined) this.start(index);
      });
      return;
    }
    if (!(failure instanceof EnvironmentError)) throw failure;
    this.failures++;
    this.#wake(index, this.now + 50n * MS);
  }

  #wake(index: number, at: bigint): void {
    const node = this.node(index);
    node.wakeAt = at;
    const turn = ++node.turns;
    this.#schedule(at, () => {
      if (node.turns === turn) this.#step(index);
    });
  }

  #publish(from: number, id: ArtifactId, bytes: Uint8Array): void {
    const slot = { bytes };
    this.node(from).slots.set(id, slot);
    for (const to of this.nodes.keys()) if (to !== from) this.#send(from, to, id, slot);
  }

  #send(from: number, to: number, id: ArtifactId, slot: Published): void {
    const delay = this.#options.delay ?? ((random) => BigInt(5 + Math.floor(random() * 10)) * MS);
    this.#schedule(this.now + delay(this.random), () => {
      const sender = this.node(from);
      if (sender.slots.get(id) !== slot) return;
      if (!this.#deliver(from, to, id, slot)) this.#schedule(this.now + 50n * MS, () => this.#send(from, to, id, slot));
    });
  }

  #deliver(from: number, to: number, id: ArtifactId, { bytes }: Published): boolean {
    const receiver = this.node(to);
    if (receiver.consensus === undefined || !this.isLinked(from, to)) return false;
    if (this.random() < (this.#options.loss ?? 0)) return false;
    const content = this.tamper?.(from, to, id, bytes) ?? bytes;
    const answer = receiver.consensus.receive(this.node(from).id, content, this.instant(to));
    // Everything that comes at the same time is looked at together.
    if (answer === "taken" && receiver.wakeAt > this.now) this.#wake(to, this.now);
    return answer !== "unwanted";
  }

  #schedule(at: bigint, run: () => void): void {
    const event = { at, order: this.#order++, run };
    const queue = this.#queue;
    let place = queue.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (isBefore(queue[parent] as typeof event, event)) break;
      queue[place] = queue[parent] as typeof event;
      place = parent;
    }
    queue[place] = event;
  }

  #pop(end: bigint) {
    const queue = this.#queue;
    const first = queue[0];
    if (first === undefined || first.at > end) return undefined;
    const last = queue.pop() as typeof first;
    if (queue.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= queue.length) break;
      const right = queue[child + 1];
      if (right !== undefined && isBefore(right, queue[child] as typeof first)) child++;
      if (isBefore(last, queue[child] as typeof first)) break;
      queue[place] = queue[child] as typeof first;
      place = child;
    }
    queue[place] = last;
    return first;
  }
}

function isBefore(a: { at: bigint; order: number }, b: { at: bigint; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
