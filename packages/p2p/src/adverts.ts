// What peers offer: for each of them a picture of its slot table, and for each id who has it. An id that is in nobody's
// table is forgotten, so all of this is bounded by the number of slots, whatever peers send. Section 21.2.
import type { PrincipalId } from "@atoll/types";
import type { Nanoseconds } from "./limits.ts";

export interface Advert {
  readonly id: string;
  /** Who offers it, and how many bytes it has as they say. */
  holders: readonly Holder[];
  /** "settled": it was taken, is broadcast by this node itself, or is not worth having. */
  state: "open" | "fetching" | "settled";
  /** Fetches that came to nothing, who was asked, and when the next one may begin. */
  attempts: number;
  asked: readonly PrincipalId[];
  notBefore: Nanoseconds;
}

export interface Holder {
  readonly peer: PrincipalId;
  readonly size: number;
  /** The newest slot of the peer that offers it: what becomes of an older one says nothing. */
  readonly place: number;
  readonly commit: number;
}

interface Told {
  commit: number;
  /** Undefined: empty. */
  advert: Advert | undefined;
}

interface Table {
  /** Place -> what was told last. */
  readonly slots: Map<number, Told>;
  /** Ids that are not settled; first those that were not looked at for longest. */
  readonly open: Set<string>;
}

export class Adverts {
  readonly #tables = new Map<PrincipalId, Table>();
  readonly #byId = new Map<string, Advert>();

  get(id: string): Advert | undefined {
    return this.#byId.get(id);
  }

  /** Whether the peer offers it. */
  holds(peer: PrincipalId, id: string): boolean {
    const advert = this.#byId.get(id);
    return advert !== undefined && holderOf(advert, peer) !== undefined;
  }

  /** Whether nothing is left to do with that update: what it offered is settled, or the slot holds something newer. */
  isDone(peer: PrincipalId, place: number, commit: number): boolean {
    const known = this.#tables.get(peer)?.slots.get(place);
    if (known === undefined || known.commit < commit) return false;
    return known.commit > commit || known.advert?.state === "settled";
  }

  /** The slot of a peer holds this from the commit on; undefined: nothing. False: that is older than what is known. */
  update(
    peer: PrincipalId,
    place: number,
    commit: number,
    offered: { readonly id: string; readonly size: number } | undefined,
  ): boolean {
    const table = this.#tables.get(peer) ?? this.#newTable(peer);
    const known = table.slots.get(place);
    if (known !== undefined && known.commit >= commit) return known.commit === commit;
    if (known?.advert !== undefined && holderOf(known.advert, peer)?.place === place) this.#release(peer, known.advert);
    const advert = offered && this.#held(table, offered.id, { peer, size: offered.size, place, commit });
    if (known === undefined) table.slots.set(place, { commit, advert });
    else {
      known.commit = commit;
      known.advert = advert;
    }
    return true;
  }

  #newTable(peer: PrincipalId): Table {
    const table: Table = { slots: new Map(), open: new Set() };
    this.#tables.set(peer, table);
    return table;
  }

  #held(table: Table, id: string, holder: Holder): Advert {
    const known = this.#byId.get(id);
    const advert = known ?? newAdvert(id);
    if (known === undefined) this.#byId.set(id, advert);
    const before = holderOf(advert, holder.peer);
    if (before !== undefined && before.commit > holder.commit) return advert;
    advert.holders = before === undefined ? [...advert.holders, holder] : [...without(advert, holder.peer), holder];
    if (advert.state !== "settled") table.open.add(id);
    return advert;
  }

  /** The peer has not got it after all. */
  withdraw(peer: PrincipalId, id: string): void {
    const advert = this.#byId.get(id);
    if (advert !== undefined) this.#release(peer, advert);
  }

  #release(peer: PrincipalId, advert: Advert): void {
    if (holderOf(advert, peer) === undefined) return;
    const { id } = advert;
    if (advert.asked.length > 0) advert.asked = advert.asked.filter((other) => other !== peer);
    if (advert.state !== "settled") this.#tables.get(peer)?.open.delete(id);
    advert.holders = without(advert, peer);
    if (advert.holders.length === 0) this.#byId.delete(id);
  }

  /** No fetch of it is needed any more. */
  settle(id: string): void {
    const advert = this.#byId.get(id);
    if (advert === undefined || advert.state === "settled") return;
    advert.state = "settled";
    for (const { peer } of advert.holders) this.#tables.get(peer)?.open.delete(id);
  }

  /** Forgets what the peer offers. */
  clear(peer: PrincipalId): void {
    const table = this.#tables.get(peer);
    if (table === undefined) return;
    this.#tables.delete(peer);
    for (const { advert } of table.slots.values()) {
      if (advert !== undefined) this.#release(peer, advert);
    }
  }

  hasOpen(peer: PrincipalId): boolean {
    return (this.#tables.get(peer)?.open.size ?? 0) > 0;
  }

  /** Up to `count` that are open, those not looked at for longest first. */
  *look(peer: PrincipalId, count: number): Iterable<Advert> {
    const open = this.#tables.get(peer)?.open;
    if (open === undefined) return;
    for (const id of [...open].slice(0, count)) {
      const advert = this.#byId.get(id);
      if (advert === undefined || !open.delete(id)) continue;
      open.add(id);
      yield advert;
    }
  }

  /** Slots and ids that are kept: for metrics, and for tests of the bound. */
  size(): { readonly slots: number; readonly ids: number } {
    let slots = 0;
    for (const table of this.#tables.values()) slots += table.slots.size;
    return { slots, ids: this.#byId.size };
  }
}

const NOBODY: readonly PrincipalId[] = [];
const NONE: readonly Holder[] = [];

function holderOf({ holders }: Advert, peer: PrincipalId): Holder | undefined {
  for (const holder of holders) if (holder.peer === peer) return holder;
  return undefined;
}

function without({ holders }: Advert, peer: PrincipalId): readonly Holder[] {
  return holders.length === 1 ? NONE : holders.filter((holder) => holder.peer !== peer);
}

function newAdvert(id: string): Advert {
  return { id, holders: NONE, state: "open", attempts: 0, asked: NOBODY, notBefore: 0 };
}
