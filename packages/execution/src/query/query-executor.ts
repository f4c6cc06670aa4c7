// Runs queries: a user's query, a composite query with the calls it makes on this subnet, and inspect_message.
// Instances are kept between queries; whatever a query wrote is undone when it ends. Synchronous and without any
// effect on the state. Specification, "Query call", "Ingress message inspection"; checklist 6.2.
import {
  type EntryPoint,
  type ExecutionInput,
  InstancePool,
  type LiveInstance,
  type RunResult,
  rollBack,
  runFunction,
  StableMemory,
} from "@atoll/embedder";
import { type CanisterId, invariant, OS_PAGE_BYTES, STABLE_PAGES_QUERY } from "@atoll/types";
import type { FeeSchedule } from "../fees.ts";
import { applyStateDelta, type QueryCanister, type QueryState, type StateDelta } from "./query-state.ts";

export class QueryExecutor {
  readonly state: QueryState;
  readonly fees: FeeSchedule;
  readonly #pool: InstancePool;

  constructor(state: QueryState, fees: FeeSchedule, options: { maxInstances?: number } = {}) {
    this.state = state;
    this.fees = fees;
    this.#pool = new InstancePool(options);
  }

  /** Moves on to the next height; live instances follow, those that cannot are dropped. */
  apply(delta: StateDelta): void {
    for (const { id, view, heap } of delta.canisters) {
      const live = this.#pool.peek(id);
      const known = this.state.canisters.get(id);
      if (live === undefined) continue;
      const isSameCode = known !== undefined && view !== undefined && view.moduleHash === known.view.moduleHash;
      if (!isSameCode || heap === undefined || heap.replaced || heap.wasmPages !== live.wasmPages) this.#pool.drop(id);
    }
    applyStateDelta(this.state, delta);
    for (const { id, heap } of delta.canisters) {
      const live = this.#pool.peek(id);
      const canister = this.state.canisters.get(id);
      if (live === undefined || canister === undefined || heap === undefined) continue;
      copyPages(live, canister, heap.changes);
      live.writeGlobals(canister.view.globals);
    }
  }

  /** A canister's instance with stable memory on top of the committed pages. `end` undoes everything. */
  session(id: CanisterId): QuerySession | undefined {
    const canister = this.state.canisters.get(id);
    if (canister?.view.moduleHash === undefined) return undefined;
    const module = this.state.modules.get(canister.view.moduleHash);
    invariant(module !== undefined, "a canister's module is missing on the query side");
    const live = this.#pool.get(id, { module, heap: canister.heap, globals: canister.view.globals });
    return new QuerySession(canister, live, () => this.#pool.drop(id));
  }
}

/** The executions of one query on one canister: a composite query and its callbacks share their changes. */
export class QuerySession {
  readonly canister: QueryCanister;
  readonly live: LiveInstance;
  readonly #stable: StableMemory;
  readonly #dirty = new Set<number>();
  readonly #drop: () => void;

  constructor(canister: QueryCanister, live: LiveInstance, drop: () => void) {
    this.canister = canister;
    this.live = live;
    this.#stable = new StableMemory(canister.stable, STABLE_PAGES_QUERY);
    this.#drop = drop;
  }

  run(entry: EntryPoint, input: ExecutionInput): RunResult {
    const result = runFunction(this.live, entry, input, this.#stable, this.canister.heap);
    for (const page of result.dirtyPages) this.#dirty.add(page);
    return result;
  }

  end(): void {
    if (!rollBack(this.live, [...this.#dirty], this.canister.heap, this.canister.view.globals)) this.#drop();
  }
}

function copyPages(live: LiveInstance, canister: QueryCanister, changes: Uint32Array): void {
  const bytes = live.bytes();
  for (let i = 0; i < changes.length; i += 2) {
    const page = changes[i] as number;
    const content = canister.heap.read(page);
    if (content === undefined) bytes.fill(0, page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES);
    else bytes.set(content, page * OS_PAGE_BYTES);
  }
}
