// Virtual time: one queue of everything that is going to happen, in the order of time and, at one time, of being asked for.
// Nothing else moves: clocks, networks, disks and executors of all nodes are events here. Section 22.
import type { EventLog } from "./event-log.ts";

/** Virtual time since the start of the run, in ns: whole numbers, exact for a hundred days. */
export type VirtualTime = number;

export const MS = 1_000_000;
export const SECOND = 1_000_000_000;

export interface Timer {
  cancel(): void;
}

/** Its own timer: there are dozens in a round of a node. */
class Event implements Timer {
  readonly time: VirtualTime;
  readonly sequence: number;
  readonly act: () => void;
  isCancelled = false;

  constructor(time: VirtualTime, sequence: number, act: () => void) {
    this.time = time;
    this.sequence = sequence;
    this.act = act;
  }

  cancel(): void {
    this.isCancelled = true;
  }
}

/** Ends when everything has run that is ready to run: the host's way to get behind all promises that are settled. */
export type Settle = () => Promise<void>;

export class Scheduler {
  readonly log: EventLog;
  readonly #settle: Settle;
  readonly #heap: Event[] = [];
  /** Work that real time is spent on; virtual time waits for it. */
  readonly #running = new Set<Promise<unknown>>();
  #now: VirtualTime = 0;
  #sequence = 0;
  #mustSettle = false;
  #isStopped = false;

  constructor(log: EventLog, settle: Settle) {
    this.log = log;
    this.#settle = settle;
  }

  get now(): VirtualTime {
    return this.#now;
  }

  at(time: VirtualTime, act: () => void): Timer {
    const event = new Event(Math.max(time, this.#now), this.#sequence++, act);
    push(this.#heap, event);
    return event;
  }

  after(delayNs: number, act: () => void): Timer {
    return this.at(this.#now + Math.round(delayNs), act);
  }

  note(what: string): void {
    this.log.add(this.#now, what);
  }

  /** Promises may have got settled: what waits for them comes before the next event. */
  settleSoon(): void {
    this.#mustSettle = true;
  }

  /**
   * The result of `work`, but at a virtual time: `delayNs` after now. However long `work` really takes, the order of
   * events is the same.
   */
  async later<T>(delayNs: number, work: Promise<T>): Promise<T> {
    const arrives = Promise.withResolvers<void>();
    this.#running.add(work);
    this.settleSoon();
    this.after(delayNs, () => {
      arrives.resolve();
      this.settleSoon();
    });
    const outcome = await work.then(
      (value) => ({ isThere: true, value }) as const,
      (error: unknown) => ({ isThere: false, error }) as const,
    );
    this.#running.delete(work);
    await arrives.promise;
    this.settleSoon();
    if (outcome.isThere) return outcome.value;
    throw outcome.error;
  }

  /** Ends the run at this event. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Lets happen what is to happen until then. Rejects with what an event throws. */
  async run(until: VirtualTime): Promise<void> {
    this.#isStopped = false;
    while (!this.#isStopped) {
      while (this.#mustSettle || this.#running.size > 0) {
        this.#mustSettle = false;
        while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
        await this.#settle();
      }
      const event = this.#heap[0];
      if (event === undefined || event.time > until) break;
      pop(this.#heap);
      if (event.isCancelled) continue;
      this.#now = event.time;
      event.act();
    }
    if (!this.#isStopped) this.#now = Math.max(this.#now, until);
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.sequence < b.sequence);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Event;
    if (!isBefore(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop() as Event;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
    if (!isBefore(heap[child] as Event, last)) break;
    heap[at] = heap[child] as Event;
    at = child;
  }
  heap[at] = last;
}
