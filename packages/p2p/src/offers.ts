// What one peer still has to be told of this node's active set. The queue holds places of slots, never bytes: what a slot
// holds is looked up when it is sent, so it is bounded by the active set however slow the peer is, and what was retracted
// meanwhile is not sent at all. Unacknowledged updates are sent again, later and later. Section 21.2.
import type { Time } from "@atoll/types";
import type { ActiveSet, Slot } from "./active-set.ts";
import { type GossipLimits, MAX_INLINE_BYTES } from "./limits.ts";
import { type SlotUpdate, updateSize } from "./messages.ts";

const NOTHING: readonly never[] = [];
/** In one frame. */
const MAX_UPDATES = 2000;

interface Sent {
  readonly place: number;
  readonly at: Time;
  readonly bytes: number;
  /** It was sent before: its acknowledgement may be for that time, and says nothing about how long one takes. */
  readonly isAgain: boolean;
}

export class Offers {
  readonly #limits: GossipLimits;
  /** To be sent as soon as there is room. */
  readonly #now = new Set<number>();
  /** Place -> when it is due, in that order. */
  readonly #relayed = new Map<number, Time>();
  readonly #emptied = new Map<number, Time>();
  /** Commit -> what was sent and is not acknowledged; the oldest first. */
  readonly #inFlight = new Map<number, Sent>();
  readonly #commitInFlight = new Map<number, number>();
  #bytesInFlight = 0;
  /** Places of which the peer may believe that they hold something. */
  readonly #told = new Set<number>();
  /** Time to wait for acknowledgements. */
  #wait: Time;
  #roundTrip: Time = 0n;
  /** Places whose update waits to be sent again. */
  readonly #again = new Set<number>();

  constructor(limits: GossipLimits) {
    this.#limits = limits;
    this.#wait = limits.minRetry;
  }

  /** The peer knows nothing: all that is active is to be offered. */
  restart(active: ActiveSet, now: Time): void {
    this.clear();
    for (const place of active.places()) this.changed(place, active.at(place), now);
  }

  clear(): void {
    for (const each of [
      this.#now,
      this.#relayed,
      this.#emptied,
      this.#inFlight,
      this.#commitInFlight,
      this.#told,
      this.#again,
    ]) {
      each.clear();
    }
    this.#bytesInFlight = 0;
    this.#wait = this.#limits.minRetry;
  }

  /** The slot has something new, or nothing any more. */
  changed(place: number, { content }: Slot, now: Time): void {
    const commit = this.#commitInFlight.get(place);
    if (commit !== undefined) this.#settle(commit);
    for (const each of [this.#now, this.#again, this.#relayed, this.#emptied]) each.delete(place);
    if (content === undefined) {
      if (this.#told.has(place)) this.#emptied.set(place, now + this.#limits.emptyDelay);
    } else if (content.isRelayed && content.artifact.length <= MAX_INLINE_BYTES) {
      this.#relayed.set(place, now + this.#limits.relayDelay);
    } else {
      this.#now.add(place);
    }
  }

  /** Updates of about `maxBytes` that are due and for which there is room in flight. `peerHas`: it offers the artifact itself. */
  take(active: ActiveSet, now: Time, maxBytes: number, peerHas: (id: string) => boolean): readonly SlotUpdate[] {
    this.#due(this.#relayed, now);
    this.#due(this.#emptied, now);
    if (this.#now.size === 0) return NOTHING;
    const updates: SlotUpdate[] = [];
    let bytes = 0;
    for (const place of this.#now) {
      if (bytes >= maxBytes || updates.length === MAX_UPDATES || !this.#hasRoom()) break;
      this.#now.delete(place);
      const slot = active.at(place);
      const isKnown = slot.content !== undefined && peerHas(slot.content.id);
      // Nothing has to be said, unless the peer believes that something else is here.
      if (isKnown && !this.#told.has(place)) continue;
      const update = updateOf(place, slot, isKnown);
      const size = updateSize(update);
      bytes += size;
      updates.push(update);
      this.#send(update, size, now);
    }
    return updates;
  }

  #hasRoom(): boolean {
    const { updatesInFlight, updateBytesInFlight } = this.#limits;
    return this.#inFlight.size < updatesInFlight && this.#bytesInFlight < updateBytesInFlight;
  }

  #due(later: Map<number, Time>, now: Time): void {
    if (later.size === 0) return;
    for (const [place, due] of later) {
      if (due > now) return;
      later.delete(place);
      this.#now.add(place);
    }
  }

  #send({ slot: place, commit, kind }: SlotUpdate, bytes: number, now: Time): void {
    this.#inFlight.set(commit, { place, at: now, bytes, isAgain: this.#again.delete(place) });
    this.#commitInFlight.set(place, commit);
    this.#bytesInFlight += bytes;
    if (kind !== "empty") this.#told.add(place);
  }

  /** The transport did not take these. */
  giveBack(updates: readonly SlotUpdate[]): void {
    for (const { slot, commit } of updates) {
      if (this.#inFlight.get(commit)?.isAgain === true) this.#again.add(slot);
      this.#settle(commit);
      this.#now.add(slot);
    }
  }

  acknowledge(commits: readonly number[], active: ActiveSet, now: Time): void {
    let first: Sent | undefined;
    for (const commit of commits) {
      const sent = this.#inFlight.get(commit);
      if (sent === undefined) continue;
      if (!sent.isAgain) first ??= sent;
      this.#settle(commit);
      if (active.at(sent.place).content === undefined) this.#told.delete(sent.place);
    }
    if (first === undefined) return;
    // A busy peer is now quick, now slow: the slow times count at once, and are forgotten slowly.
    const took = now - first.at;
    this.#roundTrip = took > this.#roundTrip ? took : (15n * this.#roundTrip + took) / 16n;
    const { minRetry, maxRetry } = this.#limits;
    const usual = 2n * this.#roundTrip;
    this.#wait = usual < minRetry ? minRetry : usual < maxRetry ? usual : maxRetry;
  }

  /** Lets what has waited long enough for its acknowledgement be sent again: how many. */
  retry(now: Time): number {
    if (this.#inFlight.size === 0) return 0;
    let count = 0;
    for (const [commit, { place, at }] of this.#inFlight) {
      if (at + this.#wait > now) break;
      this.#settle(commit);
      this.#now.add(place);
      this.#again.add(place);
      count++;
    }
    if (count > 0) this.#wait = 2n * this.#wait > this.#limits.maxRetry ? this.#limits.maxRetry : 2n * this.#wait;
    return count;
  }

  #settle(commit: number): void {
    const sent = this.#inFlight.get(commit);
    if (sent === undefined) return;
    this.#inFlight.delete(commit);
    this.#commitInFlight.delete(sent.place);
    this.#bytesInFlight -= sent.bytes;
  }

  /** Whether `take` would give something now. */
  hasWork(): boolean {
    return this.#now.size > 0 && this.#hasRoom();
  }

  /** When something is due that was not before. */
  nextTime(): Time | undefined {
    const oldest = firstOf(this.#inFlight);
    return earliest(oldest && oldest.at + this.#wait, firstOf(this.#relayed), firstOf(this.#emptied));
  }

  /** Slots that this peer has to be told of. */
  get backlog(): number {
    return this.#now.size + this.#relayed.size + this.#emptied.size + this.#inFlight.size;
  }
}

function updateOf(slot: number, { commit, content }: Slot, isKnown: boolean): SlotUpdate {
  if (content === undefined) return { kind: "empty", slot, commit };
  const { id, artifact, isRelayed } = content;
  return artifact.length > MAX_INLINE_BYTES || isRelayed || isKnown
    ? { kind: "advert", slot, commit, id, size: artifact.length }
    : { kind: "inline", slot, commit, artifact };
}

function firstOf<T>(map: ReadonlyMap<number, T>): T | undefined {
  return map.size === 0 ? undefined : map.values().next().value;
}

export function earliest(...times: readonly (Time | undefined)[]): Time | undefined {
  let first: Time | undefined;
  for (const time of times) {
    if (time !== undefined && (first === undefined || time < first)) first = time;
  }
  return first;
}
