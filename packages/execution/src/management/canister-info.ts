// canister_info: what any canister may know of any other: its controllers, the hash of its module and what happened
// to both. Specification, "IC method canister_info"; checklist 4.4.
import type { CanisterState, HistoryEntry } from "@atoll/state";
import { fromHex } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { candidPrincipal, decodeArgument, encodeReply } from "./candid-argument.ts";
import { type CanisterInfoArg, CanisterInfoArgRecord, CanisterInfoRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { canisterNotFound } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function canisterInfo({ round, arg }: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterInfoArg>(CanisterInfoArgRecord, arg);
  if (!decoded.ok) return decoded;
  const canister = round.state.canisters.get(decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  const [changes = 0n] = decoded.value.num_requested_changes;
  return { ok: true, reply: infoReply(canister, changes) };
}

function infoReply({ history, execution, settings }: CanisterState, changes: bigint): Uint8Array {
  const { total, entries } = history;
  const shown = changes > BigInt(entries.length) ? entries.length : Number(changes);
  return encodeReply(CanisterInfoRecord, {
    total_num_changes: BigInt(total),
    recent_changes: entries.slice(entries.length - shown).map(changeOf),
    module_hash: execution === undefined ? [] : [fromHex(execution.moduleHash)],
    controllers: settings.controllers.map(candidPrincipal),
  });
}

function changeOf({ time, canisterVersion, origin, change }: HistoryEntry): object {
  return {
    timestamp_nanos: time,
    canister_version: BigInt(canisterVersion),
    origin: originOf(origin),
    details: detailsOf(change),
  };
}

function originOf(origin: HistoryEntry["origin"]): object {
  if (origin.kind === "user") return { from_user: { user_id: candidPrincipal(origin.userId) } };
  const { canisterId, canisterVersion } = origin;
  return {
    from_canister: {
      canister_id: candidPrincipal(canisterId),
      canister_version: canisterVersion === undefined ? [] : [BigInt(canisterVersion)],
    },
  };
}

function detailsOf(change: HistoryEntry["change"]): object {
  switch (change.kind) {
    case "creation": {
      const { controllers, environmentVariablesHash: hash } = change;
      return {
        creation: {
          controllers: controllers.map(candidPrincipal),
          environment_variables_hash: hash === undefined ? [] : [fromHex(hash)],
        },
      };
    }
    case "code_uninstall":
      return { code_uninstall: null };
    case "code_deployment":
      return { code_deployment: { mode: { [change.mode]: null }, module_hash: fromHex(change.moduleHash) } };
    case "load_snapshot": {
      const { fromCanisterId: from } = change;
      return {
        load_snapshot: {
          from_canister_id: from === undefined ? [] : [candidPrincipal(from)],
          snapshot_id: fromHex(change.snapshotId),
          canister_version: BigInt(change.canisterVersion),
          taken_at_timestamp: change.takenAt,
          source: { [change.source]: null },
        },
      };
    }
    case "controllers_change":
      return { controllers_change: { controllers: change.controllers.map(candidPrincipal) } };
  }
}
