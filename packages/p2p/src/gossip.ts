// The network between the nodes of a subnet, as one node takes part in it: abortable broadcast of what it vouches for,
// fetching of what others offer, questions and answers. It owns no timer and no socket: frames come in from a transport,
// time is read when it is needed, and a driver calls `step` when `onWork` or the time that the last step gave says so.
// Nothing that a peer sends throws or takes memory without bound. Section 21.
import {
  type ArtifactOrigin,
  type EntropyPort,
  EnvironmentError,
  invariant,
  type PeerHandler,
  type PeerNetwork,
  type PrincipalId,
  type Time,
} from "@atoll/types";
import { ActiveSet } from "./active-set.ts";
import { Adverts } from "./adverts.ts";
import { Answers } from "./answers.ts";
import { Calls, type Outcome } from "./calls.ts";
import { Fetches } from "./fetches.ts";
import {
  DEFAULT_GOSSIP_LIMITS,
  type GossipLimits,
  MAX_ANSWER_BYTES,
  MAX_ID_LENGTH,
  MAX_QUESTION_BYTES,
  MAX_SLOTS,
  type Nanoseconds,
  SECOND,
} from "./limits.ts";
import {
  type Acknowledgement,
  decodeFrame,
  encodeFrame,
  type FrameCodec,
  type Message,
  SESSION_BYTES,
  type SlotUpdate,
} from "./messages.ts";
import { PeerLink, type PeerStatistics } from "./peer-link.ts";
import type { PeerTransport, TransportHandler } from "./peer-transport.ts";

export interface GossipOptions {
  readonly self: PrincipalId;
  readonly limits?: Partial<GossipLimits>;
}

export interface GossipPorts {
  readonly transport: PeerTransport;
  readonly entropy: EntropyPort;
  /** Monotonic time in ns. */
  readonly now: () => Time;
  /** Default: `encodeFrame` and `decodeFrame`. */
  readonly frames?: FrameCodec;
}

/** Points of blame. */
const BROKEN_RULE = 100;
const WRONG_ARTIFACT = 20;
const INVALID_ARTIFACT = 1;
/** A step is due at least this often: it is what lets blame be forgotten. */
const LONGEST_PAUSE = 60 * SECOND;

export class Gossip implements PeerNetwork, TransportHandler {
  /** Called when `step` should be called soon; once until it was. */
  onWork: (() => void) | undefined;
  readonly #self: PrincipalId;
  readonly #limits: GossipLimits;
  readonly #ports: GossipPorts;
  readonly #frames: FrameCodec;
  #handler: PeerHandler | undefined;
  readonly #active = new ActiveSet(MAX_SLOTS);
  readonly #adverts = new Adverts();
  readonly #links = new Map<PrincipalId, PeerLink>();
  readonly #blame = new Map<PrincipalId, { points: number; at: Nanoseconds }>();
  readonly #calls: Calls;
  readonly #answers: Answers;
  readonly #fetches: Fetches;
  #isSignalled = false;
  /** When something is due without a signal. */
  #wakeAt: Nanoseconds = 0;

  constructor(options: GossipOptions, ports: GossipPorts) {
    this.#self = options.self;
    this.#limits = { ...DEFAULT_GOSSIP_LIMITS, ...options.limits };
    this.#ports = ports;
    this.#frames = ports.frames ?? { encode: encodeFrame, decode: decodeFrame };
    this.#calls = new Calls(this.#limits, (peer, message) => this.#links.get(peer)?.post(message));
    this.#answers = new Answers(this.#limits, (peer, message) => this.#links.get(peer)?.post(message));
    this.#fetches = new Fetches(this.#limits, this.#adverts, this.#calls, {
      entropy: ports.entropy,
      now: () => this.#now(),
      isConnected: (peer) => this.#links.get(peer)?.isConnected === true,
      wants: (id) => this.#handler?.wants(id) === true,
      fetched: (peer, id, outcome) => this.#fetched(peer, id, outcome),
    });
  }

  #now(): Nanoseconds {
    return Number(this.#ports.now());
  }

  /** From now on frames are looked at. What was published before is offered as well. */
  start(handler: PeerHandler): void {
    this.#handler = handler;
    this.#signal();
  }

  /** Questions that wait for an answer are rejected, and nothing is looked at or sent any more. */
  stop(): void {
    this.setPeers([]);
    this.#handler = undefined;
  }

  /** The nodes to talk to from now on. */
  setPeers(peers: readonly PrincipalId[]): void {
    const others = new Set(peers.filter((peer) => peer !== this.#self));
    for (const [peer, link] of this.#links) {
      if (others.has(peer)) continue;
      this.#close(link);
      this.#links.delete(peer);
      this.#blame.delete(peer);
    }
    for (const peer of others) {
      if (!this.#links.has(peer)) this.#links.set(peer, this.#newLink(peer));
    }
    this.#ports.transport.setPeers([...others].sort());
    this.#signal();
  }

  #newLink(peer: PrincipalId): PeerLink {
    const isLower = this.#self < peer;
    return new PeerLink(peer, this.#limits, {
      active: this.#active,
      answers: this.#answers,
      peerHas: (id) => this.#adverts.holds(peer, id),
      isFirst: (id) => isEven(id) === isLower,
      encode: (frame) => this.#frames.encode(frame),
      send: (frame) => this.#ports.transport.send(peer, frame),
    });
  }

  publish(id: string, artifact: Uint8Array, origin: ArtifactOrigin = "own"): void {
    invariant(isId(id) && artifact.length <= MAX_ANSWER_BYTES, "an artifact that cannot be broadcast");
    const isRelayed = this.#adverts.get(id) !== undefined;
    const place = this.#active.add({ id, artifact, isRelayed, origin });
    this.#fetches.settle(id);
    if (place !== undefined) this.#changed(place);
  }

  retract(id: string): void {
    const place = this.#active.remove(id);
    if (place !== undefined) this.#changed(place);
  }

  #changed(place: number): void {
    const slot = this.#active.at(place);
    const now = this.#now();
    for (const link of this.#links.values()) link.changed(place, slot, now);
    this.#signal();
  }

  request(peer: PrincipalId, question: Uint8Array): Promise<Uint8Array> {
    const link = this.#links.get(peer);
    if (link?.isConnected !== true) return Promise.reject(notConnected());
    if (question.length > MAX_QUESTION_BYTES) {
      return Promise.reject(new EnvironmentError("PEER_QUESTION_TOO_LONG", "A question to a peer is too long."));
    }
    if (this.#calls.load(peer).questions >= this.#limits.questionsInFlight) {
      return Promise.reject(new EnvironmentError("PEER_BUSY", "Too many questions to one peer are open already."));
    }
    return new Promise((resolve, reject) => {
      const finish = (outcome: Outcome) => {
        if (outcome.kind === "answer") return resolve(outcome.bytes);
        if (outcome.kind === "broken") this.#brokenRule(link);
        reject(failure(outcome.kind));
      };
      const opening = { kind: "question", question } as const;
      this.#calls.begin({ peer, opening, size: undefined, timeout: this.#limits.answer, finish }, this.#now());
      this.#signal();
    });
  }

  peers(): readonly PrincipalId[] {
    return [...this.#links.values()]
      .filter((link) => link.isConnected)
      .map((link) => link.peer)
      .sort();
  }

  /** What was not wanted may be wanted now: asks the handler again, without waiting for the time to do so. */
  reconsider(): void {
    for (const link of this.#links.values()) if (this.#adverts.hasOpen(link.peer)) this.#fetches.look(link.peer);
    this.#signal();
  }

  statistics(): ReadonlyMap<PrincipalId, Readonly<PeerStatistics>> {
    const entries = [...this.#links.values()].map(
      ({ peer, statistics, isConnected, offers }) =>
        [peer, { ...statistics, isConnected, backlog: offers.backlog }] as const,
    );
    return new Map(entries);
  }

  /** Everything that is held because of peers and of what is published: for metrics. */
  size(): { readonly active: number; readonly offeredSlots: number; readonly offeredIds: number } {
    const { slots, ids } = this.#adverts.size();
    return { active: this.#active.size, offeredSlots: slots, offeredIds: ids };
  }

  /** Does what is due; gives the monotonic time of the next call at the latest. */
  step(): Time {
    const now = this.#now();
    if (this.#isSignalled || now >= this.#wakeAt) this.#wakeAt = this.#stepAll(now);
    return BigInt(Math.ceil(this.#wakeAt));
  }

  #stepAll(now: Nanoseconds): Nanoseconds {
    this.#isSignalled = false;
    this.#calls.step(now);
    this.#answers.step(now);
    this.#fetches.step(now, this.#links.keys());
    let next = Math.min(now + LONGEST_PAUSE, this.#calls.nextTime(), this.#answers.nextTime());
    for (const link of this.#links.values()) next = Math.min(next, link.flush(now));
    return Math.min(next, this.#fetches.hasWork() ? now : this.#fetches.nextTime(this.#links.keys()));
  }

  onConnected(peer: PrincipalId): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    if (link.isConnected) this.#close(link);
    link.connect(this.#ports.entropy.randomBytes(SESSION_BYTES), this.#now());
    this.#signal();
  }

  onDisconnected(peer: PrincipalId): void {
    const link = this.#links.get(peer);
    if (link?.isConnected === true) this.#close(link);
  }

  onWritable(peer: PrincipalId): void {
    this.#links.get(peer)?.writable();
    this.#signal();
  }

  #close(link: PeerLink): void {
    if (!link.isConnected) return;
    link.disconnect();
    this.#adverts.clear(link.peer);
    this.#calls.onDisconnected(link.peer);
    this.#signal();
  }

  onFrame(peer: PrincipalId, bytes: Uint8Array): void {
    const link = this.#links.get(peer);
    if (link?.isConnected !== true || this.#handler === undefined) return;
    link.statistics.framesReceived++;
    link.statistics.bytesReceived += bytes.length;
    const frame = this.#frames.decode(bytes);
    if (frame === undefined) {
      this.#brokenRule(link);
      return;
    }
    const now = this.#now();
    link.refill(now);
    if (link.peerSession === undefined || !isSame(link.peerSession, frame.session)) {
      this.#adverts.clear(peer);
      link.beginTable(frame.session, now);
    }
    this.#prepare(link, frame.messages, this.#handler);
    for (const message of frame.messages) {
      if (!link.isConnected) return;
      this.#onMessage(link, message, this.#handler, now);
    }
    this.#signal();
  }

  /** No more of them than the peer may send now. */
  #prepare(link: PeerLink, messages: readonly Message[], handler: PeerHandler): void {
    if (handler.prepare === undefined || messages.length < 2) return;
    const artifacts: Uint8Array[] = [];
    const newest = new Map<number, number>();
    let updates = 0;
    for (const message of messages) {
      if (message.kind !== "inline" && message.kind !== "advert" && message.kind !== "empty") continue;
      if (!link.updateQuota.has(++updates)) break;
      const { slot, commit } = message;
      // What is older than what came before it is not received, so nobody would be blamed for it.
      if (commit <= (newest.get(slot) ?? -1)) continue;
      newest.set(slot, commit);
      if (message.kind === "inline" && !this.#adverts.isDone(link.peer, slot, commit)) artifacts.push(message.artifact);
    }
    if (artifacts.length > 1) handler.prepare(link.peer, artifacts);
  }

  #onMessage(link: PeerLink, message: Message, handler: PeerHandler, now: Nanoseconds): void {
    switch (message.kind) {
      case "inline":
      case "advert":
      case "empty":
        this.#onUpdate(link, message, handler, now);
        break;
      case "ack":
        this.#onAck(link, message, now);
        break;
      case "question":
      case "fetch":
        this.#onQuestion(link, message, handler, now);
        break;
      case "want":
        this.#answers.onWant(link.peer, message.request, message.chunks, now);
        link.touch();
        break;
      case "done":
        this.#answers.done(link.peer, message.request);
        break;
      case "chunk":
      case "refused":
        this.#calls.onAnswer(link.peer, message, now);
        break;
    }
  }

  #onUpdate(link: PeerLink, update: SlotUpdate, handler: PeerHandler, now: Nanoseconds): void {
    const { peer } = link;
    // What is not acknowledged comes again, later and later.
    if (!link.updateQuota.take(1)) {
      link.statistics.slowedDown++;
      return;
    }
    link.acknowledge(update.commit, now);
    // Its acknowledgement was late: naming an artifact takes longer than all else here.
    if (this.#adverts.isDone(peer, update.slot, update.commit)) return;
    const offered = offerOf(update, handler);
    if (offered !== undefined && !isId(offered.id)) {
      this.#invalidArtifact(link);
      return;
    }
    if (!this.#adverts.update(peer, update.slot, update.commit, offered) || offered === undefined) return;
    const { id } = offered;
    if (this.#adverts.get(id)?.state === "settled") return;
    const verdict = this.#active.has(id) ? "settled" : this.#offered(link, id, update);
    if (verdict === "settled") this.#fetches.settle(id);
    else if (verdict === "withdraw") this.#adverts.withdraw(peer, id);
    else this.#fetches.look(peer, update.kind === "inline" ? id : undefined);
  }

  #offered(link: PeerLink, id: string, update: SlotUpdate): "settled" | "open" | "withdraw" {
    return update.kind === "inline" ? this.#receive(link, id, update.artifact) : "open";
  }

  /** "open": it may be wanted later. "withdraw": from others, if at all. */
  #receive(link: PeerLink, id: string, artifact: Uint8Array): "settled" | "open" | "withdraw" {
    link.statistics.artifactsReceived++;
    const verdict = this.#handler?.receive(link.peer, id, artifact);
    if (verdict === "taken") return "settled";
    if (verdict !== "invalid") return "open";
    this.#invalidArtifact(link);
    // From another peer the same bytes may be right: shares are taken of their signers only, and whoever is quick to relay
    // one must not keep it from arriving.
    return "withdraw";
  }

  #fetched(peer: PrincipalId, id: string, outcome: Outcome): "settled" | "open" | "withdraw" {
    const link = this.#links.get(peer);
    if (link === undefined) return "withdraw";
    link.statistics.fetches++;
    if (outcome.kind === "answer") {
      if (this.#handler?.idOf(outcome.bytes) === id) return this.#receive(link, id, outcome.bytes);
      this.#invalidArtifact(link, WRONG_ARTIFACT);
    }
    link.statistics.fetchesFailed++;
    if (outcome.kind === "broken") this.#brokenRule(link);
    this.#signal();
    // It may have been retracted and published again since it was asked for: its slot tells what holds.
    return outcome.kind === "timeout" || outcome.kind === "refused" ? "open" : "withdraw";
  }

  #onAck(link: PeerLink, { session, generation, commits }: Acknowledgement, now: Nanoseconds): void {
    if (!isSame(session, link.session) || generation < link.peerGeneration) return;
    // The peer has forgotten what it acknowledged before.
    if (link.peerGeneration > 0 && generation > link.peerGeneration) {
      link.offers.restart(this.#active, now);
      link.touch();
    }
    link.peerGeneration = generation;
    if (link.offers.acknowledge(commits, now)) link.touch();
  }

  #onQuestion(
    link: PeerLink,
    message: Extract<Message, { kind: "question" | "fetch" }>,
    handler: PeerHandler,
    now: Nanoseconds,
  ): void {
    const { peer } = link;
    const { request } = message;
    // What it asks again may have parts that are due again.
    link.touch();
    if (!link.questionQuota.take(1) || !this.#answers.begin(peer, request, now)) {
      link.statistics.slowedDown++;
      return;
    }
    const answer = message.kind === "fetch" ? this.#active.artifact(message.id) : handler.serve(peer, message.question);
    if (!(answer instanceof Promise)) {
      this.#answer(link, request, answer);
      return;
    }
    answer.then(
      (bytes) => this.#answer(link, request, bytes),
      () => this.#answer(link, request, undefined),
    );
  }

  blame(peer: PrincipalId): void {
    const link = this.#links.get(peer);
    if (link !== undefined) this.#invalidArtifact(link);
  }

  #answer(link: PeerLink, request: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#answers.refuse(link.peer, request);
    else this.#answers.ready(link.peer, request, bytes);
    link.touch();
    this.#signal();
  }

  #invalidArtifact(link: PeerLink, points = INVALID_ARTIFACT): void {
    link.statistics.invalidArtifacts++;
    this.#blamed(link, points);
  }

  #brokenRule(link: PeerLink): void {
    link.statistics.brokenRules++;
    this.#blamed(link, BROKEN_RULE);
  }

  #blamed(link: PeerLink, points: number): void {
    const now = this.#now();
    const before = this.#blame.get(link.peer);
    const forgotten = before === undefined ? 0 : Math.floor((now - before.at) / SECOND);
    const sum = Math.max(0, (before?.points ?? 0) - forgotten) + points;
    this.#blame.set(link.peer, { points: sum, at: now });
    if (sum < this.#limits.blame || !link.isConnected) return;
    this.#blame.delete(link.peer);
    this.#close(link);
    this.#ports.transport.disconnect(link.peer);
  }

  #signal(): void {
    if (this.#isSignalled) return;
    this.#isSignalled = true;
    this.onWork?.();
  }
}

function offerOf(update: SlotUpdate, handler: PeerHandler): { id: string; size: number } | undefined {
  switch (update.kind) {
    case "inline":
      return { id: handler.idOf(update.artifact), size: update.artifact.length };
    case "advert":
      return update;
    case "empty":
      return undefined;
  }
}

function isId(id: string): boolean {
  return id.length > 0 && id.length <= MAX_ID_LENGTH && id.isWellFormed();
}

/** So that of two nodes each is the first for half of all artifacts. */
function isEven(id: string): boolean {
  return (id.charCodeAt(id.length - 1) & 1) === 0;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function notConnected(): EnvironmentError {
  return new EnvironmentError("PEER_NOT_CONNECTED", "The peer is not connected.");
}

function failure(kind: Exclude<Outcome["kind"], "answer">): EnvironmentError {
  switch (kind) {
    case "refused":
      return new EnvironmentError("PEER_REFUSED", "The peer refused to answer.");
    case "timeout":
      return new EnvironmentError("PEER_TIMEOUT", "The peer did not answer in time.");
    case "broken":
      return new EnvironmentError("PEER_BROKEN_ANSWER", "The peer's answer breaks the rules.");
    case "disconnected":
      return notConnected();
  }
}
