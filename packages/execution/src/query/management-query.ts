// What the management canister answers in queries, to users and to composite queries: one node says what its certified
// state says. Specification, "The IC management canister" (methods marked `query`); checklist 4.1, channel Q.
import {
  type CanisterId,
  ErrorCode,
  type PrincipalId,
  type QueryResult,
  type UserError,
  userError,
} from "@atoll/types";
import type { MethodResult } from "../management/answer.ts";
import { candidPrincipal, decodeArgument, encodeReply, isCandid, undecodable } from "../management/candid-argument.ts";
import {
  type CanisterIdArg,
  CanisterIdRecord,
  CanisterRanges,
  type FetchCanisterLogsArg,
  FetchCanisterLogsRecord,
} from "../management/candid-types.ts";
import { metricsReply } from "../management/canister-metrics.ts";
import { statusReply } from "../management/canister-status.ts";
import { logsReply } from "../management/fetch-canister-logs.ts";
import { controllerOrAdminError, failed, statusError } from "../management/managed-canister.ts";
import { canisterNotFound, notASubnetAdmin } from "../management/management-errors.ts";
import type { QueryExecutor } from "./query-executor.ts";
import { type QueryCanister, queryCanister } from "./query-state.ts";

interface ManagementQuery {
  readonly executor: QueryExecutor;
  readonly sender: PrincipalId;
  readonly arg: Uint8Array;
}

const managementQueries: Readonly<Record<string, (query: ManagementQuery) => MethodResult>> = {
  canister_status: canisterStatus,
  canister_metrics: canisterMetrics,
  fetch_canister_logs: fetchCanisterLogs,
  list_canisters: listCanisters,
};

export function executeManagementQuery(methodName: string, query: ManagementQuery): QueryResult {
  const method = Object.hasOwn(managementQueries, methodName) ? managementQueries[methodName] : undefined;
  if (method === undefined) {
    return rejected(userError(ErrorCode.CanisterMethodNotFound, `Query method ${methodName} not found.`));
  }
  const result = method(query);
  return result.ok ? { kind: "replied", reply: result.reply } : rejected(result.error);
}

function rejected(error: UserError): QueryResult {
  return { kind: "rejected", error };
}

function canisterStatus({ executor, sender, arg }: ManagementQuery): MethodResult {
  const { state, fees } = executor;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, arg);
  if (!decoded.ok) return decoded;
  const canister = queryCanister(state, decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  const refusal = statusError(canister.view, state.config.subnetAdmins, sender);
  return refusal === undefined ? { ok: true, reply: statusReply(fees, canister.view) } : failed(refusal);
}

function canisterMetrics({ executor, sender, arg }: ManagementQuery): MethodResult {
  const { state } = executor;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, arg);
  if (!decoded.ok) return decoded;
  const canister = queryCanister(state, decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  const refusal = controllerOrAdminError(canister.view, state.config.subnetAdmins, sender);
  return refusal === undefined ? { ok: true, reply: metricsReply(canister.view.consumed) } : failed(refusal);
}

function fetchCanisterLogs({ executor, sender, arg }: ManagementQuery): MethodResult {
  const decoded = decodeArgument<FetchCanisterLogsArg>(FetchCanisterLogsRecord, arg);
  if (!decoded.ok) return decoded;
  const { canister_id: id, filter } = decoded.value;
  const canister: QueryCanister | undefined = executor.state.canisters.get(id);
  if (canister === undefined) return failed(canisterNotFound(id));
  return logsReply(canister.view, canister.logs, { caller: sender, filter });
}

/** All canisters of the subnet, as ranges of neighbouring ids. For its admins, so rarely that sorting them will do. */
function listCanisters({ executor, sender, arg }: ManagementQuery): MethodResult {
  if (!isCandid(arg)) return undecodable("the argument is not Candid");
  const { canisters, config } = executor.state;
  const { subnetAdmins: admins } = config;
  if (admins === undefined) {
    const sentence = "list_canisters is only available on subnets with subnet admins";
    return failed(userError(ErrorCode.CanisterRejectedMessage, sentence));
  }
  if (!admins.includes(sender)) return failed(notASubnetAdmin(admins, sender));
  const ranges: { start: CanisterId; end: CanisterId }[] = [];
  for (const id of [...canisters.keys()].sort()) {
    const last = ranges.at(-1);
    if (last !== undefined && indexOf(last.end) + 1n === indexOf(id)) last.end = id;
    else ranges.push({ start: id, end: id });
  }
  const shown = ranges.map(({ start, end }) => ({ start: candidPrincipal(start), end: candidPrincipal(end) }));
  return { ok: true, reply: encodeReply(CanisterRanges, { canisters: shown }) };
}

function indexOf(id: CanisterId): bigint {
  return BigInt(`0x${id.slice(0, 16)}`);
}
