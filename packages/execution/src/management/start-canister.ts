// start_canister: a stopped canister takes calls again; one that was still stopping never stopped, and those who
// asked for it are told so. Specification, "IC method start_canister".
import { touch } from "@atoll/state";
import { cancelStopCalls } from "../lifecycle.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { controlledOrAdministeredCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function startCanister(call: ManagementCall): MethodResult {
  const { round } = call;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledOrAdministeredCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  const waiters = canister.status.kind === "stopping" ? canister.status.waiters : [];
  canister.status = { kind: "running" };
  canister.version++;
  touch(round.state, canister);
  cancelStopCalls(round, canister, waiters);
  return { ok: true, reply: EMPTY_REPLY };
}
