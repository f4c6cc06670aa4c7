// What the live instances of all pools of a process may take together, and what they can share. A memory reserves 8 to
// 16 GiB of address space, of which a process can map 128 TiB; so with hundreds of subnets in one process the bound
// must be on all of them, and the one used last longest ago goes first, whichever subnet it belongs to.
import { DirtyMap } from "./dirty-map.ts";
import type { LiveInstance } from "./live-instance.ts";

export interface InstanceLimits {
  /** With 32-bit memories; one with a 64-bit memory reserves twice as much and counts for two. */
  readonly maxInstances?: number;
  /** Of heap pages that live instances hold; the one used last may exceed it alone. */
  readonly maxBytes?: number;
  readonly maxModules?: number;
}

const GIB = 1024 ** 3;
/** 32 TiB of the 128 that a process can map; in a node queries have as many. */
const MAX_INSTANCES = 4000;

export class InstanceBudget {
  readonly #maxInstances: number;
  readonly #maxBytes: number;
  readonly #maxModules: number;
  /** Least recently used first; with what makes its pool forget it. */
  readonly #instances = new Map<LiveInstance, () => void>();
  readonly #modules = new Map<string, WebAssembly.Module>();
  #dirty: DirtyMap | undefined;
  #bytes = 0;
  #reserved = 0;

  constructor(limits: InstanceLimits = {}) {
    this.#maxInstances = limits.maxInstances ?? MAX_INSTANCES;
    this.#maxBytes = limits.maxBytes ?? 2 * GIB;
    this.#maxModules = limits.maxModules ?? 1000;
  }

  /** Number of instances that pools keep. */
  get size(): number {
    return this.#instances.size;
  }

  /** Bytes of heap pages that they hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Marks of written pages: only one execution runs at a time, whatever it belongs to. */
  get dirty(): DirtyMap {
    this.#dirty ??= new DirtyMap();
    return this.#dirty;
  }

  /** Takes in an instance, as the one used last; others are thrown away for it. */
  add(live: LiveInstance, forget: () => void): void {
    this.#instances.set(live, forget);
    this.#bytes += live.touchedBytes;
    this.#reserved += reservation(live);
    live.onGrowth = (bytes) => {
      this.#bytes += bytes;
    };
    this.#trim();
  }

  /** Makes it the one used last. */
  use(live: LiveInstance): void {
    const forget = this.#instances.get(live);
    if (forget === undefined) return;
    this.#instances.delete(live);
    this.#instances.set(live, forget);
    this.#trim();
  }

  remove(live: LiveInstance): void {
    if (!this.#instances.delete(live)) return;
    this.#bytes -= live.touchedBytes;
    this.#reserved -= reservation(live);
    live.onGrowth = undefined;
  }

  /** Throws away everything: what is kept is only kept for speed. */
  removeAll(): void {
    for (const live of [...this.#instances.keys()]) this.#evict(live);
  }

  /** `key` names the code; so many modules used last stay compiled. */
  compiled(key: string, code: () => Uint8Array): WebAssembly.Module {
    const module = this.#modules.get(key) ?? new WebAssembly.Module(code() as Uint8Array<ArrayBuffer>);
    this.#modules.delete(key);
    for (const oldest of this.#modules.keys()) {
      if (this.#modules.size < this.#maxModules) break;
      this.#modules.delete(oldest);
    }
    this.#modules.set(key, module);
    return module;
  }

  /** Never the instance used last. */
  #trim(): void {
    for (const oldest of this.#instances.keys()) {
      const isTooMuch = this.#reserved > this.#maxInstances || this.#bytes > this.#maxBytes;
      if (!isTooMuch || this.#instances.size === 1) break;
      this.#evict(oldest);
    }
  }

  #evict(live: LiveInstance): void {
    this.#instances.get(live)?.();
    this.remove(live);
  }
}

function reservation({ is64 }: LiveInstance): number {
  return is64 ? 2 : 1;
}
