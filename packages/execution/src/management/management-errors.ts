// What the management canister answers when it refuses: code, sentence, advice and a link, worded as the replica does,
// because tools look for parts of these texts. Checklist 4.1, 6.4.
import { groupedCycles } from "@atoll/embedder";
import { type CanisterId, ErrorCode, type PrincipalId, principalToText, type UserError, userError } from "@atoll/types";

const DOCUMENTATION = "https://internetcomputer.org/docs/current/references/execution-errors#";
const INTERNAL =
  "This is an internal error on the IC. Please report it to IC devs on the forum: https://forum.dfinity.org";
const TOP_UP = "Top up the canister with more cycles.";

export function advised(code: ErrorCode, sentence: string, advice: string, topic?: string): UserError {
  const link = topic === undefined ? "" : ` See documentation: ${DOCUMENTATION}${topic}`;
  return userError(code, `${sentence}\n${advice}${link}`);
}

function text(ids: readonly PrincipalId[]): string {
  return ids.map(principalToText).join(" ");
}

export function unknownMethod(name: string): UserError {
  return userError(ErrorCode.CanisterMethodNotFound, `Management canister has no method '${name}'`);
}

export function canisterNotFound(id: CanisterId): UserError {
  const sentence = `Canister ${principalToText(id)} not found.`;
  return advised(
    ErrorCode.CanisterNotFound,
    sentence,
    "Check the ICP dashboard to ensure the canister exists.",
    "canister-not-found",
  );
}

export function notAController(
  canister: CanisterId,
  controllers: readonly PrincipalId[],
  sender: PrincipalId,
): UserError {
  return advised(
    ErrorCode.CanisterInvalidController,
    `Only the controllers of the canister ${principalToText(canister)} can control it.\n` +
      `Canister's controllers: ${text(controllers)}\nSender's ID: ${principalToText(sender)}`,
    "Execute this call from a controller of the target canister or add the current caller as a controller.",
    "invalid-controller",
  );
}

export function notAControllerOrAdmin(
  canister: CanisterId,
  {
    controllers,
    admins,
    caller,
  }: { controllers: readonly PrincipalId[]; admins: readonly PrincipalId[]; caller: PrincipalId },
): UserError {
  return advised(
    ErrorCode.CanisterInvalidControllerOrSubnetAdmin,
    `Only the controllers of the canister ${principalToText(canister)} or subnet admins can perform certain actions.\n` +
      `Canister's controllers: ${text(controllers)}\nSubnet admins: ${text(admins)}\n` +
      `Sender's ID: ${principalToText(caller)}`,
    "Execute this call from a controller of the target canister or subnet admin or add the current caller as a controller " +
      "or subnet admin.",
    "invalid-controller-subnet-admin",
  );
}

export function notASubnetAdmin(admins: readonly PrincipalId[], caller: PrincipalId): UserError {
  return advised(
    ErrorCode.InvalidSubnetAdmin,
    `Only the subnet admins can perform certain actions.\nSubnet admins: ${text(admins)}\n` +
      `Sender's ID: ${principalToText(caller)}`,
    "Execute this call from a subnet admin or add the current caller as a subnet admin.",
    "invalid-subnet-admin",
  );
}

export function canisterNotStopped(id: CanisterId): UserError {
  const sentence = `Canister ${principalToText(id)} must be stopped before it is deleted.`;
  return advised(
    ErrorCode.CanisterNotStopped,
    sentence,
    "Stop the canister before deleting it.",
    "delete-canister-not-stopped",
  );
}

export function canisterQueueNotEmpty(id: CanisterId): UserError {
  return advised(
    ErrorCode.CanisterQueueNotEmpty,
    `Canister ${principalToText(id)} has messages in its queues and cannot be deleted now. Please retry after some time.`,
    "Wait until the queues have been cleared to delete the canister and in the meantime stop the canister.",
    "delete-canister-queue-not-empty",
  );
}

export function canisterDeletesItself(id: CanisterId): UserError {
  return advised(
    ErrorCode.CanisterInvalidController,
    `Canister ${principalToText(id)} cannot delete itself.`,
    "Delete the canister from one of its other controllers.",
    "delete-canister-self",
  );
}

export function provisionalNotAllowed(): UserError {
  return advised(ErrorCode.CanisterMethodNotFound, "Sender not authorized to use method.", INTERNAL);
}

export function tooFewCyclesToCreate(sent: bigint, required: bigint): UserError {
  return advised(
    ErrorCode.InsufficientCyclesForCreateCanister,
    `Creating a canister requires a fee of ${groupedCycles(required)} that is deducted from the canister's initial balance ` +
      `but only ${groupedCycles(sent)} cycles were received with the create_canister request.`,
    "Try sending more cycles with the request.",
    "create-canister-not-enough-cycles",
  );
}

export function canisterExists(id: CanisterId): UserError {
  return advised(ErrorCode.CanisterAlreadyInstalled, `Canister ${principalToText(id)} is already installed.`, INTERNAL);
}

/** Of the ids that the subnet gives out itself, on a network where others can be asked for by name. */
export function givenOutHere(id: CanisterId): UserError {
  return advised(
    ErrorCode.InvalidManagementPayload,
    `The \`specified_id\` ${principalToText(id)} is invalid because it belongs to the canister allocation ranges of the ` +
      "test environment.",
    "Use a `specified_id` that matches a canister ID on the ICP mainnet and a test environment that supports canister " +
      "creation with `specified_id` (e.g., PocketIC).",
  );
}

export function notHostedHere(id: CanisterId, subnet: PrincipalId): UserError {
  return advised(
    ErrorCode.CanisterNotHostedBySubnet,
    `Unsuccessful validation of specified ID: Specified CanisterId ${principalToText(id)} is not hosted by subnet ` +
      `${principalToText(subnet)}.`,
    INTERNAL,
  );
}

export function outOfCanisterIds(): UserError {
  return advised(
    ErrorCode.SubnetOversubscribed,
    "Could not create canister. Subnet has surpassed its canister ID allocation.",
    "Try creating the canister on another subnet.",
    "subnet-out-of-canister-ids",
  );
}

export function tooManyCanisters(subnet: PrincipalId, limit: number): UserError {
  return advised(
    ErrorCode.MaxNumberOfCanistersReached,
    `Subnet ${principalToText(subnet)} has reached the allowed canister limit of ${limit} canisters. Retry creating the canister.`,
    "Try creating the canister on another subnet.",
    "maximum-number-of-canisters-reached",
  );
}

export function invalidSetting(sentence: string): UserError {
  return userError(ErrorCode.CanisterContractViolation, sentence);
}

export function computeCapacityExceeded(requested: number, available: number): UserError {
  return advised(
    ErrorCode.SubnetOversubscribed,
    `Canister requested a compute allocation of ${requested}% which cannot be satisfied because the Subnet's remaining ` +
      `compute capacity is ${available}%.`,
    "Try moving to another subnet.",
    "subnet-compute-capacity-oversubscribed",
  );
}

export function memoryCapacityExceeded(requested: bigint, available: bigint): UserError {
  return advised(
    ErrorCode.SubnetOversubscribed,
    `Canister requested ${inUnits(requested)} of memory but only ${inUnits(available)} are available in the subnet.`,
    "Try moving to another subnet.",
    "subnet-memory-capacity-oversubscribed",
  );
}

export function tooFewCyclesForCompute(allocation: number, missing: bigint): UserError {
  return advised(
    ErrorCode.InsufficientCyclesInComputeAllocation,
    `Cannot increase compute allocation to ${allocation}% due to insufficient cycles. At least ${groupedCycles(missing)} ` +
      "additional cycles are required.",
    TOP_UP,
    "insufficient-cycles-in-compute-allocation",
  );
}

export function tooFewCyclesForMemory(allocation: bigint, missing: bigint): UserError {
  return advised(
    ErrorCode.InsufficientCyclesInMemoryAllocation,
    `Cannot increase memory allocation to ${inUnits(allocation)} due to insufficient cycles. At least ` +
      `${groupedCycles(missing)} additional cycles are required.`,
    TOP_UP,
    "insufficient-cycles-in-memory-allocation",
  );
}

export function tooFewCyclesToGrow(bytes: number, missing: bigint): UserError {
  return advised(
    ErrorCode.InsufficientCyclesInMemoryGrow,
    `Canister cannot grow memory by ${bytes} bytes due to insufficient cycles. At least ${groupedCycles(missing)} additional ` +
      "cycles are required.",
    TOP_UP,
    "insufficient-cycles-in-memory-grow-1",
  );
}

const MORE_RESERVED =
  "Try increasing this canister's reserved cycles limit or moving it to a subnet with lower memory usage.";

export function reservedLimitExceededToGrow(bytes: number, limit: bigint, excess: bigint): UserError {
  return advised(
    ErrorCode.ReservedCyclesLimitExceededInMemoryGrow,
    `Canister cannot grow memory by ${bytes} bytes due to its reserved cycles limit. The current limit ` +
      `(${groupedCycles(limit)}) would be exceeded by ${groupedCycles(excess)}.`,
    MORE_RESERVED,
    "reserved-cycles-limit-exceeded-in-memory-grow",
  );
}

export function reservedLimitExceeded(allocation: bigint, limit: bigint, excess: bigint): UserError {
  return advised(
    ErrorCode.ReservedCyclesLimitExceededInMemoryAllocation,
    `Cannot increase memory allocation to ${inUnits(allocation)} due to its reserved cycles limit. The current limit ` +
      `(${groupedCycles(limit)}) would be exceeded by ${groupedCycles(excess)}.`,
    MORE_RESERVED,
    "reserved-cycles-limit-exceeded-in-memory-allocation",
  );
}

export function reservedLimitTooLow(reserved: bigint, limit: bigint): UserError {
  return advised(
    ErrorCode.ReservedCyclesLimitIsTooLow,
    `Cannot set the reserved cycles limit ${groupedCycles(limit)} below the reserved cycles balance of the canister ${groupedCycles(reserved)}.`,
    "Set the reserved cycles limit in the canister settings to a value that is at least the current reserved cycles balance.",
  );
}

export function logMemoryLimitTooHigh(asked: bigint, limit: bigint): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `The canister log memory limit ${asked} is too high. It must be at most ${limit}.`,
  );
}

export function noModuleForMetadata(id: CanisterId): UserError {
  const sentence = `The canister ${principalToText(id)} has no Wasm module and hence no metadata is available.`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

/** Also said of what the caller may not see. */
export function noSuchMetadata(id: CanisterId, name: string): UserError {
  const sentence = `The canister ${principalToText(id)} has no metadata section with the name ${name}.`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

export function otherSubnet(asked: PrincipalId, own: PrincipalId): UserError {
  return userError(
    ErrorCode.CanisterRejectedMessage,
    `Provided target subnet ID ${principalToText(asked)} does not match current subnet ID ${principalToText(own)}.`,
  );
}

export function logsNotVisible(caller: PrincipalId): UserError {
  const sentence = `Caller ${principalToText(caller)} is not allowed to access canister logs`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

export function installRateLimited(id: CanisterId): UserError {
  return advised(
    ErrorCode.CanisterInstallCodeRateLimited,
    `Canister ${principalToText(id)} is rate limited because it executed too many instructions in the previous ` +
      "install_code messages. Please retry installation after several minutes.",
    "Retry the installation at a later time.",
    "install-code-rate-limited",
  );
}

export function heapDeltaRateLimited(id: CanisterId, debit: number, limit: number): UserError {
  return advised(
    ErrorCode.CanisterHeapDeltaRateLimited,
    `Canister ${principalToText(id)} is heap delta rate limited: current delta debit is ${debit}, but limit is ${limit}.`,
    "Try waiting a few seconds before retrying the operation.",
    "canister-heap-delta-rate-limited",
  );
}

export function chunkStoreError(sentence: string): UserError {
  return advised(
    ErrorCode.CanisterContractViolation,
    `Error from Wasm chunk store: ${sentence}.`,
    "Use the `stored_chunks` API to check which hashes are present or top up the canister if it is low on cycles.",
    "wasm-chunk-store-error",
  );
}

export function installOutOfCycles(id: CanisterId, missing: bigint): UserError {
  return advised(
    ErrorCode.CanisterOutOfCycles,
    `Canister installation failed with \`Canister ${principalToText(id)} is out of cycles: please top up the canister ` +
      `with at least ${groupedCycles(missing)} additional cycles\`.`,
    TOP_UP,
    "install-code-not-enough-cycles",
  );
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function inUnits(bytes: bigint): string {
  let size = Number(bytes);
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return unit === 0 ? `${size} B` : `${size.toFixed(2)} ${UNITS[unit]}`;
}
