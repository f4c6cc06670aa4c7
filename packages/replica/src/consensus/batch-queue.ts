// Finalized blocks on their way to execution: in order, once each, at most 16 at a time. Consensus goes on while they are
// executed; when the queue is full it delivers no more, certification lags behind, and the notaries slow down. Section 9.
import type { BatchPort, DeliveredBatch } from "@atoll/consensus";
import { type Batch, EnvironmentError, type Height, invariant, RESTART_NEEDED, type Time } from "@atoll/types";
import type { ExecutedRound, Executor } from "../executor.ts";

const MAX_WAITING = 16;
/** ns after which a batch that could not be made durable is tried again. */
const RETRY_NS = 1_000_000_000n;

export interface BatchQueuePorts {
  readonly executor: Pick<Executor, "execute">;
  /** The same on every node. */
  toBatch(delivered: DeliveredBatch): Batch;
  onRound(round: ExecutedRound, batch: Batch): void;
  /** The disk takes no more: said again at every attempt. */
  onNotDurable(height: Height, error: EnvironmentError): void;
  /** The node cannot go on. */
  onFailure(error: unknown): void;
  /** Monotonic, ns. */
  now(): Time;
}

export class BatchQueue implements BatchPort {
  readonly #ports: BatchQueuePorts;
  #waiting: DeliveredBatch[] = [];
  #expected: Height = 1;
  #running: Promise<void> | undefined;
  #retryAt: Time | undefined;
  #isClosed = false;

  constructor(ports: BatchQueuePorts) {
    this.#ports = ports;
  }

  /** The state is at `height`, after a start or when it was taken over. Nothing may be under way: see `settle`. */
  begin(height: Height): void {
    invariant(this.#running === undefined, "a batch is being executed");
    this.#waiting = [];
    this.#expected = height + 1;
    this.#isClosed = false;
  }

  expected(): Height {
    return this.#expected;
  }

  room(): number {
    return this.#isClosed ? 0 : MAX_WAITING - this.#waiting.length;
  }

  deliver(batch: DeliveredBatch): void {
    invariant(batch.height === this.#expected && this.room() > 0, "batches are delivered one after the other");
    this.#waiting.push(batch);
    this.#expected++;
    this.#run();
  }

  /** Monotonic time at which `retry` has something to do. */
  get wakeAt(): Time | undefined {
    return this.#retryAt;
  }

  retry(now: Time): void {
    if (this.#retryAt !== undefined && now >= this.#retryAt) this.#run();
  }

  /** Takes nothing any more; resolves when what is being executed has ended. */
  async settle(): Promise<void> {
    this.#isClosed = true;
    this.#waiting = this.#waiting.slice(0, this.#running === undefined ? 0 : 1);
    await this.#running;
    this.#waiting = [];
    this.#retryAt = undefined;
  }

  #run(): void {
    if (this.#running !== undefined) return;
    this.#retryAt = undefined;
    this.#running = this.#executeWaiting().then(
      () => {
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#running = undefined;
        if (!(error instanceof EnvironmentError) || error.code === RESTART_NEEDED) return this.#ports.onFailure(error);
        this.#retryAt = this.#ports.now() + RETRY_NS;
        this.#ports.onNotDurable(this.#waiting[0]?.height ?? 0, error);
      },
    );
  }

  async #executeWaiting(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const batch = this.#ports.toBatch(next);
      const round = await this.#ports.executor.execute(batch);
      this.#waiting.shift();
      this.#ports.onRound(round, batch);
    }
  }
}
