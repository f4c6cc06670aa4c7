// The management canister `aaaaa-aa`: a table from method name to one file each. It has no state of its own; it is
// the subnet's way of letting canisters and users act on canisters. Specification, "The IC management canister".
import type { ManagementCaller } from "@atoll/state";
import { ErrorCode, errorCodeText, type UserError, userError } from "@atoll/types";
import type { Round } from "../round.ts";
import { answerManagementCall } from "./answer.ts";
import { unknownMethod } from "./management-errors.ts";
import type { ManagementMethod } from "./method.ts";
import { managementMethod } from "./methods.ts";

export function executeManagementCall(
  round: Round,
  caller: ManagementCaller,
  methodName: string,
  arg: Uint8Array,
): void {
  const sender = caller.kind === "ingress" ? caller.sender : caller.request.sender;
  const payment = caller.kind === "ingress" ? 0n : caller.request.payment;
  const refuse = (error: UserError): void => answerManagementCall(round, caller, { ok: false, error });
  const method = managementMethod(methodName);
  if (method === undefined) {
    const { code, message } = unknownMethod(methodName);
    // Found on the side of a calling canister, and there errors show their code.
    refuse(userError(code, caller.kind === "canister" ? `${errorCodeText(code)}: ${message}` : message));
    return;
  }
  // The filter lets no such message into a block.
  if (caller.kind === "ingress" && isClosedToUsers(method, round)) {
    refuse(userError(ErrorCode.CanisterContractViolation, `${methodName} cannot be called by a user.`));
    return;
  }
  const result = method.run({ round, caller, sender, arg, payment });
  if (result !== "later") answerManagementCall(round, caller, result);
}

function isClosedToUsers({ open }: ManagementMethod, { state }: Round): boolean {
  return open === "canisters" || (open === "canisters and admins" && state.config.subnetAdmins === undefined);
}
