// The snapshot methods of the management canister as its Candid file in the specification (0.66) describes them.
// Written from ic.did, not from the implementation.
import { IDL } from "@icp-sdk/core/candid";

const { Bool, Nat, Nat64, Null, Opt, Principal, Record, Reserved, Variant, Vec } = IDL;
const Blob = Vec(IDL.Nat8);
const snapshot = Record({ id: Blob, taken_at_timestamp: Nat64, total_size: Nat64 });
const canisterId = Record({ canister_id: Principal });
const senderVersion = Opt(Nat64);
const withSnapshotId = { canister_id: Principal, snapshot_id: Blob };
const globals = Vec(Variant({ i32: IDL.Int32, i64: IDL.Int64, f32: IDL.Float32, f64: IDL.Float64, v128: Nat }));
const globalTimer = Opt(Variant({ inactive: Null, active: Nat64 }));
const hookStatus = Opt(Variant({ condition_not_satisfied: Null, ready: Null, executed: Null }));
const slice = Record({ offset: Nat64, size: Nat64 });
const place = Record({ offset: Nat64 });

export const snapshotMethods = {
  take_canister_snapshot: {
    arg: [
      Record({
        canister_id: Principal,
        replace_snapshot: Opt(Blob),
        uninstall_code: Opt(Bool),
        sender_canister_version: senderVersion,
      }),
    ],
    result: [snapshot],
  },
  load_canister_snapshot: {
    arg: [Record({ ...withSnapshotId, sender_canister_version: senderVersion })],
    result: [],
  },
  list_canister_snapshots: { arg: [canisterId], result: [Vec(snapshot)] },
  delete_canister_snapshot: { arg: [Record(withSnapshotId)], result: [] },
  read_canister_snapshot_metadata: {
    arg: [Record(withSnapshotId)],
    result: [
      Record({
        source: Variant({ taken_from_canister: Reserved, metadata_upload: Reserved }),
        taken_at_timestamp: Nat64,
        wasm_module_size: Nat64,
        globals,
        wasm_memory_size: Nat64,
        stable_memory_size: Nat64,
        wasm_chunk_store: Vec(Record({ hash: Blob })),
        canister_version: Nat64,
        certified_data: Blob,
        global_timer: globalTimer,
        on_low_wasm_memory_hook_status: hookStatus,
      }),
    ],
  },
  read_canister_snapshot_data: {
    arg: [
      Record({
        ...withSnapshotId,
        kind: Variant({
          wasm_module: slice,
          wasm_memory: slice,
          stable_memory: slice,
          wasm_chunk: Record({ hash: Blob }),
        }),
      }),
    ],
    result: [Record({ chunk: Blob })],
  },
  upload_canister_snapshot_metadata: {
    arg: [
      Record({
        canister_id: Principal,
        replace_snapshot: Opt(Blob),
        wasm_module_size: Nat64,
        globals,
        wasm_memory_size: Nat64,
        stable_memory_size: Nat64,
        certified_data: Blob,
        global_timer: globalTimer,
        on_low_wasm_memory_hook_status: hookStatus,
      }),
    ],
    result: [Record({ snapshot_id: Blob })],
  },
  upload_canister_snapshot_data: {
    arg: [
      Record({
        ...withSnapshotId,
        kind: Variant({ wasm_module: place, wasm_memory: place, stable_memory: place, wasm_chunk: Null }),
        chunk: Blob,
      }),
    ],
    result: [],
  },
};
