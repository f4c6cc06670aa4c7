// delete_canister_snapshot: frees what only the snapshot holds; what the canister or other snapshots share with it stays.
// Specification, "IC method delete_canister_snapshot"; checklist 4.5.
import { removeSnapshot } from "@atoll/state";
import { memoryMetrics } from "../round.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { ownSnapshot, payForMemory } from "./canister-snapshots.ts";
import { controlledCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { type SnapshotIdArg, SnapshotIdRecord } from "./snapshot-candid.ts";

export function deleteCanisterSnapshot(call: ManagementCall): MethodResult {
  const { state } = call.round;
  const decoded = decodeArgument<SnapshotIdArg>(SnapshotIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  const snapshot = ownSnapshot(call, canister, decoded.value.snapshot_id);
  if (isUserError(snapshot)) return failed(snapshot);
  const error = payForMemory(call, canister, 0, memoryMetrics(state, canister).total - snapshot.size);
  if (error !== undefined) return failed(error);
  removeSnapshot(state, canister, snapshot);
  return { ok: true, reply: EMPTY_REPLY };
}
