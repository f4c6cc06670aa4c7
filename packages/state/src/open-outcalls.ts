// HTTPS outcalls that canisters of the subnet have asked for and that are not answered yet: part of the replicated state,
// so that every node knows which answers it may propose. They end by an answer that the nodes agreed on, or when nobody
// answered for a minute. Specification, "IC method http_request"; checklist 4.6.
import type { OutcallChanges, OutcallRequest, Request, Time } from "@atoll/types";

export interface OutcallContext {
  readonly outcall: OutcallRequest;
  /** The call that waits for the answer; its payment is what the outcall did not cost. */
  readonly request: Omit<Request, "arg">;
}

export class OpenOutcalls {
  /** Ascending by number, hence by time. */
  readonly #open = new Map<number, OutcallContext>();
  #next = 0;
  #bytes = 0;
  /** Since somebody asked for changes. */
  #began = new Map<number, OutcallRequest>();
  #ended: number[] = [];

  /** Contexts never change: both sides have the same. */
  fork(): OpenOutcalls {
    const copy = new OpenOutcalls();
    for (const [number, context] of this.#open) copy.#open.set(number, context);
    copy.#next = this.#next;
    copy.#bytes = this.#bytes;
    copy.#began = new Map(this.#began);
    copy.#ended = [...this.#ended];
    return copy;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Of all requests together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Number of the next outcall. */
  get next(): number {
    return this.#next;
  }

  /** When the one that waits longest asked; undefined: there is none. */
  get oldest(): Time | undefined {
    return this.#first()?.outcall.time;
  }

  numbers(): Iterable<number> {
    return this.#open.keys();
  }

  get(outcall: number): OutcallContext | undefined {
    return this.#open.get(outcall);
  }

  *contexts(): Generator<OutcallContext> {
    yield* this.#open.values();
  }

  /** `outcall` has the number `next`. */
  add(context: OutcallContext): void {
    this.#put(context);
    this.#began.set(context.outcall.outcall, context.outcall);
  }

  /** Gives the context of an outcall that has ended, or undefined if none of that number is open. */
  take(outcall: number): OutcallContext | undefined {
    const context = this.#open.get(outcall);
    if (context === undefined) return undefined;
    this.#open.delete(outcall);
    this.#bytes -= outcallBytes(context.outcall);
    // Of what nobody has heard of, nobody need hear that it ended: a replay of many rounds would keep it all.
    if (!this.#began.delete(outcall)) this.#ended.push(outcall);
    return context;
  }

  /** Takes the one that waits longest, if it asked before `time`. */
  takeOlderThan(time: Time): OutcallContext | undefined {
    const first = this.#first();
    return first !== undefined && first.outcall.time < time ? this.take(first.outcall.outcall) : undefined;
  }

  /** What began and ended since the last call. */
  takeChanges(): OutcallChanges {
    const changes = { began: [...this.#began.values()], ended: this.#ended.sort((a, b) => a - b) };
    this.#began = new Map();
    this.#ended = [];
    return changes;
  }

  /** Makes the next changes those for somebody who knows nothing yet. */
  noteAll(): void {
    this.#began = new Map([...this.#open].map(([number, { outcall }]) => [number, outcall]));
    this.#ended = [];
  }

  /** Fills an empty set. */
  restore(contexts: readonly OutcallContext[], next: number): void {
    for (const context of [...contexts].sort((a, b) => a.outcall.outcall - b.outcall.outcall)) this.#put(context);
    this.#next = next;
  }

  #first(): OutcallContext | undefined {
    for (const context of this.#open.values()) return context;
    return undefined;
  }

  #put(context: OutcallContext): void {
    const { outcall } = context;
    this.#open.set(outcall.outcall, context);
    this.#bytes += outcallBytes(outcall);
    this.#next = outcall.outcall + 1;
  }
}

/** What an outcall is counted with beside its own texts. */
const FIXED_BYTES = 1000;

export function outcallBytes({ url, headers, body, transform }: Omit<OutcallRequest, "outcall">): number {
  const texts = headers.reduce((sum, { name, value }) => sum + name.length + value.length, url.length);
  const context = transform === undefined ? 0 : transform.methodName.length + transform.context.length;
  return FIXED_BYTES + texts + context + (body?.length ?? 0);
}
