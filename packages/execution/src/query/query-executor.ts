// Runs queries: a user's query, a composite query with the calls it makes on this subnet, and inspect_message.
// Instances are kept between queries; whatever a query wrote is undone when it ends. Synchronous and without any
// effect on the state. Specification, "Query call", "Ingress message inspection"; checklist 6.2.
import {
  type EntryPoint,
  type ExecutionInput,
  InstancePool,
  type InstancePoolOptions,
  type LiveInstance,
  type MemoryPages,
  Mode,
  type RunResult,
  rollBack,
  runFunction,
  StableMemory,
  type StablePages,
} from "@atoll/embedder";
import type { GlobalValue, PageReader } from "@atoll/state";
import { type CanisterId, invariant, OS_PAGE_BYTES } from "@atoll/types";
import type { FeeSchedule } from "../fees.ts";
import {
  applyStateDelta,
  forkQueryState,
  type QueryCanister,
  type QueryState,
  queryCanister,
  type StateDelta,
} from "./query-state.ts";
import { QueryStatsCollector } from "./query-stats.ts";

export class QueryExecutor {
  readonly state: QueryState;
  readonly fees: FeeSchedule;
  readonly stats: QueryStatsCollector;
  readonly #pool: InstancePool;

  constructor(
    state: QueryState,
    fees: FeeSchedule,
    options: InstancePoolOptions = {},
    stats = new QueryStatsCollector(),
  ) {
    this.state = state;
    this.fees = fees;
    this.stats = stats;
    this.#pool = new InstancePool(options);
  }

  /** One that answers the same, and goes its own way; `reader` has the same slots. */
  fork(reader: PageReader, options: InstancePoolOptions): QueryExecutor {
    return new QueryExecutor(forkQueryState(this.state, reader), this.fees, options, this.stats.fork());
  }

  /** Gives up the live instances; the next query makes its own. */
  close(): void {
    this.#pool.clear();
  }

  /** Moves on to the next height; live instances follow, those that cannot are dropped. */
  apply(delta: StateDelta): void {
    for (const { id, view, heap } of delta.canisters) {
      const live = this.#pool.peek(id);
      const known = this.state.canisters.get(id);
      if (live === undefined) continue;
      const isSameCode = known !== undefined && view !== undefined && view.moduleHash === known.view.moduleHash;
      if (!isSameCode || heap === undefined || heap.replaced || !live.growTo(heap.wasmPages)) this.#pool.drop(id);
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

  /**
   * A canister's instance on top of the committed pages. `end` undoes everything. `fresh`: the instance at hand is in
   * the middle of a query, which this one must not see.
   */
  session(id: CanisterId, options: { fresh?: boolean } = {}): QuerySession | undefined {
    const canister = queryCanister(this.state, id);
    if (canister?.view.moduleHash === undefined) return undefined;
    const module = this.state.modules.get(canister.view.moduleHash);
    invariant(module !== undefined, "a canister's module is missing on the query side");
    const make = (heap: MemoryPages): LiveInstance => this.#pool.fresh({ module, heap });
    if (options.fresh === true) {
      const live = make(canister.heap);
      live.writeGlobals(canister.view.globals);
      return new QuerySession(canister, live, { make, drop: () => {} });
    }
    const live = this.#pool.get(id, { module, heap: canister.heap, globals: canister.view.globals });
    return new QuerySession(canister, live, { make, drop: () => this.#pool.drop(id) });
  }
}

interface InstanceCare {
  /** A further instance of the same module, with another heap. */
  readonly make: (heap: MemoryPages) => LiveInstance;
  /** Forgets the instance that the session began with. */
  readonly drop: () => void;
}

const COMPOSITE = Mode.compositeQuery | Mode.compositeReply | Mode.compositeReject | Mode.compositeCleanup;

/** The executions of one query on one canister: a composite query and its callbacks share their changes. */
export class QuerySession {
  readonly canister: QueryCanister;
  readonly #care: InstanceCare;
  readonly #heap: LayeredPages;
  readonly #stable: LayeredPages;
  readonly #dirty = new Set<number>();
  #live: LiveInstance;
  #globals: readonly GlobalValue[];

  constructor(canister: QueryCanister, live: LiveInstance, care: InstanceCare) {
    this.canister = canister;
    this.#live = live;
    this.#care = care;
    this.#heap = new LayeredPages(canister.heap);
    this.#stable = new LayeredPages(canister.stable);
    this.#globals = canister.view.globals;
  }

  get live(): LiveInstance {
    return this.#live;
  }

  run(entry: EntryPoint, input: ExecutionInput): RunResult {
    const stable = new StableMemory(this.#stable, input.stablePageLimit);
    const result = runFunction(this.#live, entry, input, stable, this.#heap);
    for (const page of result.dirtyPages) this.#dirty.add(page);
    // A plain query is over after one execution.
    if ((input.mode & COMPOSITE) !== 0) {
      if (result.error === undefined) this.#keep(result);
      else this.#undo(result);
    }
    return result;
  }

  end(): void {
    const { heap, view } = this.canister;
    if (!rollBack(this.#live, [...this.#dirty], heap, view.globals)) this.#care.drop();
  }

  #keep(result: RunResult): void {
    const bytes = this.#live.bytes();
    for (const page of result.dirtyPages) {
      this.#heap.written.set(page, bytes.slice(page * OS_PAGE_BYTES, (page + 1) * OS_PAGE_BYTES));
    }
    this.#heap.wasmPages = this.#live.wasmPages;
    for (const [page, content] of result.stable.written) this.#stable.written.set(page, content);
    this.#stable.wasmPages = result.stable.wasmPages;
    this.#live.restoreSegments();
    this.#globals = this.#live.readGlobals();
  }

  /** The failed execution leaves no trace for the next one. */
  #undo(result: RunResult): void {
    if (rollBack(this.#live, result.dirtyPages, this.#heap, this.#globals)) return;
    this.#care.drop();
    this.#live = this.#care.make(this.#heap);
    this.#live.writeGlobals(this.#globals);
  }
}

/** Committed pages with those of earlier executions of the same query above. */
class LayeredPages implements StablePages {
  wasmPages: number;
  readonly written = new Map<number, Uint8Array>();
  readonly #base: StablePages;

  constructor(base: StablePages) {
    this.#base = base;
    this.wasmPages = base.wasmPages;
  }

  read(page: number): Uint8Array | undefined {
    return this.written.get(page) ?? this.#base.read(page);
  }

  copyTo(target: Uint8Array, at: number, offset: number, size: number): void {
    this.#base.copyTo(target, at, offset, size);
    if (this.written.size === 0) return;
    let length: number;
    for (let done = 0; done < size; done += length) {
      const within = (offset + done) % OS_PAGE_BYTES;
      length = Math.min(OS_PAGE_BYTES - within, size - done);
      const page = this.written.get(Math.floor((offset + done) / OS_PAGE_BYTES));
      if (page !== undefined) target.set(page.subarray(within, within + length), at + done);
    }
  }

  *pages(): Generator<[number, Uint8Array]> {
    for (const [page, content] of this.#base.pages()) if (!this.written.has(page)) yield [page, content];
    yield* this.written;
  }
}

function copyPages(live: LiveInstance, canister: QueryCanister, changes: Uint32Array): void {
  for (let i = 0; i < changes.length; i += 2) {
    const page = changes[i] as number;
    live.writePage(page, canister.heap.read(page));
  }
}
