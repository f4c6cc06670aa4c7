// Gets the artifacts that are known by their ids only: from a random one of those who offer it, from others when that
// comes to nothing, and only while it is wanted. Each peer is looked at for itself, so that one that offers a lot of what
// nobody has does not keep others waiting. Section 21.3.
import type { EntropyPort, PrincipalId } from "@atoll/types";
import type { Advert, Adverts, Holder } from "./adverts.ts";
import type { Calls, Outcome } from "./calls.ts";
import { type GossipLimits, type Nanoseconds, NEVER } from "./limits.ts";

/** Ids of one peer that are looked at in one go. */
const LOOKS = 1000;

export interface FetchPorts {
  readonly entropy: EntropyPort;
  readonly now: () => Nanoseconds;
  readonly isConnected: (peer: PrincipalId) => boolean;
  readonly wants: (id: string) => boolean;
  /** What became of a fetch. "settled": it needs no other. */
  readonly fetched: (peer: PrincipalId, id: string, outcome: Outcome) => "settled" | "open" | "withdraw";
}

export class Fetches {
  readonly #limits: GossipLimits;
  readonly #adverts: Adverts;
  readonly #calls: Calls;
  readonly #ports: FetchPorts;
  /** Peers that offer something new, or from which more can be fetched than before. */
  readonly #fresh = new Set<PrincipalId>();
  readonly #requests = new Map<string, number>();
  #reconsiderAt: Nanoseconds = 0;

  constructor(limits: GossipLimits, adverts: Adverts, calls: Calls, ports: FetchPorts) {
    this.#limits = limits;
    this.#adverts = adverts;
    this.#calls = calls;
    this.#ports = ports;
  }

  /** The peer offers something that is not settled. `unwanted`: what has come in and was not wanted has to wait. */
  look(peer: PrincipalId, unwanted?: string): void {
    const advert = unwanted === undefined ? undefined : this.#adverts.get(unwanted);
    if (advert === undefined) this.#fresh.add(peer);
    else advert.notBefore = this.#ports.now() + this.#limits.reconsider;
  }

  /** It is here: nobody needs to send it any more. */
  settle(id: string): void {
    this.#adverts.settle(id);
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    this.#calls.cancel(request);
  }

  /** `peers`: all that are connected. */
  step(now: Nanoseconds, peers: Iterable<PrincipalId>): void {
    const all = now >= this.#reconsiderAt;
    if (!all && this.#fresh.size === 0) return;
    if (all) this.#reconsiderAt = now + this.#limits.reconsider;
    const looked = all ? [...peers] : [...this.#fresh];
    this.#fresh.clear();
    for (const peer of looked) {
      for (const advert of this.#adverts.look(peer, LOOKS)) this.#consider(advert, now);
    }
  }

  #consider(advert: Advert, now: Nanoseconds): void {
    if (advert.state !== "open" || advert.notBefore > now || !this.#ports.wants(advert.id)) return;
    const holder = this.#choose(advert);
    if (holder === undefined) return;
    const { peer, size } = holder;
    advert.state = "fetching";
    if (!advert.asked.includes(peer)) advert.asked = [...advert.asked, peer];
    const { id } = advert;
    const timeout = Math.min(this.#limits.maxFetch, this.#limits.minFetch * 2 ** Math.min(advert.attempts, 16));
    const finish = (outcome: Outcome) => this.#finished(peer, advert, outcome);
    this.#requests.set(id, this.#calls.begin({ peer, opening: { kind: "fetch", id }, size, timeout, finish }, now));
  }

  /** A random one of those who can be asked; first of those who were not asked yet. */
  #choose(advert: Advert): Holder | undefined {
    const able = advert.holders.filter(({ peer, size }) => this.#isAble(peer, size));
    const fresh = able.filter(({ peer }) => !advert.asked.includes(peer));
    const choice = fresh.length > 0 ? fresh : able;
    if (choice.length < 2) return choice[0];
    const [a = 0, b = 0] = this.#ports.entropy.randomBytes(2);
    return choice[(a * 256 + b) % choice.length];
  }

  #isAble(peer: PrincipalId, size: number): boolean {
    const { fetches, fetchBytes } = this.#calls.load(peer);
    const { fetchesInFlight, fetchBytesInFlight } = this.#limits;
    const hasRoom = fetches < fetchesInFlight && (fetchBytes === 0 || fetchBytes + size <= fetchBytesInFlight);
    return hasRoom && this.#ports.isConnected(peer);
  }

  #finished(peer: PrincipalId, advert: Advert, outcome: Outcome): void {
    this.#requests.delete(advert.id);
    if (advert.state === "fetching") advert.state = "open";
    const verdict = this.#ports.fetched(peer, advert.id, outcome);
    if (verdict === "settled") this.#adverts.settle(advert.id);
    if (verdict === "withdraw") this.#adverts.withdraw(peer, advert.id);
    if (verdict === "open") this.#postpone(advert, outcome);
    this.#fresh.add(peer);
    for (const other of advert.holders) this.#fresh.add(other.peer);
  }

  /** Another holder may be asked at once. When all were asked in vain, or it was not taken, it has to wait. */
  #postpone(advert: Advert, { kind }: Outcome): void {
    if (kind !== "answer") advert.attempts++;
    const others = advert.holders.some((holder) => !advert.asked.includes(holder.peer));
    if (others && kind !== "answer") return;
    advert.asked = [];
    // Whoever offers what it then refuses is asked less and less.
    const longer = kind === "refused" ? Math.min(advert.attempts, 7) : 0;
    advert.notBefore = this.#ports.now() + this.#limits.reconsider * 2 ** longer;
  }

  hasWork(): boolean {
    return this.#fresh.size > 0;
  }

  /** When what was not wanted before is asked about again. */
  nextTime(peers: Iterable<PrincipalId>): Nanoseconds {
    for (const peer of peers) {
      if (this.#adverts.hasOpen(peer)) return this.#reconsiderAt;
    }
    return NEVER;
  }
}
