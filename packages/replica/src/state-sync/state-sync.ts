// How a node gets a state that it did not compute itself: it asks other nodes of the subnet for the parts of a checkpoint
// whose hash a catch-up package names. This is the side that asks: which peer, how many questions at once, for how long.
// What the questions are, whether an answer is right and what is on the disk already, the executor knows, because it has
// the state (state-fetch.ts). Nothing is believed because of who said it. Consensus and chain-key facts, 11.3.
import type { EntropyPort, Height, LogPort, PrincipalId, Time } from "@atoll/types";
import { EnvironmentError, toHex } from "@atoll/types";
import type { ExecutedRound, Executor } from "../executor.ts";
import type { StateFetchReply, StateFetchStep, StateQuestion } from "./fetch-steps.ts";

export interface StateSyncOptions {
  /** Questions that are open at once. Default 10. */
  readonly parallel?: number;
  /** After so long somebody else is asked. ns; default 10 s. */
  readonly timeout?: Time;
}

export interface StateSyncPorts {
  readonly executor: Pick<Executor, "fetchState" | "installState">;
  /** As `PeerNetwork.request`: rejects with EnvironmentError when the peer is not there, refuses or is too slow. */
  readonly ask: (peer: PrincipalId, question: Uint8Array) => Promise<Uint8Array>;
  /** Who can be asked now. */
  readonly peers: () => readonly PrincipalId[];
  /** Monotonic. */
  readonly clock: { now(): Time };
  readonly entropy: EntropyPort;
  readonly log: LogPort;
}

export interface StateSyncStatus {
  readonly height: Height;
  /** Chunks that are here, of all that were missing; 0 of 0 while it is not known what is missing. */
  readonly chunks: number;
  readonly of: number;
}

/** A question that a peer has been asked. */
interface Asked {
  readonly question: StateQuestion;
  readonly peer: PrincipalId;
  readonly since: Time;
}

interface Target {
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly waiting: StateQuestion[];
  readonly asked: Map<number, Asked>;
  /** Peers that gave a wrong answer: not asked again for this state. */
  readonly excluded: Set<PrincipalId>;
  /** Peers that had no answer, and when they may be asked again. */
  readonly resting: Map<PrincipalId, Time>;
  chunks: number;
  of: number;
  isComplete: boolean;
  /** After a failure of the disk, or when nobody is left to ask: begin again then. */
  beginAt: Time | undefined;
  /** It is complete, and there was no room for it on the disk: try again then. */
  installAt: Time | undefined;
}

const SECOND: Time = 1_000_000_000n;
const PARALLEL = 10;
const TIMEOUT = 10n * SECOND;
/** A peer without an answer may have one later: it makes the checkpoint, or the connection comes back. */
const REST = SECOND;
const FAILURE_REST = 10n * SECOND;
/** The disk may have room again. */
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const FOREVER: Time = (1n << 63n) - 1n;

export class StateSync {
  readonly #ports: StateSyncPorts;
  readonly #parallel: number;
  readonly #timeout: Time;
  #target: Target | undefined;
  /** Everything of a state is on the disk: `install` comes next. */
  onDone: ((height: Height) => void) | undefined;

  constructor(ports: StateSyncPorts, { parallel = PARALLEL, timeout = TIMEOUT }: StateSyncOptions = {}) {
    this.#ports = ports;
    this.#parallel = parallel;
    this.#timeout = timeout;
  }

  /** Undefined: nothing is being fetched. */
  status(): StateSyncStatus | undefined {
    const target = this.#target;
    return target && { height: target.height, chunks: target.chunks, of: target.of };
  }

  /** A newer state takes the place of an older one; what is here of that is not fetched again. Said again is nothing new. */
  fetch(height: Height, hash: Uint8Array): void {
    if (this.#target !== undefined && this.#target.height >= height) return;
    this.#ports.log.log("info", `The state of height ${height} is fetched from other nodes.`, { hash: toHex(hash) });
    this.#target = newTarget(height, hash);
    this.#begin(this.#target);
  }

  /** The node got there by itself, or is stopped. */
  abandon(): void {
    if (this.#target === undefined) return;
    this.#target = undefined;
    this.#ports.executor.fetchState({ kind: "abandon" }).catch(() => undefined);
  }

  /**
   * After `onDone`, and between two batches: the executor goes on from the fetched state, which the round describes as a
   * whole. Undefined: something that was here is here no longer, and is being fetched again; `onDone` will be called again.
   * "later": also then, but nothing may be executed meanwhile; the disk is full.
   */
  async install(): Promise<ExecutedRound | "later" | undefined> {
    const target = this.#target;
    if (target?.isComplete !== true) return undefined;
    let whole: ExecutedRound | undefined;
    try {
      whole = await this.#ports.executor.installState(target.height);
    } catch (error) {
      if (!(error instanceof EnvironmentError) || !FULL.has(error.code)) throw error;
      const { height } = target;
      this.#ports.log.log("error", `The state of height ${height} cannot be taken over yet: ${error.message}`);
      target.installAt = this.#ports.clock.now() + FAILURE_REST;
      return "later";
    }
    if (this.#target !== target) return whole;
    if (whole !== undefined) this.#target = undefined;
    else this.#begin(target);
    return whole;
  }

  /** Looks after what takes too long; gives when to call again at the latest. */
  step(now: Time): Time {
    const target = this.#target;
    if (target === undefined) return FOREVER;
    if (target.isComplete) return this.#installAgain(target, now);
    if (target.beginAt !== undefined) {
      if (now < target.beginAt) return target.beginAt;
      target.excluded.clear();
      this.#begin(target);
    }
    for (const [id, { question, peer, since }] of target.asked) {
      if (now - since < this.#timeout) continue;
      target.asked.delete(id);
      target.waiting.push(question);
      target.resting.set(peer, now + REST);
    }
    this.#askPeers(target);
    return nextTime(target, now, this.#timeout);
  }

  #installAgain(target: Target, now: Time): Time {
    if (target.installAt === undefined || now < target.installAt) return target.installAt ?? FOREVER;
    target.installAt = undefined;
    this.onDone?.(target.height);
    return FOREVER;
  }

  #begin(target: Target): void {
    target.waiting.length = 0;
    target.asked.clear();
    target.isComplete = false;
    target.beginAt = undefined;
    const { height, hash } = target;
    this.#tell(target, { kind: "begin", height, hash, room: this.#parallel });
  }

  /** One step of the executor's side; its reply brings further questions. */
  #tell(target: Target, step: StateFetchStep, from?: Asked): void {
    this.#ports.executor.fetchState(step).then(
      (reply) => {
        if (this.#target === target) this.#take(target, reply, from);
      },
      (error: unknown) => this.#failed(target, error),
    );
  }

  #take(target: Target, reply: StateFetchReply, from: Asked | undefined): void {
    if (reply.verdict === "bad" && from !== undefined) {
      this.#ports.log.log("warning", "A node gave a wrong part of the state: it is not asked again.", {
        peer: from.peer,
        height: target.height,
      });
      target.excluded.add(from.peer);
      target.waiting.push(from.question);
    }
    target.chunks = reply.chunks;
    target.of = reply.of;
    target.waiting.push(...reply.questions);
    if (reply.isComplete && !target.isComplete) {
      target.isComplete = true;
      this.onDone?.(target.height);
    } else this.#askPeers(target);
  }

  #failed(target: Target, error: unknown): void {
    if (this.#target !== target) return;
    if (!(error instanceof EnvironmentError)) throw error;
    this.#ports.log.log("error", `The state of height ${target.height} could not be kept: ${error.message}`);
    target.beginAt = this.#ports.clock.now() + FAILURE_REST;
  }

  #askPeers(target: Target): void {
    const now = this.#ports.clock.now();
    while (target.asked.size < this.#parallel && target.waiting.length > 0) {
      const peer = this.#choosePeer(target, now);
      if (peer === undefined) return;
      this.#ask(target, { question: target.waiting.shift() as StateQuestion, peer, since: now });
    }
  }

  #ask(target: Target, asked: Asked): void {
    const { question, peer } = asked;
    const { id } = question;
    target.asked.set(id, asked);
    const isCurrent = (): boolean => this.#target === target && target.asked.get(id) === asked;
    this.#ports.ask(peer, question.bytes).then(
      (bytes) => {
        if (!isCurrent()) return;
        target.asked.delete(id);
        const room = Math.max(0, this.#parallel - target.asked.size - target.waiting.length);
        this.#tell(target, { kind: "answer", height: target.height, id, bytes, room }, asked);
      },
      () => {
        if (!isCurrent()) return;
        target.asked.delete(id);
        target.waiting.push(question);
        target.resting.set(peer, this.#ports.clock.now() + REST);
        this.#askPeers(target);
      },
    );
  }

  #choosePeer(target: Target, now: Time): PrincipalId | undefined {
    const peers = this.#ports.peers();
    const trusted = peers.filter((peer) => !target.excluded.has(peer));
    if (trusted.length === 0 && peers.length > 0 && target.asked.size === 0) {
      // Everybody was wrong once: perhaps it was this machine. The state is needed all the same.
      target.beginAt ??= now + FAILURE_REST;
    }
    const ready = trusted.filter((peer) => (target.resting.get(peer) ?? now) <= now);
    if (ready.length === 0) return undefined;
    const [a = 0, b = 0] = this.#ports.entropy.randomBytes(2);
    return ready[(a * 256 + b) % ready.length];
  }
}

function newTarget(height: Height, hash: Uint8Array): Target {
  const nothing = { waiting: [], asked: new Map(), excluded: new Set<PrincipalId>(), resting: new Map() };
  return { height, hash, ...nothing, chunks: 0, of: 0, isComplete: false, beginAt: undefined, installAt: undefined };
}

function nextTime({ asked, waiting, resting, beginAt }: Target, now: Time, timeout: Time): Time {
  const times = [...asked.values()].map(({ since }) => since + timeout);
  if (beginAt !== undefined) times.push(beginAt);
  if (waiting.length > 0) times.push(now + REST, ...[...resting.values()].filter((time) => time > now));
  return times.reduce((one, other) => (one < other ? one : other), FOREVER);
}
