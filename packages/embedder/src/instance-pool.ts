// The live instances of one state on one side of it (execution or queries), least recently used ones thrown away. An
// instance is a cache of committed state: dropping one at any time between executions changes nothing but speed. How
// many there may be, and how many bytes they may hold, is the business of the budget, which pools can share.
import type { GlobalValue, StoredModule } from "@atoll/state";
import type { CanisterId } from "@atoll/types";
import { TrapPlaces } from "./debug/trap-places.ts";
import { DirtyMap } from "./dirty-map.ts";
import { InstanceBudget, type InstanceLimits } from "./instance-budget.ts";
import { LiveInstance } from "./live-instance.ts";
import { describeModule, suspendableCode } from "./prepared-module.ts";
import type { MemoryPages } from "./stable-memory.ts";

export interface InstanceSource {
  readonly module: StoredModule;
  readonly heap: MemoryPages;
  readonly globals: readonly GlobalValue[];
}

/** Limits of this pool alone, or a budget for all pools that have it; its limits count then. */
export interface InstancePoolOptions extends InstanceLimits {
  readonly budget?: InstanceBudget;
}

export class InstancePool {
  readonly #budget: InstanceBudget;
  readonly #instances = new Map<CanisterId, LiveInstance>();

  /** For telling people where canisters trapped. */
  readonly places = new TrapPlaces();

  constructor(options: InstancePoolOptions = {}) {
    this.#budget = options.budget ?? new InstanceBudget(options);
  }

  /** The instance of a canister, made from its committed state when there is none. */
  get(id: CanisterId, source: InstanceSource): LiveInstance {
    const known = this.#instances.get(id);
    if (known !== undefined) {
      this.#budget.use(known);
      return known;
    }
    const live = this.fresh(source);
    if (source.globals.length > 0) live.writeGlobals(source.globals);
    this.put(id, live);
    return live;
  }

  /** An instance that is not in the pool: for code being installed. Its globals have their initial values. */
  fresh(source: Pick<InstanceSource, "module" | "heap">): LiveInstance {
    const make = (): LiveInstance => {
      const description = describeModule(source.module);
      const live = new LiveInstance(this.#compile(source.module), description, this.#budget.dirty, source.heap);
      live.stored = source.module;
      return live;
    };
    try {
      return make();
    } catch (error) {
      // No address space: this machine has less than what is reckoned with. What others hold is only kept for speed.
      if (!(error instanceof RangeError)) throw error;
      this.#budget.removeAll();
      return make();
    }
  }

  /** The canister's instance, out of the pool, for an execution that is suspended between slices. */
  takeSuspendable(id: CanisterId, source: InstanceSource): LiveInstance {
    const live = this.get(id, source);
    this.drop(id);
    live.makeSuspendable(this.#compileSuspendable(source.module), new DirtyMap());
    return live;
  }

  /** As `fresh`, for executions that are suspended between slices. */
  freshSuspendable(source: Pick<InstanceSource, "module" | "heap">): LiveInstance {
    const live = this.fresh(source);
    live.makeSuspendable(this.#compileSuspendable(source.module), new DirtyMap());
    return live;
  }

  /** Takes back an instance that a long execution has left in its committed state. */
  putBack(id: CanisterId, live: LiveInstance): void {
    live.makeDirect(this.#budget.dirty);
    this.put(id, live);
  }

  put(id: CanisterId, live: LiveInstance): void {
    this.drop(id);
    this.#instances.set(id, live);
    this.#budget.add(live, () => this.#instances.delete(id));
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Bytes of heap pages that the instances of all pools with this one's budget hold. */
  get bytes(): number {
    return this.#budget.bytes;
  }

  has(id: CanisterId): boolean {
    return this.#instances.has(id);
  }

  peek(id: CanisterId): LiveInstance | undefined {
    return this.#instances.get(id);
  }

  drop(id: CanisterId): void {
    const live = this.#instances.get(id);
    if (live === undefined) return;
    this.#instances.delete(id);
    this.#budget.remove(live);
  }

  /** Nothing will be executed here any more. */
  clear(): void {
    for (const id of [...this.#instances.keys()]) this.drop(id);
  }

  #compile(module: StoredModule): WebAssembly.Module {
    return this.#budget.compiled(module.hash, () => module.prepared);
  }

  /** Made when an execution needs it: few ever do. */
  #compileSuspendable(module: StoredModule): WebAssembly.Module {
    return this.#budget.compiled(`${module.hash} suspendable`, () => suspendableCode(module));
  }
}
