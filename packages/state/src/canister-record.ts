// One canister as a record of a checkpoint: plain data, with memories by name and chunks by hash, since those have
// records of their own.
import type { CanisterSnapshot, SnapshotModule } from "./canister-snapshot.ts";
import { memoriesOfSnapshot } from "./canister-snapshot.ts";
import type { CanisterState, ExecutionState, InputItem } from "./canister-state.ts";
import { Fifo } from "./fifo.ts";
import { inputBytes } from "./message-memory.ts";
import type { PagedMemory } from "./paged-memory.ts";

export interface MemoryRecord {
  readonly id: string;
  readonly wasmPages: number;
}

type SnapshotRecord = Omit<CanisterSnapshot, "heap" | "stable" | "module" | "chunkStore"> & {
  readonly heap: MemoryRecord;
  readonly stable: MemoryRecord;
  readonly module:
    | Extract<SnapshotModule, { kind: "stored" }>
    | { readonly kind: "uploaded"; readonly size: number; readonly bytes: MemoryRecord };
  readonly chunks: readonly string[];
};

export type CanisterRecord = Omit<CanisterState, "execution" | "input" | "chunkStore" | "snapshots"> & {
  readonly execution:
    | (Omit<ExecutionState, "heap" | "stable"> & { heap: MemoryRecord; stable: MemoryRecord })
    | undefined;
  readonly input: InputItem[];
  readonly chunks: readonly string[];
  readonly snapshots: readonly SnapshotRecord[];
};

/** What a record refers to by name, as the checkpoint gives it. */
export interface RecordSource {
  memory(record: MemoryRecord): PagedMemory;
  chunk(hash: string): Uint8Array;
}

export function recordOf(canister: CanisterState): CanisterRecord {
  const { execution, input, chunkStore, snapshots, ...plain } = canister;
  return {
    ...plain,
    input: [...input],
    chunks: [...chunkStore.keys()],
    snapshots: [...snapshots.values()].map(snapshotRecord),
    execution: execution && {
      ...execution,
      heap: memoryRecord(execution.heap),
      stable: memoryRecord(execution.stable),
    },
  };
}

export function canisterOf(record: CanisterRecord, source: RecordSource): CanisterState {
  const { input, chunks, execution, snapshots, ...plain } = record;
  return {
    ...plain,
    execution: execution && {
      ...execution,
      heap: source.memory(execution.heap),
      stable: source.memory(execution.stable),
    },
    input: new Fifo(input, inputBytes),
    chunkStore: chunksOf(chunks, source),
    snapshots: new Map(snapshots.map((snapshot) => [snapshot.id, snapshotOf(snapshot, source)])),
  };
}

/** Every memory that the canister keeps alive. */
export function memoriesOf({ execution, snapshots }: CanisterState): PagedMemory[] {
  const own = execution === undefined ? [] : [execution.heap, execution.stable];
  return [...own, ...[...snapshots.values()].flatMap(memoriesOfSnapshot)];
}

/** Every chunk that the canister or a snapshot of it has, by hash. */
export function allChunks({ chunkStore, snapshots }: CanisterState): Map<string, Uint8Array> {
  const all = new Map(chunkStore);
  for (const snapshot of snapshots.values()) for (const [hash, chunk] of snapshot.chunkStore) all.set(hash, chunk);
  return all;
}

function snapshotRecord({ chunkStore, heap, stable, module, ...plain }: CanisterSnapshot): SnapshotRecord {
  return {
    ...plain,
    heap: memoryRecord(heap),
    stable: memoryRecord(stable),
    module: module.kind === "stored" ? module : { ...module, bytes: memoryRecord(module.bytes) },
    chunks: [...chunkStore.keys()],
  };
}

function snapshotOf(
  { chunks, heap, stable, module, ...plain }: SnapshotRecord,
  source: RecordSource,
): CanisterSnapshot {
  return {
    ...plain,
    heap: source.memory(heap),
    stable: source.memory(stable),
    module: module.kind === "stored" ? module : { ...module, bytes: source.memory(module.bytes) },
    chunkStore: chunksOf(chunks, source),
  };
}

function memoryRecord({ id, wasmPages }: PagedMemory): MemoryRecord {
  return { id, wasmPages };
}

function chunksOf(hashes: readonly string[], source: RecordSource): Map<string, Uint8Array> {
  return new Map(hashes.map((hash) => [hash, source.chunk(hash)]));
}
