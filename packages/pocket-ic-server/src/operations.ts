// One operation at a time on each instance, and the answers of PocketIC's protocol around it: 200 with the result, 202
// when it runs longer than the client waits, 409 when others were before it for that long. What runs on after a 202 is
// asked for at /read_graph; what waits for a client that has gone is not begun.
import { randomBytes } from "node:crypto";
import { done, type Outcome, Refusal, refused } from "./answers.ts";

export interface Patience {
  readonly timeoutMs: number;
  /** Calls back when the client has gone. Returns a function that forgets. */
  readonly onDisconnect?: (callback: () => void) => () => void;
}

interface Operation {
  readonly id: string;
  readonly work: () => Promise<Outcome>;
  readonly settled: PromiseWithResolvers<Outcome>;
  /** Where the result is kept, once the client was told to ask for it. */
  keptAt?: string;
}

/** Results that nobody fetches are dropped, the oldest first. */
const MAX_KEPT = 1_024;

/** Results of operations that ran longer than their client waited, by state label and operation. */
export class OperationGraph {
  readonly #results = new Map<string, Outcome>();

  keep(place: string, outcome: Outcome): void {
    this.#results.set(place, outcome);
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= MAX_KEPT) break;
      this.#results.delete(oldest);
    }
  }

  read(label: string, operation: string): Outcome {
    checkLabel(label);
    return this.#results.get(placeOf(label, operation)) ?? notFound(label, operation);
  }

  prune(label: string, operation: string): Outcome {
    checkLabel(label);
    return this.#results.delete(placeOf(label, operation)) ? done() : notFound(label, operation);
  }
}

function placeOf(label: string, operation: string): string {
  return `${label} ${operation}`;
}

function checkLabel(label: string): void {
  if (Buffer.from(label, "base64url").length !== 16) throw new Refusal(400, "Malformed state label.");
}

function notFound(label: string, operation: string): Outcome {
  const shown = `${label.slice(0, 40)} / ${operation.slice(0, 100)}`;
  return { status: 404, body: { message: `state_label / op_id not found: ${shown}` } };
}

/** The operations of one instance. */
export class OperationQueue {
  readonly #graph: OperationGraph;
  readonly #waiting: Operation[] = [];
  readonly #base = randomBytes(8);
  #running: Operation | undefined;
  #begun = 0n;
  #isClosed = false;
  #whenIdle: (() => void) | undefined;

  constructor(graph: OperationGraph) {
    this.#graph = graph;
  }

  /** As `GET /instances` shows it. */
  get state(): string {
    if (this.#running !== undefined) return `Busy(${this.#label}, ${this.#running.id})`;
    return this.#isClosed ? "Deleted" : "Available";
  }

  /** Runs `work` when its turn comes, and answers for as long as the client waits. */
  run(name: string, work: () => Promise<Outcome>, { timeoutMs, onDisconnect }: Patience): Promise<Outcome> {
    const operation = this.#add(name, work);
    return new Promise((resolve, reject) => {
      const release = (): void => {
        clearTimeout(timer);
        forget?.();
      };
      const timer = setTimeout(() => {
        release();
        resolve(this.#postpone(operation));
      }, timeoutMs);
      const forget = onDisconnect?.(() => {
        release();
        this.#withdraw(operation);
        resolve(gone);
      });
      operation.settled.promise.finally(release).then(resolve, reject);
    });
  }

  /** For the server's own work on the instance: waits for its turn however long that takes. */
  exclusive(name: string, work: () => Promise<Outcome>): Promise<Outcome> {
    return this.#add(name, work).settled.promise;
  }

  /** Refuses what waits and what comes from now on; resolves when the operation that runs is over. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { settled } of this.#waiting.splice(0)) settled.resolve(deleted);
    if (this.#running === undefined) return;
    await new Promise<void>((resolve) => {
      const before = this.#whenIdle;
      this.#whenIdle = () => {
        before?.();
        resolve();
      };
    });
  }

  get #label(): string {
    const label = Buffer.alloc(16);
    this.#base.copy(label);
    label.writeBigUInt64BE(this.#begun, 8);
    return label.toString("base64url").padEnd(24, "=");
  }

  #add(name: string, work: () => Promise<Outcome>): Operation {
    const operation = {
      id: `${name}-${randomBytes(6).toString("hex")}`,
      work,
      settled: Promise.withResolvers<Outcome>(),
    };
    if (this.#isClosed) operation.settled.resolve(deleted);
    else {
      this.#waiting.push(operation);
      this.#next();
    }
    return operation;
  }

  #next(): void {
    const operation = this.#running === undefined ? this.#waiting.shift() : undefined;
    if (operation === undefined) return;
    this.#running = operation;
    this.#begun += 1n;
    this.#perform(operation);
  }

  async #perform(operation: Operation): Promise<void> {
    const { work, settled } = operation;
    try {
      const outcome = await work().catch((error: unknown) => {
        const refusal = refused(error);
        if (refusal === undefined) throw error;
        return refusal;
      });
      if (operation.keptAt !== undefined) this.#graph.keep(operation.keptAt, outcome);
      settled.resolve(outcome);
    } catch (error) {
      if (operation.keptAt !== undefined) this.#graph.keep(operation.keptAt, failed);
      settled.reject(error);
    }
    this.#running = undefined;
    if (this.#waiting.length > 0) this.#next();
    else this.#whenIdle?.();
  }

  /** The client waits no longer: it can ask for the result, or has to come again. */
  #postpone(operation: Operation): Outcome {
    const running = this.#running;
    if (running === undefined) return deleted;
    const place = { state_label: this.#label, op_id: running.id };
    if (running !== operation) {
      this.#withdraw(operation);
      return { status: 409, body: place };
    }
    operation.keptAt = placeOf(place.state_label, place.op_id);
    // Nobody else listens any more; a failure of ours is kept as a result.
    operation.settled.promise.catch(() => undefined);
    return { status: 202, body: place };
  }

  #withdraw(operation: Operation): void {
    const place = this.#waiting.indexOf(operation);
    if (place >= 0) this.#waiting.splice(place, 1);
  }
}

const deleted: Outcome = { status: 400, body: { message: "Instance was deleted" } };
const failed: Outcome = { status: 500, body: { message: "The operation failed inside the server; its log says why." } };
/** Nobody reads it. */
const gone: Outcome = { status: 499, body: null };
