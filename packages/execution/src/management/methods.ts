// The table of the management canister's methods: name, who may call, what it does. One line, one file.
// Specification, "The IC management canister"; checklist 4.1.
import { ErrorCode, userError } from "@atoll/types";
import { canisterStatus } from "./canister-status.ts";
import { clearChunkStore } from "./clear-chunk-store.ts";
import { createCanister } from "./create-canister.ts";
import { deleteCanister } from "./delete-canister.ts";
import { depositCycles } from "./deposit-cycles.ts";
import { installChunkedCode } from "./install-chunked-code.ts";
import { installCodeMethod } from "./install-code.ts";
import type { ManagementCall, ManagementMethod } from "./method.ts";
import { notAvailable } from "./not-available.ts";
import { provisionalCreateCanisterWithCycles } from "./provisional-create-canister-with-cycles.ts";
import { provisionalTopUpCanister } from "./provisional-top-up-canister.ts";
import { rawRand } from "./raw-rand.ts";
import { startCanister } from "./start-canister.ts";
import { stopCanister } from "./stop-canister.ts";
import { storedChunks } from "./stored-chunks.ts";
import { uninstallCode } from "./uninstall-code.ts";
import { updateSettings } from "./update-settings.ts";
import { uploadChunk } from "./upload-chunk.ts";

const forBoth = (run: ManagementMethod["run"]): ManagementMethod => ({ from: "both", run });
const forCanisters = (run: ManagementMethod["run"]): ManagementMethod => ({ from: "canisters", run });

export const managementMethods: Readonly<Record<string, ManagementMethod>> = {
  // Canisters and their settings.
  create_canister: forCanisters(createCanister),
  update_settings: forBoth(updateSettings),
  canister_status: forBoth(canisterStatus),
  start_canister: forBoth(startCanister),
  stop_canister: forBoth(stopCanister),
  delete_canister: forBoth(deleteCanister),
  deposit_cycles: forCanisters(depositCycles),
  canister_metrics: notAvailable("canister_metrics", "both"),
  canister_info: notAvailable("canister_info", "canisters"),
  canister_metadata: notAvailable("canister_metadata", "canisters"),
  fetch_canister_logs: forBoth(fetchCanisterLogs),

  // Code.
  install_code: forBoth(installCodeMethod),
  install_chunked_code: forBoth(installChunkedCode),
  upload_chunk: forBoth(uploadChunk),
  stored_chunks: forBoth(storedChunks),
  clear_chunk_store: forBoth(clearChunkStore),
  uninstall_code: forBoth(uninstallCode),

  // Snapshots.
  take_canister_snapshot: notAvailable("take_canister_snapshot", "both"),
  load_canister_snapshot: notAvailable("load_canister_snapshot", "both"),
  list_canister_snapshots: notAvailable("list_canister_snapshots", "both"),
  delete_canister_snapshot: notAvailable("delete_canister_snapshot", "both"),
  read_canister_snapshot_metadata: notAvailable("read_canister_snapshot_metadata", "both"),
  read_canister_snapshot_data: notAvailable("read_canister_snapshot_data", "both"),
  upload_canister_snapshot_metadata: notAvailable("upload_canister_snapshot_metadata", "both"),
  upload_canister_snapshot_data: notAvailable("upload_canister_snapshot_data", "both"),

  // Randomness, keys, the outside world.
  raw_rand: forCanisters(rawRand),
  http_request: notAvailable("http_request", "canisters"),
  ecdsa_public_key: notAvailable("ecdsa_public_key", "canisters"),
  sign_with_ecdsa: notAvailable("sign_with_ecdsa", "canisters"),
  schnorr_public_key: notAvailable("schnorr_public_key", "canisters"),
  sign_with_schnorr: notAvailable("sign_with_schnorr", "canisters"),
  vetkd_public_key: notAvailable("vetkd_public_key", "canisters"),
  vetkd_derive_key: notAvailable("vetkd_derive_key", "canisters"),
  bitcoin_get_balance: notAvailable("bitcoin_get_balance", "canisters"),
  bitcoin_get_utxos: notAvailable("bitcoin_get_utxos", "canisters"),
  bitcoin_get_current_fee_percentiles: notAvailable("bitcoin_get_current_fee_percentiles", "canisters"),
  bitcoin_get_block_headers: notAvailable("bitcoin_get_block_headers", "canisters"),
  bitcoin_send_transaction: notAvailable("bitcoin_send_transaction", "canisters"),

  // The subnet.
  node_metrics_history: notAvailable("node_metrics_history", "canisters"),
  subnet_info: notAvailable("subnet_info", "canisters"),

  // Development networks.
  provisional_create_canister_with_cycles: forBoth(provisionalCreateCanisterWithCycles),
  provisional_top_up_canister: forBoth(provisionalTopUpCanister),
};

/** Logs are read by queries. */
function fetchCanisterLogs(call: ManagementCall): ReturnType<ManagementMethod["run"]> {
  const sentence =
    call.caller.kind === "ingress"
      ? "fetch_canister_logs API is not accessible via ingress in replicated mode"
      : "fetch_canister_logs is not available to canisters";
  return { ok: false, error: userError(ErrorCode.CanisterRejectedMessage, sentence) };
}
