// What falls due when: global timers, deadlines of calls, waiting times. A binary heap by time, with the place of each
// key beside it, so that finding the next one, or all that are due, never looks at the others: thousands of canisters
// may sleep with a timer set. An index: its answers follow from what is in it, never from the order of insertion.
import type { Time } from "@atoll/types";

interface Entry<K> {
  readonly key: K;
  time: Time;
  /** Place in the heap. */
  at: number;
}

export class TimerIndex<K extends string> {
  /** No entry is earlier than its parent, the one at half its place. */
  readonly #heap: Entry<K>[] = [];
  readonly #entries = new Map<K, Entry<K>>();

  fork(): TimerIndex<K> {
    const copy = new TimerIndex<K>();
    for (const entry of this.#heap) copy.#heap.push({ ...entry });
    // In the order in which they are here: it is that of `keys`.
    for (const [key, { at }] of this.#entries) copy.#entries.set(key, copy.#heap[at] as Entry<K>);
    return copy;
  }

  get size(): number {
    return this.#heap.length;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  get(key: K): Time | undefined {
    return this.#entries.get(key)?.time;
  }

  keys(): Iterable<K> {
    return this.#entries.keys();
  }

  /** Time of what falls due next; undefined: nothing ever does. */
  get earliest(): Time | undefined {
    return this.#heap[0]?.time;
  }

  set(key: K, time: Time): void {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { key, time, at: this.#heap.length };
      this.#entries.set(key, entry);
      this.#heap.push(entry);
    } else if (entry.time === time) return;
    entry.time = time;
    this.#settle(entry);
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    const last = this.#heap.pop() as Entry<K>;
    if (last === entry) return;
    this.#put(last, entry.at);
    this.#settle(last);
  }

  /** Everything whose time is `now` or earlier: by time, and by key where times are equal. It stays in the index. */
  due(now: Time): K[] {
    const found: Entry<K>[] = [];
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const entry = this.#heap[at];
      if (entry === undefined || entry.time > now) continue;
      found.push(entry);
      open.push(2 * at + 1, 2 * at + 2);
    }
    return found.sort(byTimeAndKey).map(({ key }) => key);
  }

  /** Moves an entry to where its time belongs. */
  #settle(entry: Entry<K>): void {
    const heap = this.#heap;
    while (entry.at > 0) {
      const parent = heap[(entry.at - 1) >> 1] as Entry<K>;
      if (parent.time <= entry.time) break;
      this.#swap(entry, parent);
    }
    for (;;) {
      const left = heap[2 * entry.at + 1];
      const right = heap[2 * entry.at + 2];
      const child = left !== undefined && right !== undefined && right.time < left.time ? right : left;
      if (child === undefined || child.time >= entry.time) return;
      this.#swap(entry, child);
    }
  }

  #swap(one: Entry<K>, other: Entry<K>): void {
    const at = one.at;
    this.#put(one, other.at);
    this.#put(other, at);
  }

  #put(entry: Entry<K>, at: number): void {
    this.#heap[at] = entry;
    entry.at = at;
  }
}

function byTimeAndKey<K extends string>(one: Entry<K>, other: Entry<K>): number {
  if (one.time !== other.time) return one.time < other.time ? -1 : 1;
  return one.key < other.key ? -1 : 1;
}
