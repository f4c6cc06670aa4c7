// list_canister_snapshots: what snapshots a canister has, oldest first, for whom its settings let see them.
// Specification, "IC method list_canister_snapshots"; checklist 4.5.
import type { MethodResult } from "./answer.ts";
import { decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { canisterWithVisibleSnapshots } from "./canister-snapshots.ts";
import { failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { SnapshotRecords } from "./snapshot-candid.ts";
import { shownSnapshot } from "./take-canister-snapshot.ts";

export function listCanisterSnapshots(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = canisterWithVisibleSnapshots(call, decoded.value.canister_id, "list_canister_snapshots");
  if (isUserError(canister)) return failed(canister);
  return { ok: true, reply: encodeReply(SnapshotRecords, [...canister.snapshots.values()].map(shownSnapshot)) };
}
