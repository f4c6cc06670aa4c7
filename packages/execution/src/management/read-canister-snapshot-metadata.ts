// read_canister_snapshot_metadata: what a snapshot consists of, so that a client can fetch the pieces. Specification,
// "IC method read_canister_snapshot_metadata"; checklist 4.5.
import type { CanisterSnapshot, LowMemoryHook, SubnetState } from "@atoll/state";
import { fromHex, invariant } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { canisterWithVisibleSnapshots, ownSnapshot, READ_BASE } from "./canister-snapshots.ts";
import { failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import {
  type GlobalTimerArg,
  type HookStatusArg,
  type SnapshotIdArg,
  SnapshotIdRecord,
  SnapshotMetadataRecord,
} from "./snapshot-candid.ts";
import { shownGlobal } from "./snapshot-globals.ts";

export function readCanisterSnapshotMetadata(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<SnapshotIdArg>(SnapshotIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const { canister_id, snapshot_id } = decoded.value;
  const canister = canisterWithVisibleSnapshots(call, canister_id, "read_canister_snapshot_metadata");
  if (isUserError(canister)) return failed(canister);
  const snapshot = ownSnapshot(call, canister, snapshot_id);
  if (isUserError(snapshot)) return failed(snapshot);
  call.round.instructionsLeft -= READ_BASE;
  return { ok: true, reply: encodeReply(SnapshotMetadataRecord, metadataOf(call.round.state, snapshot)) };
}

function metadataOf(state: SubnetState, snapshot: CanisterSnapshot): object {
  const { globalTimer, lowMemoryHook } = snapshot;
  return {
    source: { [snapshot.source]: null },
    taken_at_timestamp: snapshot.takenAt,
    wasm_module_size: BigInt(moduleSize(state, snapshot)),
    globals: snapshot.globals.map(shownGlobal),
    wasm_memory_size: BigInt(snapshot.heap.bytes),
    stable_memory_size: BigInt(snapshot.stable.bytes),
    wasm_chunk_store: [...snapshot.chunkStore.keys()].sort().map((hash) => ({ hash: fromHex(hash) })),
    canister_version: BigInt(snapshot.canisterVersion),
    certified_data: snapshot.certifiedData,
    global_timer: globalTimer === undefined ? [] : [shownTimer(globalTimer)],
    on_low_wasm_memory_hook_status: lowMemoryHook === undefined ? [] : [shownHook(lowMemoryHook)],
  };
}

function moduleSize(state: SubnetState, { module }: CanisterSnapshot): number {
  if (module.kind === "uploaded") return module.size;
  const stored = state.modules.get(module.hash);
  invariant(stored !== undefined, "the module of a snapshot is missing from the module store");
  return stored.uploaded.length;
}

function shownTimer(time: bigint): GlobalTimerArg {
  return time === 0n ? { inactive: null } : { active: time };
}

function shownHook(status: LowMemoryHook): HookStatusArg {
  if (status === "notSatisfied") return { condition_not_satisfied: null };
  return status === "ready" ? { ready: null } : { executed: null };
}
