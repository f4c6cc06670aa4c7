// delete_canister: removes a stopped canister for good; its cycles are gone with it. Specification, "IC method
// delete_canister"; checklist 4.4.
import { forgetCanister, removeAllSnapshots, touch } from "@atoll/state";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { controlledOrAdministeredCanister, failed, isUserError } from "./managed-canister.ts";
import { canisterDeletesItself, canisterNotStopped, canisterQueueNotEmpty } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";
import { discardCode } from "./uninstall-code.ts";

export function deleteCanister(call: ManagementCall): MethodResult {
  const { round, sender } = call;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const id = decoded.value.canister_id;
  if (sender === id) return failed(canisterDeletesItself(id));
  const canister = controlledOrAdministeredCanister(call, id);
  if (isUserError(canister)) return failed(canister);
  if (canister.status.kind !== "stopped") return failed(canisterNotStopped(id));
  if (canister.input.length > 0) return failed(canisterQueueNotEmpty(id));
  touch(round.state, canister);
  round.state.metrics.consumedCycles += canister.cycles + canister.reservedCycles;
  discardCode(round, canister);
  removeAllSnapshots(round.state, canister);
  forgetCanister(round.state, id);
  return { ok: true, reply: EMPTY_REPLY };
}
