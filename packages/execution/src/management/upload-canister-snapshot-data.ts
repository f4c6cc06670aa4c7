// upload_canister_snapshot_data: fills a snapshot that was made by uploading its metadata. Memories have been paid for
// by then; a chunk for the store counts as a full MiB. Specification, "IC method upload_canister_snapshot_data".
import { type CanisterSnapshot, type CanisterState, resourcesOf, touch } from "@atoll/state";
import { MAX_WASM_CHUNKS, OS_PAGE_BYTES, toHex, type UserError, WASM_CHUNK_BYTES } from "@atoll/types";
import { heapDeltaError, noteHeapDelta } from "../rate-limits.ts";
import { memoryMetrics } from "../round.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { ownSnapshot, payForMemory, payInstructions } from "./canister-snapshots.ts";
import { controlledCanister, failed, isUserError } from "./managed-canister.ts";
import { chunkStoreError } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";
import { type UploadSnapshotDataArg, UploadSnapshotDataRecord } from "./snapshot-candid.ts";
import { invalidSlice, snapshotImmutable } from "./snapshot-errors.ts";
import { UPLOAD_INSTRUCTIONS } from "./upload-chunk.ts";

export function uploadCanisterSnapshotData(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<UploadSnapshotDataArg>(UploadSnapshotDataRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, snapshot_id, kind, chunk } = decoded.value;
  const canister = controlledCanister(call, canister_id);
  if (isUserError(canister)) return failed(canister);
  const snapshot = ownSnapshot(call, canister, snapshot_id);
  if (isUserError(snapshot)) return failed(snapshot);
  if (snapshot.source !== "metadata_upload") return failed(snapshotImmutable());
  if (heapDeltaError(call.round, canister) !== undefined) return failed(rateError(call, canister));
  const unpaid = payInstructions(call, canister, "wasm_chunk" in kind ? UPLOAD_INSTRUCTIONS : chunk.length);
  if (unpaid !== undefined) return failed(unpaid);
  const error =
    "wasm_chunk" in kind
      ? storeChunk(call, canister, snapshot, chunk)
      : write(snapshot, kind, chunk, call.round.state.height);
  if (error !== undefined) return failed(error);
  const written = "wasm_chunk" in kind ? WASM_CHUNK_BYTES : chunk.length;
  noteHeapDelta(call.round, canister, Math.ceil(written / OS_PAGE_BYTES));
  touch(call.round.state, canister);
  return { ok: true, reply: EMPTY_REPLY };
}

function rateError({ round }: ManagementCall, { heapDeltaDebit }: CanisterState): UserError {
  const limit = resourcesOf(round.state.config).heapDeltaPerRound;
  return chunkStoreError(
    `Canister is heap delta rate limited. Current delta debit: ${heapDeltaDebit}, limit: ${limit}`,
  );
}

type PlaceKind = Exclude<UploadSnapshotDataArg["kind"], { readonly wasm_chunk: null }>;

function write(snapshot: CanisterSnapshot, kind: PlaceKind, chunk: Uint8Array, height: number): UserError | undefined {
  const { memory, size, offset } = targetOf(snapshot, kind);
  if (memory === undefined || offset + BigInt(chunk.length) > BigInt(size)) {
    return invalidSlice(offset, BigInt(chunk.length));
  }
  memory.writeBytes(Number(offset), chunk, height);
  return undefined;
}

function targetOf({ module, heap, stable }: CanisterSnapshot, kind: PlaceKind) {
  if ("wasm_memory" in kind) return { memory: heap, size: heap.bytes, offset: kind.wasm_memory.offset };
  if ("stable_memory" in kind) return { memory: stable, size: stable.bytes, offset: kind.stable_memory.offset };
  const uploaded = module.kind === "uploaded" ? module : undefined;
  return { memory: uploaded?.bytes, size: uploaded?.size ?? 0, offset: kind.wasm_module.offset };
}

function storeChunk(
  call: ManagementCall,
  canister: CanisterState,
  snapshot: CanisterSnapshot,
  chunk: Uint8Array,
): UserError | undefined {
  const { chunkStore } = snapshot;
  const key = toHex(call.round.crypto.sha256(chunk));
  if (chunkStore.has(key)) return undefined;
  if (chunk.length > WASM_CHUNK_BYTES) {
    return chunkStoreError(`Wasm chunk size ${chunk.length} exceeds the maximum chunk size of ${WASM_CHUNK_BYTES}`);
  }
  if (chunkStore.size >= MAX_WASM_CHUNKS) {
    return chunkStoreError(
      `Wasm chunk store has already reached maximum capacity of ${MAX_WASM_CHUNKS * WASM_CHUNK_BYTES} bytes or the ` +
        `maximum number of entries, ${MAX_WASM_CHUNKS}`,
    );
  }
  const after = memoryMetrics(call.round.state, canister).total + WASM_CHUNK_BYTES;
  const unpaid = payForMemory(call, canister, 0, after);
  if (unpaid !== undefined) return unpaid;
  chunkStore.set(key, chunk);
  snapshot.size += WASM_CHUNK_BYTES;
  return undefined;
}
