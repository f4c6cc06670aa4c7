// One node of a run, driven as a real host drives one: it steps when something came in or the time has come, its process can be
// killed at any change of its disk and started again, and an operator puts in an empty disk when the one it has is broken.
import type {
  Artifact,
  CatchUpPackage,
  ConsensusCrypto,
  ConsensusEvent,
  RecordRegistry,
  SignedRegistryRecord,
} from "@atoll/consensus";
import { createHttpHandler } from "@atoll/replica";
import { EnvironmentError, type Height, type LogPort, type PrincipalId, type Time, toHex } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import type { Behaviour } from "./behaviours.ts";
import { type Observation, type Observed, Violation } from "./checkers/checker.ts";
import { entropyOf, type SimIdentity } from "./crypto-world.ts";
import { digestOf } from "./digest.ts";
import type { Liar } from "./liar.ts";
import type { CoreParts, MakeCore, NodeCore } from "./node-core.ts";
import { type PeerGroups, peerGroups } from "./peer-groups.ts";
import type { Random } from "./random.ts";
import { MS, type Scheduler, SECOND, type Timer, type VirtualTime } from "./scheduler.ts";
import { SimClock } from "./sim-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SimNetwork } from "./sim-network.ts";
import { knownNodes, protocolVersionAt, type SimRegistry } from "./sim-registry.ts";
import type { SimSubnet } from "./sim-subnet.ts";
import { makeVoice, type Voice } from "./voice.ts";

export interface SimNodeOptions {
  readonly identity: SimIdentity;
  readonly subnet: SimSubnet;
  readonly behaviours: readonly Behaviour[];
  readonly protocolVersion: string;
  /** Artifacts by their ids, decoded: what one node publishes most others publish too. */
  readonly decoded: Map<string, Artifact>;
  /** The newest catch-up package of some honest peer that can be asked now. */
  packageOfPeer(node: SimNode): CatchUpPackage | undefined;
}

export interface SimNodePorts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: SimNetwork;
  readonly registry: SimRegistry;
  readonly makeCore: MakeCore;
  observe(observation: Observation): void;
  /** Something that must not be: the run ends. */
  onBroken(error: unknown): void;
}

/** What a process is made of; a crash leaves nothing of it. */
interface Life {
  readonly number: number;
  readonly core: NodeCore;
  readonly peers: PeerGroups;
  readonly registry: RecordRegistry;
  readonly http: HttpHandler | undefined;
  readonly work: () => void;
  readonly supervise: () => void;
  timer: Timer | undefined;
  timerTime: VirtualTime;
  isStarted: boolean;
}

const START_NS = 50 * MS;
const TOGETHER_NS = 4 * MS;
const EXECUTION_NS = 3 * MS;
/** After an error of the surroundings, as a full disk, a node tries again. */
const RETRY_NS = 500 * MS;
const SUPERVISION_NS = 500 * MS;
/** One of so many heights comes out wrong where a state is corrupted, and which one. */
const CORRUPT_HEIGHTS = 23;
const CORRUPT_HEIGHT = 11;
/** What is sent to a slow reader waits so long, then a moment is enough for all of it. */
const SLOW_READER_NS = 2 * SECOND;

export class SimNode {
  readonly observed: { -readonly [K in keyof Observed]: Observed[K] };
  readonly disk: SimDisk;
  readonly clock: SimClock;
  executionNs = EXECUTION_NS;
  /** That it has published. */
  newestPackage: CatchUpPackage | undefined;
  /** It makes no dealings before. */
  dealsFrom: VirtualTime = 0;
  /** Its disk may show something else than was written. */
  isDamaged = false;
  readonly #options: SimNodeOptions;
  readonly #ports: SimNodePorts;
  readonly #random: Random;
  #life: Life | undefined;
  #lives = 0;
  #busyUntil: VirtualTime = 0;
  #restart: Timer | undefined;
  /** Until it is healed. */
  #corrupts: boolean;

  constructor(options: SimNodeOptions, ports: SimNodePorts) {
    const { identity, behaviours } = options;
    this.#options = options;
    this.#ports = ports;
    this.#random = ports.random;
    this.#corrupts = behaviours.includes("corrupt-state");
    this.disk = new SimDisk(this.#random.stream("disk"));
    this.clock = new SimClock(ports.scheduler);
    const { index, id } = identity;
    this.observed = {
      index,
      id,
      isHonest: behaviours.length === 0,
      corruptsState: behaviours.includes("corrupt-state") && !behaviours.includes("no-execution"),
      hasForgotten: false,
      protocolVersion: options.protocolVersion,
    };
  }

  get id(): PrincipalId {
    return this.#options.identity.id;
  }

  get index(): number {
    return this.#options.identity.index;
  }

  /** How often its process has started; undefined: it is not there. */
  get life(): number | undefined {
    return this.#life?.number;
  }

  get behaviours(): readonly Behaviour[] {
    return this.#options.behaviours;
  }

  get isRunning(): boolean {
    return this.#life?.isStarted === true;
  }

  /** Undefined: its process is not there, or not yet ready. */
  get core(): NodeCore | undefined {
    return this.#life?.isStarted === true ? this.#life.core : undefined;
  }

  start(): void {
    this.#restart?.cancel();
    if (this.#life !== undefined) return;
    const { scheduler } = this.#ports;
    const number = ++this.#lives;
    scheduler.note(`node ${this.index} starts`);
    this.clock.restart();
    try {
      const life = this.#makeLife(number);
      this.#life = life;
      scheduler.later(START_NS, life.core.start()).then(
        () => this.#started(life),
        (error: unknown) => this.#isCurrent(life) && this.#failed(error, true),
      );
    } catch (error) {
      this.#failed(error, true);
    }
  }

  /** The process is gone; `keep`: what its disk keeps. It starts again after `downNs`, unless that is undefined. */
  crash(keep: "all" | "synced" | "torn", downNs: number | undefined): void {
    const life = this.#life;
    this.#life = undefined;
    life?.timer?.cancel();
    if (life !== undefined) this.#discard(life);
    this.#ports.scheduler.note(`node ${this.index} is gone`);
    this.#ports.network.detach(this.id);
    if (life !== undefined) this.#ports.observe({ node: this.observed, kind: "crashed" });
    this.disk.restart(keep);
    this.#restart?.cancel();
    if (downNs !== undefined) this.#restart = this.#ports.scheduler.after(downNs, () => this.start());
  }

  /** Between two events: it may be in the middle of a step. */
  #discard(life: Life): void {
    this.#ports.scheduler.after(0, () => {
      life.core.discard();
      this.#ports.scheduler.settleSoon();
    });
  }

  /** An operator replaces the disk. */
  emptyDisk(downNs: number): void {
    this.crash("all", undefined);
    this.disk.empty();
    this.isDamaged = false;
    this.observed.hasForgotten = true;
    this.#restart = this.#ports.scheduler.after(downNs, () => this.start());
  }

  resetExecution(): void {
    this.executionNs = EXECUTION_NS;
  }

  /** Nothing is wrong with its machine any more, and its process runs. What it forgot it has forgotten. */
  heal(): void {
    this.disk.setFull(false);
    this.disk.stopAfter(Number.POSITIVE_INFINITY);
    this.disk.operationNs = 0;
    this.dealsFrom = 0;
    this.#corrupts = false;
    this.clock.heal();
    this.resetExecution();
    if (this.isDamaged) this.emptyDisk(MS);
    else this.start();
  }

  get hasClients(): boolean {
    return this.#life?.http !== undefined;
  }

  /** What clients talk to; undefined: it is not there, or stands still. */
  get http(): HttpHandler | undefined {
    return this.isRunning && this.#busyUntil <= this.#ports.scheduler.now ? this.#life?.http : undefined;
  }

  #serveHttp(core: NodeCore): HttpHandler | undefined {
    const { scheduler } = this.#ports;
    const timer = {
      after: (ms: number, act: () => void) => {
        const event = scheduler.after(ms * MS, () => {
          act();
          scheduler.settleSoon();
        });
        return () => event.cancel();
      },
    };
    return core.backend && createHttpHandler(core.backend, { timer, log: this.#log() });
  }

  /** The process stands still. */
  stall(forNs: number): void {
    this.#hold(this.#ports.scheduler.now + forNs);
  }

  /** How a crash goes on that the disk announced. */
  onDiskStop: (() => void) | undefined;

  /** What its operator hands to it; false: it has not taken it. */
  takeRecord(signed: SignedRegistryRecord): boolean {
    const life = this.#life;
    if (life === undefined || !life.isStarted || this.#busyUntil > this.#ports.scheduler.now) return false;
    try {
      const { kind } = life.registry.add(signed);
      if (kind === "added") this.#workSoon(life);
      return kind !== "refused";
    } catch (error) {
      if (this.#checkDisk() && !(error instanceof EnvironmentError)) throw error;
      return false;
    }
  }

  #makeLife(number: number): Life {
    const { network, registry } = this.#ports;
    const { identity, subnet } = this.#options;
    const entropy = entropyOf(this.#random.stream(`entropy ${number}`));
    const crypto = this.#dealing(identity.crypto(entropy));
    const groups = this.observed.isHonest ? 1 : 2;
    const peers = peerGroups(identity.id, (peer) => this.#placeOf(peer) % groups, groups, {
      attach: (handler) =>
        network.attach(identity.id, {
          ...handler,
          onFrame: (peer, frame) => {
            handler.onFrame(peer, frame);
            this.#settleSoon(life);
          },
        }),
      entropy,
      frames: network.frames,
      now: () => this.clock.monotonic(),
    });
    const voice = this.#makeVoice(number, peers, crypto);
    const versions = registry.open(this.disk.folder("registry"), () => this.clock.monotonic());
    const core = this.#ports.makeCore({
      identity,
      subnet,
      protocolVersion: this.observed.protocolVersion,
      genesis: this.newestPackage ?? subnet.genesis,
      clock: this.clock,
      entropy,
      consensusCrypto: crypto,
      registry: versions,
      poolStorage: this.disk.folder("pool"),
      stateStorage: this.disk.folder("state"),
      network: voice.network,
      log: this.#log(),
      ...this.#observers(number, voice.liar),
    });
    const http = this.#serveHttp(core);
    const life: Life = {
      ...{ number, core, peers, registry: versions, http },
      ...{ work: () => this.#work(life), supervise: () => this.#supervise(life) },
      ...{ timer: undefined, timerTime: 0, isStarted: false },
    };
    peers.onWork = () => this.#workSoon(life);
    core.onWork = () => this.#workSoon(life);
    peers.start(voice.handler(core.peerHandler));
    return life;
  }

  /** A dealer that cannot deal yet is asked again. */
  #dealing(crypto: ConsensusCrypto): ConsensusCrypto {
    return {
      ...crypto,
      createDealing: (...args) =>
        this.#ports.scheduler.now < this.dealsFrom ? undefined : crypto.createDealing(...args),
    };
  }

  #makeVoice(number: number, peers: PeerGroups, crypto: ConsensusCrypto): Voice {
    const { identity, subnet, behaviours, decoded } = this.#options;
    const isAlive = (): boolean => this.#life?.number === number;
    return makeVoice(
      { self: identity.id, subnetId: subnet.config.subnetId, behaviours, decoded },
      {
        peers,
        crypto,
        random: this.#random.stream(`lies ${number}`),
        isAlive,
        after: (delayNs, act) => this.#ports.scheduler.after(delayNs, () => isAlive() && act()),
        later: (delayNs, work) => this.#ports.scheduler.later(delayNs, work),
        onPublished: (id, artifact) => this.#observePublished(id, artifact),
        onRetracted: (id) => this.#ports.observe({ node: this.observed, kind: "retracted", id }),
      },
    );
  }

  /** What a core tells of itself, and how it executes. */
  #observers(
    number: number,
    liar: Liar | undefined,
  ): Pick<CoreParts, "execution" | "onEvent" | "onRound" | "onDiverged"> {
    const { scheduler, observe } = this.#ports;
    const node = this.observed;
    const executed = new Map<Height, { digest: string; time: Time; requests: readonly string[] }>();
    return {
      execution: {
        delayNs: () => (liar?.has("slow-execution") === true ? 2 * SECOND : this.executionNs),
        isAlive: () => this.#life?.number === number,
        onWorked: () => this.#life?.number === number && this.#checkDisk(),
        onBatch(batch) {
          const requests = batch.ingress.map(({ requestId }) => requestId);
          executed.set(batch.height, { digest: digestOf(batch), time: batch.time, requests });
        },
        onInstalled: (height) => observe({ node, kind: "synced", height }),
        lies: liar?.has("no-execution") === true ? "no-execution" : "none",
        isCorrupt: (height) => this.#corrupts && height % CORRUPT_HEIGHTS === CORRUPT_HEIGHT,
      },
      onEvent(event) {
        if (event.kind !== "signed") scheduler.note(`node ${node.index} ${textOf(event)}`);
        observe({ node, kind: "event", event });
      },
      onDiverged: (height, why) => {
        if (this.#life?.number !== number) return;
        scheduler.note(`node ${node.index} has diverged at height ${height}`);
        if (node.isHonest && !this.isDamaged)
          this.#ports.onBroken(new Violation(4, `node ${node.index} diverged: ${why}`));
        // What cannot be trusted goes, and comes anew from the others.
        scheduler.after(0, () => this.#life?.number === number && this.emptyDisk(SECOND));
      },
      onRound({ height, rootHash }) {
        const batch = executed.get(height);
        executed.delete(height);
        if (batch !== undefined) observe({ node, kind: "executed", height, ...batch, rootHash: toHex(rootHash) });
      },
    };
  }

  #started(life: Life): void {
    if (!this.#isCurrent(life)) return;
    life.isStarted = true;
    this.#ports.observe({ node: this.observed, kind: "started", height: life.core.status().executedHeight });
    this.#setPeers(life);
    this.#workSoon(life);
    this.#superviseLater(life);
    if (this.#options.behaviours.includes("slow-reader")) this.#readSlowly(life);
  }

  #readSlowly(life: Life): void {
    const { scheduler, network } = this.#ports;
    if (!this.#isCurrent(life)) return;
    network.hold(this.id, scheduler.now + SLOW_READER_NS);
    scheduler.after(SLOW_READER_NS + 10 * MS, () => this.#readSlowly(life));
  }

  #setPeers(life: Life): void {
    const others = knownNodes(life.registry).map(({ nodeId }) => nodeId);
    life.peers.setPeers(others.filter((id) => id !== this.id));
  }

  /**
   * What the process beside the node does: keeps to the registry's nodes, and to the version of the protocol that is in force
   * from the newest catch-up package on that it or a peer has (section 12.5).
   */
  #superviseLater(life: Life): void {
    this.#ports.scheduler.after(SUPERVISION_NS, life.supervise);
  }

  #supervise(life: Life): void {
    if (!this.#isCurrent(life)) return;
    this.#setPeers(life);
    const cup = newestOf([this.newestPackage, this.#options.packageOfPeer(this)]);
    const version = cup && protocolVersionAt(cup, life.registry);
    if (cup !== undefined && version !== undefined && version !== this.observed.protocolVersion) {
      this.newestPackage = cup;
      this.observed.protocolVersion = version;
      this.#ports.scheduler.note(`node ${this.index} switches to ${version} at height ${cup.height}`);
      this.crash("all", 100 * MS);
      return;
    }
    this.#superviseLater(life);
  }

  #workSoon(life: Life): void {
    if (!this.#isCurrent(life) || !life.isStarted) return;
    // What comes in within a short time is worked on together, as a busy host does.
    const time = this.#ports.scheduler.now + TOGETHER_NS;
    if (life.timer !== undefined && life.timerTime <= time) return;
    this.#workAt(life, time);
  }

  #workAt(life: Life, time: VirtualTime): void {
    life.timer?.cancel();
    life.timerTime = Math.max(time, this.#busyUntil);
    life.timer = this.#ports.scheduler.at(life.timerTime, life.work);
  }

  #work(life: Life): void {
    if (!this.#isCurrent(life)) return;
    const { scheduler } = this.#ports;
    life.timer = undefined;
    try {
      const coreAt = life.core.step();
      const delay = Math.min(this.clock.delayUntil(coreAt), this.clock.delayUntil(life.peers.step()));
      if (!this.#checkDisk()) return;
      if (life.timer === undefined) this.#workAt(life, scheduler.now + Math.max(delay, MS / 10));
    } catch (error) {
      if (this.#checkDisk()) this.#failed(error, false);
    } finally {
      this.#settleSoon(life);
    }
    this.#hold(scheduler.now + this.disk.spentNs);
    this.disk.spentNs = 0;
  }

  /** A promise settles in what a node does only when it waits for one, or when it lies: liars answer later. */
  #settleSoon({ core }: Life): void {
    if (core.mayWait || !this.observed.isHonest) this.#ports.scheduler.settleSoon();
  }

  /** False: the machine has stopped in a change of its disk. */
  #checkDisk(): boolean {
    if (!this.disk.isStopped) return true;
    const how = this.onDiskStop ?? (() => this.crash("synced", SECOND));
    this.onDiskStop = undefined;
    how();
    return false;
  }

  #failed(error: unknown, isStart: boolean): void {
    if (this.disk.isStopped) {
      this.#checkDisk();
      return;
    }
    this.#ports.scheduler.note(`node ${this.index} failed: ${String(error)}`);
    if (this.isDamaged) {
      this.emptyDisk(2 * SECOND);
      return;
    }
    if (!this.observed.isHonest) {
      this.crash("all", SECOND);
      return;
    }
    if (!(error instanceof EnvironmentError)) {
      this.#ports.onBroken(error);
      return;
    }
    if (isStart) {
      this.crash("all", RETRY_NS);
      return;
    }
    const life = this.#life;
    if (life !== undefined) this.#workAt(life, this.#ports.scheduler.now + RETRY_NS);
  }

  #hold(until: VirtualTime): void {
    if (until <= this.#ports.scheduler.now) return;
    this.#busyUntil = Math.max(this.#busyUntil, until);
    this.#ports.network.hold(this.id, this.#busyUntil);
  }

  #isCurrent(life: Life): boolean {
    return this.#life === life;
  }

  #observePublished(id: string, artifact: Artifact): void {
    if (artifact.kind === "catch-up-package") this.newestPackage = newestOf([this.newestPackage, artifact]);
    const isOld = this.#life?.isStarted !== true;
    this.#ports.observe({
      node: this.observed,
      kind: "published",
      id,
      artifact,
      isOld,
      isDurable: !this.disk.hasUnsynced("pool"),
    });
  }

  #placeOf(peer: PrincipalId): number {
    return this.#options.subnet.identities.findIndex(({ id }) => id === peer);
  }

  #log(): LogPort {
    return {
      log: (level, message) => {
        if (level === "error" || level === "warning")
          this.#ports.scheduler.note(`node ${this.index} ${level}: ${message}`);
      },
    };
  }
}

function newestOf(packages: readonly (CatchUpPackage | undefined)[]): CatchUpPackage | undefined {
  let newest: CatchUpPackage | undefined;
  for (const each of packages) if (each !== undefined && each.height > (newest?.height ?? -1)) newest = each;
  return newest;
}

function textOf(event: ConsensusEvent): string {
  let text = "";
  for (const name of Object.keys(event)) {
    const value = String(event[name as keyof ConsensusEvent]);
    text += `${text === "" ? "" : " "}${name === "hash" ? value.slice(0, 8) : value}`;
  }
  return text;
}
