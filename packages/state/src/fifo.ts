// A queue with constant-time ends: canister queues may hold thousands of messages, and an array's shift() is
// linear in its length. It knows the bytes of what is in it at any time.
import type { MessageBytes } from "./message-memory.ts";

export class Fifo<T> {
  #items: T[] = [];
  #head = 0;
  #guaranteed = 0;
  #bestEffort = 0;
  readonly #bytesOf: ((item: T) => MessageBytes) | undefined;

  constructor(items: Iterable<T> = [], bytesOf?: (item: T) => MessageBytes) {
    this.#bytesOf = bytesOf;
    for (const item of items) this.push(item);
  }

  /** Another queue of the same items. */
  fork(): Fifo<T> {
    return new Fifo(this, this.#bytesOf);
  }

  get bytes(): MessageBytes {
    return { guaranteed: this.#guaranteed, bestEffort: this.#bestEffort };
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#count(item, 1);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** The item at that place, counted from the first one. */
  at(place: number): T | undefined {
    return this.#items[this.#head + place];
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head] as T;
    this.#count(item, -1);
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out every item for which `test` holds, in order. */
  extract(test: (item: T) => boolean): T[] {
    const out: T[] = [];
    const rest: T[] = [];
    for (const item of this) {
      const isOut = test(item);
      if (isOut) this.#count(item, -1);
      (isOut ? out : rest).push(item);
    }
    this.#items = rest;
    this.#head = 0;
    return out;
  }

  #count(item: T, change: 1 | -1): void {
    const bytes = this.#bytesOf?.(item);
    if (bytes === undefined) return;
    this.#guaranteed += change * bytes.guaranteed;
    this.#bestEffort += change * bytes.bestEffort;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T;
  }
}
