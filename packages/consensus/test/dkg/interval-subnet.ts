// A subnet of whole consensus nodes for tests of intervals: virtual time, a network that loses nothing, and a state that is a
// chain of hashes, certified and put into catch-up packages like a real one. What is under test is none of this.
import {
  type Artifact,
  type CatchUpPackage,
  type Certification,
  type ConsensusCrypto,
  type ConsensusEvent,
  type ConsensusNode,
  type ConsensusPorts,
  type DeliveredBatch,
  openConsensus,
  type RemoteDkgRequest,
  type RemoteDkgResult,
} from "@atoll/consensus";
import { sha256 } from "@atoll/crypto/sha";
import { applyChanges, EMPTY_TREE, type Labels, rootHash, witness } from "@atoll/state/hash-tree";
import { MemoryStorage } from "@atoll/state/store/memory-storage";
import {
  encodeHashTree,
  type Height,
  type PrincipalId,
  type RegistryPort,
  type RegistryRecord,
  type Time,
  toHex,
} from "@atoll/types";

const TICK: Time = 10_000_000n;
const START: Time = 1_700_000_000_000_000_000n;
const METADATA_HEIGHT = ["metadata", "height"].map((label) => new TextEncoder().encode(label));
const CONTENT = [new TextEncoder().encode("content")];

/** Versions that all nodes know from the moment they are there. */
export class SharedRegistry implements RegistryPort {
  readonly #records: { readonly record: RegistryRecord; readonly since: Time }[] = [];

  publish(record: RegistryRecord, now: Time): void {
    this.#records.push({ record, since: now });
  }
  latestVersion(): number {
    return this.#records.at(-1)?.record.version ?? 0;
  }
  record(version: number): RegistryRecord | undefined {
    return this.#records.find(({ record }) => record.version === version)?.record;
  }
  knownSince(version: number): Time | undefined {
    return this.#records.find(({ record }) => record.version === version)?.since;
  }
}

interface StateAt {
  readonly height: Height;
  readonly tree: Labels;
  readonly requests: readonly RemoteDkgRequest[];
}

/** What the replica would be. All batches are executed at once. */
class HashChainState {
  readonly delivered: DeliveredBatch[] = [];
  readonly results: { readonly height: Height; readonly result: RemoteDkgResult }[] = [];
  /** Of certifications that came. */
  readonly signatures = new Map<Height, Certification>();
  fetching: { readonly height: Height; readonly stateHash: Uint8Array } | undefined;
  divergedAt: Height | undefined;
  /** Nothing is executed for the time being. */
  isPaused = false;
  /** Hashes of states are not there yet. */
  isHashing = false;
  /** Requests by the height in whose state they first wait. */
  asked: ReadonlyMap<Height, RemoteDkgRequest> = new Map();
  #states: StateAt[];
  #certified: Height;

  constructor(height: Height) {
    this.#states = [stateAt(height, new Uint8Array(32), [])];
    this.#certified = height;
  }

  get top(): StateAt {
    return this.#states.at(-1) as StateAt;
  }

  stateOf(height: Height): StateAt | undefined {
    return this.#states.find((state) => state.height === height);
  }

  /** Something on this machine goes wrong: the newest state, and all that follow from it, are others. */
  corrupt(): void {
    const { height, requests } = this.top;
    this.#states[this.#states.length - 1] = stateAt(height, new Uint8Array(32).fill(66), requests);
  }

  /** As state sync does it. */
  takeOver(other: StateAt): void {
    this.#states = [other];
    this.#certified = other.height;
    this.fetching = undefined;
  }

  readonly port: ConsensusPorts["state"] = {
    executedHeight: () => this.top.height,
    certifiedHeight: () => this.#certified,
    toCertify: () =>
      this.#states
        .filter(({ height }) => height > this.#certified)
        .map(({ height, tree }) => ({
          height,
          rootHash: rootHash(tree, sha256),
          witness: encodeHashTree(witness(tree, [METADATA_HEIGHT], sha256)),
        })),
    rootHash: (height) => {
      const state = this.stateOf(height);
      return state && rootHash(state.tree, sha256);
    },
    certified: (certification) => {
      this.signatures.set(certification.height, certification);
      while (this.#certified < this.top.height && this.signatures.has(this.#certified + 1)) this.#certified++;
    },
    stateHash: (height) => {
      const state = this.stateOf(height);
      return height === 0 || state === undefined || this.isHashing ? undefined : stateHashOf(state);
    },
    stateHashes: () => (this.isHashing ? 0 : this.top.height),
    remoteDkgRequests: (height) => this.stateOf(height)?.requests,
    fetchState: (height, stateHash) => {
      this.fetching = { height, stateHash };
    },
    diverged: (height) => {
      this.divergedAt ??= height;
    },
  };

  readonly batches: ConsensusPorts["batches"] = {
    expected: () => this.top.height + 1,
    room: () => (this.isPaused ? 0 : 16),
    deliver: (batch) => this.#execute(batch),
  };

  #execute(batch: DeliveredBatch): void {
    this.delivered.push(batch);
    const before = this.top;
    for (const result of batch.remoteDkgs) this.results.push({ height: batch.height, result });
    const answered = new Set(batch.remoteDkgs.map(({ dkgId }) => toHex(dkgId.target ?? new Uint8Array())));
    const asked = this.asked.get(batch.height);
    const requests = before.requests.filter(({ target }) => !answered.has(toHex(target)));
    const content = sha256(
      Uint8Array.of(...rootHash(before.tree, sha256), ...batch.randomness, ...(batch.batch ?? [])),
    );
    this.#states.push(stateAt(batch.height, content, asked === undefined ? requests : [...requests, asked]));
    if (this.#states.length > 200) this.#states.shift();
  }
}

function stateAt(height: Height, content: Uint8Array, requests: readonly RemoteDkgRequest[]): StateAt {
  const changes = [
    { path: METADATA_HEIGHT, value: leb128(height) },
    { path: CONTENT, value: content },
  ];
  return { height, tree: applyChanges(EMPTY_TREE, changes), requests };
}

function stateHashOf({ tree }: StateAt): Uint8Array {
  return sha256(Uint8Array.of(1, ...rootHash(tree, sha256)));
}

function leb128(value: number): Uint8Array {
  return value < 128 ? Uint8Array.of(value) : Uint8Array.of((value & 127) | 128, ...leb128(value >> 7));
}

export interface TestNode {
  readonly id: PrincipalId;
  readonly crypto: ConsensusCrypto;
  readonly state: HashChainState;
  readonly events: ConsensusEvent[];
  readonly consensus: ConsensusNode;
  readonly published: Map<string, { readonly artifact: Artifact; readonly bytes: Uint8Array }>;
  /** By peer: what it need not be offered any more. */
  readonly taken: Map<PrincipalId, Set<string>>;
}

export interface NodeOptions {
  readonly id: PrincipalId;
  readonly crypto: ConsensusCrypto;
  readonly genesis: CatchUpPackage;
  readonly protocolVersion?: string;
  readonly state?: HashChainState;
  /** What its peers have shown of the registry so far. */
  readonly ports?: { readonly isRegistryCompared: boolean };
}

export class IntervalSubnet {
  readonly registry: SharedRegistry;
  readonly subnetId: PrincipalId;
  readonly nodes = new Map<PrincipalId, TestNode>();
  /** Artifacts for which it says false are not delivered. */
  isDelivered: (from: PrincipalId, artifact: Artifact) => boolean = () => true;
  #elapsed: Time = 0n;

  constructor(subnetId: PrincipalId, registry: SharedRegistry) {
    this.subnetId = subnetId;
    this.registry = registry;
  }

  get now(): { readonly wall: Time; readonly monotonic: Time } {
    return { wall: START + this.#elapsed, monotonic: this.#elapsed };
  }

  start({
    id,
    crypto,
    genesis,
    protocolVersion = "0.1.0",
    state = new HashChainState(genesis.height),
    ports = { isRegistryCompared: true },
  }: NodeOptions): TestNode {
    const events: ConsensusEvent[] = [];
    const payloads: ConsensusPorts["payloads"] = {
      build: (height) => Uint8Array.of(height & 255),
      validate: (height, batch) => (batch[0] === (height & 255) ? "valid" : "invalid"),
    };
    const consensus = openConsensus(
      { self: id, subnetId: this.subnetId, protocolVersion, genesis, onEvent: (event) => events.push(event) },
      {
        ...{ crypto, registry: this.registry, state: state.port, batches: state.batches, payloads },
        isRegistryCompared: () => ports.isRegistryCompared,
      },
      { storage: new MemoryStorage(), log: { log: () => {} } },
    );
    const node: TestNode = { id, crypto, state, events, consensus, published: new Map(), taken: new Map() };
    for (const { id: name, artifact, bytes } of consensus.published()) node.published.set(name, { artifact, bytes });
    this.nodes.set(id, node);
    return node;
  }

  stop(id: PrincipalId): void {
    this.nodes.get(id)?.consensus.close();
    this.nodes.delete(id);
  }

  /** Until all running nodes have executed `height`. Throws when they do not get there. */
  runTo(height: Height, which: readonly PrincipalId[] = [...this.nodes.keys()]): void {
    this.runUntil(
      () => which.every((id) => (this.nodes.get(id)?.state.top.height ?? 0) >= height),
      () => `height ${height}; they are at ${which.map((id) => this.nodes.get(id)?.state.top.height).join(", ")}`,
    );
  }

  runUntil(isDone: () => boolean, goal: () => string, ticks = 20_000): void {
    for (let i = 0; i < ticks; i++) {
      if (isDone()) return;
      this.tick();
    }
    throw new Error(`the subnet does not get to ${goal()}`);
  }

  tick(): void {
    this.#elapsed += TICK;
    for (const node of this.nodes.values())
      for (const peer of this.nodes.values()) if (peer !== node) this.#offer(node, peer);
    for (const node of this.nodes.values()) {
      const { published, retracted } = node.consensus.step(this.now);
      for (const { id, artifact, bytes } of published) node.published.set(id, { artifact, bytes });
      for (const id of retracted) node.published.delete(id);
    }
  }

  #offer(from: TestNode, to: TestNode): void {
    const taken = from.taken.get(to.id) ?? new Set();
    from.taken.set(to.id, taken);
    for (const [id, { artifact, bytes }] of from.published) {
      if (taken.has(id) || !this.isDelivered(from.id, artifact)) continue;
      if (to.consensus.receive(from.id, bytes, this.now) !== "unwanted") taken.add(id);
    }
    for (const id of taken) if (!from.published.has(id)) taken.delete(id);
  }
}

/** State sync: a node gets the state that it waits for from another that has it. */
export function syncState(subnet: IntervalSubnet, node: TestNode): boolean {
  const wanted = node.state.fetching;
  if (wanted === undefined) return false;
  for (const other of subnet.nodes.values()) {
    const found = other === node ? undefined : other.state.stateOf(wanted.height);
    if (found === undefined || toHex(stateHashOf(found)) !== toHex(wanted.stateHash)) continue;
    node.state.takeOver(found);
    return true;
  }
  return false;
}
