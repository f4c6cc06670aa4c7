// One peer, as long as it belongs to the network: what has to go to it, what it may still cost, and what there is to say
// about it. It fills frames: acknowledgements, questions, small answers and slot updates share one; each large chunk of an
// answer has its own, which the transport may carry apart, so that a block does not hold up a share.
import type { PrincipalId } from "@atoll/types";
import type { ActiveSet, Slot } from "./active-set.ts";
import type { Answers } from "./answers.ts";
import { CHUNK_BYTES, type GossipLimits, MAX_CONTROL_FRAME_BYTES, type Nanoseconds, NEVER } from "./limits.ts";
import {
  type Acknowledgement,
  type Answering,
  type Asking,
  encodeChunk,
  type Frame,
  MAX_ACKS,
  type Message,
} from "./messages.ts";
import { Offers } from "./offers.ts";
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
  /** Whether this node is to offer an artifact first, when both have it. */
  readonly isFirst: (id: string) => boolean;
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
  #ackAt = NEVER;
  readonly #outbox: (Asking | Answering)[] = [];
  /** The transport took no more: until when nothing is tried, unless it tells before. */
  #controlBlocked: Nanoseconds = 0;
  #bulkBlocked: Nanoseconds = 0;
  #servedAgainAt: Nanoseconds | undefined;
  /** When `flush` has something to do, unless something changes before. */
  #wakeAt: Nanoseconds = 0;

  constructor(peer: PrincipalId, limits: GossipLimits, ports: LinkPorts) {
    this.peer = peer;
    this.#limits = limits;
    this.#ports = ports;
    this.offers = new Offers(limits, ports.isFirst);
    this.updateQuota = new Quota(limits.updateRate, 2 * limits.updateRate);
    this.questionQuota = new Quota(limits.questionRate, 2 * limits.questionRate);
    this.#servedBytes = new Quota(limits.servedByteRate, Math.max(limits.servedByteRate, CHUNK_BYTES));
    this.statistics = newStatistics();
  }

  connect(session: Uint8Array, now: Nanoseconds): void {
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
    this.#ackAt = NEVER;
    this.#outbox.length = 0;
    this.#ports.answers.clear(this.peer);
    this.generation++;
  }

  /** The peer's slot table begins anew. */
  beginTable(session: Uint8Array, now: Nanoseconds): void {
    this.peerSession = session;
    this.generation++;
    this.#acks.clear();
    this.#acknowledgeAt(now);
  }

  acknowledge(commit: number, now: Nanoseconds): void {
    if (this.#acks.size >= MAX_OUTBOX) return;
    this.#acks.add(commit);
    if (this.#ackAt === NEVER) this.#acknowledgeAt(now + this.#limits.ackDelay);
  }

  #acknowledgeAt(time: Nanoseconds): void {
    this.#ackAt = time;
    this.#wakeAt = Math.min(this.#wakeAt, time);
  }

  /** The slot of this node's table has something new, or nothing any more. */
  changed(place: number, slot: Slot, now: Nanoseconds): void {
    if (!this.isConnected) return;
    this.offers.changed(place, slot, now);
    this.touch();
  }

  post(message: Asking | Answering): void {
    if (!this.isConnected || this.#outbox.length >= MAX_OUTBOX) return;
    this.#outbox.push(message);
    this.touch();
  }

  writable(): void {
    this.#controlBlocked = 0;
    this.#bulkBlocked = 0;
    this.touch();
  }

  refill(now: Nanoseconds): void {
    this.updateQuota.refill(now);
    this.questionQuota.refill(now);
  }

  /** Something changed that `flush` may have to do with. */
  touch(): void {
    this.#wakeAt = 0;
  }

  /** Sends what is due and what the transport takes; gives when something will be. */
  flush(now: Nanoseconds): Nanoseconds {
    if (!this.isConnected) return NEVER;
    if (now < this.#wakeAt) return this.#wakeAt;
    this.statistics.retries += this.offers.retry(now);
    if (this.#controlBlocked <= now) {
      this.#controlBlocked = 0;
      while (this.#sendControl(now));
    }
    if (this.#bulkBlocked <= now) {
      this.#bulkBlocked = 0;
      while (this.#sendChunk(now));
    }
    this.#wakeAt = this.#nextTime(now);
    return this.#wakeAt;
  }

  #sendControl(now: Nanoseconds): boolean {
    const messages: Message[] = [];
    const taken = this.#takePosts(messages) + this.#takeSmallAnswers(messages, now);
    const goesAnyhow = messages.length > 0 || this.#ackAt <= now;
    const { active, peerHas } = this.#ports;
    this.offers.take(messages, active, { now, maxBytes: MAX_CONTROL_FRAME_BYTES - taken, goesAnyhow, peerHas });
    if (messages.length === 0 && !goesAnyhow) return false;
    const ack = this.#takeAck(now);
    if (ack !== undefined) messages.push(ack);
    if (messages.length === 0) return false;
    if (this.#send(this.#ports.encode({ session: this.session, messages }))) return true;
    this.#controlBlocked = now + this.#limits.minRetry;
    this.#giveBack(messages, now);
    return false;
  }

  /** Gives about how many bytes they have. */
  #takePosts(to: Message[]): number {
    if (this.#outbox.length === 0) return 0;
    let bytes = 0;
    let count = 0;
    for (const message of this.#outbox) {
      if (bytes >= MAX_CONTROL_FRAME_BYTES || count === MAX_POSTS) break;
      bytes += sizeOf(message);
      to.push(message);
      count++;
    }
    this.#outbox.splice(0, count);
    return bytes;
  }

  /** Those that are lost with a frame that the transport did not take are asked for again. */
  #takeSmallAnswers(to: Message[], now: Nanoseconds): number {
    let bytes = 0;
    for (let count = 0; bytes < MAX_CONTROL_FRAME_BYTES / 2 && count < MAX_POSTS; count++) {
      const chunk = this.#ports.answers.next(this.peer);
      if (chunk === undefined || chunk.bytes.length > SMALL_ANSWER_BYTES || !this.#mayServe(chunk.bytes.length, now))
        break;
      this.#ports.answers.sent(this.peer, chunk);
      to.push(chunk);
      bytes += sizeOf(chunk);
    }
    return bytes;
  }

  #takeAck(now: Nanoseconds): Acknowledgement | undefined {
    this.#ackAt = NEVER;
    if (this.peerSession === undefined) return undefined;
    const commits = [...this.#acks];
    this.#acks.clear();
    for (const commit of commits.length > MAX_ACKS ? commits.splice(MAX_ACKS) : NOTHING) this.#acks.add(commit);
    if (this.#acks.size > 0) this.#ackAt = now;
    return { kind: "ack", session: this.peerSession, generation: this.generation, commits };
  }

  #giveBack(messages: readonly Message[], now: Nanoseconds): void {
    this.offers.giveBack(messages);
    const posts: (Asking | Answering)[] = [];
    for (const message of messages) {
      if (message.kind === "ack") {
        for (const commit of message.commits) this.#acks.add(commit);
        this.#ackAt = now;
      } else if (isPost(message)) posts.push(message);
    }
    this.#outbox.unshift(...posts);
  }

  #sendChunk(now: Nanoseconds): boolean {
    const chunk = this.#ports.answers.next(this.peer);
    if (chunk === undefined || !this.#mayServe(chunk.bytes.length, now)) return false;
    if (!this.#send(encodeChunk(this.session, chunk))) {
      this.#bulkBlocked = now + this.#limits.minRetry;
      return false;
    }
    this.#ports.answers.sent(this.peer, chunk);
    return true;
  }

  #mayServe(bytes: number, now: Nanoseconds): boolean {
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

  #nextTime(now: Nanoseconds): Nanoseconds {
    const waits = this.offers.hasWork() || this.#outbox.length > 0;
    const control = waits ? now : Math.min(this.#ackAt, this.offers.nextTime());
    const chunk = this.#ports.answers.next(this.peer);
    const served = chunk === undefined ? NEVER : (this.#servedAgainAt ?? now);
    return Math.min(Math.max(this.#controlBlocked, control), Math.max(this.#bulkBlocked, served));
  }
}

/** What is not an update or an acknowledgement, nor a part of an answer: that is asked for again. */
function isPost(message: Message): message is Asking | Answering {
  switch (message.kind) {
    case "question":
    case "fetch":
    case "want":
    case "done":
    case "refused":
      return true;
    default:
      return false;
  }
}

function sizeOf(message: Asking | Answering): number {
  switch (message.kind) {
    case "question":
      return 24 + message.question.length;
    case "fetch":
      return 24 + message.id.length;
    case "want":
      return 24 + message.chunks.length;
    case "chunk":
      return 24 + message.bytes.length;
    default:
      return 24;
  }
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
