// What the snapshot methods share: finding a snapshot, who may look at it, and what it costs a canister to hold more.
// Checklist 4.5, instruction-costs 7.
import { type CanisterSnapshot, type CanisterState, canisterOfSnapshot, noteConsumption, touch } from "@atoll/state";
import {
  type CanisterId,
  ErrorCode,
  MAX_SNAPSHOTS,
  type PrincipalId,
  principalToText,
  toHex,
  type UserError,
  userError,
} from "@atoll/types";
import { outOfCycles } from "../prepayment.ts";
import { reservationFor, reserveCycles, takenMemory } from "../reserve-memory.ts";
import { freezingThreshold } from "../round.ts";
import { type Opt, undecodable } from "./candid-argument.ts";
import { type Access, isVisibleTo } from "./managed-canister.ts";
import { canisterNotFound } from "./management-errors.ts";
import type { ManagementCall } from "./method.ts";
import { snapshotNotFound, snapshotOfAnother, snapshotOutOfCycles, tooManySnapshots } from "./snapshot-errors.ts";

/** Instructions that taking and loading take beside one for each byte. */
export const SNAPSHOT_BASE = 2_000_000_000;
/** Instructions that reading takes beside one for each byte. */
export const READ_BASE = 5_000_000;

/** The canister, if the caller may see its snapshots. */
export function canisterWithVisibleSnapshots(
  { round, sender }: ManagementCall,
  id: CanisterId,
  methodName: string,
): CanisterState | UserError {
  const canister = round.state.canisters.get(id);
  if (canister === undefined) return canisterNotFound(id);
  return snapshotsError(canister, sender, methodName) ?? canister;
}

/** Why the caller may not see what snapshots a canister has, or undefined. */
export function snapshotsError({ settings }: Access, caller: PrincipalId, methodName: string): UserError | undefined {
  if (settings.controllers.includes(caller) || isVisibleTo(caller, settings.snapshotVisibility)) return undefined;
  const sentence = `Caller ${principalToText(caller)} is not allowed to call ${methodName}`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

/** A snapshot by its id, with the canister that it belongs to; undefined when there is none. */
export function findSnapshot(
  call: ManagementCall,
  id: Uint8Array,
): { readonly owner: CanisterState; readonly snapshot: CanisterSnapshot } | undefined {
  const ownerId = canisterOfSnapshot(id);
  const owner = ownerId && call.round.state.canisters.get(ownerId);
  const snapshot = owner?.snapshots.get(toHex(id));
  return owner === undefined || snapshot === undefined ? undefined : { owner, snapshot };
}

/** The canister's own snapshot of that id. */
export function ownSnapshot(
  call: ManagementCall,
  canister: CanisterState,
  id: Uint8Array,
): CanisterSnapshot | UserError {
  if (canisterOfSnapshot(id) === undefined) return undecodable(`${toHex(id)} is no snapshot ID`).error;
  const found = findSnapshot(call, id);
  if (found === undefined) return snapshotNotFound(canister.id, toHex(id));
  return found.owner === canister ? found.snapshot : snapshotOfAnother(canister.id, toHex(id));
}

/** The snapshot that a new one replaces, if it does; an error when there is no room for a new one. */
export function snapshotToReplace(
  call: ManagementCall,
  canister: CanisterState,
  [id]: Opt<Uint8Array>,
): CanisterSnapshot | UserError | undefined {
  if (id !== undefined) return ownSnapshot(call, canister, id);
  return canister.snapshots.size >= MAX_SNAPSHOTS ? tooManySnapshots(canister.id, MAX_SNAPSHOTS) : undefined;
}

/** Takes `instructions` off the balance, which must stay above the freezing threshold. */
export function payInstructions(
  call: ManagementCall,
  canister: CanisterState,
  instructions: number,
): UserError | undefined {
  const { round } = call;
  touch(round.state, canister);
  const needed = freezingThreshold(round, canister) + round.fees.managementInstructions(instructions);
  if (canister.cycles < needed) return snapshotOutOfCycles(outOfCycles(canister, needed, call.sender).message);
  charge(call, canister, instructions);
  return undefined;
}

function charge({ round }: ManagementCall, canister: CanisterState, instructions: number): void {
  canister.cycles -= round.fees.managementInstructions(instructions);
  noteConsumption(round.state, canister, "instructions", round.fees.nominal.managementInstructions(instructions));
  round.instructionsLeft -= instructions;
}

/** As `payInstructions`, for an operation after which the canister uses `memoryBytes`. */
export function payForMemory(
  call: ManagementCall,
  canister: CanisterState,
  instructions: number,
  memoryBytes: number,
): UserError | undefined {
  const { round } = call;
  touch(round.state, canister);
  const cost = round.fees.managementInstructions(instructions);
  const taken = takenMemory(round, canister, memoryBytes);
  if (typeof taken !== "number") return taken;
  const needed = freezingThreshold(round, canister, memoryBytes) + cost;
  if (canister.cycles < needed) return snapshotOutOfCycles(outOfCycles(canister, needed, call.sender).message);
  const amount = reservationFor(round, canister, taken, canister.cycles - cost);
  if (typeof amount !== "bigint") return amount;
  charge(call, canister, instructions);
  reserveCycles(canister, amount);
  return undefined;
}
