// What the snapshot methods answer when they refuse, worded as the replica does, because tools look for parts of these
// texts. Checklist 4.5, 6.4.
import { type CanisterId, ErrorCode, type PrincipalId, principalToText, type UserError, userError } from "@atoll/types";
import { advised } from "./management-errors.ts";

const SEE_LIST = "Use the `list_canister_snapshot` API to see which snapshots are present.";

/** Advice whose link the replica gives without its address. */
function withBareLink(advice: string, topic: string): string {
  return `${advice} See documentation: ${topic}`;
}

export function snapshotNotFound(canister: CanisterId, snapshot: string): UserError {
  return advised(
    ErrorCode.CanisterSnapshotNotFound,
    `Could not find the snapshot ID ${snapshot} for canister ${principalToText(canister)}.`,
    SEE_LIST,
    "canister-snapshot-not-found",
  );
}

export function snapshotOfAnother(canister: CanisterId, snapshot: string): UserError {
  return advised(
    ErrorCode.CanisterRejectedMessage,
    `The snapshot ${snapshot} does not belong to canister ${principalToText(canister)}.`,
    SEE_LIST,
    "canister-snapshot-invalid-ownership",
  );
}

export function snapshotNotControlled(canister: CanisterId, snapshot: string, sender: PrincipalId): UserError {
  return advised(
    ErrorCode.CanisterRejectedMessage,
    `Only a controller of the canister that snapshot ${snapshot} belongs to can load it on canister ` +
      `${principalToText(canister)}. Sender: ${principalToText(sender)}.`,
    withBareLink(
      "Make sure you are a controller of the canister that the snapshot belongs to.",
      "canister-snapshot-not-controller",
    ),
  );
}

export function nothingToSnapshot(canister: CanisterId): UserError {
  const sentence = `Failed to create snapshot for empty canister ${principalToText(canister)}:`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

export function tooManySnapshots(canister: CanisterId, limit: number): UserError {
  return advised(
    ErrorCode.CanisterRejectedMessage,
    `Canister ${principalToText(canister)} has reached the maximum number of snapshots allowed: ${limit}.`,
    withBareLink(
      "Consider deleting an unnecessary snapshot of the specified canister before creating a new one.",
      "canister-snapshot-limit-exceeded",
    ),
  );
}

export function snapshotOutOfCycles(reason: string): UserError {
  return advised(
    ErrorCode.CanisterOutOfCycles,
    `Canister snapshotting failed with: \`${reason}\``,
    withBareLink("Try sending more cycles with the request.", "canister-snapshot-not-enough-cycles"),
  );
}

export function snapshotImmutable(): UserError {
  const sentence = "Only canister snapshots created by metadata upload can be mutated.";
  return userError(ErrorCode.CanisterSnapshotImmutable, sentence);
}

export function snapshotInconsistent(sentence: string): UserError {
  return userError(ErrorCode.InvalidManagementPayload, sentence);
}

export function invalidSlice(offset: bigint, size: bigint): UserError {
  return userError(
    ErrorCode.InvalidManagementPayload,
    `Invalid subslice into wasm module / main memory / stable memory: offset: ${offset}, size: ${size}`,
  );
}

export function sliceTooLarge(requested: bigint, allowed: number): UserError {
  return userError(ErrorCode.InvalidManagementPayload, `Requested slice too large: ${requested} > ${allowed}`);
}
