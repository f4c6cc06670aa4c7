// The management canister as its Candid file in the specification (0.66) describes it: what a client encodes and
// decodes. Written from ic.did, not from the implementation.
import { IDL } from "@icp-sdk/core/candid";
import { snapshotMethods } from "./snapshot-interface.ts";

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

const change = Record({
  timestamp_nanos: Nat64,
  canister_version: Nat64,
  origin: Variant({
    from_user: Record({ user_id: Principal }),
    from_canister: Record({ canister_id: Principal, canister_version: Opt(Nat64) }),
  }),
  details: Variant({
    creation: Record({ controllers: Vec(Principal), environment_variables_hash: Opt(Blob) }),
    code_uninstall: Null,
    code_deployment: Record({ mode: Variant({ install: Null, reinstall: Null, upgrade: Null }), module_hash: Blob }),
    load_snapshot: Record({
      from_canister_id: Opt(Principal),
      snapshot_id: Blob,
      canister_version: Nat64,
      taken_at_timestamp: Nat64,
      source: Variant({ taken_from_canister: IDL.Reserved, metadata_upload: IDL.Reserved }),
    }),
    controllers_change: Record({ controllers: Vec(Principal) }),
    rename_canister: Record({
      canister_id: Principal,
      total_num_changes: Nat64,
      rename_to: Record({ canister_id: Principal, version: Nat64, total_num_changes: Nat64 }),
      requested_by: Principal,
    }),
  }),
});

const cyclesConsumed = Record({
  memory: Nat,
  compute_allocation: Nat,
  ingress_induction: Nat,
  instructions: Nat,
  request_and_response_transmission: Nat,
  uninstall: Nat,
  canister_creation: Nat,
  http_outcalls: Nat,
  burned_cycles: Nat,
});

const httpHeader = Record({ name: Text, value: Text });
const httpResult = Record({ status: Nat, headers: Vec(httpHeader), body: Blob });
const httpRequest = Record({
  url: Text,
  max_response_bytes: Opt(Nat64),
  method: Variant({ get: Null, head: Null, post: Null, put: Null, delete: Null, patch: Null }),
  headers: Vec(httpHeader),
  body: Opt(Blob),
  transform: Opt(
    Record({
      function: IDL.Func([Record({ response: httpResult, context: Blob })], [httpResult], ["query"]),
      context: Blob,
    }),
  ),
  is_replicated: Opt(Bool),
});

const path = Vec(Blob);
const ecdsaKey = Record({ curve: Variant({ secp256k1: Null }), name: Text });
const schnorrKey = Record({ algorithm: Variant({ bip340secp256k1: Null, ed25519: Null }), name: Text });
const vetkdKey = Record({ curve: Variant({ bls12_381_g2: Null }), name: Text });
const aux = Variant({ bip341: Record({ merkle_root_hash: Blob }) });
const network = Variant({ mainnet: Null, testnet: Null });
const publicKey = Record({ public_key: Blob, chain_code: Blob });
const range = Record({ start: Nat64, end: Nat64 });

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
  canister_info: {
    arg: [Record({ canister_id: Principal, num_requested_changes: Opt(Nat64) })],
    result: [
      Record({
        total_num_changes: Nat64,
        recent_changes: Vec(change),
        module_hash: Opt(Blob),
        controllers: Vec(Principal),
      }),
    ],
  },
  canister_metadata: { arg: [Record({ canister_id: Principal, name: Text })], result: [Record({ value: Blob })] },
  canister_metrics: { arg: [canisterId], result: [Record({ cycles_consumed: cyclesConsumed })] },
  node_metrics_history: {
    arg: [Record({ subnet_id: Principal, start_at_timestamp_nanos: Nat64 })],
    result: [
      Vec(
        Record({
          timestamp_nanos: Nat64,
          node_metrics: Vec(
            Record({ node_id: Principal, num_blocks_proposed_total: Nat64, num_block_failures_total: Nat64 }),
          ),
        }),
      ),
    ],
  },
  subnet_info: {
    arg: [Record({ subnet_id: Principal })],
    result: [Record({ replica_version: Text, registry_version: Nat64 })],
  },
  rename_canister: {
    arg: [
      Record({
        canister_id: Principal,
        rename_to: Record({ canister_id: Principal, version: Nat64, total_num_changes: Nat64 }),
        requested_by: Principal,
        sender_canister_version: Nat64,
      }),
    ],
    result: [],
  },
  fetch_canister_logs: {
    // The filter is not in the specification; the replica has it.
    arg: [
      Record({
        canister_id: Principal,
        filter: Opt(Variant({ by_idx: range, by_timestamp_nanos: range })),
      }),
    ],
    result: [Record({ canister_log_records: Vec(Record({ idx: Nat64, timestamp_nanos: Nat64, content: Blob })) })],
  },
  list_canisters: { arg: [], result: [Record({ canisters: Vec(Record({ start: Principal, end: Principal })) })] },
  http_request: { arg: [httpRequest], result: [httpResult] },
  ecdsa_public_key: {
    arg: [Record({ canister_id: Opt(Principal), derivation_path: path, key_id: ecdsaKey })],
    result: [publicKey],
  },
  sign_with_ecdsa: {
    arg: [Record({ message_hash: Blob, derivation_path: path, key_id: ecdsaKey })],
    result: [Record({ signature: Blob })],
  },
  schnorr_public_key: {
    arg: [Record({ canister_id: Opt(Principal), derivation_path: path, key_id: schnorrKey })],
    result: [publicKey],
  },
  sign_with_schnorr: {
    arg: [Record({ message: Blob, derivation_path: path, key_id: schnorrKey, aux: Opt(aux) })],
    result: [Record({ signature: Blob })],
  },
  vetkd_public_key: {
    arg: [Record({ canister_id: Opt(Principal), context: Blob, key_id: vetkdKey })],
    result: [Record({ public_key: Blob })],
  },
  vetkd_derive_key: {
    arg: [Record({ input: Blob, context: Blob, transport_public_key: Blob, key_id: vetkdKey })],
    result: [Record({ encrypted_key: Blob })],
  },
  bitcoin_get_balance: {
    arg: [Record({ address: Text, network, min_confirmations: Opt(IDL.Nat32) })],
    result: [Nat64],
  },
  bitcoin_get_utxos: {
    arg: [Record({ address: Text, network, filter: Opt(Variant({ min_confirmations: IDL.Nat32, page: Blob })) })],
    result: [IDL.Reserved],
  },
  bitcoin_get_current_fee_percentiles: { arg: [Record({ network })], result: [Vec(Nat64)] },
  bitcoin_get_block_headers: {
    arg: [Record({ start_height: IDL.Nat32, end_height: Opt(IDL.Nat32), network })],
    result: [IDL.Reserved],
  },
  bitcoin_send_transaction: { arg: [Record({ transaction: Blob, network })], result: [] },
  ...snapshotMethods,
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
