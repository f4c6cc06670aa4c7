// The management canister as its Candid file in the specification (0.66) describes it: what a client encodes and
// decodes. Written from ic.did, not from the implementation.
import { IDL } from "@icp-sdk/core/candid";

const { Nat, Nat64, Text, Null, Bool, Opt, Vec, Record, Variant, Principal } = IDL;
const Blob = Vec(IDL.Nat8);

const visibility = Variant({ controllers: Null, public: Null, allowed_viewers: Vec(Principal) });
const environmentVariable = Record({ name: Text, value: Text });

const settings = Record({
  controllers: Opt(Vec(Principal)),
  compute_allocation: Opt(Nat),
  memory_allocation: Opt(Nat),
  freezing_threshold: Opt(Nat),
  reserved_cycles_limit: Opt(Nat),
  minimum_incoming_canister_call_cycles: Opt(Nat),
  log_visibility: Opt(visibility),
  snapshot_visibility: Opt(visibility),
  status_visibility: Opt(visibility),
  wasm_memory_limit: Opt(Nat),
  wasm_memory_threshold: Opt(Nat),
  environment_variables: Opt(Vec(environmentVariable)),
});

const definiteSettings = Record({
  controllers: Vec(Principal),
  compute_allocation: Nat,
  memory_allocation: Nat,
  freezing_threshold: Nat,
  reserved_cycles_limit: Nat,
  minimum_incoming_canister_call_cycles: Nat,
  log_visibility: visibility,
  snapshot_visibility: visibility,
  status_visibility: visibility,
  wasm_memory_limit: Nat,
  wasm_memory_threshold: Nat,
  environment_variables: Vec(environmentVariable),
});

const installMode = Variant({
  install: Null,
  reinstall: Null,
  upgrade: Opt(
    Record({
      skip_pre_upgrade: Opt(Bool),
      wasm_memory_persistence: Opt(Variant({ keep: Null, replace: Null })),
    }),
  ),
});

const statusResult = Record({
  status: Variant({ running: Null, stopping: Null, stopped: Null }),
  ready_for_migration: Bool,
  version: Nat64,
  settings: definiteSettings,
  module_hash: Opt(Blob),
  memory_size: Nat,
  memory_metrics: Record({
    wasm_memory_size: Nat,
    stable_memory_size: Nat,
    global_memory_size: Nat,
    wasm_binary_size: Nat,
    custom_sections_size: Nat,
    canister_history_size: Nat,
    wasm_chunk_store_size: Nat,
    snapshots_size: Nat,
    log_memory_store_size: Nat,
  }),
  cycles: Nat,
  reserved_cycles: Nat,
  idle_cycles_burned_per_day: Nat,
  query_stats: Record({
    num_calls_total: Nat,
    num_instructions_total: Nat,
    request_payload_bytes_total: Nat,
    response_payload_bytes_total: Nat,
  }),
});

const canisterId = Record({ canister_id: Principal });
const senderVersion = Opt(Nat64);
const chunkHash = Record({ hash: Blob });

interface Signature {
  readonly arg: readonly IDL.Type[];
  readonly result: readonly IDL.Type[];
}

export const methods = {
  create_canister: {
    arg: [Record({ settings: Opt(settings), sender_canister_version: senderVersion })],
    result: [canisterId],
  },
  provisional_create_canister_with_cycles: {
    arg: [
      Record({
        amount: Opt(Nat),
        settings: Opt(settings),
        specified_id: Opt(Principal),
        sender_canister_version: senderVersion,
      }),
    ],
    result: [canisterId],
  },
  provisional_top_up_canister: { arg: [Record({ canister_id: Principal, amount: Nat })], result: [] },
  update_settings: {
    arg: [Record({ canister_id: Principal, settings, sender_canister_version: senderVersion })],
    result: [],
  },
  install_code: {
    arg: [
      Record({
        mode: installMode,
        canister_id: Principal,
        wasm_module: Blob,
        arg: Blob,
        sender_canister_version: senderVersion,
      }),
    ],
    result: [],
  },
  install_chunked_code: {
    arg: [
      Record({
        mode: installMode,
        target_canister: Principal,
        store_canister: Opt(Principal),
        chunk_hashes_list: Vec(chunkHash),
        wasm_module_hash: Blob,
        arg: Blob,
        sender_canister_version: senderVersion,
      }),
    ],
    result: [],
  },
  upload_chunk: { arg: [Record({ canister_id: Principal, chunk: Blob })], result: [chunkHash] },
  stored_chunks: { arg: [canisterId], result: [Vec(chunkHash)] },
  clear_chunk_store: { arg: [canisterId], result: [] },
  uninstall_code: { arg: [Record({ canister_id: Principal, sender_canister_version: senderVersion })], result: [] },
  start_canister: { arg: [canisterId], result: [] },
  stop_canister: { arg: [canisterId], result: [] },
  delete_canister: { arg: [canisterId], result: [] },
  canister_status: { arg: [canisterId], result: [statusResult] },
  deposit_cycles: { arg: [canisterId], result: [] },
  raw_rand: { arg: [], result: [Blob] },
} satisfies Record<string, Signature>;

export type MethodName = keyof typeof methods;

export const NO_SETTINGS = {
  controllers: [],
  compute_allocation: [],
  memory_allocation: [],
  freezing_threshold: [],
  reserved_cycles_limit: [],
  minimum_incoming_canister_call_cycles: [],
  log_visibility: [],
  snapshot_visibility: [],
  status_visibility: [],
  wasm_memory_limit: [],
  wasm_memory_threshold: [],
  environment_variables: [],
};
