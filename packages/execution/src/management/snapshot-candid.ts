// The Candid types of the snapshot methods, and what their values look like here once decoded. Interface specification,
// "IC management canister interface" (ic.did).
import type { CanisterId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Opt } from "./candid-argument.ts";

const Blob = IDL.Vec(IDL.Nat8);

export interface TakeSnapshotArg {
  readonly canister_id: CanisterId;
  readonly replace_snapshot: Opt<Uint8Array>;
  readonly uninstall_code: Opt<boolean>;
  readonly sender_canister_version: Opt<bigint>;
}
export const TakeSnapshotRecord = IDL.Record({
  canister_id: IDL.Principal,
  replace_snapshot: IDL.Opt(Blob),
  uninstall_code: IDL.Opt(IDL.Bool),
  sender_canister_version: IDL.Opt(IDL.Nat64),
});

export interface SnapshotIdArg {
  readonly canister_id: CanisterId;
  readonly snapshot_id: Uint8Array;
}
export const SnapshotIdRecord = IDL.Record({ canister_id: IDL.Principal, snapshot_id: Blob });

export interface LoadSnapshotArg extends SnapshotIdArg {
  readonly sender_canister_version: Opt<bigint>;
}
export const LoadSnapshotRecord = IDL.Record({
  canister_id: IDL.Principal,
  snapshot_id: Blob,
  sender_canister_version: IDL.Opt(IDL.Nat64),
});

export const SnapshotRecord = IDL.Record({ id: Blob, taken_at_timestamp: IDL.Nat64, total_size: IDL.Nat64 });
export const SnapshotRecords = IDL.Vec(SnapshotRecord);

export type GlobalArg =
  | { readonly i32: number }
  | { readonly i64: bigint }
  | { readonly f32: number }
  | { readonly f64: number }
  | { readonly v128: bigint };
const Globals = IDL.Vec(
  IDL.Variant({ i32: IDL.Int32, i64: IDL.Int64, f32: IDL.Float32, f64: IDL.Float64, v128: IDL.Nat }),
);

export type GlobalTimerArg = { readonly inactive: null } | { readonly active: bigint };
const GlobalTimer = IDL.Opt(IDL.Variant({ inactive: IDL.Null, active: IDL.Nat64 }));

export type HookStatusArg =
  | { readonly condition_not_satisfied: null }
  | { readonly ready: null }
  | { readonly executed: null };
const HookStatus = IDL.Opt(IDL.Variant({ condition_not_satisfied: IDL.Null, ready: IDL.Null, executed: IDL.Null }));

export const SnapshotMetadataRecord = IDL.Record({
  source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
  taken_at_timestamp: IDL.Nat64,
  wasm_module_size: IDL.Nat64,
  globals: Globals,
  wasm_memory_size: IDL.Nat64,
  stable_memory_size: IDL.Nat64,
  wasm_chunk_store: IDL.Vec(IDL.Record({ hash: Blob })),
  canister_version: IDL.Nat64,
  certified_data: Blob,
  global_timer: GlobalTimer,
  on_low_wasm_memory_hook_status: HookStatus,
});

export interface Slice {
  readonly offset: bigint;
  readonly size: bigint;
}
export interface ReadSnapshotDataArg extends SnapshotIdArg {
  readonly kind:
    | { readonly wasm_module: Slice }
    | { readonly wasm_memory: Slice }
    | { readonly stable_memory: Slice }
    | { readonly wasm_chunk: { readonly hash: Uint8Array } };
}
const SliceRecord = IDL.Record({ offset: IDL.Nat64, size: IDL.Nat64 });
export const ReadSnapshotDataRecord = IDL.Record({
  canister_id: IDL.Principal,
  snapshot_id: Blob,
  kind: IDL.Variant({
    wasm_module: SliceRecord,
    wasm_memory: SliceRecord,
    stable_memory: SliceRecord,
    wasm_chunk: IDL.Record({ hash: Blob }),
  }),
});
export const SnapshotDataRecord = IDL.Record({ chunk: Blob });

export interface UploadSnapshotMetadataArg {
  readonly canister_id: CanisterId;
  readonly replace_snapshot: Opt<Uint8Array>;
  readonly wasm_module_size: bigint;
  readonly globals: readonly GlobalArg[];
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly certified_data: Uint8Array;
  readonly global_timer: Opt<GlobalTimerArg>;
  readonly on_low_wasm_memory_hook_status: Opt<HookStatusArg>;
}
export const UploadSnapshotMetadataRecord = IDL.Record({
  canister_id: IDL.Principal,
  replace_snapshot: IDL.Opt(Blob),
  wasm_module_size: IDL.Nat64,
  globals: Globals,
  wasm_memory_size: IDL.Nat64,
  stable_memory_size: IDL.Nat64,
  certified_data: Blob,
  global_timer: GlobalTimer,
  on_low_wasm_memory_hook_status: HookStatus,
});
export const UploadedSnapshotRecord = IDL.Record({ snapshot_id: Blob });

interface Place {
  readonly offset: bigint;
}
export interface UploadSnapshotDataArg extends SnapshotIdArg {
  readonly kind:
    | { readonly wasm_module: Place }
    | { readonly wasm_memory: Place }
    | { readonly stable_memory: Place }
    | { readonly wasm_chunk: null };
  readonly chunk: Uint8Array;
}
const PlaceRecord = IDL.Record({ offset: IDL.Nat64 });
export const UploadSnapshotDataRecord = IDL.Record({
  canister_id: IDL.Principal,
  snapshot_id: Blob,
  kind: IDL.Variant({
    wasm_module: PlaceRecord,
    wasm_memory: PlaceRecord,
    stable_memory: PlaceRecord,
    wasm_chunk: IDL.Null,
  }),
  chunk: Blob,
});
