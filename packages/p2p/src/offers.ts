// What one peer still has to be told of this node's active set. The queue holds places of slots, never bytes: what a slot
// holds is looked up when it is sent, so it is bounded by the active set however slow the peer is, and what was retracted
// meanwhile is not sent at all. Unacknowledged updates are sent again, later and later. Section 21.2.
import type { ActiveSet, Slot } from "./active-set.ts";
import { type GossipLimits, MAX_INLINE_BYTES, MAX_SLOTS, type Nanoseconds, NEVER } from "./limits.ts";
import { type Message, type SlotUpdate, updateSize } from "./messages.ts";

/** In one frame. */
const MAX_UPDATES = 2000;

// What is noted of a place, as bits: in which queue it is, ...
const NOW = 1;
const AS_FIRST = 2;
const AS_SECOND = 4;
const EMPTIED = 8;
const QUEUED = NOW | AS_FIRST | AS_SECOND | EMPTIED;
/** ... that the peer may believe that it holds something, ... */
const TOLD = 16;
/** ... that its update waits to be sent again, ... */
const AGAIN = 32;
/** ... and that the peer has had what it holds. */
const KNOWN = 64;

interface Sent {
  readonly place: number;
  readonly commit: number;
  readonly at: Nanoseconds;
  readonly bytes: number;
  readonly isEmpty: boolean;
  /** It was sent before: its acknowledgement may be for that time, and says nothing about how long one takes. */
  readonly isAgain: boolean;
}

/** Places that are due some time after they came here. */
interface Later {
  readonly bit: number;
  /** With a frame that goes to the peer anyhow they may go so much earlier. */
  readonly slack: Nanoseconds;
  /** In the order in which they came: whoever is due waits for those before it. */
  readonly places: Set<number>;
  /** None of them is due before: so that most looks at them are at one number. */
  notBefore: Nanoseconds;
}

export class Offers {
  readonly #limits: GossipLimits;
  readonly #isFirst: (id: string) => boolean;
  /** By place: the bits, the commit that is in flight (0: none), and when it is due. */
  #bits = new Uint8Array(64);
  #commits = new Float64Array(64);
  #dues = new Float64Array(64);
  /** To be sent as soon as there is room. */
  readonly #now = new Set<number>();
  /** What the peer probably has from elsewhere, or makes by itself: of two nodes that have it one offers it first. */
  readonly #first: Later;
  readonly #second: Later;
  readonly #emptied: Later;
  readonly #later: readonly Later[];
  /** Commit -> what was sent and is not acknowledged; the oldest first. */
  readonly #inFlight = new Map<number, Sent>();
  #bytesInFlight = 0;
  /** Nothing that is in flight was sent before. */
  #oldest: Nanoseconds = 0;
  /** Time to wait for acknowledgements. */
  #wait: Nanoseconds;
  #roundTrip: Nanoseconds = 0;

  /** `isFirst`: whether it is this node that is to offer an artifact first, and not the peer. */
  constructor(limits: GossipLimits, isFirst: (id: string) => boolean) {
    this.#limits = limits;
    this.#isFirst = isFirst;
    this.#wait = limits.minRetry;
    const { relayDelay, emptyDelay } = limits;
    this.#first = newLater(AS_FIRST, relayDelay / 4);
    this.#second = newLater(AS_SECOND, relayDelay / 4);
    this.#emptied = newLater(EMPTIED, emptyDelay / 2);
    this.#later = [this.#first, this.#second, this.#emptied];
  }

  /** The peer knows nothing: all that is active is to be offered. */
  restart(active: ActiveSet, now: Nanoseconds): void {
    this.clear();
    for (const place of active.places()) this.changed(place, active.at(place), now);
  }

  clear(): void {
    this.#bits.fill(0);
    this.#commits.fill(0);
    this.#now.clear();
    for (const { places } of this.#later) places.clear();
    this.#inFlight.clear();
    this.#bytesInFlight = 0;
    this.#wait = this.#limits.minRetry;
  }

  /** The slot has something new, or nothing any more. */
  changed(place: number, { content }: Slot, now: Nanoseconds): void {
    if (place >= this.#bits.length) this.#grow(place);
    const commit = this.#commits[place] as number;
    if (commit !== 0) this.#settle(commit);
    this.#leave(place);
    const isTold = this.#has(place, TOLD);
    this.#bits[place] = isTold ? TOLD : 0;
    const { relayDelay, emptyDelay } = this.#limits;
    if (content === undefined) {
      if (isTold) this.#enter(this.#emptied, place, now + emptyDelay);
      return;
    }
    const isRelay = content.isRelayed && content.artifact.length <= MAX_INLINE_BYTES;
    if (!isRelay && content.origin !== "aggregate") this.#enterNow(place);
    // The offer of the first may be on its way for long.
    else if (!this.#isFirst(content.id))
      this.#enter(this.#second, place, now + relayDelay + Math.min(this.#roundTrip, 2 * relayDelay));
    else if (isRelay) this.#enter(this.#first, place, now + relayDelay / 2);
    else this.#enterNow(place);
  }

  #has(place: number, bit: number): boolean {
    return ((this.#bits[place] as number) & bit) !== 0;
  }

  #enterNow(place: number): void {
    this.#bits[place] = (this.#bits[place] as number) | NOW;
    this.#now.add(place);
  }

  #enter(later: Later, place: number, due: Nanoseconds): void {
    this.#bits[place] = (this.#bits[place] as number) | later.bit;
    this.#dues[place] = due;
    if (later.places.size === 0) later.notBefore = due;
    later.places.add(place);
  }

  /** It is in no queue any more. */
  #leave(place: number): void {
    const bits = this.#bits[place] as number;
    if ((bits & QUEUED) === 0) return;
    this.#bits[place] = bits & ~QUEUED;
    if ((bits & NOW) !== 0) this.#now.delete(place);
    else for (const later of this.#later) if ((bits & later.bit) !== 0) later.places.delete(place);
  }

  #grow(place: number): void {
    const length = Math.min(MAX_SLOTS, Math.max(place + 1, 2 * this.#bits.length));
    const [bits, commits, dues] = [this.#bits, this.#commits, this.#dues];
    this.#bits = new Uint8Array(length);
    this.#commits = new Float64Array(length);
    this.#dues = new Float64Array(length);
    this.#bits.set(bits);
    this.#commits.set(commits);
    this.#dues.set(dues);
  }

  /**
   * Adds updates of about `maxBytes` that are due and for which there is room in flight. `peerHas`: it offers the artifact
   * itself. `goesAnyhow`: there will be a frame in any case.
   */
  take(to: Message[], active: ActiveSet, at: Taking): void {
    const { now, maxBytes, peerHas } = at;
    for (const later of this.#later) this.#due(later, now);
    if (this.#now.size === 0 && !at.goesAnyhow) return;
    for (const later of this.#later) this.#due(later, now + later.slack);
    let bytes = 0;
    let count = 0;
    for (const place of this.#now) {
      if (bytes >= maxBytes || count === MAX_UPDATES || !this.#hasRoom()) break;
      this.#leave(place);
      const slot = active.at(place);
      const isKnown = this.#has(place, KNOWN);
      const isOffered = !isKnown && slot.content !== undefined && peerHas(slot.content.id);
      // What was sent before may be in the peer's table by now.
      if (isOffered && !this.#has(place, AGAIN)) {
        this.#known(place, now);
        continue;
      }
      const update = isKnown ? emptyOf(place, slot) : updateOf(place, slot, isOffered);
      const size = updateSize(update);
      bytes += size;
      count++;
      to.push(update);
      this.#send(update, size, now);
    }
  }

  /** The peer has that itself. It has only to be told that what it may believe to be here is not here any more. */
  #known(place: number, now: Nanoseconds): void {
    this.#bits[place] = (this.#bits[place] as number) | KNOWN;
    if (this.#has(place, TOLD)) this.#enter(this.#emptied, place, now + this.#limits.emptyDelay);
  }

  #hasRoom(): boolean {
    const { updatesInFlight, updateBytesInFlight } = this.#limits;
    return this.#inFlight.size < updatesInFlight && this.#bytesInFlight < updateBytesInFlight;
  }

  #due(later: Later, until: Nanoseconds): void {
    if (later.places.size === 0 || later.notBefore > until) return;
    for (const place of later.places) {
      later.notBefore = this.#dues[place] as number;
      if (later.notBefore > until) return;
      this.#leave(place);
      this.#enterNow(place);
    }
  }

  #send({ slot: place, commit, kind }: SlotUpdate, bytes: number, at: Nanoseconds): void {
    const bits = this.#bits[place] as number;
    const isEmpty = kind === "empty";
    if (this.#inFlight.size === 0) this.#oldest = at;
    this.#inFlight.set(commit, { place, commit, at, bytes, isEmpty, isAgain: (bits & AGAIN) !== 0 });
    this.#commits[place] = commit;
    this.#bytesInFlight += bytes;
    this.#bits[place] = (isEmpty ? bits : bits | TOLD) & ~AGAIN;
  }

  /** The transport did not take these. */
  giveBack(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.kind !== "inline" && message.kind !== "advert" && message.kind !== "empty") continue;
      const { slot, commit } = message;
      if (this.#inFlight.get(commit)?.isAgain === true) this.#bits[slot] = (this.#bits[slot] as number) | AGAIN;
      this.#settle(commit);
      this.#enterNow(slot);
    }
  }

  /** True: something is due sooner than before, as there is room again where there was none, or less to wait for. */
  acknowledge(commits: readonly number[], now: Nanoseconds): boolean {
    const hadRoom = this.#hasRoom();
    const wait = this.#wait;
    let first: Sent | undefined;
    for (const commit of commits) {
      const sent = this.#inFlight.get(commit);
      if (sent === undefined) continue;
      if (!sent.isAgain) first ??= sent;
      this.#settle(commit);
      if (sent.isEmpty) this.#bits[sent.place] = (this.#bits[sent.place] as number) & ~TOLD;
    }
    if (first !== undefined) this.#noteRoundTrip(now - first.at);
    return (!hadRoom && this.#hasRoom()) || this.#wait < wait;
  }

  /** A busy peer is now quick, now slow: the slow times count at once, and are forgotten slowly. */
  #noteRoundTrip(took: Nanoseconds): void {
    this.#roundTrip = took > this.#roundTrip ? took : (15 * this.#roundTrip + took) / 16;
    const { minRetry, maxRetry } = this.#limits;
    this.#wait = Math.min(maxRetry, Math.max(minRetry, 2 * this.#roundTrip));
  }

  /** Lets what has waited long enough for its acknowledgement be sent again: how many. */
  retry(now: Nanoseconds): number {
    if (this.#inFlight.size === 0 || this.#oldest + this.#wait > now) return 0;
    let count = 0;
    for (const { commit, place, at } of this.#inFlight.values()) {
      this.#oldest = at;
      if (at + this.#wait > now) break;
      this.#settle(commit);
      this.#bits[place] = (this.#bits[place] as number) | AGAIN;
      this.#enterNow(place);
      count++;
    }
    if (count > 0) this.#wait = Math.min(this.#limits.maxRetry, 2 * this.#wait);
    return count;
  }

  #settle(commit: number): void {
    const sent = this.#inFlight.get(commit);
    if (sent === undefined) return;
    this.#inFlight.delete(commit);
    this.#commits[sent.place] = 0;
    this.#bytesInFlight -= sent.bytes;
  }

  /** Whether `take` would give something now. */
  hasWork(): boolean {
    return this.#now.size > 0 && this.#hasRoom();
  }

  /** When something may be due that was not before. */
  nextTime(): Nanoseconds {
    let next = this.#inFlight.size === 0 ? NEVER : this.#oldest + this.#wait;
    for (const { places, notBefore } of this.#later) if (places.size > 0) next = Math.min(next, notBefore);
    return next;
  }

  /** Slots that this peer has to be told of. */
  get backlog(): number {
    let sum = this.#now.size + this.#inFlight.size;
    for (const { places } of this.#later) sum += places.size;
    return sum;
  }
}

function newLater(bit: number, slack: Nanoseconds): Later {
  return { bit, slack, places: new Set(), notBefore: 0 };
}

export interface Taking {
  readonly now: Nanoseconds;
  readonly maxBytes: number;
  readonly goesAnyhow: boolean;
  readonly peerHas: (id: string) => boolean;
}

function updateOf(slot: number, { commit, content }: Slot, isOffered: boolean): SlotUpdate {
  if (content === undefined) return emptyOf(slot, { commit });
  const { id, artifact, isRelayed } = content;
  return artifact.length > MAX_INLINE_BYTES || isRelayed || isOffered
    ? { kind: "advert", slot, commit, id, size: artifact.length }
    : { kind: "inline", slot, commit, artifact };
}

function emptyOf(slot: number, { commit }: Pick<Slot, "commit">): SlotUpdate {
  return { kind: "empty", slot, commit };
}
