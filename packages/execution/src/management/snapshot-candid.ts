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
