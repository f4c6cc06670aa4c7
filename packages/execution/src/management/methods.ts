// The table of the management canister's methods: name, to whom it is open, what it takes, what it does. One line, one
// file. Specification, "The IC management canister"; checklist 4.1.
import type { IDL } from "@icp-sdk/core/candid";
import {
  bitcoinGetBalance,
  bitcoinGetBlockHeaders,
  bitcoinGetFeePercentiles,
  bitcoinGetUtxos,
  bitcoinSendTransaction,
} from "./bitcoin.ts";
import * as types from "./candid-types.ts";
import { canisterInfo } from "./canister-info.ts";
import { canisterMetadata } from "./canister-metadata.ts";
import { canisterMetrics } from "./canister-metrics.ts";
import { canisterStatus } from "./canister-status.ts";
import { clearChunkStore } from "./clear-chunk-store.ts";
import { createCanister } from "./create-canister.ts";
import { deleteCanister } from "./delete-canister.ts";
import { deleteCanisterSnapshot } from "./delete-canister-snapshot.ts";
import { depositCycles } from "./deposit-cycles.ts";
import { fetchCanisterLogs } from "./fetch-canister-logs.ts";
import { httpRequest } from "./http-request.ts";
import { installChunkedCode } from "./install-chunked-code.ts";
import { installCodeMethod } from "./install-code.ts";
import { listCanisterSnapshots } from "./list-canister-snapshots.ts";
import { loadCanisterSnapshot } from "./load-canister-snapshot.ts";
import type { ManagementMethod, Openness } from "./method.ts";
import { nodeMetricsHistory } from "./node-metrics-history.ts";
import { HttpRequestRecord } from "./outcall-candid.ts";
import { provisionalCreateCanisterWithCycles } from "./provisional-create-canister-with-cycles.ts";
import { provisionalTopUpCanister } from "./provisional-top-up-canister.ts";
import { rawRand } from "./raw-rand.ts";
import { readCanisterSnapshotData } from "./read-canister-snapshot-data.ts";
import { readCanisterSnapshotMetadata } from "./read-canister-snapshot-metadata.ts";
import { renameCanister } from "./rename-canister.ts";
import { SetupInitialDkgRecord, setupInitialDkg } from "./setup-initial-dkg.ts";
import * as snapshots from "./snapshot-candid.ts";
import { startCanister } from "./start-canister.ts";
import { stopCanister } from "./stop-canister.ts";
import { storedChunks } from "./stored-chunks.ts";
import { subnetInfo } from "./subnet-info.ts";
import { takeCanisterSnapshot } from "./take-canister-snapshot.ts";
import { ecdsaKeys, schnorrKeys, vetkdKeys } from "./threshold-keys.ts";
import { uninstallCode } from "./uninstall-code.ts";
import { updateSettings } from "./update-settings.ts";
import { uploadCanisterSnapshotData } from "./upload-canister-snapshot-data.ts";
import { uploadCanisterSnapshotMetadata } from "./upload-canister-snapshot-metadata.ts";
import { uploadChunk } from "./upload-chunk.ts";

function method(open: Openness, takes: IDL.Type | "nothing", run: ManagementMethod["run"]): ManagementMethod {
  return { open, takes, run };
}

export const managementMethods: Readonly<Record<string, ManagementMethod>> = {
  // Canisters and their settings.
  create_canister: method("canisters and admins", types.CreateCanisterRecord, createCanister),
  update_settings: method("controllers", types.UpdateSettingsRecord, updateSettings),
  canister_status: method("status viewers", types.CanisterIdRecord, canisterStatus),
  canister_metrics: method("controllers and admins", types.CanisterIdRecord, canisterMetrics),
  canister_info: method("canisters", types.CanisterInfoArgRecord, canisterInfo),
  canister_metadata: method("canisters", types.CanisterMetadataArgRecord, canisterMetadata),
  start_canister: method("controllers and admins", types.CanisterIdRecord, startCanister),
  stop_canister: method("controllers and admins", types.CanisterIdRecord, stopCanister),
  delete_canister: method("controllers and admins", types.CanisterIdRecord, deleteCanister),
  deposit_cycles: method("canisters", types.CanisterIdRecord, depositCycles),
  rename_canister: method("canisters", types.RenameCanisterRecord, renameCanister),
  fetch_canister_logs: method("queries", types.FetchCanisterLogsRecord, fetchCanisterLogs),

  // Code.
  install_code: method("controllers", types.InstallCodeRecord, installCodeMethod),
  install_chunked_code: method("controllers", types.InstallChunkedCodeRecord, installChunkedCode),
  upload_chunk: method("controllers", types.UploadChunkRecord, uploadChunk),
  stored_chunks: method("controllers", types.CanisterIdRecord, storedChunks),
  clear_chunk_store: method("controllers", types.CanisterIdRecord, clearChunkStore),
  uninstall_code: method("controllers and admins", types.VersionedCanisterRecord, uninstallCode),

  // Snapshots.
  take_canister_snapshot: method("controllers", snapshots.TakeSnapshotRecord, takeCanisterSnapshot),
  load_canister_snapshot: method("controllers", snapshots.LoadSnapshotRecord, loadCanisterSnapshot),
  list_canister_snapshots: method("snapshot viewers", types.CanisterIdRecord, listCanisterSnapshots),
  delete_canister_snapshot: method("controllers", snapshots.SnapshotIdRecord, deleteCanisterSnapshot),
  read_canister_snapshot_metadata: method("snapshot viewers", snapshots.SnapshotIdRecord, readCanisterSnapshotMetadata),
  read_canister_snapshot_data: method("snapshot viewers", snapshots.ReadSnapshotDataRecord, readCanisterSnapshotData),
  upload_canister_snapshot_metadata: method(
    "controllers",
    snapshots.UploadSnapshotMetadataRecord,
    uploadCanisterSnapshotMetadata,
  ),
  upload_canister_snapshot_data: method("controllers", snapshots.UploadSnapshotDataRecord, uploadCanisterSnapshotData),

  // Randomness, keys, the outside world.
  raw_rand: method("canisters", "nothing", rawRand),
  http_request: method("canisters", HttpRequestRecord, httpRequest),
  ...ecdsaKeys,
  ...schnorrKeys,
  ...vetkdKeys,
  bitcoin_get_balance: bitcoinGetBalance,
  bitcoin_get_utxos: bitcoinGetUtxos,
  bitcoin_get_current_fee_percentiles: bitcoinGetFeePercentiles,
  bitcoin_get_block_headers: bitcoinGetBlockHeaders,
  bitcoin_send_transaction: bitcoinSendTransaction,

  // The subnet.
  node_metrics_history: method("canisters", types.NodeMetricsHistoryArgRecord, nodeMetricsHistory),
  subnet_info: method("canisters", types.SubnetInfoArgRecord, subnetInfo),
  setup_initial_dkg: method("canisters", SetupInitialDkgRecord, setupInitialDkg),

  // Development networks.
  provisional_create_canister_with_cycles: method(
    "development",
    types.ProvisionalCreateRecord,
    provisionalCreateCanisterWithCycles,
  ),
  provisional_top_up_canister: method("development", types.ProvisionalTopUpRecord, provisionalTopUpCanister),
};

/** The method of that name, if there is one: "toString" is none. */
export function managementMethod(name: string): ManagementMethod | undefined {
  return Object.hasOwn(managementMethods, name) ? managementMethods[name] : undefined;
}
