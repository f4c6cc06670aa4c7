// provisional_top_up_canister: cycles out of nowhere, on development networks. Specification, same name.
// Anybody may call it where the subnet allows provisional methods at all.
import { credit } from "../call-contexts.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type ProvisionalTopUpArg, ProvisionalTopUpRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { canisterNotFound, provisionalNotAllowed } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function provisionalTopUpCanister(call: ManagementCall): MethodResult {
  const { round } = call;
  const decoded = decodeArgument<ProvisionalTopUpArg>(ProvisionalTopUpRecord, call.arg);
  if (!decoded.ok) return decoded;
  if (!round.state.config.provisional) return failed(provisionalNotAllowed());
  const canister = round.state.canisters.get(decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  credit(round, canister, decoded.value.amount);
  return { ok: true, reply: EMPTY_REPLY };
}
