// Execution on the thread of the replica itself: for tests, the simulator and the browser. The query side still
// gets its own instances and the same deltas as on another thread, so both arrangements run the same code.
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
import type { Height } from "@atoll/types";
import { DurableState, type DurableStateOptions, type DurableStatePorts } from "./durable-state.ts";
import type { ExecutedRound, Executor } from "./executor.ts";

/** `instances`: give the executors of a process one budget, so that its limits hold for all of them together. */
export type InlineExecutorOptions = Omit<DurableStateOptions, "pages">;

export class InlineExecutor implements Executor {
  readonly durable: DurableState;
  readonly #queries: QueryExecutor;
  readonly #pages: PageStore;
  #waiting: StateDelta[] = [];

  constructor(options: InlineExecutorOptions, ports: DurableStatePorts) {
    this.#pages = new PageStore({ shared: false });
    const instances = { budget: options.instances?.budget ?? new InstanceBudget(options.instances) };
    this.durable = new DurableState({ ...options, instances, pages: this.#pages }, ports);
    this.#queries = new QueryExecutor(
      newQueryState(options.config, options.rootKey, this.#pages),
      new FeeSchedule(options.config),
      instances,
    );
  }

  async start(): Promise<ExecutedRound> {
    const whole = await this.durable.start();
    // From here on: nobody can have seen the pages that the replay replaced.
    this.#pages.heights[0] = whole.height;
    return this.#keepDelta(whole);
  }

  async execute(batch: Parameters<Executor["execute"]>[0]): Promise<ExecutedRound> {
    return this.#keepDelta(await this.durable.execute(batch));
  }

  advance(height: Height): void {
    for (const delta of this.#waiting.filter((each) => each.height <= height)) this.#queries.apply(delta);
    this.#waiting = this.#waiting.filter((each) => each.height > height);
    this.#pages.heights[0] = height;
  }

  query: Executor["query"] = async (call) => executeQuery(this.#queries, call);

  filter: Executor["filter"] = async (message) => filterIngress(this.#queries, message);

  takeQueryStats: Executor["takeQueryStats"] = async () => this.#queries.stats.take();

  async stop(): Promise<void> {
    this.durable.close();
    this.#queries.close();
  }

  #keepDelta({ delta, ...round }: Awaited<ReturnType<DurableState["start"]>>): ExecutedRound {
    this.#waiting.push(delta);
    return round;
  }
}
