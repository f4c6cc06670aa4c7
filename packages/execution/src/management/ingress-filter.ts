// What the node that a user calls checks before it takes a message for the management canister: so that nobody fills
// blocks with calls that are bound to be refused. Also finds the canister that such a call is about, which decides
// where it is routed and who pays. Checklist 1.9, 4.1; order and words are the replica's.
import {
  type CanisterId,
  ErrorCode,
  errorCodeText,
  type PrincipalId,
  principalToText,
  type UserError,
  userError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { decodeArgument, isCandid, undecodable } from "./candid-argument.ts";
import { snapshotsError } from "./canister-snapshots.ts";
import { type Access, controllerOrAdminError, statusError } from "./managed-canister.ts";
import { notASubnetAdmin } from "./management-errors.ts";
import type { ManagementMethod, Openness } from "./method.ts";
import { managementMethod } from "./methods.ts";

/** Their argument names no existing canister. */
const WITHOUT_CANISTER: ReadonlySet<string> = new Set([
  "create_canister",
  "provisional_create_canister_with_cycles",
  "list_canisters",
]);

/** The canister that decides where a call is handled: "any" when the method has none, undefined when none is named. */
export function effectiveCanisterId(methodName: string, arg: Uint8Array): CanisterId | "any" | undefined {
  if (WITHOUT_CANISTER.has(methodName)) return "any";
  const field = methodName === "install_chunked_code" ? "target_canister" : "canister_id";
  const decoded = decodeArgument<Record<string, CanisterId>>(IDL.Record({ [field]: IDL.Principal }), arg);
  return decoded.ok ? decoded.value[field] : undefined;
}

/** What the filter needs to know of the subnet. */
export interface ManagementFacts {
  /** Undefined when there is no such canister. */
  readonly canister: (id: CanisterId) => Access | undefined;
  /** Undefined when the canister can pay for taking in the message. */
  readonly unpaid: (id: CanisterId, message: ManagementIngress) => UserError | undefined;
  readonly provisional: boolean;
  readonly subnetAdmins: readonly PrincipalId[] | undefined;
}

export interface ManagementIngress {
  readonly sender: PrincipalId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly byteSize: number;
}

/** Changing settings may unfreeze a canister, so a small call of update_settings is charged after it was made. */
const MAX_DELAYED_CHARGE_BYTES = 338;

/** True for calls that no canister has to be able to pay for beforehand. */
export function isChargedLater({ methodName, arg }: Pick<ManagementIngress, "methodName" | "arg">): boolean {
  return methodName === "update_settings" && arg.length <= MAX_DELAYED_CHARGE_BYTES;
}

/** True for calls that cost nobody anything: they make canisters and cycles out of nothing, or are the admins'. */
export function isFree({ methodName }: Pick<ManagementIngress, "methodName">): boolean {
  return methodName === "provisional_top_up_canister" || WITHOUT_CANISTER.has(methodName);
}

/** Undefined when the message may be taken. */
export function filterManagementIngress(facts: ManagementFacts, message: ManagementIngress): UserError | undefined {
  const method = managementMethod(message.methodName);
  if (method === undefined) {
    const sentence = `ic00 interface does not expose method ${message.methodName}`;
    return userError(ErrorCode.CanisterMethodNotFound, sentence);
  }
  const malformed = closedError(method, message) ?? argumentError(method, message);
  if (malformed !== undefined) return malformed;
  const id = isFree(message) ? undefined : effectiveCanisterId(message.methodName, message.arg);
  const canister = id === undefined || id === "any" ? undefined : facts.canister(id);
  if (id !== undefined && id !== "any") {
    if (canister === undefined) return notFound(id);
    const unpaid = isChargedLater(message) ? undefined : facts.unpaid(id, message);
    if (unpaid !== undefined) return unpaid;
  }
  return accessError(facts, method.open, canister, message);
}

/** Methods that tell of canisters: the replica reads their argument before it says that users may not ask. */
const READ_FIRST: ReadonlySet<string> = new Set(["canister_info", "canister_metadata", "rename_canister"]);

function closedError({ open }: ManagementMethod, { methodName }: ManagementIngress): UserError | undefined {
  const isClosed = (open === "canisters" && !READ_FIRST.has(methodName)) || open === "queries";
  return isClosed ? refused(`ic00 method ${methodName} can not be called via ingress messages`) : undefined;
}

function argumentError({ takes }: ManagementMethod, { methodName, arg }: ManagementIngress): UserError | undefined {
  // The creating methods are read when they are executed.
  if (WITHOUT_CANISTER.has(methodName)) return undefined;
  const decoded = takes === "nothing" ? readNothing(arg) : decodeArgument(takes, arg);
  if (decoded.ok) return undefined;
  const { code, message } = decoded.error;
  const sentence = `Failed to parse payload for ic00 method ${methodName}: ${errorCodeText(code)}: ${message}`;
  return userError(ErrorCode.InvalidManagementPayload, sentence);
}

function readNothing(arg: Uint8Array): ReturnType<typeof decodeArgument> {
  return isCandid(arg) ? { ok: true, value: undefined } : undecodable("the argument is not Candid");
}

function accessError(
  facts: ManagementFacts,
  open: Openness,
  canister: Access | undefined,
  { sender, methodName }: ManagementIngress,
): UserError | undefined {
  const { subnetAdmins: admins, provisional } = facts;
  const caller = (): string => principalToText(sender);
  switch (open) {
    case "canisters":
    case "queries":
      return refused(`Only canisters can call ic00 method ${methodName}`);
    case "canisters and admins":
      if (admins === undefined) return refused(`Only canisters can call ic00 method ${methodName}`);
      return admins.includes(sender) ? undefined : notASubnetAdmin(admins, sender);
    case "development":
      return provisional ? undefined : refused(`Caller ${caller()} is not allowed to call ic00 method ${methodName}`);
  }
  if (canister === undefined) return undefined;
  const { id, settings } = canister;
  switch (open) {
    case "controllers and admins":
      return controllerOrAdminError(canister, admins, sender);
    case "status viewers":
      return statusError(canister, admins, sender);
    case "snapshot viewers":
      return snapshotsError(canister, sender, methodName);
    case "controllers":
      return settings.controllers.includes(sender)
        ? undefined
        : userError(
            ErrorCode.CanisterInvalidController,
            `Only controllers of canister ${principalToText(id)} can call ic00 method ${methodName}`,
          );
  }
}

function notFound(id: CanisterId): UserError {
  return userError(ErrorCode.CanisterNotFound, `Canister ${principalToText(id)} not found`);
}

function refused(sentence: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}
