// One run of one plan: the subnet begins, faults come and go while all checkers watch; then all but f nodes are healed and must go
// on within a bound; then the rest is healed too, and every node that keeps to the protocol must come to the same point.
// Sections 22 and 24; invariant 10.
import { type Artifact, beaconHash, blockHash, type CatchUpPackage } from "@atoll/consensus";
import type { CryptoPort, Height, PrincipalId } from "@atoll/types";
import type { HttpResponse } from "@atoll/types/http";
import { AcceptedMessages } from "./checkers/accepted-messages.ts";
import { byVersion, type Observation, observer, type RunFacts, Violation } from "./checkers/checker.ts";
import { executionChecker } from "./checkers/execution.ts";
import { finalityChecker } from "./checkers/finality.ts";
import { keySuccessionChecker } from "./checkers/key-succession.ts";
import { poolBoundsChecker } from "./checkers/pool-bounds.ts";
import { randomnessChecker } from "./checkers/randomness.ts";
import { signingRulesChecker } from "./checkers/signing-rules.ts";
import { uniqueArtifactsChecker } from "./checkers/unique-artifacts.ts";
import { type CryptoWorld, lightWorld, realWorld } from "./crypto-world.ts";
import { EventLog } from "./event-log.ts";
import type { HttpNode } from "./http-client.ts";
import { injectFaults } from "./inject.ts";
import type { MakeCore } from "./node-core.ts";
import { type Random, seededRandom } from "./random.ts";
import type { RegistryChange, RunPlan } from "./run-plan.ts";
import { MS, Scheduler, SECOND, type Settle } from "./scheduler.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimNode } from "./sim-node.ts";
import { SimRegistry } from "./sim-registry.ts";
import { makeSubnet, type SimSubnet, sorted } from "./sim-subnet.ts";
import { Workload } from "./workload.ts";

/** What the host of a run brings: nothing of it may decide what happens. */
export interface SimHost {
  readonly crypto: CryptoPort;
  readonly settle: Settle;
  makeCore(scheduler: Scheduler, random: Random): MakeCore;
  /** The canister that clients call. */
  readonly module: Uint8Array;
}

export interface RunOptions {
  /** Each line of the log as it comes. */
  readonly tell?: (line: string) => void;
  /** Phases of liveness follow; default: true. */
  readonly heals?: boolean;
}

export interface RunFailure {
  /** Which check failed: minimising keeps to it. */
  readonly name: string;
  readonly message: string;
  readonly atNs: number;
}

export interface RunResult {
  readonly plan: RunPlan;
  readonly failure: RunFailure | undefined;
  /** Of the log of events: the same for the same seed and code. */
  readonly hash: string;
  readonly events: number;
  readonly virtualNs: number;
  readonly finalizedHeight: Height;
  /** Heights executed, summed over all nodes. */
  readonly nodeRounds: number;
  /** Calls of clients that were answered with a certificate. */
  readonly calls: number;
  readonly lastLines: readonly string[];
}

/** Heights that must be added within `LIVENESS_NS` once enough nodes are healed. */
const LIVE_HEIGHTS = 12;
const LIVENESS_NS = 90 * SECOND;
const CLIENTS_END_NS = 30 * SECOND;
/** Of a request, one way. */
const HTTP_NS = 2 * MS;
const CONVERGENCE_NS = 90 * SECOND;

export async function runPlan(plan: RunPlan, host: SimHost, options: RunOptions = {}): Promise<RunResult> {
  const run = new Run(plan, host, options);
  await run.all(options.heals ?? true);
  return run.result();
}

class Run {
  readonly #plan: RunPlan;
  readonly #scheduler: Scheduler;
  readonly #subnet: SimSubnet;
  readonly #registry: SimRegistry;
  readonly #network: SimNetwork;
  readonly #nodes: readonly SimNode[];
  readonly #check: (observation: Observation) => void;
  readonly #random: Random;
  readonly #peerChoice: Random;
  #failure: RunFailure | undefined;
  #finalized: Height = 0;
  #lastMaker: { height: Height; node: PrincipalId } | undefined;
  #nodeRounds = 0;
  readonly #workload: Workload;
  readonly #messages = new AcceptedMessages();

  constructor(plan: RunPlan, host: SimHost, { tell }: RunOptions) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#peerChoice = this.#random.stream("peer choice");
    this.#scheduler = new Scheduler(new EventLog(tell), host.settle);
    const scheduler = this.#scheduler;
    const { crypto } = host;
    const world = (plan.crypto === "real" ? realWorld : lightWorld)(crypto, this.#random.stream("world"));
    this.#subnet = makeSubnet(plan, { world, crypto, random: this.#random.stream("subnet") });
    this.#registry = new SimRegistry(this.#subnet.firstRecord, {
      ...{ scheduler, crypto, random: this.#random.stream("registry") },
      checkNode: (node) => world.checkNode(node),
      takers: () => this.#nodes.filter(({ id }) => this.#registry.latest.nodes.some(({ nodeId }) => nodeId === id)),
    });
    const ids = this.#subnet.identities.map(({ id }) => id);
    this.#network = new SimNetwork(ids, { scheduler, random: this.#random.stream("network"), usual: plan.network });
    const decoded = new Map<string, Artifact>();
    const makeCore = host.makeCore(scheduler, this.#random.stream("cores"));
    this.#nodes = this.#subnet.identities.map(
      (identity) =>
        new SimNode(
          {
            identity,
            subnet: this.#subnet,
            behaviours: plan.liars.find(({ node }) => node === identity.index)?.behaviours ?? [],
            protocolVersion: this.#subnet.firstRecord.protocolVersion,
            decoded,
            packageOfPeer: (node) => this.#packageOfPeer(node),
          },
          {
            scheduler,
            random: this.#random.stream(`node ${identity.index}`),
            network: this.#network,
            registry: this.#registry,
            makeCore,
            observe: (observation) => this.#observe(observation),
            onBroken: (error) => this.#fail(error),
          },
        ),
    );
    this.#workload = this.#makeWorkload(world, host);
    const facts = this.#facts(world);
    this.#check = observer([
      byVersion(() => finalityChecker(facts)),
      byVersion(() => uniqueArtifactsChecker(facts)),
      byVersion(() => signingRulesChecker(facts)),
      keySuccessionChecker(),
      executionChecker(facts),
      randomnessChecker(),
      this.#messages.checker,
      poolBoundsChecker(facts),
    ]);
  }

  #makeWorkload(world: CryptoWorld, { crypto, module }: SimHost): Workload {
    const keys = this.#subnet.identities.map(({ secret }) => crypto.ed25519PublicKey(secret));
    const isHonest = (index: number): boolean => this.#nodes[index]?.observed.isHonest === true;
    const reachable = (random: Random): HttpNode | undefined => {
      const nodes = this.#nodes.filter(({ http }) => http !== undefined);
      const node = nodes.length === 0 ? undefined : random.pick(nodes);
      if (node === undefined) return undefined;
      const { index, id } = node;
      const publicKey = keys[index] as Uint8Array;
      return { index, id, publicKey, post: (path, body) => post(node, path, body, this.#scheduler) };
    };
    const certificates = { sha256: crypto.sha256, bls: { ...crypto.bls, verify: world.verifyThreshold } };
    return new Workload(this.#plan.load, {
      ...{ scheduler: this.#scheduler, random: this.#random.stream("clients"), crypto, certificates, module },
      rootKey: this.#subnet.rootKey,
      pickNode: reachable,
      isHonest,
      onSent: (id) => this.#messages.sent(id),
      onAccepted: (id, node) => isHonest(node) && this.#messages.accepted(id, node, this.#scheduler.now),
      onViolation: (violation) => this.#fail(violation),
    });
  }

  async all(heals: boolean): Promise<void> {
    try {
      await this.#phases(heals);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #phases(heals: boolean): Promise<void> {
    const { plan, scheduler } = { plan: this.#plan, scheduler: this.#scheduler };
    for (const node of this.#nodes.slice(0, plan.members)) node.start();
    if (this.#nodes[0]?.hasClients === true) scheduler.at(SECOND / 2, () => this.#workload.start());
    for (const change of plan.changes) scheduler.at(change.at, () => this.#change(change));
    const injection = injectFaults(plan.faults, {
      nodes: this.#nodes,
      network: this.#network,
      scheduler,
      random: this.#random.stream("adversary"),
      lastMaker: () => this.#lastMaker?.node,
    });
    if (plan.progress !== undefined) this.#mustProgress(plan.progress);
    await this.#pass(plan.safetyNs);
    if (this.#failure !== undefined || !heals) return;
    scheduler.note("all but f nodes are healed");
    injection.heal(new Set(plan.healedFirst.filter((index) => this.#isCalled(index))));
    await this.#mustReach(LIVENESS_NS, this.#finalized + LIVE_HEIGHTS, plan.healedFirst);
    if (this.#failure !== undefined) return;
    scheduler.note("all nodes are healed");
    const all = this.#nodes.map(({ index }) => index).filter((index) => this.#isCalled(index));
    injection.heal(new Set(all));
    await this.#mustReach(CONVERGENCE_NS, this.#finalized + 1, all);
    await this.#clientsEnd();
  }

  /** Everybody is well: whoever waits for an answer gets it, and what all were told must fit together. */
  async #clientsEnd(): Promise<void> {
    const workload = this.#workload;
    workload.stop();
    const until = this.#scheduler.now + CLIENTS_END_NS;
    const isWaiting = (): boolean => workload.open > 0 || this.#messages.open(this.#scheduler.now).length > 0;
    while (isWaiting() && this.#scheduler.now < until && this.#failure === undefined) await this.#pass(SECOND);
    if (this.#failure !== undefined) return;
    this.#messages.check(this.#scheduler.now);
    workload.check();
  }

  /** Has a process: a member from the beginning, or a node that was added. */
  #isCalled(index: number): boolean {
    return (
      index < this.#plan.members || this.#registry.everyNode().some(({ nodeId }) => nodeId === this.#nodes[index]?.id)
    );
  }

  async #pass(ns: number): Promise<void> {
    await this.#scheduler.run(this.#scheduler.now + ns);
  }

  #mustProgress({ from, until, heights }: NonNullable<RunPlan["progress"]>): void {
    const scheduler = this.#scheduler;
    scheduler.at(from, () => {
      const begin = this.#finalized;
      scheduler.at(until, () => {
        const gained = this.#finalized - begin;
        if (gained < heights)
          this.#fail(new Violation(10, `only ${gained} heights became final in ${(until - from) / SECOND} s`));
      });
    });
  }

  /** All of these nodes that are members and keep to the protocol execute that height within the time. */
  async #mustReach(withinNs: number, height: Height, indices: readonly number[]): Promise<void> {
    const members = new Set(this.#registry.latest.nodes.map(({ nodeId }) => nodeId));
    const nodes = indices
      .flatMap((index) => this.#nodes[index] ?? [])
      .filter((node) => isDueFrom(node) && members.has(node.id));
    const until = this.#scheduler.now + withinNs;
    const isBehind = (node: SimNode): boolean => (node.core?.status().certifiedHeight ?? 0) < height;
    while (this.#failure === undefined && nodes.some(isBehind)) {
      if (this.#scheduler.now >= until) {
        const where = nodes.map(({ index, core }) => `${index}: ${core === undefined ? "down" : heightsOf(core)}`);
        throw new Violation(
          10,
          `height ${height} was not reached in ${withinNs / SECOND} s by nodes ${where.join("; ")}`,
        );
      }
      await this.#pass(SECOND);
    }
  }

  #packageOfPeer(node: SimNode): CatchUpPackage | undefined {
    const canAsk = (peer: SimNode): boolean =>
      peer.isRunning &&
      peer.observed.isHonest &&
      !this.#network.link(node.id, peer.id).isCut &&
      !this.#network.link(peer.id, node.id).isCut;
    const peers = this.#nodes.filter((peer) => peer !== node && peer.newestPackage !== undefined && canAsk(peer));
    return peers.length === 0 ? undefined : this.#peerChoice.pick(peers).newestPackage;
  }

  #change(change: RegistryChange): void {
    const { latest } = this.#registry;
    const identity = "node" in change ? this.#subnet.identities[change.node] : undefined;
    switch (change.kind) {
      case "add":
        if (identity === undefined) return;
        this.#registry.publish({ nodes: sorted([...latest.nodes, identity.record]) });
        this.#nodes[change.node]?.start();
        return;
      case "remove":
        this.#registry.publish({ nodes: latest.nodes.filter(({ nodeId }) => nodeId !== identity?.id) });
        return;
      case "interval":
        this.#registry.publish({ settings: { ...latest.settings, dkgIntervalLength: change.length } });
        return;
      case "upgrade":
        this.#registry.publish({ protocolVersion: change.protocolVersion });
        return;
    }
  }

  #observe(observation: Observation): void {
    if (this.#failure !== undefined) return;
    const { node, kind } = observation;
    if (kind === "executed") this.#nodeRounds++;
    if (kind === "event") {
      const { event } = observation;
      if (event.kind === "finalized" && node.isHonest) this.#finalized = Math.max(this.#finalized, event.height);
    }
    if (kind === "published" && observation.artifact.kind === "block-proposal") {
      const { block, signer } = observation.artifact;
      if (block.height >= (this.#lastMaker?.height ?? 0)) this.#lastMaker = { height: block.height, node: signer };
    }
    try {
      this.#check(observation);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first failure ends the run: it is what has to be understood. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    const atNs = this.#scheduler.now;
    const name = error instanceof Violation ? `invariant ${error.invariant}` : "a node broke";
    const message = error instanceof Violation ? error.message : String((error as Error)?.stack ?? error);
    this.#failure = { name, message, atNs };
    this.#scheduler.stop();
  }

  #facts(world: CryptoWorld): RunFacts {
    const { plan, subnet } = { plan: this.#plan, subnet: this.#subnet };
    const { genesis, transcripts } = subnet;
    const removals = plan.changes.filter(({ kind }) => kind === "remove").length;
    const lengths = plan.changes.flatMap((change) => (change.kind === "interval" ? [change.length] : []));
    return {
      subnetId: subnet.config.subnetId,
      fewestMembers: plan.members - removals,
      mostMembers: plan.members + plan.spares,
      longestInterval: Math.max(plan.settings.dkgIntervalLength, ...lengths),
      minimumChainLength: plan.settings.minimumChainLength,
      subnetKey: transcripts.high.coefficients[0] as Uint8Array,
      genesis: { block: blockHash(genesis.block), beacon: beaconHash(genesis.beacon) },
      verifyThreshold: world.verifyThreshold,
    };
  }

  result(): RunResult {
    const { log } = this.#scheduler;
    return {
      plan: this.#plan,
      failure: this.#failure,
      hash: log.hash,
      events: log.count,
      virtualNs: this.#scheduler.now,
      finalizedHeight: this.#finalized,
      nodeRounds: this.#nodeRounds,
      calls: this.#workload.answered,
      lastLines: log.last(60),
    };
  }
}

/** Who keeps to the protocol, or has nothing else wrong with it than a state that is not the subnet's. */
function isDueFrom({ observed, behaviours }: SimNode): boolean {
  return observed.isHonest || behaviours.every((behaviour) => behaviour === "corrupt-state");
}

function post(node: SimNode, path: string, body: Uint8Array, scheduler: Scheduler): Promise<HttpResponse> {
  return new Promise((resolve) => {
    scheduler.after(HTTP_NS, () => {
      scheduler.settleSoon();
      const headers = {
        get: (name: string) => (name === "content-type" ? "application/cbor" : undefined),
        entries: () => [],
      };
      const { life } = node;
      node.http?.({ method: "POST", target: path, headers, body }).then((response) => {
        scheduler.after(HTTP_NS, () => {
          // Whoever is gone answers nothing.
          if (node.life !== life) return;
          resolve(response);
          scheduler.settleSoon();
        });
      });
    });
  });
}

function heightsOf(core: { status(): object }): string {
  return Object.entries(core.status())
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");
}
