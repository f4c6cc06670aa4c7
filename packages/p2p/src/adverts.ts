// What peers offer: for each of them a picture of its slot table, and for each id who has it. An id that is in nobody's
// table is forgotten, so all of this is bounded by the number of slots, whatever peers send. Section 21.2.
import type { PrincipalId } from "@atoll/types";
import type { Nanoseconds } from "./limits.ts";

export interface Advert {
  readonly id: string;
  /** Who offers it, and how many bytes it has as they say. */
  readonly holders: Map<PrincipalId, number>;
  /** "settled": it was taken, is broadcast by this node itself, or is not worth having. */
  state: "open" | "fetching" | "settled";
  /** Fetches that came to nothing, who was asked, and when the next one may begin. */
  attempts: number;
  asked: readonly PrincipalId[];
  notBefore: Nanoseconds;
}

interface Table {
  /** Place -> what was told last. Undefined id: empty. */
  readonly slots: Map<number, { readonly commit: number; readonly id: string | undefined }>;
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
    return this.#byId.get(id)?.holders.has(peer) === true;
  }

  /** Whether nothing is left to do with that update: what it offered is settled, or the slot holds something newer. */
  isDone(peer: PrincipalId, place: number, commit: number): boolean {
    const known = this.#tables.get(peer)?.slots.get(place);
    if (known === undefined || known.commit < commit) return false;
    return known.commit > commit || (known.id !== undefined && this.#byId.get(known.id)?.state === "settled");
  }

  /** The slot of a peer holds this from the commit on; undefined: nothing. False: that is older than what is known. */
  update(
    peer: PrincipalId,
    place: number,
    commit: number,
    offered: { readonly id: string; readonly size: number } | undefined,
  ): boolean {
    const table = this.#tables.get(peer) ?? { slots: new Map(), open: new Set() };
    this.#tables.set(peer, table);
    const known = table.slots.get(place);
    if (known !== undefined && known.commit >= commit) return known.commit === commit;
    if (known?.id !== undefined) this.#release(peer, known.id);
    table.slots.set(place, { commit, id: offered?.id });
    if (offered === undefined) return true;
    const advert = this.#byId.get(offered.id) ?? newAdvert(offered.id);
    this.#byId.set(offered.id, advert);
    advert.holders.set(peer, offered.size);
    if (advert.state !== "settled") table.open.add(offered.id);
    return true;
  }

  /** The peer has not got it after all. */
  withdraw(peer: PrincipalId, id: string): void {
    this.#release(peer, id);
  }

  #release(peer: PrincipalId, id: string): void {
    const advert = this.#byId.get(id);
    if (advert?.holders.delete(peer) !== true) return;
    if (advert.asked.length > 0) advert.asked = advert.asked.filter((other) => other !== peer);
    this.#tables.get(peer)?.open.delete(id);
    if (advert.holders.size === 0) this.#byId.delete(id);
  }

  /** No fetch of it is needed any more. */
  settle(id: string): void {
    const advert = this.#byId.get(id);
    if (advert === undefined || advert.state === "settled") return;
    advert.state = "settled";
    for (const peer of advert.holders.keys()) this.#tables.get(peer)?.open.delete(id);
  }

  /** Forgets what the peer offers. */
  clear(peer: PrincipalId): void {
    const table = this.#tables.get(peer);
    if (table === undefined) return;
    this.#tables.delete(peer);
    for (const { id } of table.slots.values()) {
      if (id !== undefined) this.#release(peer, id);
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

function newAdvert(id: string): Advert {
  return { id, holders: new Map(), state: "open", attempts: 0, asked: NOBODY, notBefore: 0 };
}
