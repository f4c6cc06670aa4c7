// The live instances of one thread, least recently used ones thrown away. An instance is a cache of committed
// state: dropping one at any time between executions changes nothing but speed. Each memory reserves 8 to 16 GiB
// of address space, so the number of live ones must stay far below what a process can map; and each keeps a copy of
// the pages that it touched, so their bytes are bounded too.
import type { GlobalValue, StoredModule } from "@atoll/state";
import type { CanisterId } from "@atoll/types";
import { TrapPlaces } from "./debug/trap-places.ts";
import { DirtyMap } from "./dirty-map.ts";
import { LiveInstance } from "./live-instance.ts";
import { describeModule, suspendableCode } from "./prepared-module.ts";
import type { MemoryPages } from "./stable-memory.ts";

export interface InstanceSource {
  readonly module: StoredModule;
  readonly heap: MemoryPages;
  readonly globals: readonly GlobalValue[];
}

export interface InstancePoolOptions {
  /** With 32-bit memories; one with a 64-bit memory reserves twice as much and counts for two. */
  readonly maxInstances?: number;
  /** Of heap pages that live instances hold; the one used last may exceed it alone. */
  readonly maxBytes?: number;
  readonly maxModules?: number;
}

const GIB = 1024 ** 3;
/** 32 TiB of the 128 that a process can map; queries have as many. */
const MAX_INSTANCES = 4000;

export class InstancePool {
  readonly #maxInstances: number;
  readonly #maxBytes: number;
  readonly #maxModules: number;
  readonly #dirty = new DirtyMap();
  readonly #instances = new Map<CanisterId, LiveInstance>();
  readonly #modules = new Map<string, WebAssembly.Module>();

  #bytes = 0;
  #reserved = 0;

  /** For telling people where canisters trapped. */
  readonly places = new TrapPlaces();

  constructor(options: InstancePoolOptions = {}) {
    this.#maxInstances = options.maxInstances ?? MAX_INSTANCES;
    this.#maxBytes = options.maxBytes ?? 2 * GIB;
    this.#maxModules = options.maxModules ?? 1000;
  }

  /** The instance of a canister, made from its committed state when there is none. */
  get(id: CanisterId, source: InstanceSource): LiveInstance {
    const known = this.#instances.get(id);
    if (known !== undefined) {
      this.#instances.delete(id);
      this.#instances.set(id, known);
      this.#trim();
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
      const live = new LiveInstance(this.#compile(source.module), description, this.#dirty, source.heap);
      live.stored = source.module;
      return live;
    };
    try {
      return make();
    } catch (error) {
      // No address space: this machine has less than what is reckoned with. What others hold is only kept for speed.
      if (!(error instanceof RangeError)) throw error;
      for (const id of [...this.#instances.keys()]) this.drop(id);
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
    live.makeDirect(this.#dirty);
    this.put(id, live);
  }

  put(id: CanisterId, live: LiveInstance): void {
    this.drop(id);
    this.#instances.set(id, live);
    this.#bytes += live.touchedBytes;
    this.#reserved += reservation(live);
    live.onGrowth = (bytes) => {
      this.#bytes += bytes;
    };
    this.#trim();
  }

  get size(): number {
    return this.#instances.size;
  }

  /** Bytes of heap pages that the instances in the pool hold. */
  get bytes(): number {
    return this.#bytes;
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
    this.#bytes -= live.touchedBytes;
    this.#reserved -= reservation(live);
    live.onGrowth = undefined;
  }

  /** Throws away what was not used for longest; never the instance used last. */
  #trim(): void {
    for (const oldest of this.#instances.keys()) {
      const isTooMuch = this.#reserved > this.#maxInstances || this.#bytes > this.#maxBytes;
      if (!isTooMuch || this.#instances.size === 1) break;
      this.drop(oldest);
    }
  }

  #compile(module: StoredModule): WebAssembly.Module {
    return this.#compiled(module.hash, () => module.prepared);
  }

  /** Made when an execution needs it: few ever do. */
  #compileSuspendable(module: StoredModule): WebAssembly.Module {
    return this.#compiled(`${module.hash} suspendable`, () => suspendableCode(module));
  }

  #compiled(key: string, code: () => StoredModule["prepared"]): WebAssembly.Module {
    let compiled = this.#modules.get(key);
    if (compiled === undefined) {
      compiled = new WebAssembly.Module(code());
      for (const oldest of this.#modules.keys()) {
        if (this.#modules.size < this.#maxModules) break;
        this.#modules.delete(oldest);
      }
      this.#modules.set(key, compiled);
    }
    return compiled;
  }
}

function reservation({ is64 }: LiveInstance): number {
  return is64 ? 2 : 1;
}
