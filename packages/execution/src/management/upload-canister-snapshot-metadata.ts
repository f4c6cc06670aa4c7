// upload_canister_snapshot_metadata: makes a snapshot of zeros with the sizes that are given, to be filled piece by
// piece. It counts for its full size from the beginning, but holds no page before one is uploaded. Specification, "IC
// method upload_canister_snapshot_metadata"; checklist 4.5.
import {
  addSnapshot,
  type CanisterSnapshot,
  type CanisterState,
  type LowMemoryHook,
  newMemory,
  nextSnapshotId,
  type PagedMemory,
  removeSnapshot,
  type SnapshotGlobal,
} from "@atoll/state";
import {
  fromHex,
  MAX_CERTIFIED_DATA_BYTES,
  MAX_HEAP32_BYTES,
  MAX_HEAP64_BYTES,
  MAX_SNAPSHOT_GLOBALS,
  MAX_STABLE_MEMORY_BYTES,
  MAX_WASM_MODULE_BYTES,
  WASM_PAGE_BYTES,
} from "@atoll/types";
import { isWasm64 } from "../execution-inputs.ts";
import { heapDeltaError } from "../rate-limits.ts";
import { memoryMetrics } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply, undecodable } from "./candid-argument.ts";
import { payForMemory, SNAPSHOT_BASE, snapshotToReplace } from "./canister-snapshots.ts";
import { controlledCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import {
  type HookStatusArg,
  UploadedSnapshotRecord,
  type UploadSnapshotMetadataArg,
  UploadSnapshotMetadataRecord,
} from "./snapshot-candid.ts";
import { snapshotInconsistent } from "./snapshot-errors.ts";
import { givenGlobal } from "./snapshot-globals.ts";

export function uploadCanisterSnapshotMetadata(call: ManagementCall): MethodResult {
  const { state } = call.round;
  const decoded = decodeArgument<UploadSnapshotMetadataArg>(UploadSnapshotMetadataRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  const flaw = flawOf(decoded.value, isWasm64(call.round, canister));
  if (flaw !== undefined) return failed(snapshotInconsistent(`Snapshot Metadata contains invalid data: ${flaw}`));
  const globals = decoded.value.globals.flatMap((global) => givenGlobal(global) ?? []);
  if (globals.length < decoded.value.globals.length) return undecodable("a global of type v128 has 128 bits");
  const replaced = snapshotToReplace(call, canister, decoded.value.replace_snapshot);
  if (replaced !== undefined && isUserError(replaced)) return failed(replaced);
  const rateError = heapDeltaError(call.round, canister);
  if (rateError !== undefined) return failed(rateError);
  const size = sizeOf(decoded.value);
  const after = memoryMetrics(state, canister).total + size - (replaced?.size ?? 0);
  const error = payForMemory(call, canister, SNAPSHOT_BASE + size, after);
  if (error !== undefined) return failed(error);
  if (replaced !== undefined) removeSnapshot(state, canister, replaced);
  const snapshot = emptySnapshot(call, canister, decoded.value, globals);
  addSnapshot(state, canister, snapshot);
  return { ok: true, reply: encodeReply(UploadedSnapshotRecord, { snapshot_id: fromHex(snapshot.id) }) };
}

/** What is wrong with the metadata, by the name that the replica has for it. */
function flawOf(arg: UploadSnapshotMetadataArg, is64: boolean): string | undefined {
  const page = BigInt(WASM_PAGE_BYTES);
  if (arg.wasm_module_size === 0n) return "WasmModuleEmpty";
  if (arg.wasm_module_size > MAX_WASM_MODULE_BYTES) return "WasmModuleTooLarge";
  if (arg.wasm_memory_size % page !== 0n) return "WasmMemoryNotPageAligned";
  if (arg.wasm_memory_size > (is64 ? MAX_HEAP64_BYTES : MAX_HEAP32_BYTES)) return "WasmMemoryTooLarge";
  if (arg.stable_memory_size % page !== 0n) return "StableMemoryNotPageAligned";
  if (arg.stable_memory_size > MAX_STABLE_MEMORY_BYTES) return "StableMemoryTooLarge";
  if (arg.globals.length > MAX_SNAPSHOT_GLOBALS) return "ExportedGlobalsTooLarge";
  if (arg.certified_data.length > MAX_CERTIFIED_DATA_BYTES) return "CertifiedDataTooLarge";
  return undefined;
}

function sizeOf(arg: UploadSnapshotMetadataArg): number {
  const memories = arg.wasm_module_size + arg.wasm_memory_size + arg.stable_memory_size;
  return Number(memories) + arg.certified_data.length + arg.globals.length * 8;
}

function emptySnapshot(
  { round: { state } }: ManagementCall,
  canister: CanisterState,
  arg: UploadSnapshotMetadataArg,
  globals: readonly SnapshotGlobal[],
): CanisterSnapshot {
  const memoryOf = (bytes: bigint): PagedMemory => {
    const memory = newMemory(state, canister);
    memory.wasmPages = Math.ceil(Number(bytes) / WASM_PAGE_BYTES);
    return memory;
  };
  const [timer] = arg.global_timer;
  const [hook] = arg.on_low_wasm_memory_hook_status;
  return {
    id: nextSnapshotId(canister),
    source: "metadata_upload",
    takenAt: state.time,
    canisterVersion: canister.version,
    module: { kind: "uploaded", size: Number(arg.wasm_module_size), bytes: memoryOf(arg.wasm_module_size) },
    heap: memoryOf(arg.wasm_memory_size),
    stable: memoryOf(arg.stable_memory_size),
    globals,
    certifiedData: arg.certified_data,
    globalTimer: timer === undefined ? undefined : "active" in timer ? timer.active : 0n,
    lowMemoryHook: hook && hookOf(hook),
    chunkStore: new Map(),
    size: sizeOf(arg),
  };
}

function hookOf(status: HookStatusArg): LowMemoryHook {
  if ("ready" in status) return "ready";
  return "executed" in status ? "executed" : "notSatisfied";
}
