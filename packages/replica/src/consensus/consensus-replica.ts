// One node of a subnet of many: consensus decides the batches, the executor executes them, the nodes certify the states
// together, and clients are answered from what is certified. It owns no timer, socket or file: a driver calls `step` when
// `onWork` or the time that the last `step` gave says so, and joins `peerHandler` to the network between the nodes.
import {
  type CatchUpPackage,
  type ConsensusCrypto,
  type ConsensusEvent,
  type ConsensusNode,
  type ConsensusStatus,
  type DeliveredBatch,
  decodeArtifact,
  type Instant,
  openConsensus,
  originOf,
  type StepResult,
} from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import type { SubnetConfig } from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  type EntropyPort,
  EnvironmentError,
  type Height,
  invariant,
  type LogPort,
  OTHER_VERSION_NEEDED,
  type OutcallClient,
  type PeerHandler,
  type PeerNetwork,
  type PrincipalId,
  RESTART_NEEDED,
  type StoragePort,
  type Time,
} from "@atoll/types";
import type { ReplicaBackend } from "../backend.ts";
import type { DelegationSource } from "../certified-tree.ts";
import type { ExecutedRound, Executor } from "../executor.ts";
import { ServedState } from "../served-state.ts";
import { StateSync, type StateSyncStatus } from "../state-sync/state-sync.ts";
import type { SlicePeers } from "../xnet/slice-peers.ts";
import { BatchQueue } from "./batch-queue.ts";
import { BlockPayloads } from "./block-payloads.ts";
import { ProposalExchange } from "./proposal-exchange.ts";
import { RegistryExchange, type SharedRegistry } from "./registry-exchange.ts";
import { StateHeights } from "./state-heights.ts";
import { STRIPPED_PROPOSAL_TAG } from "./stripped-proposal.ts";

export interface ConsensusReplicaOptions {
  readonly config: SubnetConfig;
  /** DER of the network's root key. */
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: PrincipalId;
  readonly nodeId: PrincipalId;
  /** Ed25519 seed of this node. */
  readonly nodeSecret: Uint8Array;
  readonly protocolVersion: string;
  readonly genesis: CatchUpPackage;
  /** The nodes of the other subnets that `config.topology` names. */
  readonly peers?: SlicePeers;
  /** What the root subnet says of this one; not on the root subnet itself. */
  readonly delegation?: DelegationSource;
  /** Makes this node's HTTPS outcalls; without it they are left to the others. */
  readonly outcalls?: OutcallClient;
  readonly onEvent?: (event: ConsensusEvent) => void;
  readonly onRound?: (round: ExecutedRound, rootHash: Uint8Array) => void;
  /** A height that clients see from now on. */
  readonly onCertified?: (height: Height) => void;
  readonly onQueryEvents?: (events: readonly RoundEvent[]) => void;
  /** The nodes to hold connections with from now on, sorted: those of all versions of the registry that are in use. */
  readonly onPeers?: (nodes: readonly PrincipalId[]) => void;
  /** This node computed another state than the subnet: its state has to be set aside, and another one fetched. */
  readonly onDiverged?: (height: Height, why: string) => void;
  /** The node cannot go on: a mistake of ours, or RESTART_NEEDED. */
  readonly onFailure: (error: unknown) => void;
}

export interface ConsensusReplicaPorts {
  readonly clock: { now(): Instant };
  readonly entropy: EntropyPort;
  readonly crypto: CryptoPort;
  readonly consensusCrypto: ConsensusCrypto;
  readonly registry: SharedRegistry;
  /** The validated pool of consensus: nothing leaves the node before it is here. */
  readonly poolStorage: StoragePort;
  readonly network: PeerNetwork;
  readonly log: LogPort;
}

export interface ConsensusReplicaStatus extends ConsensusStatus {
  readonly executedHeight: Height;
  readonly certifiedHeight: Height;
  /** Of a state that is being fetched. */
  readonly fetching: StateSyncStatus | undefined;
  readonly waitingIngress: number;
  readonly hasDiverged: boolean;
}

export interface ConsensusReplica {
  readonly backend: ReplicaBackend;
  readonly peerHandler: PeerHandler;
  /** Loads the state and the pool. */
  start(): Promise<void>;
  /** Lets consensus work on what came in and on the time; gives the monotonic time of the next call at the latest. */
  step(): Time;
  /** Called when something came in: the driver should call `step` soon. */
  onWork: (() => void) | undefined;
  status(): ConsensusReplicaStatus;
  /** Resolves when clients can be answered. */
  readonly firstCertified: Promise<unknown>;
  stop(): Promise<void>;
}

/** The executor must not decide on checkpoints by itself: consensus does. */
export function createConsensusReplica(
  options: ConsensusReplicaOptions,
  ports: ConsensusReplicaPorts,
  executor: Executor,
): ConsensusReplica {
  return new NodeOfMany(options, ports, executor);
}

/** What a question between peers is about: its first byte. */
const ABOUT_REGISTRY = 0;
const ABOUT_STATE = 1;
/** First byte of a question for the messages of a proposal. */
export const ABOUT_PROPOSAL = 2;
/** After a failure of the disk. */
const RETRY_NS = 1_000_000_000n;
const HALF_INSTALLED =
  "The disk had no room for all of a fetched state, and another one is wanted now: start the node again.";

class NodeOfMany implements ConsensusReplica {
  readonly backend: ReplicaBackend;
  readonly peerHandler: PeerHandler;
  onWork: (() => void) | undefined;
  readonly #options: ConsensusReplicaOptions;
  readonly #ports: ConsensusReplicaPorts;
  readonly #executor: Executor;
  readonly #served: ServedState;
  readonly #heights: StateHeights;
  readonly #queue: BatchQueue;
  readonly #payloads: BlockPayloads;
  readonly #stateSync: StateSync;
  readonly #registry: RegistryExchange;
  readonly #proposals: ProposalExchange;
  #consensus: ConsensusNode | undefined;
  #peers = "";
  /** Part of a fetched state may be on the disk: what is executed goes on from another one. */
  #isHalfInstalled = false;
  #hasWork = true;
  /** Monotonic. */
  #wakeAt: Time = 0n;
  /** Why this node takes no part any more. */
  #ended: "diverged" | "stopped" | undefined;
  /** What the disk said last, while it takes nothing. */
  #notDurableBecause: string | undefined;

  constructor(options: ConsensusReplicaOptions, ports: ConsensusReplicaPorts, executor: Executor) {
    this.#options = options;
    this.#ports = ports;
    this.#executor = executor;
    const { clock, network, entropy, log } = ports;
    const wall = (): Time => clock.now().wall;
    const monotonic = (): Time => clock.now().monotonic;
    this.#served = new ServedState(options, { crypto: ports.crypto, executor, clock: { now: wall } });
    this.#payloads = this.#makePayloads(wall);
    this.#heights = new StateHeights({
      served: this.#served,
      fetchState: (height, hash) => this.#fetchState(height, hash),
      diverged: (height, why) => this.#diverged(height, why),
      onCertified: (height) => options.onCertified?.(height),
    });
    this.#queue = new BatchQueue({
      executor,
      toBatch: (delivered) => this.#batchOf(delivered),
      onRound: (round) => this.#executed(round),
      onNotDurable: (height, error) => this.#noteNotDurable(`Block ${height} could not be executed`, error),
      onFailure: (error) => options.onFailure(error),
      now: monotonic,
    });
    const ask = (about: number) => (peer: PrincipalId, question: Uint8Array) =>
      network.request(peer, Uint8Array.of(about, ...question));
    const peers = () => network.peers();
    this.#stateSync = new StateSync({
      ...{ executor, ask: ask(ABOUT_STATE), peers, entropy, log },
      clock: { now: monotonic },
    });
    this.#stateSync.onDone = () => void this.#install();
    const { registry } = ports;
    this.#registry = new RegistryExchange({ registry, entropy, ask: ask(ABOUT_REGISTRY), peers, log });
    this.#registry.onVersion = () => this.#signal();
    this.#proposals = new ProposalExchange({
      crypto: ports.crypto,
      network,
      ask: ask(ABOUT_PROPOSAL),
      envelope: (digest) => this.#payloads.envelope(digest),
      deliver: (peer, proposal) => this.#receive(peer, proposal),
      wants: (id) => this.#consensus?.wants(id) === true,
      isEarly: (id) => Number(id.split("/")[1]) > (this.#consensus?.status().notarizedHeight ?? 0),
    });
    this.backend = this.#makeBackend();
    this.peerHandler = this.#makePeerHandler();
  }

  get firstCertified(): Promise<unknown> {
    return this.#served.firstCertified;
  }

  async start(): Promise<void> {
    const { nodeId: self, config, protocolVersion, genesis } = this.#options;
    const { consensusCrypto, registry, poolStorage, log } = this.#ports;
    this.#executor.onStateHash = (height, hash) => {
      this.#heights.noteStateHash(height, hash);
      this.#signal();
    };
    this.#begin(await this.#executor.start());
    this.#consensus = openConsensus(
      { self, subnetId: config.subnetId, protocolVersion, genesis, onEvent: (event) => this.#noteEvent(event) },
      {
        crypto: consensusCrypto,
        registry,
        state: this.#heights,
        batches: this.#queue,
        payloads: this.#payloads.port,
        // The only node of its subnet has nobody to ask.
        isRegistryCompared: () => this.#registry.isCompared || this.#isAlone(),
      },
      { storage: poolStorage, log },
    );
    for (const each of this.#consensus.published()) this.#publish(each);
    this.#notePeers();
  }

  #noteEvent(event: ConsensusEvent): void {
    if (event.kind === "invalid") this.#ports.network.blame(event.peer);
    if (event.kind === "alarm") this.#ports.log.log("error", event.what);
    this.#options.onEvent?.(event);
    if (event.kind === "outdated") this.#endOutdated(event.version, event.height);
  }

  /** From a whole state on: after a start, or when it was taken over. */
  #begin(whole: ExecutedRound): void {
    this.#payloads.noteRound(whole, { whole: true });
    this.#heights.begin(whole);
    this.#queue.begin(whole.height);
  }

  /** Something came in that consensus should look at soon. */
  #signal(): void {
    this.#hasWork = true;
    this.onWork?.();
  }

  step(): Time {
    const now = this.#ports.clock.now();
    // A driver steps all of a node when any part of it has work: most of that is not for consensus.
    if (!this.#hasWork && now.monotonic < this.#wakeAt) return this.#wakeAt;
    this.#hasWork = false;
    this.#wakeAt = this.#stepAll(now);
    return this.#wakeAt;
  }

  #stepAll(now: Instant): Time {
    if (this.#ended !== undefined || this.#consensus === undefined) return now.monotonic + RETRY_NS;
    this.#queue.retry(now.monotonic);
    const wakes = [this.#registry.step(now.monotonic), this.#stateSync.step(now.monotonic)];
    wakes.push(now.monotonic + (this.#payloads.step() - now.wall));
    const retryAt = this.#queue.wakeAt;
    if (retryAt !== undefined) wakes.push(retryAt);
    try {
      const { published, retracted, wakeAt } = this.#consensus.step(now);
      for (const id of retracted) this.#proposals.retract(id);
      for (const each of published) this.#publish(each);
      wakes.push(wakeAt);
      this.#noteDurable();
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      if (error.code === RESTART_NEEDED) return this.#fail(error, now);
      this.#noteNotDurable("Nothing can be signed", error);
      wakes.push(now.monotonic + RETRY_NS);
    }
    this.#notePeers();
    return wakes.reduce((one, other) => (one < other ? one : other));
  }

  #publish({ id, artifact, bytes }: StepResult["published"][number]): void {
    this.#proposals.publish(id, bytes, originOf(artifact.kind));
  }

  #endOutdated(version: string, height: Height): void {
    const own = this.#options.protocolVersion;
    this.#ended = "stopped";
    this.#options.onFailure(
      new EnvironmentError(
        OTHER_VERSION_NEEDED,
        `The subnet is at height ${height} with version ${version} of the protocol, and this program has version ${own}: ` +
          "install the program that has that version, and start the node again.",
      ),
    );
  }

  #fail(error: EnvironmentError, now: Instant): Time {
    this.#ended = "stopped";
    this.#options.onFailure(error);
    return now.monotonic + RETRY_NS;
  }

  #batchOf(delivered: DeliveredBatch): Batch {
    return { ...this.#payloads.batchOf(delivered), prevStateHash: this.#served.prevStateHash() };
  }

  #executed(round: ExecutedRound): void {
    this.#noteDurable();
    this.#payloads.noteRound(round);
    this.#heights.executed(round);
    const fetching = this.#stateSync.status();
    if (fetching !== undefined && fetching.height <= round.height) this.#stateSync.abandon();
    const rootHash = this.#heights.rootHash(round.height);
    invariant(rootHash !== undefined, "the root hash of a state that was just executed is known");
    this.#options.onRound?.(round, rootHash);
    this.#signal();
  }

  #fetchState(height: Height, hash: Uint8Array): void {
    if (height > this.#heights.executedHeight()) this.#stateSync.fetch(height, hash);
  }

  /** Everything of a state is here: goes on from it, unless this node has got there by itself. */
  async #install(): Promise<void> {
    try {
      await this.#queue.settle();
      const whole = this.#ended === undefined ? await this.#stateSync.install() : undefined;
      // Nothing is executed meanwhile: part of the state may be in place.
      if (whole === "later") {
        this.#isHalfInstalled = true;
        return;
      }
      if (whole === undefined && this.#isHalfInstalled) throw new EnvironmentError(RESTART_NEEDED, HALF_INSTALLED);
      this.#isHalfInstalled = false;
      if (whole === undefined) this.#queue.begin(this.#heights.executedHeight());
      else {
        this.#ports.log.log("info", `Goes on from the state of height ${whole.height} of other nodes.`);
        this.#begin(whole);
      }
      this.#signal();
    } catch (error) {
      this.#options.onFailure(error);
    }
  }

  #diverged(height: Height, why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = "diverged";
    this.#ports.log.log("error", `The state of this node is not that of the subnet: at height ${height} ${why}.`);
    this.#options.onDiverged?.(height, why);
  }

  #isAlone(): boolean {
    const { registry } = this.#ports;
    const { nodes } = registry.record(registry.latestVersion()) ?? {};
    return nodes?.length === 1 && nodes[0]?.nodeId === this.#options.nodeId;
  }

  /** Those of all versions of the registry from the oldest that something needs to the newest. */
  #notePeers(): void {
    const { onPeers, nodeId } = this.#options;
    const { registry } = this.#ports;
    if (onPeers === undefined || this.#consensus === undefined) return;
    const latest = registry.latestVersion();
    const oldest = this.#consensus.catchUpPackage().oldestRegistryVersionInUse;
    const key = `${oldest} ${latest}`;
    if (key === this.#peers) return;
    this.#peers = key;
    const ids = new Set<PrincipalId>();
    for (let version = oldest; version <= latest; version++) {
      for (const node of registry.record(version)?.nodes ?? []) ids.add(node.nodeId);
    }
    ids.delete(nodeId);
    onPeers([...ids].sort());
  }

  /** Said once, however often the same is tried again in vain. */
  #noteNotDurable(what: string, { message }: Error): void {
    if (message === this.#notDurableBecause) return;
    this.#notDurableBecause = message;
    this.#ports.log.log("error", `${what}: ${message} It is tried again every second.`);
  }

  #noteDurable(): void {
    if (this.#notDurableBecause === undefined) return;
    this.#notDurableBecause = undefined;
    this.#ports.log.log("info", "The disk takes what this node signs and executes again.");
  }

  status(): ConsensusReplicaStatus {
    invariant(this.#consensus !== undefined, "a replica has a status once it is started");
    return {
      ...this.#consensus.status(),
      executedHeight: this.#heights.executedHeight(),
      certifiedHeight: this.#heights.certifiedHeight(),
      fetching: this.#stateSync.status(),
      waitingIngress: this.#payloads.waitingIngress,
      hasDiverged: this.#ended === "diverged",
    };
  }

  async stop(): Promise<void> {
    this.#ended ??= "stopped";
    this.#stateSync.abandon();
    await this.#queue.settle();
    this.#consensus?.close();
    await this.#executor.stop();
  }

  #makePayloads(wall: () => Time): BlockPayloads {
    const { config, rootKey, nodeId, peers, outcalls, onQueryEvents } = this.#options;
    const { log } = this.#ports;
    const alarm = (what: string): void => log.log("error", what);
    return new BlockPayloads(
      {
        ...{ self: nodeId, subnet: config, topology: config.topology, rootKeys: [rootKey] },
        ...{ peers, outcalls, onQueryEvents, alarm, onWork: () => this.#signal() },
      },
      { ...this.#ports, executor: this.#executor, now: wall },
    );
  }

  #makeBackend(): ReplicaBackend {
    const { config, nodeId, nodeSecret, rootKey, rootSubnetId } = this.#options;
    const { crypto, clock } = this.#ports;
    const { subnetId, type, canisterRanges } = config;
    return {
      ...this.#served.answers,
      clock: { now: () => clock.now().wall },
      crypto,
      subnet: { subnetId, rootSubnetId, type, canisterRanges, nodeId, rootKey },
      trustedRootKeys: [rootKey],
      health: () => (this.#stateSync.status() === undefined ? this.#served.health() : "certified_state_behind"),
      filterIngress: (message) => this.#served.filter(message),
      submitIngress: (message, envelope) => {
        invariant(envelope !== undefined, "what came over HTTP has its envelope");
        return this.#served.knows(message.requestId) ? "duplicate" : this.#payloads.submit(envelope);
      },
      signAsNode: (message) => crypto.signEd25519(nodeSecret, message),
    };
  }

  #receive(peer: PrincipalId, artifact: Uint8Array): "taken" | "unwanted" | "invalid" {
    if (this.#consensus === undefined) return "unwanted";
    const taken = this.#consensus.receive(peer, artifact, this.#ports.clock.now());
    if (taken === "taken") this.#signal();
    return taken;
  }

  #makePeerHandler(): PeerHandler {
    const payloads = this.#payloads;
    return {
      prepare: (peer, artifacts) => {
        if (this.#ended === undefined) payloads.prepare(peer, artifacts);
      },
      receive: (peer, id, artifact) => {
        if (this.#ended !== undefined) return "unwanted";
        if (id.startsWith("stripped/")) return this.#proposals.receive(peer, id, artifact);
        if (payloads.isOurs(id)) return payloads.isOurs(artifact) ? payloads.receive(peer, id, artifact) : "invalid";
        return this.#receive(peer, artifact);
      },
      wants: (id) => {
        if (id.startsWith("stripped/")) return this.#proposals.wants(id);
        return payloads.isOurs(id) ? payloads.wants(id) : this.#consensus?.wants(id) === true;
      },
      idOf: (artifact) => {
        if (artifact[0] === STRIPPED_PROPOSAL_TAG) return this.#proposals.idOf(artifact);
        return payloads.isOurs(artifact)
          ? payloads.idOf(artifact)
          : (decodeArtifact(artifact, this.#ports.crypto.sha256)?.id ?? "");
      },
      serve: (_, question) => {
        const content = question.subarray(1);
        if (question[0] === ABOUT_REGISTRY) return this.#ports.registry.answer(content);
        if (question[0] === ABOUT_PROPOSAL) return this.#proposals.serve(content);
        return question[0] === ABOUT_STATE ? this.#executor.serveState(content) : undefined;
      },
    };
  }
}
