// A node with real consensus and next to no state: what it executes is mixed into one hash, which is its state. For many runs
// that are about agreement alone; the main fleet are whole replicas. What it keeps on its disk is the state at summary heights;
// between those it executes again what the pool still has, or takes over the state of another node.
import {
  type Certification,
  type ConsensusNode,
  type DeliveredBatch,
  decodeArtifact,
  type Hash,
  type OpenConsensus,
  originOf,
  type StatePort,
  type StateToCertify,
  type StepResult,
} from "@atoll/consensus";
import { concatBytes, equalBytes, reconstructRoot } from "@atoll/crypto";
import { RegistryExchange } from "@atoll/replica/consensus/registry-exchange";
import {
  encodeHashTree,
  encodeLeb128,
  type HashTree,
  type Height,
  type PeerHandler,
  type PrincipalId,
  toHex,
} from "@atoll/types";
import { decodeWire, encodeWire, fixedBytes, record, u64, uint } from "@atoll/types/wire";
import type { CoreParts, MakeCore, NodeCore } from "./node-core.ts";
import type { Scheduler } from "./scheduler.ts";

interface CountingState {
  readonly height: Height;
  readonly time: bigint;
  readonly content: Hash;
}

const stateCodec = record<CountingState>({ height: uint(), time: u64, content: fixedBytes(32) });

interface CountingPorts {
  readonly scheduler: Scheduler;
  readonly openConsensus: OpenConsensus;
  sha256(data: Uint8Array): Uint8Array;
}

interface CorePorts extends CountingPorts {
  /** What nodes sign of a state. */
  certifiable(height: Height, content: Hash): StateToCertify;
}

/** First bytes of questions. */
const ABOUT_REGISTRY = 0;
const ABOUT_STATE = 1;
const QUEUE = 16;
/** Heights whose roots are known below the certified one. */
const KEPT = 200;
const MAX_BATCH_BYTES = 64;
const FETCH_NS = 100_000_000;
/** States of which it is remembered what is signed of them. */
const KEPT_STATES = 256;

export function countingCores(ports: CountingPorts): MakeCore {
  const certifiable = certifiableStates(ports.sha256);
  return (parts) => new CountingCore(parts, { ...ports, certifiable });
}

class CountingCore implements NodeCore, StatePort {
  readonly backend = undefined;
  readonly peerHandler: PeerHandler;
  onWork: (() => void) | undefined;
  readonly #parts: CoreParts;
  readonly #ports: CorePorts;
  readonly #registry: RegistryExchange;
  #consensus: ConsensusNode | undefined;
  #state: CountingState = { height: 0, time: 0n, content: new Uint8Array(32) };
  #certified: Height = 0;
  readonly #waiting: DeliveredBatch[] = [];
  #isExecuting = false;
  #hasWork = true;
  /** Monotonic. */
  #wakeAt = 0n;
  readonly #roots = new Map<Height, StateToCertify>();
  readonly #ahead = new Map<Height, Certification>();
  readonly #checkpoints = new Map<Height, Uint8Array>();
  /** Of checkpoints. */
  readonly #hashes = new WeakMap<Uint8Array, Hash>();
  #fetching: Height | undefined;
  /** Questions to peers that are open: nothing else in here waits for a promise. */
  #asked = 0;

  constructor(parts: CoreParts, ports: CorePorts) {
    this.#parts = parts;
    this.#ports = ports;
    const { registry, entropy, network, log } = parts;
    this.#registry = new RegistryExchange({
      ...{ registry, entropy, log, peers: () => network.peers() },
      ask: (peer, question) => this.#ask(peer, Uint8Array.of(ABOUT_REGISTRY, ...question)),
    });
    this.#registry.onVersion = () => this.#signal();
    this.peerHandler = {
      receive: (peer, _, bytes) => {
        const verdict = this.#consensus?.receive(peer, bytes, parts.clock.now()) ?? "unwanted";
        if (verdict === "taken") this.#signal();
        return verdict;
      },
      wants: (id) => this.#consensus?.wants(id) ?? false,
      serve: (_, question) =>
        question[0] === ABOUT_REGISTRY
          ? parts.registry.answer(question.subarray(1))
          : this.#checkpoints.get(decodeHeight(question.subarray(1)) ?? -1),
      idOf: (bytes) => decodeArtifact(bytes, ports.sha256)?.id ?? "",
    };
  }

  async start(): Promise<void> {
    const { identity, subnet, protocolVersion, genesis, poolStorage, stateStorage, log } = this.#parts;
    for (const name of stateStorage.list()) {
      const bytes = stateStorage.read(name, 0, stateStorage.size(name) ?? 0);
      // The last 32 bytes are the hash of what is before: a damaged state is none.
      const content = bytes.subarray(0, -32);
      if (!equalBytes(this.#ports.sha256(content), bytes.subarray(-32))) continue;
      this.#checkpoints.set(Number(name), content.slice());
    }
    const newest = Math.max(0, ...this.#checkpoints.keys());
    const bytes = this.#checkpoints.get(newest);
    if (bytes !== undefined) this.#state = decodeWire(stateCodec, bytes);
    this.#note();
    this.#consensus = this.#ports.openConsensus(
      {
        self: identity.id,
        subnetId: subnet.config.subnetId,
        protocolVersion,
        genesis,
        onEvent: (event) => this.#parts.onEvent(event),
      },
      {
        crypto: this.#parts.consensusCrypto,
        registry: this.#parts.registry,
        state: this,
        batches: {
          expected: () => this.#state.height + this.#waiting.length + 1,
          room: () => QUEUE - this.#waiting.length,
          deliver: (batch) => this.#deliver(batch),
        },
        payloads: {
          build: () => this.#parts.entropy.randomBytes(8),
          validate: (_, batch) => (batch.length <= MAX_BATCH_BYTES ? "valid" : "invalid"),
        },
      },
      { storage: poolStorage, log },
    );
    for (const each of this.#consensus.published()) this.#publish(each);
  }

  discard(): void {
    this.#consensus?.close();
  }

  step(): bigint {
    if (this.#consensus === undefined) throw new RangeError("a node that has not started");
    const now = this.#parts.clock.now();
    // As a replica does: most of what its driver has to do is not for consensus.
    if (!this.#hasWork && now.monotonic < this.#wakeAt) return this.#wakeAt;
    this.#hasWork = false;
    const result = this.#consensus.step(now);
    for (const each of result.published) this.#publish(each);
    for (const id of result.retracted) this.#parts.network.retract(id);
    const asksAt = this.#registry.step(now.monotonic);
    this.#wakeAt = asksAt < result.wakeAt ? asksAt : result.wakeAt;
    return this.#wakeAt;
  }

  get mayWait(): boolean {
    return this.#asked > 0;
  }

  #ask(peer: PrincipalId, question: Uint8Array): Promise<Uint8Array> {
    const answer = this.#parts.network.request(peer, question);
    this.#ports.scheduler.settleSoon();
    this.#asked++;
    const end = (): void => {
      this.#asked--;
    };
    answer.then(end, end);
    return answer;
  }

  #publish({ id, artifact, bytes }: StepResult["published"][number]): void {
    this.#parts.network.publish(id, bytes, originOf(artifact.kind));
  }

  #signal(): void {
    this.#hasWork = true;
    this.onWork?.();
  }

  status(): ReturnType<NodeCore["status"]> {
    if (this.#consensus === undefined) throw new RangeError("a node that has not started");
    const heights = { executedHeight: this.#state.height, certifiedHeight: this.#certified };
    return { ...this.#consensus.status(), ...heights };
  }

  executedHeight(): Height {
    return this.#state.height;
  }

  certifiedHeight(): Height {
    return this.#certified;
  }

  toCertify(): readonly StateToCertify[] {
    const open: StateToCertify[] = [];
    for (let height = this.#certified + 1; height <= this.#state.height; height++) {
      const state = this.#roots.get(height);
      if (state !== undefined) open.push(state);
    }
    return open;
  }

  rootHash(height: Height): Hash | undefined {
    return this.#roots.get(height)?.rootHash;
  }

  certified(certification: Certification): void {
    const { height, rootHash } = certification;
    if (height > this.#state.height) {
      this.#ahead.set(height, certification);
      return;
    }
    const own = this.#roots.get(height);
    if (own !== undefined && !equalBytes(own.rootHash, rootHash)) {
      this.diverged(height, "another state was certified");
      return;
    }
    this.#certified = Math.max(this.#certified, height);
    // In the order of heights.
    for (const old of this.#roots.keys()) {
      if (old >= this.#certified - KEPT) break;
      this.#roots.delete(old);
    }
  }

  stateHash(height: Height): Hash | undefined {
    const bytes = this.#checkpoints.get(height);
    if (bytes === undefined) return undefined;
    const hash = this.#hashes.get(bytes) ?? this.#ports.sha256(bytes);
    this.#hashes.set(bytes, hash);
    return hash;
  }

  /** They come with the heights. */
  stateHashes(): number {
    return this.#state.height;
  }

  remoteDkgRequests(): readonly never[] {
    return [];
  }

  diverged(height: Height, why: string): void {
    this.#parts.onDiverged(height, why);
  }

  fetchState(height: Height, stateHash: Hash): void {
    if (this.#fetching !== undefined && this.#fetching >= height) return;
    this.#fetching = height;
    this.#fetch(height, stateHash);
  }

  #fetch(height: Height, stateHash: Hash): void {
    const { network, entropy, execution } = this.#parts;
    if (this.#fetching !== height || !execution.isAlive()) return;
    const again = (): void => {
      this.#ports.scheduler.after(FETCH_NS, () => this.#fetch(height, stateHash));
    };
    const peers = network.peers();
    const peer = peers[(entropy.randomBytes(1)[0] ?? 0) % Math.max(1, peers.length)];
    if (peer === undefined) {
      again();
      return;
    }
    this.#ask(peer, Uint8Array.of(ABOUT_STATE, ...encodeWire(uint(), height))).then(
      (bytes) => {
        if (this.#fetching !== height || !execution.isAlive()) return;
        if (!equalBytes(this.#ports.sha256(bytes), stateHash)) return again();
        this.#fetching = undefined;
        this.#takeOver(bytes);
      },
      () => again(),
    );
  }

  #takeOver(bytes: Uint8Array): void {
    const state = decodeWire(stateCodec, bytes);
    if (state.height <= this.#state.height) return;
    this.#waiting.length = 0;
    this.#state = state;
    this.#keep(bytes);
    this.#note();
    this.#parts.execution.onInstalled(state.height);
    this.#signal();
  }

  #deliver(batch: DeliveredBatch): void {
    this.#waiting.push(batch);
    this.#execute();
  }

  #execute(): void {
    const batch = this.#waiting[0];
    const { execution } = this.#parts;
    if (batch === undefined || this.#isExecuting || execution.lies === "no-execution") return;
    this.#isExecuting = true;
    this.#ports.scheduler.after(execution.delayNs(), () => {
      if (!execution.isAlive()) return;
      this.#isExecuting = false;
      // A state that was taken over meanwhile has made the batch one of the past.
      if (this.#waiting[0] === batch) {
        this.#waiting.shift();
        this.#apply(batch);
      }
      this.#execute();
      this.#signal();
    });
  }

  #apply(batch: DeliveredBatch): void {
    const { height, time, randomness } = batch;
    const { execution, onRound } = this.#parts;
    execution.onBatch({ height, time, randomness, ingress: [] });
    const isCorrupt = execution.isCorrupt(height);
    const input = concatBytes(this.#state.content, randomness, batch.batch ?? new Uint8Array());
    this.#state = { height, time, content: this.#ports.sha256(isCorrupt ? randomness : input) };
    if (batch.needsStateHash) this.#keep(encodeWire(stateCodec, this.#state));
    const rootHash = this.#note();
    onRound({ height, rootHash });
    const known = this.#ahead.get(height);
    for (const ahead of this.#ahead.keys()) if (ahead <= height) this.#ahead.delete(ahead);
    if (known !== undefined) this.certified(known);
  }

  #keep(bytes: Uint8Array): void {
    const { stateStorage, execution } = this.#parts;
    const { height } = this.#state;
    try {
      stateStorage.replace(`${height}`, concatBytes(bytes, this.#ports.sha256(bytes)));
      this.#checkpoints.set(height, bytes);
      for (const old of [...this.#checkpoints.keys()].sort((a, b) => a - b).slice(0, -3)) {
        this.#checkpoints.delete(old);
        if (stateStorage.size(`${old}`) !== undefined) stateStorage.remove(`${old}`);
      }
    } catch {
      // A full disk: the state is fetched after a restart. A machine that stopped is noticed by whoever drives it.
      execution.onWorked();
    }
  }

  #note(): Hash {
    const { height, content } = this.#state;
    const state = this.#ports.certifiable(height, content);
    if (height > 0) this.#roots.set(height, state);
    return state.rootHash;
  }
}

/** What nodes sign of a state. All nodes of a run come to the same states, each at about the same time: it is made once. */
function certifiableStates(sha256: CountingPorts["sha256"]): (height: Height, content: Hash) => StateToCertify {
  const known = new Map<string, StateToCertify>();
  return (height, content) => {
    const name = `${height} ${toHex(content)}`;
    let state = known.get(name);
    if (state === undefined) {
      state = certifiable(height, content, sha256);
      if (known.size >= KEPT_STATES) known.clear();
      known.set(name, state);
    }
    return state;
  };
}

function certifiable(height: Height, content: Hash, sha256: CountingPorts["sha256"]): StateToCertify {
  const hidden = reconstructRoot(labeled("state", { kind: "leaf", value: content }), sha256);
  const tree: HashTree = {
    kind: "fork",
    left: labeled("metadata", labeled("height", { kind: "leaf", value: encodeLeb128(height) })),
    right: { kind: "pruned", hash: hidden },
  };
  return { height, rootHash: reconstructRoot(tree, sha256), witness: encodeHashTree(tree) };
}

function labeled(label: string, child: HashTree): HashTree {
  return { kind: "labeled", label: new TextEncoder().encode(label), child };
}

function decodeHeight(question: Uint8Array): Height | undefined {
  try {
    return decodeWire(uint(), question);
  } catch {
    return undefined;
  }
}
