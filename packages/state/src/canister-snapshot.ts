// What a canister was at one moment: code, memories, globals, chunks, certified data. Taken from the canister itself or
// uploaded piece by piece. The memories share pages with the canister's, so a snapshot costs what has changed since.
// Interface specification, "IC method take_canister_snapshot"; checklist 4.5.
import { type CanisterId, type Time, toHex } from "@atoll/types";
import type { CanisterState, GlobalValue, LowMemoryHook } from "./canister-state.ts";
import type { PagedMemory } from "./paged-memory.ts";
import { type SubnetState, touch } from "./subnet-state.ts";

export type SnapshotSource = "taken_from_canister" | "metadata_upload";

export type GlobalType = "i32" | "i64" | "f32" | "f64" | "v128";

export interface SnapshotGlobal {
  readonly type: GlobalType;
  readonly value: GlobalValue;
}

/** Of a snapshot that was taken: in the module store. Of one that is uploaded: bytes that nobody has looked at yet. */
export type SnapshotModule =
  | { readonly kind: "stored"; readonly hash: string }
  | { readonly kind: "uploaded"; readonly size: number; readonly bytes: PagedMemory };

export interface CanisterSnapshot {
  /** Hex. */
  readonly id: string;
  readonly source: SnapshotSource;
  readonly takenAt: Time;
  /** Of the canister at that time. */
  readonly canisterVersion: number;
  readonly module: SnapshotModule;
  readonly heap: PagedMemory;
  readonly stable: PagedMemory;
  readonly globals: readonly SnapshotGlobal[];
  readonly certifiedData: Uint8Array;
  /** 0 = off; undefined: loading leaves the canister's as it is. */
  readonly globalTimer: Time | undefined;
  readonly lowMemoryHook: LowMemoryHook | undefined;
  readonly chunkStore: Map<string, Uint8Array>;
  /** What it counts for in the memory of the canister, in bytes. */
  size: number;
}

/** Hex of 8 bytes that count the canister's snapshots and of the canister's id. */
export function nextSnapshotId(canister: CanisterState): string {
  return (canister.snapshotsMade++).toString(16).padStart(16, "0") + canister.id;
}

/** The canister that a snapshot id belongs to, or undefined if the bytes are no snapshot id. */
export function canisterOfSnapshot(id: Uint8Array): CanisterId | undefined {
  return id.length > 8 && id.length <= 8 + 29 ? (toHex(id.subarray(8)) as CanisterId) : undefined;
}

export function memoriesOfSnapshot({ heap, stable, module }: CanisterSnapshot): PagedMemory[] {
  return module.kind === "uploaded" ? [heap, stable, module.bytes] : [heap, stable];
}

/** Another memory of the canister, with the same content. */
export function forkMemory(canister: CanisterState, memory: PagedMemory): PagedMemory {
  return memory.fork(`${canister.id}.${canister.memoriesMade++}`);
}

export function addSnapshot(state: SubnetState, canister: CanisterState, snapshot: CanisterSnapshot): void {
  canister.snapshots.set(snapshot.id, snapshot);
  const module = snapshot.module.kind === "stored" ? state.modules.get(snapshot.module.hash) : undefined;
  if (module !== undefined) state.modules.use(module, snapshot.id);
  touch(state, canister);
}

export function removeSnapshot(state: SubnetState, canister: CanisterState, snapshot: CanisterSnapshot): void {
  canister.snapshots.delete(snapshot.id);
  for (const memory of memoriesOfSnapshot(snapshot)) memory.discard(state.height);
  if (snapshot.module.kind === "stored") state.modules.leave(snapshot.module.hash, snapshot.id);
  touch(state, canister);
}

export function removeAllSnapshots(state: SubnetState, canister: CanisterState): void {
  for (const snapshot of [...canister.snapshots.values()]) removeSnapshot(state, canister, snapshot);
}
