// One peer, as long as it belongs to the network: what has to go to it, what it may still cost, and what there is to say
// about it. It fills frames: acknowledgements, questions, small answers and slot updates share one; each large chunk of an
// answer has its own, which the transport may carry apart, so that a block does not hold up a share.
import type { PrincipalId, Time } from "@atoll/types";
import type { ActiveSet } from "./active-set.ts";
import type { Answers } from "./answers.ts";
import { CHUNK_BYTES, type GossipLimits, MAX_CONTROL_FRAME_BYTES } from "./limits.ts";
import {
  type Acknowledgement,
  type Answering,
  type Asking,
  encodeChunk,
  type Frame,
  MAX_ACKS,
  type Message,
  type SlotUpdate,
} from "./messages.ts";
import { earliest, Offers } from "./offers.ts";
import { Quota } from "./quota.ts";

/** Since the peer belongs to the network. */
export interface PeerStatistics {
  isConnected: boolean;
  connections: number;
  framesSent: number;
  framesReceived: number;
  bytesSent: number;
  bytesReceived: number;
  /** Artifacts that came in, be it inline or fetched. */
  artifactsReceived: number;
  invalidArtifacts: number;
  /** Frames that are none, answers that do not fit: what no honest node sends. */
  brokenRules: number;
  /** Updates that were sent again. */
  retries: number;
  fetches: number;
  fetchesFailed: number;
  /** Updates and questions that were not looked at because the peer was above its quota. */
  slowedDown: number;
  /** Slots that the peer has to be told of. */
  backlog: number;
}

/** Larger answers have frames of their own. */
const SMALL_ANSWER_BYTES = 16 * 1024;
/** Messages waiting for the peer to read, beyond what a node that keeps to its limits causes. */
const MAX_OUTBOX = 4096;
const MAX_POSTS = 1000;
const NOTHING: readonly never[] = [];

export interface LinkPorts {
  readonly active: ActiveSet;
  readonly answers: Answers;
  /** Whether the peer offers the artifact itself. */
  readonly peerHas: (id: string) => boolean;
  readonly encode: (frame: Frame) => Uint8Array;
  readonly send: (frame: Uint8Array) => boolean;
}

export class PeerLink {
  readonly peer: PrincipalId;
  readonly offers: Offers;
  readonly updateQuota: Quota;
  readonly questionQuota: Quota;
  readonly statistics: PeerStatistics;
  /** Drawn for each connection. */
  session: Uint8Array = new Uint8Array();
  isConnected = false;
  /** The peer's session whose slot table is known here, and how often that knowledge was begun anew. */
  peerSession: Uint8Array | undefined;
  generation = 0;
  /** The peer's generation that has what it acknowledged. */
  peerGeneration = 0;
  readonly #limits: GossipLimits;
  readonly #ports: LinkPorts;
  readonly #servedBytes: Quota;
  readonly #acks = new Set<number>();
  #ackAt: Time | undefined;
  readonly #outbox: (Asking | Answering)[] = [];
  /** The transport took no more: until when nothing is tried, unless it tells before. */
  #controlBlocked: Time | undefined;
  #bulkBlocked: Time | undefined;
  #servedAgainAt: Time | undefined;

  constructor(peer: PrincipalId, limits: GossipLimits, ports: LinkPorts) {
    this.peer = peer;
    this.#limits = limits;
    this.#ports = ports;
    this.offers = new Offers(limits);
    this.updateQuota = new Quota(limits.updateRate, 2 * limits.updateRate);
    this.questionQuota = new Quota(limits.questionRate, 2 * limits.questionRate);
    this.#servedBytes = new Quota(limits.servedByteRate, Math.max(limits.servedByteRate, CHUNK_BYTES));
    this.statistics = newStatistics();
  }

  connect(session: Uint8Array, now: Time): void {
    this.isConnected = true;
    this.session = session;
    this.peerGeneration = 0;
    this.statistics.connections++;
    this.writable();
    this.offers.restart(this.#ports.active, now);
  }

  disconnect(): void {
    this.isConnected = false;
    this.offers.clear();
    this.#acks.clear();
    this.#ackAt = undefined;
    this.#outbox.length = 0;
    this.#ports.answers.clear(this.peer);
    this.generation++;
  }

  /** The peer's slot table begins anew. */
  beginTable(session: Uint8Array, now: Time): void {
    this.peerSession = session;
    this.generation++;
    this.#acks.clear();
    this.#ackAt = now;
  }

  acknowledge(commit: number, now: Time): void {
    if (this.#acks.size >= MAX_OUTBOX) return;
    this.#acks.add(commit);
    this.#ackAt ??= now + this.#limits.ackDelay;
  }

  post(message: Asking | Answering): void {
    if (!this.isConnected || this.#outbox.length >= MAX_OUTBOX) return;
    this.#outbox.push(message);
  }

  writable(): void {
    this.#controlBlocked = undefined;
    this.#bulkBlocked = undefined;
  }

  refill(now: Time): void {
    this.updateQuota.refill(now);
    this.questionQuota.refill(now);
  }

  /** Sends what is due and what the transport takes. */
  flush(now: Time): void {
    if (!this.isConnected) return;
    this.statistics.retries += this.offers.retry(now);
    if (isOver(this.#controlBlocked, now)) {
      this.#controlBlocked = undefined;
      while (this.#sendControl(now));
    }
    if (isOver(this.#bulkBlocked, now)) {
      this.#bulkBlocked = undefined;
      while (this.#sendChunk(now));
    }
  }

  #sendControl(now: Time): boolean {
    const posts = this.#takePosts();
    const answers = this.#takeSmallAnswers(now);
    const taken = sizeOf(posts) + sizeOf(answers);
    const room = MAX_CONTROL_FRAME_BYTES - taken;
    const updates = this.offers.take(this.#ports.active, now, room, this.#ports.peerHas);
    const isWorth = posts.length + answers.length + updates.length > 0;
    const ack = isWorth || (this.#ackAt !== undefined && this.#ackAt <= now) ? this.#takeAck(now) : undefined;
    if (!isWorth && ack === undefined) return false;
    const messages: Message[] = ack === undefined ? [] : [ack];
    messages.push(...posts, ...answers, ...updates);
    if (this.#send(this.#ports.encode({ session: this.session, messages }))) return true;
    this.#controlBlocked = now + this.#limits.minRetry;
    this.#giveBack(posts, updates, ack, now);
    return false;
  }

  #takePosts(): readonly (Asking | Answering)[] {
    if (this.#outbox.length === 0) return NOTHING;
    let bytes = 0;
    let count = 0;
    for (const message of this.#outbox) {
      if (bytes >= MAX_CONTROL_FRAME_BYTES || count === MAX_POSTS) break;
      bytes += sizeOf([message]);
      count++;
    }
    return this.#outbox.splice(0, count);
  }

  /** Those that are lost with a frame that the transport did not take are asked for again. */
  #takeSmallAnswers(now: Time): readonly Answering[] {
    if (this.#ports.answers.next(this.peer) === undefined) return NOTHING;
    const taken: Answering[] = [];
    for (let bytes = 0; bytes < MAX_CONTROL_FRAME_BYTES / 2 && taken.length < MAX_POSTS; ) {
      const chunk = this.#ports.answers.next(this.peer);
      if (chunk === undefined || chunk.bytes.length > SMALL_ANSWER_BYTES || !this.#mayServe(chunk.bytes.length, now))
        break;
      this.#ports.answers.sent(this.peer, chunk);
      taken.push(chunk);
      bytes += chunk.bytes.length;
    }
    return taken;
  }

  #takeAck(now: Time): Acknowledgement | undefined {
    this.#ackAt = undefined;
    if (this.peerSession === undefined) return undefined;
    const all = [...this.#acks];
    const commits = all.length <= MAX_ACKS ? all : all.slice(0, MAX_ACKS);
    if (commits === all) this.#acks.clear();
    else for (const commit of commits) this.#acks.delete(commit);
    if (this.#acks.size > 0) this.#ackAt = now;
    return { kind: "ack", session: this.peerSession, generation: this.generation, commits };
  }

  #giveBack(
    posts: readonly (Asking | Answering)[],
    updates: readonly SlotUpdate[],
    ack: Acknowledgement | undefined,
    now: Time,
  ): void {
    this.#outbox.unshift(...posts);
    this.offers.giveBack(updates);
    for (const commit of ack?.commits ?? []) this.#acks.add(commit);
    if (ack !== undefined) this.#ackAt = now;
  }

  #sendChunk(now: Time): boolean {
    const chunk = this.#ports.answers.next(this.peer);
    if (chunk === undefined || !this.#mayServe(chunk.bytes.length, now)) return false;
    if (!this.#send(encodeChunk(this.session, chunk))) {
      this.#bulkBlocked = now + this.#limits.minRetry;
      return false;
    }
    this.#ports.answers.sent(this.peer, chunk);
    return true;
  }

  #mayServe(bytes: number, now: Time): boolean {
    this.#servedBytes.refill(now);
    const may = this.#servedBytes.take(bytes);
    this.#servedAgainAt = may ? undefined : now + this.#servedBytes.wait(bytes);
    return may;
  }

  #send(frame: Uint8Array): boolean {
    if (!this.#ports.send(frame)) return false;
    this.statistics.framesSent++;
    this.statistics.bytesSent += frame.length;
    return true;
  }

  nextTime(now: Time): Time | undefined {
    if (!this.isConnected) return undefined;
    const waits = this.offers.hasWork() || this.#outbox.length > 0;
    const control = earliest(waits ? now : undefined, this.#ackAt, this.offers.nextTime());
    const chunk = this.#ports.answers.next(this.peer);
    const served = chunk === undefined ? undefined : (this.#servedAgainAt ?? now);
    return earliest(notBefore(this.#controlBlocked, control), notBefore(this.#bulkBlocked, served));
  }
}

function notBefore(blocked: Time | undefined, time: Time | undefined): Time | undefined {
  return time !== undefined && blocked !== undefined && blocked > time ? blocked : time;
}

function isOver(time: Time | undefined, now: Time): boolean {
  return time === undefined || time <= now;
}

function sizeOf(messages: readonly (Asking | Answering)[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += 24;
    if (message.kind === "question") bytes += message.question.length;
    else if (message.kind === "fetch") bytes += message.id.length;
    else if (message.kind === "want") bytes += message.chunks.length;
    else if (message.kind === "chunk") bytes += message.bytes.length;
  }
  return bytes;
}

function newStatistics(): PeerStatistics {
  return {
    isConnected: false,
    connections: 0,
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    artifactsReceived: 0,
    invalidArtifacts: 0,
    brokenRules: 0,
    retries: 0,
    fetches: 0,
    fetchesFailed: 0,
    slowedDown: 0,
    backlog: 0,
  };
}
