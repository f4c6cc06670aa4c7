// An argument for each method of the management canister that is right in itself, about one canister.
import { SetupInitialDkgRecord } from "@atoll/execution/management/setup-initial-dkg";
import type { CanisterId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { MethodName } from "./interface.ts";
import { encode, NO_SETTINGS, principal, SUBNET } from "./subnet.ts";

const version = { sender_canister_version: [] };
const blob = new Uint8Array(32);
const mainnet = { network: { mainnet: null } };

function typed(id: CanisterId): Record<MethodName, unknown> {
  const canister_id = principal(id);
  const about = { canister_id };
  const ecdsa = { derivation_path: [], key_id: { curve: { secp256k1: null }, name: "key_1" } };
  const schnorr = { derivation_path: [], key_id: { algorithm: { ed25519: null }, name: "key_1" } };
  const vetkd = { context: blob, key_id: { curve: { bls12_381_g2: null }, name: "key_1" } };
  return {
    create_canister: { settings: [], ...version },
    provisional_create_canister_with_cycles: { amount: [], settings: [], specified_id: [], ...version },
    provisional_top_up_canister: { ...about, amount: 1n },
    update_settings: { ...about, settings: NO_SETTINGS, ...version },
    install_code: { ...about, mode: { install: null }, wasm_module: new Uint8Array(), arg: blob, ...version },
    install_chunked_code: {
      mode: { install: null },
      target_canister: canister_id,
      store_canister: [],
      chunk_hashes_list: [],
      wasm_module_hash: blob,
      arg: blob,
      ...version,
    },
    upload_chunk: { ...about, chunk: blob },
    stored_chunks: about,
    clear_chunk_store: about,
    uninstall_code: { ...about, ...version },
    start_canister: about,
    stop_canister: about,
    delete_canister: about,
    canister_status: about,
    canister_metrics: about,
    deposit_cycles: about,
    raw_rand: undefined,
    canister_info: { ...about, num_requested_changes: [] },
    canister_metadata: { ...about, name: "candid:service" },
    node_metrics_history: { subnet_id: principal(SUBNET), start_at_timestamp_nanos: 0n },
    subnet_info: { subnet_id: principal(SUBNET) },
    rename_canister: {
      ...about,
      rename_to: { ...about, version: 0n, total_num_changes: 0n },
      requested_by: canister_id,
      sender_canister_version: 0n,
    },
    fetch_canister_logs: { ...about, filter: [] },
    list_canisters: undefined,
    http_request: {
      url: "https://example.com",
      max_response_bytes: [],
      method: { get: null },
      headers: [],
      body: [],
      transform: [],
      is_replicated: [],
    },
    ecdsa_public_key: { canister_id: [], ...ecdsa },
    sign_with_ecdsa: { message_hash: blob, ...ecdsa },
    schnorr_public_key: { canister_id: [], ...schnorr },
    sign_with_schnorr: { message: blob, ...schnorr, aux: [] },
    vetkd_public_key: { canister_id: [], ...vetkd },
    vetkd_derive_key: { input: blob, transport_public_key: new Uint8Array(48).fill(0x80, 0, 1), ...vetkd },
    bitcoin_get_balance: { address: "", ...mainnet, min_confirmations: [] },
    bitcoin_get_utxos: { address: "", ...mainnet, filter: [] },
    bitcoin_get_current_fee_percentiles: mainnet,
    bitcoin_get_block_headers: { start_height: 0, end_height: [], ...mainnet },
    bitcoin_send_transaction: { transaction: blob, ...mainnet },
    take_canister_snapshot: { ...about, replace_snapshot: [], uninstall_code: [], ...version },
    load_canister_snapshot: { ...about, snapshot_id: blob, ...version },
    list_canister_snapshots: about,
    delete_canister_snapshot: { ...about, snapshot_id: blob },
    read_canister_snapshot_metadata: { ...about, snapshot_id: blob },
    read_canister_snapshot_data: { ...about, snapshot_id: blob, kind: { wasm_chunk: { hash: blob } } },
    upload_canister_snapshot_metadata: {
      ...about,
      replace_snapshot: [],
      wasm_module_size: 8n,
      globals: [],
      wasm_memory_size: 0n,
      stable_memory_size: 0n,
      certified_data: blob,
      global_timer: [],
      on_low_wasm_memory_hook_status: [],
    },
    upload_canister_snapshot_data: { ...about, snapshot_id: blob, kind: { wasm_chunk: null }, chunk: blob },
  };
}

/** Encoded, by method. */
export function sampleArgs(id: CanisterId): ReadonlyMap<string, Uint8Array> {
  const args = Object.entries(typed(id)).map(([name, arg]) => [name, encode(name as MethodName, arg)] as const);
  // Not in the interface that users know.
  const node = Principal.fromUint8Array(Uint8Array.of(1));
  const keys = IDL.encode([SetupInitialDkgRecord], [{ node_ids: [node], registry_version: 1n, subnet_id: [] }]);
  return new Map([...args, ["setup_initial_dkg", keys]]);
}
