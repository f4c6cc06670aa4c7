// Batches of one step, on their way from the role that delivers them to execution: they wait until the step is on the disk.
// What made a block final may be a share of this node, and if that cannot be written it has not been given: the block
// may never become final. Sections 5.5 and 9.
import type { Height } from "@atoll/types";
import type { BatchPort, DeliveredBatch } from "./ports.ts";

export class HeldBatches implements BatchPort {
  readonly #port: BatchPort;
  #held: readonly DeliveredBatch[] = [];

  constructor(port: BatchPort) {
    this.#port = port;
  }

  expected(): Height {
    return this.#port.expected() + this.#held.length;
  }

  room(): number {
    return Math.max(0, this.#port.room() - this.#held.length);
  }

  deliver(batch: DeliveredBatch): void {
    this.#held = [...this.#held, batch];
  }

  /** The step is on the disk. */
  release(): void {
    const held = this.#held;
    if (held.length === 0) return;
    this.#held = [];
    // A state that was taken over meanwhile has made what came before it one of the past.
    for (const batch of held) if (batch.height === this.#port.expected()) this.#port.deliver(batch);
  }

  /** The step has not happened. */
  drop(): void {
    this.#held = [];
  }
}
