// read_canister_snapshot_data: a piece of a snapshot's module or memories, or a chunk of its store. Specification,
// "IC method read_canister_snapshot_data"; checklist 4.5.
import type { CanisterSnapshot } from "@atoll/state";
import { invariant, MAX_SNAPSHOT_SLICE_BYTES, toHex, type UserError, WASM_CHUNK_BYTES } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { canisterWithVisibleSnapshots, ownSnapshot, payInstructions, READ_BASE } from "./canister-snapshots.ts";
import { failed, isUserError } from "./managed-canister.ts";
import { chunkStoreError } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";
import { type ReadSnapshotDataArg, ReadSnapshotDataRecord, type Slice, SnapshotDataRecord } from "./snapshot-candid.ts";
import { invalidSlice, sliceTooLarge } from "./snapshot-errors.ts";

export function readCanisterSnapshotData(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<ReadSnapshotDataArg>(ReadSnapshotDataRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, snapshot_id, kind } = decoded.value;
  const canister = canisterWithVisibleSnapshots(call, canister_id, "read_canister_snapshot_data");
  if (isUserError(canister)) return failed(canister);
  const snapshot = ownSnapshot(call, canister, snapshot_id);
  if (isUserError(snapshot)) return failed(snapshot);
  const size = "wasm_chunk" in kind ? BigInt(WASM_CHUNK_BYTES) : sliceOf(kind).size;
  if (size > MAX_SNAPSHOT_SLICE_BYTES) return failed(sliceTooLarge(size, MAX_SNAPSHOT_SLICE_BYTES));
  const error = payInstructions(call, canister, READ_BASE + Number(size));
  if (error !== undefined) return failed(error);
  const chunk = "wasm_chunk" in kind ? storedChunk(snapshot, kind.wasm_chunk.hash) : read(call, snapshot, kind);
  if (!(chunk instanceof Uint8Array)) return failed(chunk);
  return { ok: true, reply: encodeReply(SnapshotDataRecord, { chunk }) };
}

type SliceKind = Exclude<ReadSnapshotDataArg["kind"], { readonly wasm_chunk: object }>;

function sliceOf(kind: SliceKind): Slice {
  if ("wasm_module" in kind) return kind.wasm_module;
  return "wasm_memory" in kind ? kind.wasm_memory : kind.stable_memory;
}

function read({ round }: ManagementCall, snapshot: CanisterSnapshot, kind: SliceKind): Uint8Array | UserError {
  const { offset, size } = sliceOf(kind);
  const { module } = snapshot;
  const fits = (length: number): boolean => offset + size <= BigInt(length);
  const [from, length] = [Number(offset), Number(size)];
  if ("wasm_module" in kind && module.kind === "stored") {
    const stored = round.state.modules.get(module.hash);
    invariant(stored !== undefined, "the module of a snapshot is missing from the module store");
    return fits(stored.uploaded.length) ? stored.uploaded.subarray(from, from + length) : invalidSlice(offset, size);
  }
  if ("wasm_module" in kind && module.kind === "uploaded") {
    return fits(module.size) ? module.bytes.readBytes(from, length) : invalidSlice(offset, size);
  }
  const memory = "wasm_memory" in kind ? snapshot.heap : snapshot.stable;
  return fits(memory.bytes) ? memory.readBytes(from, length) : invalidSlice(offset, size);
}

function storedChunk({ chunkStore }: CanisterSnapshot, hash: Uint8Array): Uint8Array | UserError {
  if (hash.length !== 32) return chunkStoreError(`Bytes ${listed(hash)} are not a valid WasmChunkHash.`);
  return chunkStore.get(toHex(hash)) ?? chunkStoreError(`WasmChunkHash ${listed(hash)} not found.`);
}

/** Bytes as the replica prints them here. */
function listed(bytes: Uint8Array): string {
  return `[${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(", ")}]`;
}
