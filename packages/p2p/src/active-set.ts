// What this node broadcasts now: each artifact has a slot of a table that peers hold a picture of. Whatever happens to a
// slot gives it the next commit number, so that of two pictures the newer one can be told. Section 21.2.
import { type ArtifactOrigin, invariant } from "@atoll/types";

export interface Slot {
  readonly commit: number;
  /** Undefined: empty. */
  readonly content: Content | undefined;
}

export interface Content {
  readonly id: string;
  readonly artifact: Uint8Array;
  /** It came from a peer: others may have it from there as well. */
  readonly isRelayed: boolean;
  readonly origin: ArtifactOrigin;
}

export class ActiveSet {
  readonly #maxSlots: number;
  readonly #slots: Slot[] = [];
  readonly #free: number[] = [];
  readonly #places = new Map<string, number>();
  /** More is active than peers have slots for: in the order in which they will get one. */
  readonly #waiting = new Map<string, Content>();
  #commit = 0;

  constructor(maxSlots: number) {
    this.#maxSlots = maxSlots;
  }

  get size(): number {
    return this.#places.size + this.#waiting.size;
  }

  has(id: string): boolean {
    return this.#places.has(id) || this.#waiting.has(id);
  }

  artifact(id: string): Uint8Array | undefined {
    const place = this.#places.get(id);
    return (place === undefined ? this.#waiting.get(id) : this.#slots[place]?.content)?.artifact;
  }

  at(place: number): Slot {
    const slot = this.#slots[place];
    invariant(slot !== undefined, "a slot that is not there");
    return slot;
  }

  /** Slots that hold something. */
  places(): Iterable<number> {
    return this.#places.values();
  }

  /** The slot that changed; undefined: all are taken, or it is active already. */
  add(content: Content): number | undefined {
    if (this.has(content.id)) return undefined;
    const place = this.#free.pop() ?? (this.#slots.length < this.#maxSlots ? this.#slots.length : undefined);
    if (place === undefined) this.#waiting.set(content.id, content);
    else this.#put(place, content);
    return place;
  }

  /** The slot that changed. It may hold something that had to wait. */
  remove(id: string): number | undefined {
    const place = this.#places.get(id);
    if (place === undefined) {
      this.#waiting.delete(id);
      return undefined;
    }
    this.#places.delete(id);
    const [next] = this.#waiting.values();
    if (next !== undefined) this.#waiting.delete(next.id);
    else this.#free.push(place);
    this.#put(place, next);
    return place;
  }

  #put(place: number, content: Content | undefined): void {
    this.#slots[place] = { commit: ++this.#commit, content };
    if (content !== undefined) this.#places.set(content.id, place);
  }
}
