// A whole network in this thread, on a time of its own: subnets with their replicas, and a driver that runs a round on
// each of them when it is told to. It is what a test holds; the test kit and the PocketIC server are faces of it.
// Nothing moves by itself unless automatic progress is on, and the same calls with the same seed lead to the same bytes.
import {
  effectiveCanisterId,
  type InFlightMessage,
  messagesInFlight,
  type RoundEvent,
  unfitForBatch,
} from "@atoll/execution";
import {
  type AnswerOutcome,
  type BatchContent,
  createNetworkHandler,
  type DescribedSubnet,
  delegationSource,
  type ExecutedRound,
  type MessageNode,
  Recorder,
  type SubnetPeers,
} from "@atoll/replica";
import {
  type ClockPort,
  type CryptoPort,
  ErrorCode,
  type IngressStatus,
  type Intervention,
  type InterventionResult,
  type LogPort,
  MANAGEMENT_CANISTER,
  type NetworkTopology,
  type OutcallAnswer,
  type OutcallClient,
  type OutcallRequest,
  type PrincipalId,
  principalToText,
  type QueryResult,
  type StoragePort,
  type Time,
  type UserError,
  userError,
} from "@atoll/types";
import type { HttpHandler, TimerPort } from "@atoll/types/http";
import { type CanisterCall, ingressOf, type MessageId, queryOf, subnetFor } from "./calls.ts";
import {
  forkSubnet,
  makeGenesis,
  makeSubnet,
  type NetworkSubnet,
  type SubnetPorts,
  type SubnetSpec,
} from "./network-subnet.ts";
import { knowOwnSignatures } from "./own-signatures.ts";
import { Progress, type ProgressOptions } from "./progress.ts";
import { topologyOf } from "./subnet-config.ts";
import { defaultSubnetOf, SUBNET_KINDS } from "./subnet-kinds.ts";
import { Traces } from "./traces.ts";

export interface NetworkOptions {
  readonly subnets: readonly SubnetSpec[];
  /** ns since 1970; default: 2021-05-06T19:17:10Z, as PocketIC's. */
  readonly startTime?: Time;
  /** Keys, ids of nodes and canisters' randomness are drawn from it. */
  readonly seed?: Uint8Array;
  /** Where a subnet lives on disk, by the number of its place; default: in memory only. */
  readonly storage?: (place: number) => StoragePort;
  /** Keeps what happened to each message, for `messageTree`; of a long life the latest part. */
  readonly trace?: boolean;
  /** Keep all batches from the first one on, in memory, for `recording`. Not for networks that go on from disk. */
  readonly record?: boolean;
}

export interface NetworkPorts {
  readonly crypto: CryptoPort;
  /** The real time, for automatic progress. */
  readonly clock: ClockPort;
  readonly timer: TimerPort;
  readonly log: LogPort;
  /** Makes HTTPS outcalls while automatic progress is on. Without it, and without progress, the test answers them. */
  readonly outcalls?: OutcallClient;
}

export interface RoundOptions {
  /** Who proposed the block, and who should have before, by subnet. */
  readonly blockmakers?: ReadonlyMap<PrincipalId, NonNullable<BatchContent["blockmaker"]>>;
  /** Ends the round of each subnet after so many executions. */
  readonly maxExecutions?: number;
}

export interface PendingOutcall {
  readonly subnet: PrincipalId;
  readonly request: OutcallRequest;
}

export type Submission =
  | { readonly ok: true; readonly message: MessageId }
  | { readonly ok: false; readonly error: UserError };

const START_TIME: Time = 1_620_328_630_000_000_000n;
const MAX_ROUNDS = 100;

export class Network {
  readonly #ports: NetworkPorts;
  readonly #options: NetworkOptions;
  readonly #subnets = new Map<PrincipalId, NetworkSubnet>();
  /** The root subnet is the first. */
  #topology: NetworkTopology = { version: 0, rootSubnetId: "" as PrincipalId, subnets: [] };
  #time: Time;
  #lastRound: Time = 0n;
  #nonce = 0n;
  /** Made subnets, which decides seeds; and ranges of ids given out. */
  #made = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #api: HttpHandler | undefined;
  #progress: Progress | undefined;
  #roundWaiters: (() => void)[] = [];
  #recorder: Recorder | undefined;
  /** Told of each round of each subnet, when it is over. */
  onRound: ((subnet: NetworkSubnet, round: ExecutedRound) => void) | undefined;
  /** Told what canisters print in queries. */
  onQueryEvents: ((events: readonly RoundEvent[]) => void) | undefined;
  #traces = new Traces();

  /** Throws TypeError for a network without subnets, or with two of a kind that there is one of. */
  static async create(options: NetworkOptions, ports: NetworkPorts): Promise<Network> {
    const crypto = { ...ports.crypto, bls: knowOwnSignatures(ports.crypto.bls) };
    const network = new Network(options, { ...ports, crypto });
    if (options.record === true) network.#recorder = new Recorder(crypto);
    const { subnets } = options;
    if (subnets.length === 0) throw new TypeError("a network has at least one subnet");
    // The NNS subnet is the root of a network that has one.
    const [root, others] = [subnets.filter(({ kind }) => kind === "nns"), subnets.filter(({ kind }) => kind !== "nns")];
    await network.#add([...root, ...others]);
    return network;
  }

  private constructor(options: NetworkOptions, ports: NetworkPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#time = options.startTime ?? START_TIME;
  }

  get subnets(): ReadonlyMap<PrincipalId, NetworkSubnet> {
    return this.#subnets;
  }

  get topology(): NetworkTopology {
    return this.#topology;
  }

  get root(): NetworkSubnet {
    const [root] = this.#subnets.values();
    if (root === undefined) throw new TypeError("the network has no subnet yet");
    return root;
  }

  /** DER of the root key. */
  get rootKey(): Uint8Array {
    return this.root.config.publicKey;
  }

  /** ns since 1970. */
  get time(): Time {
    return this.#time;
  }

  /** The HTTP interface of the network, for unmodified clients. */
  get api(): HttpHandler {
    this.#api ??= createNetworkHandler(
      {
        topology: () => this.#topology,
        backend: (id) => this.#subnets.get(id)?.replica.backend,
        defaultSubnet: () => this.defaultSubnet.id,
        development: { subnets: () => [...this.#subnets.values()].map(described) },
      },
      { timer: this.#ports.timer, log: this.#ports.log },
    );
    return this.#api;
  }

  /** The subnet that takes new canisters when nobody says which. */
  get defaultSubnet(): NetworkSubnet {
    return defaultSubnetOf(this.#subnets.values()) ?? this.root;
  }

  /** The time of the next round. Throws RangeError when it is earlier than now. */
  setTime(time: Time): void {
    if (time < this.#time)
      throw new RangeError(`the time is ${this.#time} ns already; it cannot go back to ${time} ns`);
    this.#time = time;
  }

  advance(ns: bigint): void {
    this.setTime(this.#time + ns);
  }

  /** One round on each subnet. */
  tick(options: RoundOptions = {}): Promise<void> {
    return this.#inTurn(() => this.#round(options));
  }

  get isProgressing(): boolean {
    return this.#progress !== undefined;
  }

  /** From now on the network moves by itself, beginning at the time that it is. Throws TypeError when it does so already. */
  startProgress(options: ProgressOptions = {}): void {
    if (this.#progress !== undefined) throw new TypeError("automatic progress is on already");
    const { clock, log } = this.#ports;
    const now = clock.now();
    if (now > this.#time) this.#time = now;
    const target = {
      moveOn: async (ns: bigint) => {
        this.#time += ns;
        await this.tick();
      },
    };
    this.#progress = new Progress(target, this.#ports, options);
    this.#serveOutcalls();
    this.#progress.ended.catch((error: unknown) => {
      this.#progress = undefined;
      this.#endRound();
      log.log("error", `Automatic progress has ended: ${String((error as Error)?.stack)}`);
    });
  }

  /** Resolves when the last round is over. */
  async stopProgress(): Promise<void> {
    const progress = this.#progress;
    this.#progress = undefined;
    this.#serveOutcalls();
    await progress?.stop();
    this.#endRound();
  }

  /** Has every subnet certify its state at the time that it is now, without a round. */
  certifyTime(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { replica } of this.#subnets.values()) await replica.makeBlock(this.#time, { interventions: [] });
    });
  }

  /** One more subnet. The others know of it from their next round on. */
  addSubnet(spec: SubnetSpec): Promise<NetworkSubnet> {
    return this.#inTurn(async () => {
      const [subnet] = await this.#add([spec]);
      return subnet as NetworkSubnet;
    });
  }

  /** Lets a message in, as any principal, if the canister and the subnet let it. */
  submit(call: CanisterCall): Promise<Submission> {
    return this.#inTurn(async () => {
      const subnet = this.#subnetFor(call);
      if (subnet === undefined) return { ok: false, error: notHosted(call) };
      const message = ingressOf(call, this.#time, this.#nonce++, this.#ports.crypto);
      const { backend } = subnet.replica;
      const error = await backend.filterIngress(message);
      if (error !== undefined) return { ok: false, error };
      if (backend.submitIngress(message) === "pool-full") return { ok: false, error: overloaded() };
      return { ok: true, message: { subnet: subnet.id, requestId: message.requestId } };
    });
  }

  /** What has become of a message; undefined: it is in no block yet, or forgotten. */
  status({ subnet, requestId }: MessageId): IngressStatus | undefined {
    return this.#subnets.get(subnet)?.executor.durable.machine.state.ingressHistory.get(requestId)?.status;
  }

  /** Runs rounds until the message is answered; undefined when `maxRounds` were not enough. */
  async awaitMessage(message: MessageId, maxRounds = MAX_ROUNDS): Promise<IngressStatus | undefined> {
    for (let rounds = 0; ; rounds++) {
      const status = this.status(message);
      if (status !== undefined && status.state !== "received" && status.state !== "processing") return status;
      if (rounds >= maxRounds && !this.#hasLongExecutions()) return undefined;
      await (this.#progress === undefined ? this.tick() : this.#nextRound());
    }
  }

  async query(call: CanisterCall): Promise<QueryResult> {
    const subnet = this.#subnetFor(call);
    if (subnet === undefined) return { kind: "rejected", error: notHosted(call) };
    const query = queryOf(call, this.#time, this.#nonce++, this.#ports.crypto);
    const { result } = await subnet.replica.backend.query(query, "sharded");
    return result;
  }

  /** Changes the state of a subnet beside all messages: none of them runs. The results in the order of the list. */
  intervene(subnet: PrincipalId, interventions: readonly Intervention[]): Promise<readonly InterventionResult[]> {
    return this.#inTurn(async () => {
      const found = this.#subnets.get(subnet);
      if (found === undefined) throw new TypeError(`there is no subnet ${principalToText(subnet)}`);
      const error = unfitForBatch(interventions);
      if (error !== undefined) return interventions.map(() => ({ ok: false, error }));
      const { interventionResults } = await found.replica.makeBlock(this.#time, { interventions });
      return interventionResults;
    });
  }

  /** Every message that is under way, by the subnet that knows of it. */
  messagesInFlight(): ReadonlyMap<PrincipalId, readonly InFlightMessage[]> {
    const entries = [...this.#subnets].map(([id, { executor }]) => [id, executor.durable.machine.state] as const);
    return new Map(entries.map(([id, state]) => [id, messagesInFlight(state)]));
  }

  /** All that a message has caused so far, on all subnets; undefined: in no block yet, or the network keeps no traces. */
  messageTree({ requestId }: MessageId): MessageNode | undefined {
    return this.#traces.treeOf(requestId);
  }

  get isRecorded(): boolean {
    return this.#recorder !== undefined;
  }

  /**
   * Everything that has happened so far, as a file that `atoll replay` executes again. Throws TypeError when the network
   * does not record.
   */
  recording(): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      if (this.#recorder === undefined) throw new TypeError("the network was not made with the option `record`");
      return this.#recorder.file();
    });
  }

  /** HTTPS outcalls that nobody has answered yet, subnet by subnet. */
  pendingOutcalls(): PendingOutcall[] {
    return [...this.#subnets.values()].flatMap(({ id, replica }) =>
      replica.outcalls.pending().map((request) => ({ subnet: id, request })),
    );
  }

  /** One answer for all nodes of the subnet, or one of each; the next round brings it to the canister. */
  async answerOutcall(
    subnet: PrincipalId,
    outcall: number,
    answers: readonly OutcallAnswer[],
  ): Promise<AnswerOutcome["kind"]> {
    const outcome = await this.#subnets.get(subnet)?.replica.outcalls.answer(outcall, answers);
    return outcome?.kind ?? "unknown";
  }

  /**
   * The same network once more, as it is now: the same keys, canisters and messages in flight, and from here on a life of
   * its own. It lives in memory only and does not progress by itself. Close what is not used any more.
   */
  fork(): Promise<Network> {
    return this.#inTurn(async () => {
      const { storage: _, ...options } = this.#options;
      const fork = new Network(options, this.#ports);
      fork.#topology = this.#topology;
      fork.#time = this.#time;
      fork.#lastRound = this.#lastRound;
      fork.#nonce = this.#nonce;
      fork.#made = this.#made;
      fork.#traces = this.#traces.fork();
      fork.#recorder = this.#recorder?.fork();
      for (const subnet of this.#subnets.values()) {
        const around = fork.#surroundings(subnet.id, { isRoot: subnet === this.root });
        fork.#install(forkSubnet(subnet, { ...around, recorder: fork.#recorder }, fork.#subnetPorts));
      }
      return fork;
    });
  }

  /** Nothing may be called after it. */
  async close(): Promise<void> {
    await this.stopProgress();
    await this.#inTurn(async () => {
      for (const { replica } of this.#subnets.values()) await replica.stop();
    });
  }

  async #add(specs: readonly SubnetSpec[]): Promise<NetworkSubnet[]> {
    const added: NetworkSubnet[] = [];
    for (const spec of specs) {
      const place = this.#made++;
      const genesis = makeGenesis(spec, spec.seed ?? this.#seedOf(place), place, this.#ports.crypto);
      const { subnetId } = genesis.config;
      const root = this.#subnets.size === 0 ? genesis : this.root;
      const around = {
        ...this.#surroundings(subnetId, { isRoot: root === genesis }),
        rootKey: root.config.publicKey,
        rootSubnetId: root.config.subnetId,
        storage: this.#options.storage?.(place),
        trace: this.#options.trace === true,
        recorder: this.#recorder,
      };
      const subnet = makeSubnet(genesis, around, this.#subnetPorts);
      this.#install(subnet);
      added.push(subnet);
    }
    this.#topology = topologyOf(this.#topology.version + 1, this.root, this.#subnets.values());
    const loaded = await Promise.all(added.map(async ({ id, replica }) => [id, await replica.start()] as const));
    for (const { executor } of added) {
      // A state from disk may be later than what was kept of the network.
      const { time } = executor.durable.machine.state;
      if (time > this.#lastRound) this.#lastRound = time;
    }
    for (const { replica } of this.#subnets.values()) replica.setTopology(this.#topology);
    // The first state of each is certified, so that the network answers at once.
    await this.#round({});
    for (const [id, whole] of loaded) this.#tellNeighbours(id, whole);
    return added;
  }

  get #subnetPorts(): SubnetPorts {
    return { ...this.#ports, clock: { now: () => this.#time } };
  }

  /** What of a subnet's surroundings is this network, and no other. */
  #surroundings(id: PrincipalId, { isRoot }: { isRoot: boolean }) {
    const rootState = () => this.root.replica.backend.certifiedState();
    return {
      delegation: isRoot ? undefined : delegationSource(rootState, id),
      peers: this.#peersOf(id),
      onRound: (round: ExecutedRound) => this.#roundEnded(id, round),
      onQueryEvents: (events: readonly RoundEvent[]) => this.onQueryEvents?.(events),
    };
  }

  #serveOutcalls(): void {
    const client = this.#progress === undefined ? undefined : this.#ports.outcalls;
    for (const { replica } of this.#subnets.values()) replica.outcalls.serve(client);
  }

  #install(subnet: NetworkSubnet): void {
    if (this.#progress !== undefined) subnet.replica.outcalls.serve(this.#ports.outcalls);
    subnet.replica.onWork = () => this.#progress?.hasWork();
    this.#subnets.set(subnet.id, subnet);
  }

  #roundEnded(id: PrincipalId, round: ExecutedRound): void {
    this.#tellNeighbours(id, round);
    if (round.trace !== undefined) this.#traces.add({ subnet: id, height: round.height, events: round.trace });
    const subnet = this.#subnets.get(id);
    if (subnet !== undefined) this.onRound?.(subnet, round);
  }

  #seedOf(place: number): Uint8Array {
    const { seed = new Uint8Array() } = this.#options;
    return this.#ports.crypto.sha256(Uint8Array.of(...seed, place >> 8, place & 255));
  }

  async #round({ blockmakers, maxExecutions }: RoundOptions): Promise<void> {
    if (this.#time <= this.#lastRound) this.#time = this.#lastRound + 1n;
    this.#lastRound = this.#time;
    for (const { id, replica } of this.#subnets.values()) {
      const blockmaker = blockmakers?.get(id);
      await replica.makeBlock(this.#time, {
        ...(blockmaker && { blockmaker }),
        ...(maxExecutions !== undefined && { maxExecutions }),
      });
    }
    this.#endRound();
  }

  #endRound(): void {
    const waiting = this.#roundWaiters;
    this.#roundWaiters = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when somebody else has run a round. */
  #nextRound(): Promise<void> {
    return new Promise((resolve) => {
      this.#roundWaiters.push(resolve);
    });
  }

  #peersOf(subnet: PrincipalId): SubnetPeers {
    return {
      slice: (source, from, most) => this.#subnets.get(source)?.replica.streamSlice(subnet, from, most),
    };
  }

  #tellNeighbours(id: PrincipalId, { streams }: Pick<ExecutedRound, "streams">): void {
    for (const { subnet, ...news } of streams) this.#subnets.get(subnet)?.replica.streamMoved(id, news);
  }

  #subnetFor(call: CanisterCall): NetworkSubnet | undefined {
    // Looked for once: the argument may be a module of megabytes.
    const about = aboutOf(call);
    const id = subnetFor(this.#topology, call, about);
    if (id !== undefined) return this.#subnets.get(id);
    const isForAnybody = call.receiver === MANAGEMENT_CANISTER && call.effective === undefined && about === undefined;
    return isForAnybody ? this.defaultSubnet : undefined;
  }

  #hasLongExecutions(): boolean {
    return [...this.#subnets.values()].some(({ executor }) => executor.durable.machine.long.size > 0);
  }

  /** One operation after the other: none sees another one half done. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(operation);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

/** The canister that the argument of a management call names. */
function aboutOf({ receiver, methodName, arg }: CanisterCall): PrincipalId | undefined {
  if (receiver !== MANAGEMENT_CANISTER) return undefined;
  const id = effectiveCanisterId(methodName, arg);
  return id === "any" ? undefined : id;
}

function described({ id, kind, seed, spec, config: { canisterRanges } }: NetworkSubnet): DescribedSubnet {
  const { subnetAdmins, costSchedule = "normal", instructions = "production" } = spec;
  const facts = { subnetId: id, kind: SUBNET_KINDS[kind].label, seed, canisterRanges, costSchedule, instructions };
  return { ...facts, ...(subnetAdmins && { subnetAdmins }) };
}

function notHosted({ receiver, effective }: CanisterCall): UserError {
  const id = receiver === MANAGEMENT_CANISTER ? (effective ?? receiver) : receiver;
  return userError(ErrorCode.SubnetNotFound, `Canister ${principalToText(id)} does not belong to any subnet.`);
}

function overloaded(): UserError {
  return userError(ErrorCode.IngressHistoryFull, "Service is overloaded, try again later.");
}
