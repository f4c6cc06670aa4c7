// One node of a subnet: it decides the next batch (alone, so far), has it executed, certifies the state that comes
// out, and answers the HTTP interface from what is certified. It owns no timer, socket or file: a driver calls
// `step` when `step` asked for it or when something came in, and serves `backend` over HTTP.
import { certify, type NodeShare, signShare } from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import type { SubnetConfig } from "@atoll/state";
import {
  EnvironmentError,
  type Height,
  type IngressMessage,
  invariant,
  type NetworkTopology,
  type Ports,
  type PrincipalId,
  type Time,
} from "@atoll/types";
import type { CertifiedState, ReplicaBackend, SubmitOutcome, SubnetDescription } from "./backend.ts";
import type { DelegationSource } from "./certified-tree.ts";
import type { ExecutedRound, Executor } from "./executor.ts";
import { IngressPool } from "./ingress-pool.ts";
import { Outcalls } from "./outcalls.ts";
import { ServedState } from "./served-state.ts";
import { type BatchContent, SoloSequencer } from "./solo-sequencer.ts";
import { certifiedSlice } from "./xnet/certified-slice.ts";
import { IncomingStreams, type StreamNews, type SubnetPeers } from "./xnet/incoming-streams.ts";

export interface ReplicaOptions {
  readonly config: SubnetConfig;
  /** DER of the network's root key: the subnet's own on the root subnet. */
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: PrincipalId;
  readonly nodeId: PrincipalId;
  /** Ed25519 seed of this node. */
  readonly nodeSecret: Uint8Array;
  /** This node's share of the subnet's key, and how many shares make a signature. */
  readonly share: NodeShare;
  readonly threshold: number;
  /** Where the streams of other subnets come from; without it there are none. */
  readonly peers?: SubnetPeers;
  /** What the root subnet says of this one; not on the root subnet itself. */
  readonly delegation?: DelegationSource;
  /** Further root keys that canister signatures in requests may go back to. */
  readonly trustedRootKeys?: readonly Uint8Array[];
  /** Blocks after which the figures of queries are taken into the state. */
  readonly queryStatsEpoch?: number;
  /** Told of each round, for screens and logs. */
  readonly onRound?: (round: ExecutedRound) => void;
  /** Told what canisters print in queries, likewise. */
  readonly onQueryEvents?: (events: readonly RoundEvent[]) => void;
}

type ReplicaPorts = Pick<Ports, "clock" | "entropy" | "crypto" | "log">;

/** Blocks; the public network has 600 of them, networks for tests and development 60. */
const QUERY_STATS_EPOCH = 60;

export class Replica {
  readonly backend: ReplicaBackend;
  /** What canisters of this subnet ask of the web: a driver has it answered. */
  outcalls: Outcalls;
  readonly #options: ReplicaOptions;
  readonly #ports: ReplicaPorts;
  readonly #executor: Executor;
  #pool = new IngressPool();
  #sequencer: SoloSequencer;
  readonly #served: ServedState;
  #topology: NetworkTopology | undefined;
  #incoming: IncomingStreams | undefined;
  /** Why the last block could not be written, while that is so. */
  #notDurableBecause: string | undefined;
  #isStepping = false;
  /** Called when a message came in: the driver should call `step` soon. */
  onWork: (() => void) | undefined;

  /** `served`: what a fork serves. */
  constructor(options: ReplicaOptions, ports: ReplicaPorts, executor: Executor, served?: ServedState) {
    this.#options = options;
    this.#ports = ports;
    this.#executor = executor;
    this.#sequencer = new SoloSequencer(this.#pool, ports.entropy, options.nodeId);
    const { peers, config } = options;
    if (peers !== undefined) this.#setIncoming(new IncomingStreams(config.subnetId, peers, ports));
    const nodes = config.nodes.map(({ nodeId }) => nodeId);
    const { onQueryEvents } = options;
    this.outcalls = new Outcalls(
      { nodes, ...(onQueryEvents && { onQueryEvents }) },
      { crypto: ports.crypto, executor },
    );
    this.outcalls.onReady = () => this.#wantBlock();
    this.#served = served ?? new ServedState(options, { ...ports, executor });
    this.backend = this.#makeBackend();
  }

  /**
   * A node that goes on from what this one has now, independently: on a fork of its executor, with the same keys. Of
   * `options` only what surrounds a node may differ. Between two blocks.
   */
  fork(
    surroundings: Pick<ReplicaOptions, "peers" | "delegation" | "onRound" | "onQueryEvents">,
    ports: ReplicaPorts,
    executor: Executor,
  ): Replica {
    invariant(!this.#isStepping, "a replica is forked between two blocks");
    const options = { ...this.#options, ...surroundings };
    const fork = new Replica(options, ports, executor, this.#served.fork(options, { ...ports, executor }));
    fork.#pool = this.#pool.fork();
    fork.#sequencer = this.#sequencer.fork(fork.#pool, ports.entropy);
    fork.outcalls = this.outcalls.fork(surroundings, { crypto: ports.crypto, executor });
    fork.outcalls.onReady = () => fork.#wantBlock();
    const { peers } = surroundings;
    if (peers !== undefined && this.#incoming !== undefined) fork.#setIncoming(this.#incoming.fork(peers, ports));
    fork.#topology = this.#topology;
    if (this.#served.certified !== undefined) fork.#certify();
    return fork;
  }

  get certifiedHeight(): Height {
    return this.#served.certified?.height ?? 0;
  }

  /** Resolves when the replica can answer: the first state after its start is certified. Rejects when the disk fails. */
  get firstCertified(): Promise<CertifiedState> {
    return this.#served.firstCertified;
  }

  /** Loads the state and describes it. The replica serves from when the first `step` has certified it. */
  async start(): Promise<ExecutedRound> {
    const whole = await this.#executor.start();
    this.#served.begin(whole);
    this.#sequencer.ended(whole);
    this.#incoming?.noteOwn(whole.streams);
    this.outcalls.note(whole.outcalls);
    this.#executor.advance(whole.height);
    return whole;
  }

  /** Makes a block if one is due; gives the time at which to call again at the latest. */
  async step(now: Time): Promise<Time> {
    if (this.#isStepping || !this.#sequencer.isDue(now)) return this.#sequencer.wakeAt(now);
    try {
      await this.makeBlock(now);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#served.fail(error);
      // Not durable, hence not executed: the messages stay in the pool and the same height is tried again.
      this.#noteNotDurable(this.#served.height + 1, error.message);
      return this.#sequencer.retryAt(now);
    }
    return this.#sequencer.wakeAt(this.#ports.clock.now());
  }

  /**
   * Makes a block now, due or not, with `content` beside the messages that wait. For drivers that decide when rounds
   * are; one call at a time. Rejects with EnvironmentError when the block could not be made durable.
   */
  async makeBlock(now: Time, content?: BatchContent): Promise<ExecutedRound> {
    invariant(!this.#isStepping, "a replica makes one block at a time");
    this.#isStepping = true;
    try {
      const isRound = content?.interventions === undefined;
      const fromOutside = isRound ? this.#fromOutside(now) : {};
      // Not before: slices may have been checked by a topology that came meanwhile.
      const topology = this.#topology;
      const batch = this.#sequencer.nextBatch(now, {
        prevStateHash: this.#served.prevStateHash(),
        ...(topology && { topology }),
        ...fromOutside,
        ...content,
      });
      const round = await this.#executor.execute(batch);
      if (this.#topology === topology) this.#topology = undefined;
      this.#noteDurable(batch.height);
      for (const message of batch.ingress) this.#pool.remove(message.requestId);
      this.#sequencer.ended(round, batch);
      this.#incoming?.noteOwn(round.streams);
      this.outcalls.note(round.outcalls);
      this.#noteNews();
      this.#served.executed(round);
      this.#certify();
      if (round.height % this.#queryStatsEpoch === 0) this.#collectQueryStats();
      this.#options.onRound?.(round);
      return round;
    } finally {
      this.#isStepping = false;
    }
  }

  /** The subnets of the network have changed: from its next block on this one knows them. */
  setTopology(topology: NetworkTopology): void {
    this.#topology = topology;
    this.#incoming?.setTopology(topology);
    this.#wantBlock();
  }

  /** Said once, however often the same is tried again in vain. */
  #noteNotDurable(height: Height, why: string): void {
    if (why === this.#notDurableBecause) return;
    this.#notDurableBecause = why;
    const what = `Block ${height} could not be made durable and was not executed`;
    // A start whose first block cannot be written ends; a running network waits for room.
    const next = this.#served.certified === undefined ? "" : " It is tried again every second.";
    this.#ports.log.log("error", `${what}: ${why}${next}`);
  }

  #noteDurable(height: Height): void {
    if (this.#notDurableBecause === undefined) return;
    this.#notDurableBecause = undefined;
    this.#ports.log.log("info", `Block ${height} is durable now; the network goes on.`);
  }

  /** Another subnet's stream to this one has moved on: a block will take what is new. */
  streamMoved(source: PrincipalId, news: StreamNews): void {
    this.#incoming?.noteNews(source, news);
    this.#noteNews();
  }

  /** For the nodes of another subnet: a part of the stream to it, from the latest certified state. */
  streamSlice(subnet: PrincipalId, from: number, most: number): Uint8Array | undefined {
    const state = this.#served.certified;
    return state && certifiedSlice(state, subnet, from, { messages: most });
  }

  /** What other subnets and the web have for the next block. */
  #fromOutside(now: Time): BatchContent {
    const slices = this.#incoming?.gather(now) ?? [];
    const outcallResponses = this.outcalls.ready();
    return {
      ...(slices.length > 0 && { slices }),
      ...(outcallResponses.length > 0 && { outcallResponses }),
    };
  }

  #setIncoming(incoming: IncomingStreams): void {
    this.#incoming = incoming;
    incoming.onReady = () => this.#noteNews();
  }

  #noteNews(): void {
    const hasChanged = this.#topology !== undefined;
    if (hasChanged || this.#incoming?.hasNews === true || this.outcalls.ready().length > 0) this.#wantBlock();
  }

  #wantBlock(): void {
    this.#sequencer.wantsBatch();
    this.onWork?.();
  }

  async stop(): Promise<void> {
    await this.#executor.stop();
  }

  get #queryStatsEpoch(): number {
    return this.#options.queryStatsEpoch ?? QUERY_STATS_EPOCH;
  }

  /** The end of an epoch: what queries took since the last one goes into the blocks that follow. */
  #collectQueryStats(): void {
    this.#executor.takeQueryStats().then(
      (stats) => this.#sequencer.addQueryStats(stats),
      (error: unknown) => this.#ports.log.log("warning", `No query statistics could be collected: ${String(error)}`),
    );
  }

  /** The state as it is now is what clients get. */
  #certify(): void {
    const { height } = this.#served;
    this.#served.certify(height, (root) => this.#sign(height, root));
  }

  /** One share is all that it takes on a subnet of one node, so nobody has to be waited for. */
  #sign(height: Height, root: Uint8Array): Uint8Array {
    const { bls } = this.#ports.crypto;
    const { share, threshold } = this.#options;
    const certification = certify([signShare(share, height, root, bls)], threshold, bls);
    invariant(certification !== undefined, "a subnet of one node has one share");
    return certification.signature;
  }

  #makeBackend(): ReplicaBackend {
    const { config, nodeId, nodeSecret, rootKey, rootSubnetId, trustedRootKeys = [] } = this.#options;
    const { clock, crypto } = this.#ports;
    const subnet: SubnetDescription = {
      subnetId: config.subnetId,
      rootSubnetId,
      type: config.type,
      canisterRanges: config.canisterRanges,
      nodeId,
      rootKey,
    };
    return {
      clock,
      crypto,
      subnet,
      trustedRootKeys: [rootKey, ...trustedRootKeys],
      ...this.#served.answers,
      health: () => this.#served.health(),
      filterIngress: (message) => this.#served.filter(message),
      submitIngress: (message) => this.#submit(message),
      signAsNode: (message) => crypto.signEd25519(nodeSecret, message),
    };
  }

  #submit(message: IngressMessage): SubmitOutcome {
    if (this.#pool.has(message.requestId) || this.#served.knows(message.requestId)) return "duplicate";
    if (!this.#pool.add(message)) return "pool-full";
    this.onWork?.();
    return "accepted";
  }
}
