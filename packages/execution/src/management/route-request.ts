// The first thing that happens to a canister's request to the management canister: whose it is to answer. A request
// that names no method, states a wrong version or names nothing that could be found is rejected here, in the words of
// the replica's routing, before any method sees it. What is about a canister of another subnet goes there. Checklist 4.1.
import {
  type CanisterId,
  errorCodeText,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  principalToText,
  RejectCode,
  type Request,
  rejectCodeOf,
  type UserError,
} from "@atoll/types";
import { hostOf } from "../outgoing.ts";
import type { Round } from "../round.ts";
import { decodeArgument, isEmptyTuple, type Opt } from "./candid-argument.ts";
import { wrongSenderVersion } from "./managed-canister.ts";
import { unknownMethod } from "./management-errors.ts";
import type { ManagementMethod } from "./method.ts";
import { managementMethod } from "./methods.ts";
import { type KeyArg, keyText } from "./threshold-keys.ts";

export interface Refusal {
  readonly code: RejectCode;
  readonly message: string;
}

/** The subnet whose management canister is to answer, or why there is none. */
export function resolveDestination(round: Round, request: Request): PrincipalId | Refusal {
  const method = managementMethod(request.methodName);
  if (method === undefined) return refusedWithCode(unknownMethod(request.methodName));
  return versionRefusal(method, request) ?? destinationOf(round, method, request);
}

/** What the sender's own system says, with the code of the error. */
function refusedWithCode({ code, message }: UserError): Refusal {
  return { code: rejectCodeOf(code), message: `${errorCodeText(code)}: ${message}` };
}

const STATES_VERSION: ReadonlySet<string> = new Set([
  "create_canister",
  "provisional_create_canister_with_cycles",
  "update_settings",
  "install_code",
  "install_chunked_code",
  "uninstall_code",
  "load_canister_snapshot",
  "rename_canister",
]);

function versionRefusal({ takes }: ManagementMethod, request: Request): Refusal | undefined {
  const isOldCreation = request.methodName === "create_canister" && isEmptyTuple(request.arg);
  if (!STATES_VERSION.has(request.methodName) || takes === "nothing" || isOldCreation) return undefined;
  const decoded = decodeArgument<{ readonly sender_canister_version: Opt<bigint> | bigint }>(takes, request.arg);
  if (!decoded.ok) return refusedWithCode(decoded.error);
  const { sender_canister_version: given } = decoded.value;
  const stated = typeof given === "bigint" ? given : given[0];
  const error = wrongSenderVersion(stated, request.senderVersion);
  return error && { code: rejectCodeOf(error.code), message: error.message };
}

/** Whatever they are asked, they are answered by the sender's own subnet. */
const AT_HOME: ReadonlySet<string> = new Set([
  "create_canister",
  "provisional_create_canister_with_cycles",
  "raw_rand",
  "http_request",
]);

function destinationOf(round: Round, { takes }: ManagementMethod, request: Request): PrincipalId | Refusal {
  const { methodName, arg, receiver } = request;
  const { config, topology } = round.state;
  if (receiver !== MANAGEMENT_CANISTER) {
    // Only canisters of the root subnet may say which subnet they mean.
    if (config.subnetId === topology.rootSubnetId) return receiver;
    return noRoute(methodName, `AlreadyResolved(${principalToText(receiver)})`);
  }
  if (AT_HOME.has(methodName) || takes === "nothing") return config.subnetId;
  const decoded = decodeArgument<Record<string, unknown>>(takes, arg);
  if (!decoded.ok) {
    const description = JSON.stringify(decoded.error.message);
    return noRoute(methodName, `UserError(UserError { code: InvalidManagementPayload, description: ${description} })`);
  }
  const { canister_id, target_canister, subnet_id, key_id } = decoded.value;
  if (key_id !== undefined) return keyRefusal(round, methodName, key_id as KeyArg["key_id"]) ?? config.subnetId;
  if (typeof subnet_id === "string") {
    if (topology.subnets.some((subnet) => subnet.subnetId === subnet_id)) return subnet_id as PrincipalId;
    const message = `No route to canister ${principalToText(subnet_id as CanisterId)}`;
    return { code: RejectCode.DESTINATION_INVALID, message };
  }
  const id = (canister_id ?? target_canister) as CanisterId | undefined;
  if (id === undefined) return config.subnetId;
  const missing = `SubnetNotFound(CanisterId(${principalToText(id)}), ${nameInRust(methodName)})`;
  return hostOf(round, id) ?? noRoute(methodName, missing);
}

function noRoute(methodName: string, why: string): Refusal {
  const message = `Unable to route management canister request ${methodName}: ${why}`;
  return { code: RejectCode.DESTINATION_INVALID, message };
}

/** Names of keys that the public network knows pass: what there is to say of those, the method says. */
function keyRefusal({ fees }: Round, methodName: string, key: KeyArg["key_id"]): Refusal | undefined {
  if (fees.signature(key.name) !== undefined) return undefined;
  const isPublicKey = methodName.endsWith("_public_key");
  const what = isPublicKey ? "unknown threshold key" : "unknown or disabled threshold key";
  const existing = isPublicKey ? "existing keys" : "existing enabled keys";
  const sentence = `Requested ${what}: ${keyText(key)}, ${existing}: []`;
  return noRoute(methodName, `ChainKeyError(${JSON.stringify(sentence)})`);
}

/** The replica looks these up together. */
const AS_DEPOSIT = ["canister_status", "start_canister", "stop_canister", "delete_canister"];

function nameInRust(methodName: string): string {
  const name = AS_DEPOSIT.includes(methodName) ? "deposit_cycles" : methodName;
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
