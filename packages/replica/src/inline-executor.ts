// Execution on the thread of the replica itself: for tests, the simulator and the browser. The query side still
// gets its own instances and the same deltas as on another thread, so both arrangements run the same code.
// `fork` gives an executor with an equal state in a millisecond: what a test kit prepares once, each test has for itself.
import { InstanceBudget } from "@atoll/embedder";
import {
  executeQuery,
  FeeSchedule,
  filterIngress,
  newQueryState,
  QueryExecutor,
  type StateDelta,
} from "@atoll/execution";
import type { RoundOutput } from "@atoll/messaging";
import { PageStore } from "@atoll/state";
import { EnvironmentError, type Height, invariant } from "@atoll/types";
import { DurableState, type DurableStateOptions, type DurableStatePorts } from "./durable-state.ts";
import type { ExecutedRound, Executor } from "./executor.ts";
import type { BatchRecorder } from "./recording.ts";

/** `instances`: give the executors of a process one budget, so that its limits hold for all of them together. */
export type InlineExecutorOptions = Omit<DurableStateOptions, "pages">;

/** What queries run on. */
interface Reader {
  readonly pages: PageStore;
  readonly queries: QueryExecutor;
}

/** What queries will see when they come to its height. */
interface WaitingDelta {
  readonly delta: StateDelta;
  readonly reader: Reader;
}

export class InlineExecutor implements Executor {
  durable: DurableState;
  onStateHash: Executor["onStateHash"];
  readonly #options: InlineExecutorOptions & Required<Pick<InlineExecutorOptions, "instances">>;
  readonly #ports: DurableStatePorts;
  #reader: Reader;
  /** Of `durable`, and of what `#reader` shows too unless another state was installed lately. */
  #pages: PageStore;
  readonly #isFork: boolean;
  #waiting: readonly WaitingDelta[] = [];
  #isStopped = false;

  /** With `parent`, one that goes on from the state that `parent` has now: see `fork`. */
  constructor(options: InlineExecutorOptions, ports: DurableStatePorts, parent?: InlineExecutor) {
    const instances = { budget: options.instances?.budget ?? new InstanceBudget(options.instances) };
    this.#options = { ...options, instances };
    this.#ports = ports;
    this.#isFork = parent !== undefined;
    if (parent !== undefined) {
      this.#pages = parent.#pages.fork();
      this.durable = parent.durable.fork({ ...this.#options, pages: this.#pages });
      this.#reader = { pages: this.#pages, queries: parent.#reader.queries.fork(this.#pages, instances) };
      this.#waiting = parent.#waiting.map(({ delta }) => ({ delta, reader: this.#reader }));
      return;
    }
    this.#pages = new PageStore({ shared: false });
    this.durable = this.#openState();
    this.#reader = this.#newReader();
  }

  /**
   * An executor whose state equals this one's byte for byte: the same next batches give the same results, and neither
   * sees what the other does. It is ready to execute and to answer queries; `start` is for whoever has to be told the
   * whole state first. It lives in memory only, whatever this one does. Long executions begin again in it from their
   * inputs, as after a checkpoint. Pages are shared until both have stopped or written them: `stop` what is not used.
   * `recorder`: a fork of this one's, if it shall be recorded.
   */
  fork({ recorder }: { readonly recorder?: BatchRecorder } = {}): InlineExecutor {
    this.#mustRun();
    invariant(this.#reader.pages === this.#pages, "an executor is forked when queries see its state");
    const { storage: _, ...ports } = this.#ports;
    const { recorder: __, ...options } = this.#options;
    return new InlineExecutor({ ...options, ...(recorder && { recorder }) }, ports, this);
  }

  async start(): Promise<ExecutedRound> {
    const whole = await this.durable.start();
    // Queries of a fork know the state already.
    if (this.#isFork) return withoutDelta(whole);
    return this.#begin(whole, this.#reader);
  }

  #begin(whole: RoundOutput, reader: Reader): ExecutedRound {
    // From here on: nobody can have seen the pages that the replay replaced.
    reader.pages.heights[0] = whole.height;
    this.durable.agreed?.hashAll();
    return this.#keepDelta(whole, reader);
  }

  async execute(batch: Parameters<Executor["execute"]>[0]): Promise<ExecutedRound> {
    this.#mustRun();
    const round = await this.durable.execute(batch);
    // On this thread there is nothing to do beside: the hash of a checkpoint comes with its round.
    this.durable.agreed?.hashAll();
    return this.#keepDelta(round, this.#waiting.at(-1)?.reader ?? this.#reader);
  }

  advance(height: Height): void {
    for (const { delta, reader } of this.#waiting.filter((each) => each.delta.height <= height)) {
      if (reader !== this.#reader) this.#turnTo(reader);
      reader.queries.apply(delta);
    }
    this.#waiting = this.#waiting.filter((each) => each.delta.height > height);
    this.#reader.pages.heights[0] = height;
  }

  /** Queries see another state from now on, which has pages of its own. */
  #turnTo(reader: Reader): void {
    this.#reader.queries.close();
    this.#reader.pages.release();
    this.#reader = reader;
  }

  query: Executor["query"] = async (call) => {
    this.#mustRun();
    return executeQuery(this.#reader.queries, call);
  };

  filter: Executor["filter"] = async (message) => {
    this.#mustRun();
    return filterIngress(this.#reader.queries, message);
  };

  takeQueryStats: Executor["takeQueryStats"] = async () => this.#reader.queries.stats.take();

  serveState: Executor["serveState"] = async (question) => this.durable.agreed?.serve(question);

  fetchState: Executor["fetchState"] = async (step) => {
    this.#mustRun();
    const { agreed } = this.durable;
    invariant(agreed !== undefined, "a state is fetched where checkpoints are agreed");
    return agreed.fetch(step);
  };

  installState: Executor["installState"] = async (height) => {
    this.#mustRun();
    if (!this.durable.installFetched(height)) return undefined;
    this.#pages = new PageStore({ shared: false });
    this.durable = this.#openState();
    return this.#begin(await this.durable.start(), this.#newReader());
  };

  /** What the storage holds, with the pages that `#pages` has. */
  #openState(): DurableState {
    const durable = new DurableState({ ...this.#options, pages: this.#pages }, this.#ports);
    const { agreed } = durable;
    if (agreed !== undefined) agreed.onStateHash = (height, hash) => this.onStateHash?.(height, hash);
    return durable;
  }

  #newReader(): Reader {
    const { config, rootKey, instances } = this.#options;
    const state = newQueryState(config, rootKey, this.#pages);
    return { pages: this.#pages, queries: new QueryExecutor(state, new FeeSchedule(config), instances) };
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.durable.close();
    for (const { pages, queries } of new Set([this.#reader, ...this.#waiting.map(({ reader }) => reader)])) {
      queries.close();
      pages.release();
    }
    this.#isStopped = true;
  }

  #mustRun(): void {
    if (this.#isStopped)
      throw new EnvironmentError("STOPPED", "The subnet was stopped, as when its network is closed: make a new one.");
  }

  #keepDelta(round: RoundOutput, reader: Reader): ExecutedRound {
    this.#waiting = [...this.#waiting, { delta: round.delta, reader }];
    return withoutDelta(round);
  }
}

function withoutDelta({ delta: _, ...round }: RoundOutput): ExecutedRound {
  return round;
}
