// The management canister `aaaaa-aa`: a table from method name to one file each. It has no state of its own; it is
// the subnet's way of letting canisters and users act on canisters. Specification, "The IC management canister".
import type { ManagementCaller } from "@atoll/state";
import { ErrorCode, errorCodeText, type PrincipalId, principalToText, type UserError, userError } from "@atoll/types";
import { hostOf } from "../outgoing.ts";
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
  const misplaced = caller.kind === "canister" ? wrongSenderSubnet(round, methodName, sender) : undefined;
  if (misplaced !== undefined) {
    refuse(misplaced);
    return;
  }
  const result = method.run({ round, caller, sender, arg, payment });
  if (result !== "later") answerManagementCall(round, caller, result);
}

/** Answered for canisters of the same subnet, and of the root subnet. */
const NEARBY: ReadonlySet<string> = new Set(["create_canister", "raw_rand", "http_request"]);

function wrongSenderSubnet(round: Round, methodName: string, sender: PrincipalId): UserError | undefined {
  if (!NEARBY.has(methodName)) return undefined;
  const host = hostOf(round, sender);
  const { config, topology } = round.state;
  if (host === config.subnetId || host === topology.rootSubnetId || host === undefined) return undefined;
  const sentence = `Incorrect sender subnet id: ${principalToText(host)}. Sender should be on the same subnet or on the NNS subnet.`;
  return userError(ErrorCode.CanisterContractViolation, sentence);
}

function isClosedToUsers({ open }: ManagementMethod, { state }: Round): boolean {
  return open === "canisters" || (open === "canisters and admins" && state.config.subnetAdmins === undefined);
}
