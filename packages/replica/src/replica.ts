// One node of a subnet: it decides the next batch (alone, so far), has it executed, certifies the state that comes
// out, and answers the HTTP interface from what is certified. It owns no timer, socket or file: a driver calls
// `step` when `step` asked for it or when something came in, and serves `backend` over HTTP.
import { certify, type NodeShare, signShare } from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import type { SubnetConfig } from "@atoll/state";
import {
  type CanisterId,
  EnvironmentError,
  ErrorCode,
  type Height,
  type IngressMessage,
  invariant,
  MANAGEMENT_CANISTER,
  type NetworkTopology,
  type Ports,
  type PrincipalId,
  principalToBytes,
  type QueryRequest,
  type RequestId,
  type Time,
  type UserError,
  userError,
} from "@atoll/types";
import type {
  CertifiedState,
  DelegationStyle,
  ReplicaBackend,
  ReplicaHealth,
  SubmitOutcome,
  SubnetDescription,
} from "./backend.ts";
import { certifiedState, type DelegationSource, NO_STATE, nextTree, type TreeAtHeight } from "./certified-tree.ts";
import type { ExecutedRound, Executor } from "./executor.ts";
import { IngressPool } from "./ingress-pool.ts";
import { Outcalls } from "./outcalls.ts";
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

/** What the replica itself answers about a canister of its certified state. */
interface CanisterAccess {
  readonly controllers: readonly PrincipalId[];
  readonly privateSections: readonly string[];
  readonly admitsAnyIngress: boolean;
}

type ReplicaPorts = Pick<Ports, "clock" | "entropy" | "crypto" | "log">;

/** Blocks; the public network has 600 of them, networks for tests and development 60. */
const QUERY_STATS_EPOCH = 60;

/** A clock this far behind the time of the last block makes messages expire before they can be in the next one. */
const MAX_CLOCK_LAG_NS = 60_000_000_000n;

const encoder = new TextEncoder();
const LABEL_CANISTER = encoder.encode("canister");
const LABEL_CERTIFIED_DATA = encoder.encode("certified_data");

export class Replica {
  readonly backend: ReplicaBackend;
  /** What canisters of this subnet ask of the web: a driver has it answered. */
  outcalls: Outcalls;
  readonly #options: ReplicaOptions;
  readonly #ports: ReplicaPorts;
  readonly #executor: Executor;
  #pool = new IngressPool();
  #sequencer: SoloSequencer;
  readonly #waiting = new Map<RequestId, Set<(state: CertifiedState) => void>>();
  #access = new Map<CanisterId, CanisterAccess>();
  #origins = new Map<RequestId, { sender: PrincipalId; receiver: CanisterId; isFinal: boolean }>();
  /** Certificates of certified data at the current height, by canister and style. */
  #dataCertificates = new Map<string, Uint8Array>();
  #tree: TreeAtHeight = NO_STATE;
  #topology: NetworkTopology | undefined;
  #incoming: IncomingStreams | undefined;
  #certified: CertifiedState | undefined;
  /** Why the last block could not be written, while that is so. */
  #notDurableBecause: string | undefined;
  #isStepping = false;
  readonly #first = Promise.withResolvers<CertifiedState>();
  /** Called when a message came in: the driver should call `step` soon. */
  onWork: (() => void) | undefined;

  constructor(options: ReplicaOptions, ports: ReplicaPorts, executor: Executor) {
    this.#options = options;
    this.#ports = ports;
    this.#executor = executor;
    this.#sequencer = new SoloSequencer(this.#pool, ports.entropy, options.nodeId);
    const { peers, config } = options;
    this.#incoming = peers && new IncomingStreams(config.subnetId, peers, ports);
    const nodes = config.nodes.map(({ nodeId }) => nodeId);
    const { onQueryEvents } = options;
    this.outcalls = new Outcalls(
      { nodes, ...(onQueryEvents && { onQueryEvents }) },
      { crypto: ports.crypto, executor },
    );
    this.outcalls.onReady = () => this.#wantBlock();
    this.backend = this.#makeBackend();
    this.#first.promise.catch(() => undefined);
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
    const fork = new Replica({ ...this.#options, ...surroundings }, ports, executor);
    fork.#pool = this.#pool.fork();
    fork.#sequencer = this.#sequencer.fork(fork.#pool, ports.entropy);
    fork.#access = new Map(this.#access);
    fork.#origins = new Map(this.#origins);
    fork.outcalls = this.outcalls.fork(surroundings, { crypto: ports.crypto, executor });
    fork.outcalls.onReady = () => fork.#wantBlock();
    if (surroundings.peers !== undefined) fork.#incoming = this.#incoming?.fork(surroundings.peers, ports);
    fork.#tree = this.#tree;
    fork.#topology = this.#topology;
    if (this.#certified !== undefined) fork.#certify();
    return fork;
  }

  get certifiedHeight(): Height {
    return this.#certified?.height ?? 0;
  }

  /** Resolves when the replica can answer: the first state after its start is certified. Rejects when the disk fails. */
  get firstCertified(): Promise<CertifiedState> {
    return this.#first.promise;
  }

  /** Loads the state and describes it. The replica serves from when the first `step` has certified it. */
  async start(): Promise<ExecutedRound> {
    const whole = await this.#executor.start();
    this.#tree = nextTree(this.#tree, whole);
    this.#noteAccess(whole);
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
      this.#first.reject(error);
      // Not durable, hence not executed: the messages stay in the pool and the same height is tried again.
      this.#noteNotDurable(this.#tree.height + 1, error.message);
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
      const fromOutside = isRound ? await this.#fromOutside() : {};
      // Not before: slices may have been checked by a topology that came meanwhile.
      const topology = this.#topology;
      const batch = this.#sequencer.nextBatch(now, { ...(topology && { topology }), ...fromOutside, ...content });
      const round = await this.#executor.execute(batch);
      if (this.#topology === topology) this.#topology = undefined;
      this.#noteDurable(batch.height);
      for (const message of batch.ingress) this.#pool.remove(message.requestId);
      this.#sequencer.ended(round, batch);
      this.#incoming?.noteOwn(round.streams);
      this.outcalls.note(round.outcalls);
      this.#noteNews();
      this.#publish(round);
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
    const next = this.#certified === undefined ? "" : " It is tried again every second.";
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
    const state = this.#certified;
    return state && certifiedSlice(state, subnet, from, { messages: most });
  }

  /** What other subnets and the web have for the next block. */
  async #fromOutside(): Promise<BatchContent> {
    const slices = (await this.#incoming?.gather()) ?? [];
    const outcallResponses = this.outcalls.ready();
    return {
      ...(slices.length > 0 && { slices }),
      ...(outcallResponses.length > 0 && { outcallResponses }),
    };
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

  #publish(round: ExecutedRound): void {
    this.#tree = nextTree(this.#tree, round);
    const certified = this.#certify();
    this.#executor.advance(round.height);
    this.#noteAccess(round);
    for (const { id, isFinal } of round.access.requests) {
      if (!isFinal) continue;
      for (const resolve of this.#waiting.get(id) ?? []) resolve(certified);
      this.#waiting.delete(id);
    }
  }

  /** The tree as it is now is what clients get. */
  #certify(): CertifiedState {
    const { delegation = () => undefined } = this.#options;
    const { height } = this.#tree;
    const sign = (root: Uint8Array): Uint8Array => this.#sign(height, root);
    this.#certified = certifiedState(this.#tree, sign, delegation, this.#ports.crypto.sha256);
    this.#first.resolve(this.#certified);
    this.#dataCertificates = new Map();
    return this.#certified;
  }

  /** One share is all that it takes on a subnet of one node, so nobody has to be waited for. */
  #sign(height: Height, root: Uint8Array): Uint8Array {
    const { bls } = this.#ports.crypto;
    const { share, threshold } = this.#options;
    const certification = certify([signShare(share, height, root, bls)], threshold, bls);
    invariant(certification !== undefined, "a subnet of one node has one share");
    return certification.signature;
  }

  #noteAccess({ access }: ExecutedRound): void {
    for (const { id, controllers, ...facts } of access.canisters) {
      if (controllers === undefined) this.#access.delete(id);
      else this.#access.set(id, { controllers, ...facts });
    }
    for (const { id, origin, isFinal } of access.requests) {
      if (origin === undefined) this.#origins.delete(id);
      else this.#origins.set(id, { ...origin, isFinal });
    }
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
      health: () => this.#health(),
      certifiedState: () => this.#certified,
      filterIngress: (message) => this.#filter(message),
      submitIngress: (message) => this.#submit(message),
      awaitCompletion: (requestId) => this.#awaitCompletion(requestId),
      query: (query, style) => this.#query(query, style),
      signAsNode: (message) => crypto.signEd25519(nodeSecret, message),
      ingressOrigin: (requestId) => this.#origins.get(requestId),
      controllers: (id) => this.#access.get(id)?.controllers,
      isPrivateMetadata: (id, name) => this.#access.get(id)?.privateSections.includes(name) ?? false,
    };
  }

  #health(): ReplicaHealth {
    if (this.#certified === undefined) return "waiting_for_certified_state";
    const { delegation } = this.#options;
    return delegation === undefined || delegation("flat") !== undefined ? "healthy" : "waiting_for_root_delegation";
  }

  async #filter(message: IngressMessage): Promise<UserError | undefined> {
    const behind = (this.#certified?.time ?? 0n) - this.#ports.clock.now();
    if (behind > MAX_CLOCK_LAG_NS) return clockBehind(behind);
    // Asking costs more than executing a small message, and most canisters let everything in.
    const isAdmitted = this.#access.get(message.receiver)?.admitsAnyIngress === true;
    return isAdmitted ? undefined : this.#executor.filter(message);
  }

  #submit(message: IngressMessage): SubmitOutcome {
    if (this.#pool.has(message.requestId) || this.#origins.has(message.requestId)) return "duplicate";
    if (!this.#pool.add(message)) return "pool-full";
    this.onWork?.();
    return "accepted";
  }

  #awaitCompletion(requestId: RequestId): { completed: Promise<CertifiedState>; cancel(): void } {
    const certified = this.#certified;
    if (certified !== undefined && this.#origins.get(requestId)?.isFinal === true) {
      return { completed: Promise.resolve(certified), cancel: () => undefined };
    }
    const { promise, resolve } = Promise.withResolvers<CertifiedState>();
    const waiting = this.#waiting.get(requestId) ?? new Set();
    waiting.add(resolve);
    this.#waiting.set(requestId, waiting);
    const cancel = (): void => {
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#waiting.get(requestId) === waiting) this.#waiting.delete(requestId);
    };
    return { completed: promise, cancel };
  }

  async #query(query: QueryRequest, style: DelegationStyle): ReturnType<ReplicaBackend["query"]> {
    const certified = this.#certified;
    const { events, ...result } = await this.#executor.query({
      sender: query.sender,
      receiver: query.receiver,
      methodName: query.methodName,
      arg: query.arg,
      ...(query.callerInfo === undefined ? {} : { callerInfo: query.callerInfo }),
      ...(certified !== undefined &&
        query.receiver !== MANAGEMENT_CANISTER && {
          dataCertificate: this.#dataCertificate(certified, query.receiver, style),
        }),
    });
    if (events !== undefined) this.#options.onQueryEvents?.(events);
    return { result, time: certified?.time ?? 0n };
  }

  #dataCertificate(certified: CertifiedState, id: CanisterId, style: DelegationStyle): Uint8Array {
    const key = `${style} ${id}`;
    let certificate = this.#dataCertificates.get(key);
    if (certificate === undefined) {
      certificate = certified.certificate([[LABEL_CANISTER, principalToBytes(id), LABEL_CERTIFIED_DATA]], style);
      this.#dataCertificates.set(key, certificate);
    }
    return certificate;
  }
}

function clockBehind(lagNs: Time): UserError {
  return userError(
    ErrorCode.CertifiedStateUnavailable,
    `The clock of this node is ${lagNs / 1_000_000_000n} s behind the time of its last block; updates go on when the ` +
      "clock is right again.",
  );
}
