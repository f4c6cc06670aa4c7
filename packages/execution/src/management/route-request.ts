// The first thing that happens to a canister's request to the management canister: whose it is to answer. A request
// that names no method, states a wrong version or names nothing that could be found is rejected here, in the words of
// the replica's routing, before any method sees it. Checklist 4.1; there is one subnet so far.
import { isInRanges } from "@atoll/state";
import {
  type CanisterId,
  errorCodeText,
  MANAGEMENT_CANISTER,
  principalToText,
  RejectCode,
  type Request,
  rejectCodeOf,
  type UserError,
} from "@atoll/types";
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

/** Undefined when the request may go to its method. */
export function unroutable(round: Round, request: Request): Refusal | undefined {
  const method = managementMethod(request.methodName);
  if (method === undefined) return refusedWithCode(unknownMethod(request.methodName));
  return versionRefusal(method, request) ?? destinationRefusal(round, method, request);
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

function destinationRefusal(round: Round, { takes }: ManagementMethod, request: Request): Refusal | undefined {
  const { methodName, arg, receiver } = request;
  // Whoever names the subnet has found it.
  if (receiver !== MANAGEMENT_CANISTER || AT_HOME.has(methodName) || takes === "nothing") return undefined;
  const decoded = decodeArgument<Record<string, unknown>>(takes, arg);
  if (!decoded.ok) {
    const description = JSON.stringify(decoded.error.message);
    return noRoute(methodName, `UserError(UserError { code: InvalidManagementPayload, description: ${description} })`);
  }
  const { canister_id, target_canister, subnet_id, key_id } = decoded.value;
  if (key_id !== undefined) return keyRefusal(round, methodName, key_id as KeyArg["key_id"]);
  const { config } = round.state;
  if (typeof subnet_id === "string" && subnet_id !== config.subnetId) {
    const message = `No route to canister ${principalToText(subnet_id as CanisterId)}`;
    return { code: RejectCode.DESTINATION_INVALID, message };
  }
  const id = (canister_id ?? target_canister) as CanisterId | undefined;
  if (id === undefined || isInRanges(config, id)) return undefined;
  return noRoute(methodName, `SubnetNotFound(CanisterId(${principalToText(id)}), ${nameInRust(methodName)})`);
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
