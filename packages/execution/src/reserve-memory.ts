// More memory for a canister outside of its own executions: chunks, snapshots, code that was installed, a larger
// allocation. The subnet must have it, the canister must not be frozen by it, and where the subnet is rather full, cycles
// that pay for it in advance move to the reserved balance. Checklist 3.5, 5.3.
import type { CanisterState } from "@atoll/state";
import type { Cycles, UserError } from "@atoll/types";
import {
  memoryCapacityExceeded,
  reservedLimitExceededToGrow,
  tooFewCyclesToGrow,
} from "./management/management-errors.ts";
import { availableMemory, storageReservation } from "./resource-usage.ts";
import { freezingThreshold, memoryMetrics, type Round } from "./round.ts";

/** Makes room for `bytes` more; why there is none, with nothing changed. */
export function reserveMemory(round: Round, canister: CanisterState, bytes: number): UserError | undefined {
  const taken = takenMemory(round, canister, memoryMetrics(round.state, canister).total + bytes);
  if (typeof taken !== "number") return taken;
  const amount = reservationFor(round, canister, taken, canister.cycles);
  if (typeof amount !== "bigint") return amount;
  reserveCycles(canister, amount);
  return undefined;
}

/** Bytes beyond what the canister has and was promised once it uses `after`; why it must not. */
export function takenMemory(round: Round, canister: CanisterState, after: number): number | UserError {
  const promised = Number(canister.settings.memoryAllocation);
  const before = memoryMetrics(round.state, canister).total;
  const taken = Math.max(0, Math.max(after, promised) - Math.max(before, promised));
  const available = availableMemory(round);
  if (taken > available) return memoryCapacityExceeded(BigInt(taken), BigInt(available));
  const threshold = freezingThreshold(round, canister, after);
  return canister.cycles < threshold ? tooFewCyclesToGrow(taken, threshold - canister.cycles) : taken;
}

/** Cycles to be reserved for memory that is taken, out of `balance`; why they cannot be. */
export function reservationFor(
  round: Round,
  { reservedCycles, settings }: CanisterState,
  taken: number,
  balance: Cycles,
): Cycles | UserError {
  const amount = storageReservation(round, taken);
  const reserved = reservedCycles + amount;
  const limit = settings.reservedCyclesLimit;
  if (amount > 0n && reserved > limit) return reservedLimitExceededToGrow(taken, limit, reserved - limit);
  return balance < amount ? tooFewCyclesToGrow(taken, amount - balance) : amount;
}

/** Moves cycles from the main balance to the one that pays for storage and compute alone. */
export function reserveCycles(canister: CanisterState, amount: Cycles): void {
  canister.cycles -= amount;
  canister.reservedCycles += amount;
}
