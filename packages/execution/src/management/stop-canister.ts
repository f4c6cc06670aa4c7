// stop_canister: no new calls from now on; answered once the open ones have ended (../lifecycle.ts).
// Specification, "IC method stop_canister".
import { touch } from "@atoll/state";
import { finishStopping } from "../lifecycle.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { controlledOrAdministeredCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function stopCanister(call: ManagementCall): MethodResult | "later" {
  const { round } = call;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledOrAdministeredCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  // Each call counts as a change, also of a canister that is stopping or has stopped.
  canister.version++;
  touch(round.state, canister);
  if (canister.status.kind === "stopped") return { ok: true, reply: EMPTY_REPLY };
  const waiting = canister.status.kind === "stopping" ? canister.status.waiters : [];
  canister.status = { kind: "stopping", waiters: [...waiting, { call: call.caller, since: round.state.time }] };
  touch(round.state, canister);
  finishStopping(round, canister);
  return "later";
}
