// A state on disk and back: which record holds which part. A checkpoint writes what changed since the last one and
// nothing else: changed canisters, changed pages, changed buckets of the ingress history, new modules.
// Restart = load the last checkpoint, then execute the logged batches that came after it.
import {
  type CanisterId,
  decodeState,
  encodeState,
  InvariantViolation,
  invariant,
  type RequestId,
} from "@atoll/types";
import type { CanisterState, ExecutionState, InputItem } from "./canister-state.ts";
import { Fifo } from "./fifo.ts";
import type { IngressRecord } from "./ingress-history.ts";
import type { StoredModule } from "./module-store.ts";
import { PagedMemory } from "./paged-memory.ts";
import type { CheckpointStore } from "./store/checkpoint-store.ts";
import { type PendingRandomness, type SubnetState, touch } from "./subnet-state.ts";

interface MemoryRecord {
  readonly id: string;
  readonly wasmPages: number;
}

type CanisterRecord = Omit<CanisterState, "execution" | "input" | "chunkStore"> & {
  readonly execution: (Omit<ExecutionState, "heap" | "stable"> & { heap: MemoryRecord; stable: MemoryRecord }) | undefined;
  readonly input: InputItem[];
  readonly chunks: readonly string[];
};

interface MetaRecord {
  readonly time: bigint;
  readonly randomness: Uint8Array;
  readonly nextCanisterIndex: bigint;
  readonly pendingRandomness: PendingRandomness[];
  readonly metrics: SubnetState["metrics"];
}

export class Checkpoints {
  readonly #store: CheckpointStore;
  /** What the store holds of each canister, so that what went away can be deleted. */
  readonly #saved = new Map<CanisterId, { memories: readonly string[]; chunks: readonly string[] }>();

  constructor(store: CheckpointStore) {
    this.#store = store;
  }

  /** Height of the last checkpoint, undefined before the first. */
  get height(): number | undefined {
    return this.#store.height;
  }

  /** Makes the state as it is now the last checkpoint, durably and at once. */
  save(state: SubnetState): void {
    const store = this.#store;
    store.begin();
    try {
      for (const hash of state.modules.takeChanges()) saveModule(store, hash, state.modules.get(hash));
      for (const id of [...state.changedSinceCheckpoint].sort()) this.#saveCanister(id, state.canisters.get(id));
      for (const [bucket, records] of state.ingressHistory.takeBucketChanges()) {
        if (records.length === 0) store.delete(`ingress/${bucket}`);
        else store.put(`ingress/${bucket}`, encodeState(records));
      }
      const meta: MetaRecord = {
        time: state.time,
        randomness: state.randomness,
        nextCanisterIndex: state.nextCanisterIndex,
        pendingRandomness: state.pendingRandomness,
        metrics: state.metrics,
      };
      store.commit(state.height, encodeState(meta));
    } catch (error) {
      store.abort();
      throw error;
    }
    state.changedSinceCheckpoint.clear();
    if (store.garbageRatio > 0.5) store.compact();
  }

  /** Fills an empty state with the last checkpoint. */
  load(state: SubnetState): void {
    const store = this.#store;
    invariant(store.height !== undefined, "there is no checkpoint to load");
    const meta = decodeState(store.meta) as MetaRecord;
    state.height = store.height;
    state.time = meta.time;
    state.randomness = meta.randomness;
    state.nextCanisterIndex = meta.nextCanisterIndex;
    state.pendingRandomness = meta.pendingRandomness;
    state.metrics = meta.metrics;
    for (const key of store.keys("ingress/")) {
      for (const [id, record] of read<[RequestId, IngressRecord][]>(store, key)) state.ingressHistory.insert(id, record);
    }
    for (const key of store.keys("canister/")) this.#loadCanister(state, read<CanisterRecord>(store, key));
    state.modules.takeChanges();
    state.changedSinceCheckpoint.clear();
  }

  #saveCanister(id: CanisterId, canister: CanisterState | undefined): void {
    const store = this.#store;
    const saved = this.#saved.get(id) ?? { memories: [], chunks: [] };
    const memories = canister?.execution === undefined ? [] : [canister.execution.heap, canister.execution.stable];
    for (const memory of saved.memories) {
      if (!memories.some((current) => current.id === memory)) store.dropMemory(memory);
    }
    const chunks = [...(canister?.chunkStore.keys() ?? [])];
    for (const chunk of saved.chunks) if (!chunks.includes(chunk)) store.delete(`chunk/${id}/${chunk}`);
    if (canister === undefined) {
      store.delete(`canister/${id}`);
      this.#saved.delete(id);
      return;
    }
    for (const chunk of chunks) {
      if (!saved.chunks.includes(chunk)) store.put(`chunk/${id}/${chunk}`, canister.chunkStore.get(chunk) as Uint8Array);
    }
    for (const memory of memories) {
      for (const page of memory.takeCheckpointChanges()) {
        const content = memory.read(page);
        if (content !== undefined) store.putPage(memory.id, page, content);
      }
    }
    store.put(`canister/${id}`, encodeState(recordOf(canister, chunks)));
    this.#saved.set(id, { memories: memories.map((memory) => memory.id), chunks });
  }

  #loadCanister(state: SubnetState, record: CanisterRecord): void {
    const { input, chunks, execution, ...plain } = record;
    const canister: CanisterState = {
      ...plain,
      execution: execution && {
        ...execution,
        heap: this.#loadMemory(state, execution.heap),
        stable: this.#loadMemory(state, execution.stable),
      },
      input: new Fifo(input),
      chunkStore: new Map(chunks.map((hash) => [hash, bytesOf(this.#store, `chunk/${record.id}/${hash}`)])),
    };
    state.canisters.set(canister.id, canister);
    if (execution !== undefined) loadModule(this.#store, state, execution.moduleHash, canister.id);
    touch(state, canister);
    const memories = execution === undefined ? [] : [execution.heap.id, execution.stable.id];
    this.#saved.set(canister.id, { memories, chunks });
  }

  #loadMemory(state: SubnetState, record: MemoryRecord): PagedMemory {
    const memory = new PagedMemory(record.id, state.pages);
    memory.wasmPages = record.wasmPages;
    this.#store.readPages(record.id, (page, content) => memory.restore(page, content));
    return memory;
  }
}

function recordOf(canister: CanisterState, chunks: readonly string[]): CanisterRecord {
  const { execution, input, chunkStore: _, ...plain } = canister;
  return {
    ...plain,
    input: [...input],
    chunks,
    execution: execution && {
      moduleHash: execution.moduleHash,
      globals: execution.globals,
      heap: { id: execution.heap.id, wasmPages: execution.heap.wasmPages },
      stable: { id: execution.stable.id, wasmPages: execution.stable.wasmPages },
    },
  };
}

function saveModule(store: CheckpointStore, hash: string, module: StoredModule | undefined): void {
  if (module === undefined) store.delete(`module/${hash}`);
  else store.put(`module/${hash}`, encodeState(module));
}

function loadModule(store: CheckpointStore, state: SubnetState, hash: string, user: CanisterId): void {
  state.modules.use(state.modules.get(hash) ?? read<StoredModule>(store, `module/${hash}`), user);
}

function bytesOf(store: CheckpointStore, key: string): Uint8Array {
  const bytes = store.get(key);
  if (bytes === undefined) throw new InvariantViolation(`the checkpoint has no record ${key}`);
  return bytes;
}

function read<T>(store: CheckpointStore, key: string): T {
  return decodeState(bytesOf(store, key)) as T;
}
