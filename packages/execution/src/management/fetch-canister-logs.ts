// fetch_canister_logs: what a canister printed and why it trapped. Users ask it in queries
// (../query/management-query.ts); in a round it is refused. Specification, "IC method fetch_canister_logs".
import type { CanisterSettings, LogRecord } from "@atoll/state";
import { type CanisterId, ErrorCode, type PrincipalId, userError } from "@atoll/types";
import type { MethodResult } from "./answer.ts";
import { encodeReply } from "./candid-argument.ts";
import { CanisterLogs, type FetchCanisterLogsArg } from "./candid-types.ts";
import { failed, isVisibleTo } from "./managed-canister.ts";
import { logsNotVisible } from "./management-errors.ts";

export function fetchCanisterLogs(): MethodResult {
  const sentence = "fetch_canister_logs API is only accessible to end users in non-replicated mode";
  return failed(userError(ErrorCode.CanisterRejectedMessage, sentence));
}

interface Logged {
  readonly id: CanisterId;
  readonly settings: CanisterSettings;
}

/** The logs of a canister for `caller`, as far as the filter of the request lets them through. */
export function logsReply(
  { settings }: Logged,
  records: readonly LogRecord[],
  { caller, filter }: { readonly caller: PrincipalId; readonly filter: FetchCanisterLogsArg["filter"] },
): MethodResult {
  const isAllowed = settings.controllers.includes(caller) || isVisibleTo(caller, settings.logVisibility);
  if (!isAllowed) return failed(logsNotVisible(caller));
  const shown = records.filter((record) => isWithin(record, filter));
  const canister_log_records = shown.map(({ index, time, content }) => ({
    idx: index,
    timestamp_nanos: time,
    content,
  }));
  return { ok: true, reply: encodeReply(CanisterLogs, { canister_log_records }) };
}

/** From `start` up to but not including `end`. */
function isWithin({ index, time }: LogRecord, [filter]: FetchCanisterLogsArg["filter"]): boolean {
  if (filter === undefined) return true;
  if ("by_idx" in filter) return filter.by_idx.start <= index && index < filter.by_idx.end;
  return filter.by_timestamp_nanos.start <= time && time < filter.by_timestamp_nanos.end;
}
