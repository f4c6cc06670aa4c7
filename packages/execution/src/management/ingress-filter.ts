// What the node that a user calls checks before it takes a message for the management canister: so that nobody fills
// blocks with calls that are bound to be refused. Also finds the canister that such a call is about, which decides
// where it is routed and who pays. Checklist 1.9, 4.1.

import { type CanisterId, ErrorCode, type PrincipalId, principalToText, type UserError, userError } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { decodeArgument } from "./candid-argument.ts";
import { notAController } from "./management-errors.ts";
import { managementMethods } from "./methods.ts";

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
  readonly controllersOf: (id: CanisterId) => readonly PrincipalId[] | undefined;
  readonly provisional: boolean;
  /** True for those whom a canister's settings let see its status beside its controllers. */
  readonly maySeeStatus?: (id: CanisterId, caller: PrincipalId) => boolean;
}

export interface ManagementIngress {
  readonly sender: PrincipalId;
  readonly methodName: string;
  readonly arg: Uint8Array;
}

/** Methods that a subnet admin may call too, where there are any: the refusal names all who may. */
const FOR_ADMINS_TOO: ReadonlySet<string> = new Set([
  "canister_status",
  "start_canister",
  "uninstall_code",
  "stop_canister",
  "delete_canister",
  "canister_metrics",
]);

/** Undefined when the message may be taken. */
export function filterManagementIngress(facts: ManagementFacts, message: ManagementIngress): UserError | undefined {
  const { methodName, sender, arg } = message;
  const refuse = (sentence: string): UserError => userError(ErrorCode.CanisterRejectedMessage, sentence);
  const method = Object.hasOwn(managementMethods, methodName) ? managementMethods[methodName] : undefined;
  if (method === undefined || method.from === "canisters") {
    return refuse(`Only canisters can call ic00 method ${methodName}`);
  }
  if (methodName === "fetch_canister_logs") {
    return refuse("fetch_canister_logs API is not accessible via ingress in replicated mode");
  }
  if (methodName.startsWith("provisional_")) {
    const isAllowed = facts.provisional;
    return isAllowed
      ? undefined
      : refuse(`Caller ${principalToText(sender)} is not allowed to call ic00 method ${methodName}`);
  }
  const id = effectiveCanisterId(methodName, arg);
  if (id === undefined || id === "any") {
    const sentence = `Failed to decode payload for ic00 method: ${methodName}`;
    return userError(ErrorCode.InvalidManagementPayload, sentence);
  }
  const controllers = facts.controllersOf(id);
  if (controllers === undefined) {
    return userError(ErrorCode.CanisterNotFound, `Canister ${principalToText(id)} not found`);
  }
  if (controllers.includes(sender)) return undefined;
  if (methodName === "canister_status" && facts.maySeeStatus?.(id, sender) === true) return undefined;
  if (FOR_ADMINS_TOO.has(methodName)) return notAController(id, controllers, sender);
  return userError(
    ErrorCode.CanisterInvalidController,
    `Only controllers of canister ${principalToText(id)} can call ic00 method ${methodName}`,
  );
}
