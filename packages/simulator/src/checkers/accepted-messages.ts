// Invariant 7 of what clients send: nothing is executed that no client has signed, and what a node took in is executed as long
// as that node does not lose it: it is checked when everybody has been well for a while.
import type { VirtualTime } from "../scheduler.ts";
import { type Checker, Violation } from "./checker.ts";

/** Of its life a message may spend so much on its way: clocks of nodes may be wrong by as much. */
const EARLY_NS = 90_000_000_000;

export class AcceptedMessages {
  readonly #sent = new Set<string>();
  readonly #executed = new Set<string>();
  /** By the node that took them in: a node that is gone has lost them. */
  readonly #accepted = new Map<number, Map<string, VirtualTime>>();

  sent(requestId: string): void {
    this.#sent.add(requestId);
  }

  accepted(requestId: string, node: number, at: VirtualTime): void {
    const own = this.#accepted.get(node) ?? new Map<string, VirtualTime>();
    this.#accepted.set(node, own);
    own.set(requestId, at);
  }

  readonly checker = {
    crashed: ({ node }) => {
      this.#accepted.delete(node.index);
    },
    executed: ({ node, requests }) => {
      if (!node.isHonest) return;
      for (const id of requests) {
        if (!this.#sent.has(id))
          throw new Violation(7, `message ${id.slice(0, 12)} was executed, and nobody has sent it`);
        this.#executed.add(id);
      }
    },
  } satisfies Checker;

  /** Those that are still to be executed, and what node took them in. */
  open(now: VirtualTime): readonly string[] {
    return [...this.#accepted].flatMap(([node, messages]) =>
      [...messages]
        .filter(([id, at]) => now - at < EARLY_NS && !this.#executed.has(id))
        .map(([id]) => `${id.slice(0, 12)} of node ${node}`),
    );
  }

  /** Throws Violation. */
  check(now: VirtualTime): void {
    const [first] = this.open(now);
    if (first !== undefined) throw new Violation(7, `message ${first} was accepted and never executed`);
  }
}
