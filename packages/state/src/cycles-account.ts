// What a canister's cycles were consumed for, and the charge for storage and compute as time passes. Every ten seconds
// of subnet time all canisters are charged at once, but that moment is only noted (`charges`): a canister pays for all
// of them when it is next touched, at the rate of the time when it last changed. The amounts are the same as if it
// had paid each time, and ten thousand idle canisters cost a round nothing. Reserved cycles pay first. Checklist 5.2.
import { type Cycles, NS_PER_SECOND, type Time } from "@atoll/types";
import type { CanisterState, ConsumedCycles, IdleBurn } from "./canister-state.ts";
import type { SubnetState } from "./subnet-state.ts";

const SECONDS_PER_DAY = 86_400n;

/** Counts `amount` as consumed by the canister. Taking it off a balance is the caller's. */
export function noteConsumption(
  state: Pick<SubnetState, "metrics">,
  canister: Pick<CanisterState, "consumed">,
  useCase: keyof ConsumedCycles,
  amount: Cycles,
): void {
  canister.consumed[useCase] += amount;
  state.metrics.consumedCycles += amount;
}

/** What storage (messages included) and compute cost from `chargedAt` to the last charge. */
export function allocationCost(
  charges: readonly Time[],
  chargedAt: Time,
  burn: IdleBurn,
): { readonly storage: Cycles; readonly compute: Cycles } {
  let storage = 0n;
  let compute = 0n;
  for (const [seconds, count] of periods(charges, chargedAt)) {
    storage += count * (part(burn.memory, seconds) + part(burn.messageMemory, seconds));
    compute += count * part(burn.compute, seconds);
  }
  return { storage, compute };
}

function part(perDay: Cycles, seconds: bigint): Cycles {
  return (perDay * seconds) / SECONDS_PER_DAY;
}

/** The whole seconds between charges since `chargedAt`, each length with how often it occurs: mostly one length. */
function periods(charges: readonly Time[], chargedAt: Time): Map<bigint, bigint> {
  const found = new Map<bigint, bigint>();
  let first = charges.length;
  while (first > 0 && (charges[first - 1] as Time) > chargedAt) first--;
  let since = chargedAt;
  for (const time of charges.slice(first)) {
    const seconds = (time - since) / NS_PER_SECOND;
    found.set(seconds, (found.get(seconds) ?? 0n) + 1n);
    since = time;
  }
  return found;
}

/**
 * Pays what the canister owes for storage and compute. False: it has not enough and still owes it; the next charge takes
 * its code away. Waits for the end of an execution of many rounds, which may have spent what the balance still shows.
 */
export function settleCharges(state: SubnetState, canister: CanisterState): boolean {
  const last = state.charges.at(-1);
  if (last === undefined || last <= canister.chargedAt || canister.pendingExecution !== undefined) return true;
  const { storage, compute } = allocationCost(state.charges, canister.chargedAt, canister.idleBurn);
  const cost = state.config.costSchedule === "free" ? 0n : storage + compute;
  if (cost > canister.cycles + canister.reservedCycles) return false;
  takeReservedFirst(canister, cost);
  noteConsumption(state, canister, "memory", storage);
  noteConsumption(state, canister, "computeAllocation", compute);
  canister.chargedAt = last;
  return true;
}

/** Takes `amount`, which there must be, off the reserved balance and then off the main one. */
export function takeReservedFirst(canister: Pick<CanisterState, "cycles" | "reservedCycles">, amount: Cycles): void {
  const reserved = amount < canister.reservedCycles ? amount : canister.reservedCycles;
  canister.reservedCycles -= reserved;
  canister.cycles -= amount - reserved;
}
