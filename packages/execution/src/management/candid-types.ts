// The Candid types of the management canister's methods, and what their values look like here once decoded.
// Interface specification, "IC management canister interface" (ic.did); only what the methods need.

import type { CanisterId, PrincipalId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Opt } from "./candid-argument.ts";

const Blob = IDL.Vec(IDL.Nat8);

export type VisibilityArg =
  | { readonly controllers: null }
  | { readonly public: null }
  | { readonly allowed_viewers: readonly PrincipalId[] };

const Visibility = IDL.Variant({
  controllers: IDL.Null,
  public: IDL.Null,
  allowed_viewers: IDL.Vec(IDL.Principal),
});

const EnvironmentVariable = IDL.Record({ name: IDL.Text, value: IDL.Text });

export interface SettingsArg {
  readonly controllers: Opt<readonly PrincipalId[]>;
  readonly compute_allocation: Opt<bigint>;
  readonly memory_allocation: Opt<bigint>;
  readonly freezing_threshold: Opt<bigint>;
  readonly reserved_cycles_limit: Opt<bigint>;
  readonly minimum_incoming_canister_call_cycles: Opt<bigint>;
  readonly log_visibility: Opt<VisibilityArg>;
  readonly snapshot_visibility: Opt<VisibilityArg>;
  readonly status_visibility: Opt<VisibilityArg>;
  readonly wasm_memory_limit: Opt<bigint>;
  readonly wasm_memory_threshold: Opt<bigint>;
  readonly log_memory_limit: Opt<bigint>;
  readonly environment_variables: Opt<readonly { readonly name: string; readonly value: string }[]>;
}

const settingsFields: Record<string, IDL.Type> = {
  controllers: IDL.Vec(IDL.Principal),
  compute_allocation: IDL.Nat,
  memory_allocation: IDL.Nat,
  freezing_threshold: IDL.Nat,
  reserved_cycles_limit: IDL.Nat,
  minimum_incoming_canister_call_cycles: IDL.Nat,
  log_visibility: Visibility,
  snapshot_visibility: Visibility,
  status_visibility: Visibility,
  wasm_memory_limit: IDL.Nat,
  wasm_memory_threshold: IDL.Nat,
  // Not in the specification; the replica has it.
  log_memory_limit: IDL.Nat,
  environment_variables: IDL.Vec(EnvironmentVariable),
};

const Settings = IDL.Record(
  Object.fromEntries(Object.entries(settingsFields).map(([name, type]) => [name, IDL.Opt<unknown>(type)])),
);
// The first controller under its older name: for clients of before there could be several.
const DefiniteSettings = IDL.Record({ controller: IDL.Principal, ...settingsFields });

export interface CanisterIdArg {
  readonly canister_id: CanisterId;
}
export const CanisterIdRecord = IDL.Record({ canister_id: IDL.Principal });

/** `Some` version that a calling canister says it has. */
export interface VersionedArg {
  readonly sender_canister_version: Opt<bigint>;
}
const versioned = { sender_canister_version: IDL.Opt(IDL.Nat64) };

export interface CreateCanisterArg extends VersionedArg {
  readonly settings: Opt<SettingsArg>;
}
export const CreateCanisterRecord = IDL.Record({ settings: IDL.Opt(Settings), ...versioned });

export interface ProvisionalCreateArg extends CreateCanisterArg {
  readonly amount: Opt<bigint>;
  readonly specified_id: Opt<CanisterId>;
}
export const ProvisionalCreateRecord = IDL.Record({
  amount: IDL.Opt(IDL.Nat),
  settings: IDL.Opt(Settings),
  specified_id: IDL.Opt(IDL.Principal),
  ...versioned,
});

export interface ProvisionalTopUpArg extends CanisterIdArg {
  readonly amount: bigint;
}
export const ProvisionalTopUpRecord = IDL.Record({ canister_id: IDL.Principal, amount: IDL.Nat });

export interface UpdateSettingsArg extends CanisterIdArg, VersionedArg {
  readonly settings: SettingsArg;
}
export const UpdateSettingsRecord = IDL.Record({ canister_id: IDL.Principal, settings: Settings, ...versioned });

export interface VersionedCanisterArg extends CanisterIdArg, VersionedArg {}
export const VersionedCanisterRecord = IDL.Record({ canister_id: IDL.Principal, ...versioned });

export type InstallModeArg =
  | { readonly install: null }
  | { readonly reinstall: null }
  | {
      readonly upgrade: Opt<{
        readonly skip_pre_upgrade: Opt<boolean>;
        readonly wasm_memory_persistence: Opt<{ readonly keep: null } | { readonly replace: null }>;
      }>;
    };
const InstallMode = IDL.Variant({
  install: IDL.Null,
  reinstall: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({
      skip_pre_upgrade: IDL.Opt(IDL.Bool),
      wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
    }),
  ),
});

export interface InstallCodeArg extends CanisterIdArg, VersionedArg {
  readonly mode: InstallModeArg;
  readonly wasm_module: Uint8Array;
  readonly arg: Uint8Array;
}
export const InstallCodeRecord = IDL.Record({
  mode: InstallMode,
  canister_id: IDL.Principal,
  wasm_module: Blob,
  arg: Blob,
  ...versioned,
});

export interface InstallChunkedCodeArg extends VersionedArg {
  readonly mode: InstallModeArg;
  readonly target_canister: CanisterId;
  readonly store_canister: Opt<CanisterId>;
  readonly chunk_hashes_list: readonly { readonly hash: Uint8Array }[];
  readonly wasm_module_hash: Uint8Array;
  readonly arg: Uint8Array;
}
export const ChunkHash = IDL.Record({ hash: Blob });
export const ChunkHashes = IDL.Vec(ChunkHash);
export const InstallChunkedCodeRecord = IDL.Record({
  mode: InstallMode,
  target_canister: IDL.Principal,
  store_canister: IDL.Opt(IDL.Principal),
  chunk_hashes_list: ChunkHashes,
  wasm_module_hash: Blob,
  arg: Blob,
  ...versioned,
});

export interface UploadChunkArg extends CanisterIdArg {
  readonly chunk: Uint8Array;
}
export const UploadChunkRecord = IDL.Record({ canister_id: IDL.Principal, chunk: Blob });

export const RandomBytes = Blob;

export interface CanisterInfoArg extends CanisterIdArg {
  readonly num_requested_changes: Opt<bigint>;
}
export const CanisterInfoArgRecord = IDL.Record({
  canister_id: IDL.Principal,
  num_requested_changes: IDL.Opt(IDL.Nat64),
});
const Change = IDL.Record({
  timestamp_nanos: IDL.Nat64,
  canister_version: IDL.Nat64,
  origin: IDL.Variant({
    from_user: IDL.Record({ user_id: IDL.Principal }),
    from_canister: IDL.Record({ canister_id: IDL.Principal, canister_version: IDL.Opt(IDL.Nat64) }),
  }),
  details: IDL.Variant({
    creation: IDL.Record({ controllers: IDL.Vec(IDL.Principal), environment_variables_hash: IDL.Opt(Blob) }),
    code_uninstall: IDL.Null,
    code_deployment: IDL.Record({
      mode: IDL.Variant({ install: IDL.Null, reinstall: IDL.Null, upgrade: IDL.Null }),
      module_hash: Blob,
    }),
    load_snapshot: IDL.Record({
      from_canister_id: IDL.Opt(IDL.Principal),
      snapshot_id: Blob,
      canister_version: IDL.Nat64,
      taken_at_timestamp: IDL.Nat64,
      source: IDL.Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
    }),
    controllers_change: IDL.Record({ controllers: IDL.Vec(IDL.Principal) }),
  }),
});
export const CanisterInfoRecord = IDL.Record({
  total_num_changes: IDL.Nat64,
  recent_changes: IDL.Vec(Change),
  module_hash: IDL.Opt(Blob),
  controllers: IDL.Vec(IDL.Principal),
});

export interface CanisterMetadataArg extends CanisterIdArg {
  readonly name: string;
}
export const CanisterMetadataArgRecord = IDL.Record({ canister_id: IDL.Principal, name: IDL.Text });
export const CanisterMetadataRecord = IDL.Record({ value: Blob });

export const CanisterMetricsRecord = IDL.Record({
  cycles_consumed: IDL.Record({
    memory: IDL.Nat,
    compute_allocation: IDL.Nat,
    ingress_induction: IDL.Nat,
    instructions: IDL.Nat,
    request_and_response_transmission: IDL.Nat,
    uninstall: IDL.Nat,
    canister_creation: IDL.Nat,
    http_outcalls: IDL.Nat,
    burned_cycles: IDL.Nat,
  }),
});

export interface SubnetInfoArg {
  readonly subnet_id: PrincipalId;
}
export const SubnetInfoArgRecord = IDL.Record({ subnet_id: IDL.Principal });
export const SubnetInfoRecord = IDL.Record({ replica_version: IDL.Text, registry_version: IDL.Nat64 });

export interface NodeMetricsHistoryArg extends SubnetInfoArg {
  readonly start_at_timestamp_nanos: bigint;
}
export const NodeMetricsHistoryArgRecord = IDL.Record({
  subnet_id: IDL.Principal,
  start_at_timestamp_nanos: IDL.Nat64,
});
export const NodeMetricsHistory = IDL.Vec(
  IDL.Record({
    timestamp_nanos: IDL.Nat64,
    node_metrics: IDL.Vec(
      IDL.Record({
        node_id: IDL.Principal,
        num_blocks_proposed_total: IDL.Nat64,
        num_block_failures_total: IDL.Nat64,
      }),
    ),
  }),
);

export interface RenameCanisterArg extends CanisterIdArg {
  readonly sender_canister_version: bigint;
}
export const RenameCanisterRecord = IDL.Record({
  canister_id: IDL.Principal,
  rename_to: IDL.Record({ canister_id: IDL.Principal, version: IDL.Nat64, total_num_changes: IDL.Nat64 }),
  requested_by: IDL.Principal,
  sender_canister_version: IDL.Nat64,
});

interface LogRange {
  readonly start: bigint;
  readonly end: bigint;
}
export interface FetchCanisterLogsArg extends CanisterIdArg {
  readonly filter: Opt<{ readonly by_idx: LogRange } | { readonly by_timestamp_nanos: LogRange }>;
}
const LogRangeRecord = IDL.Record({ start: IDL.Nat64, end: IDL.Nat64 });
export const FetchCanisterLogsRecord = IDL.Record({
  canister_id: IDL.Principal,
  // Not in the specification; the replica has it.
  filter: IDL.Opt(IDL.Variant({ by_idx: LogRangeRecord, by_timestamp_nanos: LogRangeRecord })),
});
export const CanisterLogs = IDL.Record({
  canister_log_records: IDL.Vec(IDL.Record({ idx: IDL.Nat64, timestamp_nanos: IDL.Nat64, content: Blob })),
});

export const CanisterRanges = IDL.Record({
  canisters: IDL.Vec(IDL.Record({ start: IDL.Principal, end: IDL.Principal })),
});

export const CanisterStatusRecord = IDL.Record({
  status: IDL.Variant({ running: IDL.Null, stopping: IDL.Null, stopped: IDL.Null }),
  ready_for_migration: IDL.Bool,
  version: IDL.Nat64,
  settings: DefiniteSettings,
  module_hash: IDL.Opt(Blob),
  memory_size: IDL.Nat,
  memory_metrics: IDL.Record({
    wasm_memory_size: IDL.Nat,
    stable_memory_size: IDL.Nat,
    global_memory_size: IDL.Nat,
    wasm_binary_size: IDL.Nat,
    custom_sections_size: IDL.Nat,
    canister_history_size: IDL.Nat,
    wasm_chunk_store_size: IDL.Nat,
    snapshots_size: IDL.Nat,
    log_memory_store_size: IDL.Nat,
  }),
  // Older names that the replica still has.
  controller: IDL.Principal,
  freezing_threshold: IDL.Nat,
  balance: IDL.Vec(IDL.Tuple(Blob, IDL.Nat)),
  cycles: IDL.Nat,
  reserved_cycles: IDL.Nat,
  idle_cycles_burned_per_day: IDL.Nat,
  query_stats: IDL.Record({
    num_calls_total: IDL.Nat,
    num_instructions_total: IDL.Nat,
    request_payload_bytes_total: IDL.Nat,
    response_payload_bytes_total: IDL.Nat,
  }),
});
