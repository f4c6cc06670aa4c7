// The management canister `aaaaa-aa`: a table from method name to one file each. It has no state of its own; it is
// the subnet's way of letting canisters and users act on canisters. Specification, "The IC management canister".
import type { ManagementCaller } from "@atoll/state";
import { ErrorCode, userError } from "@atoll/types";
import type { Round } from "../round.ts";
import { answerManagementCall } from "./answer.ts";
import { managementMethods } from "./methods.ts";

export function executeManagementCall(
  round: Round,
  caller: ManagementCaller,
  methodName: string,
  arg: Uint8Array,
): void {
  const sender = caller.kind === "ingress" ? caller.sender : caller.request.sender;
  const payment = caller.kind === "ingress" ? 0n : caller.request.payment;
  const method = Object.hasOwn(managementMethods, methodName) ? managementMethods[methodName] : undefined;
  if (method === undefined) {
    answerManagementCall(round, caller, {
      ok: false,
      error: userError(ErrorCode.CanisterMethodNotFound, `Management canister has no method '${methodName}'`),
    });
    return;
  }
  if (caller.kind === "ingress" && method.from === "canisters") {
    answerManagementCall(round, caller, {
      ok: false,
      error: userError(ErrorCode.CanisterRejectedMessage, `Only canisters can call ic00 method ${methodName}`),
    });
    return;
  }
  const result = method.run({ round, caller, sender, arg, payment });
  if (result !== "later") answerManagementCall(round, caller, result);
}
