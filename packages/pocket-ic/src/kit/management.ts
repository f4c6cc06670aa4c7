// The management canister as the kit calls it: as any principal, mostly as a controller of the canister in question.
// The Candid types are those of the network's own methods. Interface specification, "The IC management canister".
import {
  CanisterIdRecord,
  CanisterStatusRecord,
  InstallChunkedCodeRecord,
  InstallCodeRecord,
  ProvisionalCreateRecord,
  UpdateSettingsRecord,
  UploadChunkRecord,
  VersionedCanisterRecord,
} from "@atoll/execution/management/candid-types";
import {
  LoadSnapshotRecord,
  SnapshotIdRecord,
  SnapshotRecord,
  SnapshotRecords,
  TakeSnapshotRecord,
} from "@atoll/execution/management/snapshot-candid";
import { type CanisterId, MANAGEMENT_CANISTER, type PrincipalId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { CanisterCall } from "../calls.ts";
import { toPrincipal } from "./principals.ts";
import type { Session } from "./session.ts";

/** What a method takes and gives; no type: nothing. */
interface Shape {
  readonly takes: IDL.Type;
  readonly gives?: IDL.Type;
}

const shapes = {
  provisional_create_canister_with_cycles: { takes: ProvisionalCreateRecord, gives: CanisterIdRecord },
  update_settings: { takes: UpdateSettingsRecord },
  canister_status: { takes: CanisterIdRecord, gives: CanisterStatusRecord },
  install_code: { takes: InstallCodeRecord },
  install_chunked_code: { takes: InstallChunkedCodeRecord },
  upload_chunk: { takes: UploadChunkRecord, gives: IDL.Record({ hash: IDL.Vec(IDL.Nat8) }) },
  clear_chunk_store: { takes: CanisterIdRecord },
  start_canister: { takes: CanisterIdRecord },
  stop_canister: { takes: CanisterIdRecord },
  delete_canister: { takes: CanisterIdRecord },
  uninstall_code: { takes: VersionedCanisterRecord },
  take_canister_snapshot: { takes: TakeSnapshotRecord, gives: SnapshotRecord },
  load_canister_snapshot: { takes: LoadSnapshotRecord },
  list_canister_snapshots: { takes: CanisterIdRecord, gives: SnapshotRecords },
  delete_canister_snapshot: { takes: SnapshotIdRecord },
} satisfies Record<string, Shape>;

export type ManagementMethodName = keyof typeof shapes;

/** Calls the method and waits. Rejects with CanisterReject. `subnet`: who takes a call that is about no canister. */
export async function manage<Result = void>(
  session: Session,
  sender: PrincipalId,
  method: ManagementMethodName,
  argument: unknown,
  subnet?: PrincipalId,
): Promise<Result> {
  const call = managementCall(sender, method, argument, subnet);
  const submitted = await session.submit(call, (reply) => decoded<Result>(method, reply));
  return submitted.answer();
}

/** The same in a query, where no round passes. */
export async function queryManagement<Result>(
  session: Session,
  sender: PrincipalId,
  method: "canister_status",
  id: CanisterId,
): Promise<Result> {
  return decoded<Result>(method, await session.query(managementCall(sender, method, { canister_id: toPrincipal(id) })));
}

function managementCall(
  sender: PrincipalId,
  method: ManagementMethodName,
  argument: unknown,
  subnet?: PrincipalId,
): CanisterCall {
  return {
    sender,
    receiver: MANAGEMENT_CANISTER,
    methodName: method,
    arg: IDL.encode([shapes[method].takes], [argument]),
    ...(subnet !== undefined && { effective: subnet }),
  };
}

function decoded<Result>(method: ManagementMethodName, reply: Uint8Array): Result {
  const { gives }: Shape = shapes[method];
  return (gives === undefined ? undefined : IDL.decode([gives], reply)[0]) as Result;
}
