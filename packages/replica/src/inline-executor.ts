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
import { PageStore } from "@atoll/state";
import { EnvironmentError, type Height } from "@atoll/types";
import { DurableState, type DurableStateOptions, type DurableStatePorts } from "./durable-state.ts";
import type { ExecutedRound, Executor } from "./executor.ts";
import type { BatchRecorder } from "./recording.ts";

/** `instances`: give the executors of a process one budget, so that its limits hold for all of them together. */
export type InlineExecutorOptions = Omit<DurableStateOptions, "pages">;

export class InlineExecutor implements Executor {
  readonly durable: DurableState;
  readonly #options: InlineExecutorOptions;
  readonly #ports: DurableStatePorts;
  readonly #queries: QueryExecutor;
  readonly #pages: PageStore;
  readonly #isFork: boolean;
  #waiting: readonly StateDelta[] = [];
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
      this.#queries = parent.#queries.fork(this.#pages, instances);
      this.#waiting = parent.#waiting;
      return;
    }
    this.#pages = new PageStore({ shared: false });
    this.durable = new DurableState({ ...this.#options, pages: this.#pages }, ports);
    this.#queries = new QueryExecutor(
      newQueryState(options.config, options.rootKey, this.#pages),
      new FeeSchedule(options.config),
      instances,
    );
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
    const { storage: _, ...ports } = this.#ports;
    const { recorder: __, ...options } = this.#options;
    return new InlineExecutor({ ...options, ...(recorder && { recorder }) }, ports, this);
  }

  async start(): Promise<ExecutedRound> {
    const whole = await this.durable.start();
    // Queries of a fork know the state already.
    if (this.#isFork) return withoutDelta(whole);
    // From here on: nobody can have seen the pages that the replay replaced.
    this.#pages.heights[0] = whole.height;
    return this.#keepDelta(whole);
  }

  async execute(batch: Parameters<Executor["execute"]>[0]): Promise<ExecutedRound> {
    this.#mustRun();
    return this.#keepDelta(await this.durable.execute(batch));
  }

  advance(height: Height): void {
    for (const delta of this.#waiting.filter((each) => each.height <= height)) this.#queries.apply(delta);
    this.#waiting = this.#waiting.filter((each) => each.height > height);
    this.#pages.heights[0] = height;
  }

  query: Executor["query"] = async (call) => {
    this.#mustRun();
    return executeQuery(this.#queries, call);
  };

  filter: Executor["filter"] = async (message) => {
    this.#mustRun();
    return filterIngress(this.#queries, message);
  };

  takeQueryStats: Executor["takeQueryStats"] = async () => this.#queries.stats.take();

  onStateHash: Executor["onStateHash"];

  serveState: Executor["serveState"] = async () => undefined;

  fetchState: Executor["fetchState"] = async () => NOTHING_TO_FETCH;

  installState: Executor["installState"] = async () => undefined;

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.durable.close();
    this.#queries.close();
    this.#pages.release();
    this.#isStopped = true;
  }

  #mustRun(): void {
    if (this.#isStopped)
      throw new EnvironmentError("STOPPED", "The subnet was stopped, as when its network is closed: make a new one.");
  }

  #keepDelta(round: Awaited<ReturnType<DurableState["start"]>>): ExecutedRound {
    this.#waiting = [...this.#waiting, round.delta];
    return withoutDelta(round);
  }
}

const NOTHING_TO_FETCH = { questions: [], chunks: 0, of: 0, isComplete: false };

function withoutDelta({ delta: _, ...round }: Awaited<ReturnType<DurableState["start"]>>): ExecutedRound {
  return round;
}
