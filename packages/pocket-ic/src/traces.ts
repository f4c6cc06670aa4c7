// What rounds have traced, kept so that the tree of a call can be shown when it is asked for: bounded, so that a test of
// a million messages does not end with all of them in memory.
import { type MessageNode, messageTree, type TracedRound } from "@atoll/replica";
import type { RequestId } from "@atoll/types";

/** The oldest go first. */
const MAX_EVENTS = 100_000;

export class Traces {
  #rounds: TracedRound[] = [];
  #events = 0;

  add(round: TracedRound): void {
    if (round.events.length === 0) return;
    this.#rounds.push(round);
    this.#events += round.events.length;
    if (this.#events > 2 * MAX_EVENTS) this.#forget();
  }

  /** Undefined: no round had the message, or its trace is forgotten. */
  treeOf(requestId: RequestId): MessageNode | undefined {
    // What a message causes comes after it.
    const first = this.#rounds.findLastIndex(({ events }) =>
      events.some((event) => event.kind === "ingress" && event.requestId === requestId),
    );
    return first < 0 ? undefined : messageTree(this.#rounds.slice(first), requestId);
  }

  fork(): Traces {
    const fork = new Traces();
    fork.#rounds = [...this.#rounds];
    fork.#events = this.#events;
    return fork;
  }

  #forget(): void {
    let count = 0;
    while (this.#events > MAX_EVENTS) this.#events -= this.#rounds[count++]?.events.length ?? this.#events;
    this.#rounds = this.#rounds.slice(count);
  }
}
