// clear_chunk_store: forgets all uploaded chunks. Specification, "IC method clear_chunk_store".
// For the canister itself and its controllers; the store then costs nothing any more.
import { touch } from "@atoll/state";
import { EMPTY_REPLY, type MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type CanisterIdArg, CanisterIdRecord } from "./candid-types.ts";
import { controlledOrOwnCanister, failed, isUserError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

export function clearChunkStore(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<CanisterIdArg>(CanisterIdRecord, call.arg);
  if (!decoded.ok) return decoded;
  const canister = controlledOrOwnCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  canister.chunkStore = new Map();
  touch(call.round.state, canister);
  return { ok: true, reply: EMPTY_REPLY };
}
