// deposit_cycles: a canister gives the cycles it attaches to any canister, in whatever state that is.
// Specification, "IC method deposit_cycles".
import { credit } from "../call-contexts.ts";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { failed } from "./managed-canister.ts";
import { canisterNotFound } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";

export function depositCycles(call: ManagementCall): MethodResult {
  const { round, payment } = call;
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = round.state.canisters.get(decoded.value.canister_id);
  if (canister === undefined) return failed(canisterNotFound(decoded.value.canister_id));
  credit(round, canister, payment);
  return { ok: true, reply: EMPTY_REPLY, cyclesUsed: payment };
}
