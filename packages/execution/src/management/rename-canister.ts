// rename_canister: the last step of moving a canister to another subnet, for the migration canister of the network's
// root subnet and nobody else. Specification, "IC method rename_canister"; moving canisters is not in this version.
import { type CanisterId, ErrorCode, principalToText, userError } from "@atoll/types";
import { hostOf } from "../outgoing.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument } from "./candid-argument.ts";
import { type RenameCanisterArg, RenameCanisterRecord } from "./candid-types.ts";
import { controlledCanister, failed, isUserError, senderVersionError } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";

/** sbzkb-zqaaa-aaaaa-aaaiq-cai */
const MIGRATION_CANISTER = "00000000000000110101" as CanisterId;

export function renameCanister(call: ManagementCall): MethodResult {
  const { sender } = call;
  if (!isOnRootSubnet(call)) {
    const sentence = `rename_canister is called by ${principalToText(sender)}. It can only be called by NNS.`;
    return failed(userError(ErrorCode.CanisterContractViolation, sentence));
  }
  const decoded = decodeArgument<RenameCanisterArg>(RenameCanisterRecord, call.arg);
  if (!decoded.ok) return decoded;
  const versionError = senderVersionError(call, [decoded.value.sender_canister_version]);
  if (versionError !== undefined) return failed(versionError);
  const canister = controlledCanister(call, decoded.value.canister_id);
  if (isUserError(canister)) return failed(canister);
  const sentence =
    sender === MIGRATION_CANISTER
      ? "rename_canister is not available in this version of Atoll"
      : "The caller is not authorized to call this method.";
  return failed(userError(ErrorCode.CanisterRejectedMessage, sentence));
}

function isOnRootSubnet({ round, sender }: ManagementCall): boolean {
  return hostOf(round, sender) === round.state.topology.rootSubnetId;
}
