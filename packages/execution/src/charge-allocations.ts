// The charge for storage and compute, every ten seconds of subnet time at the end of a round. It is noted for the whole
// subnet; only canisters that it may leave without cycles, or that have not paid for long, pay at once. Who cannot pay
// loses code, memory and allocations, and what cycles there were. Checklist 5.2.
import {
  type CanisterState,
  indexCanister,
  noteConsumption,
  removeAllSnapshots,
  settleCharges,
  takeReservedFirst,
} from "@atoll/state";
import { NS_PER_SECOND } from "@atoll/types";
import { uninstall } from "./management/uninstall-code.ts";
import { CHARGES_KEPT_NS, measureUsage } from "./resource-usage.ts";
import type { Round } from "./round.ts";

const CHARGE_INTERVAL_NS = 10n * NS_PER_SECOND;

export function chargeAllocations(round: Round): void {
  const { state } = round;
  measureUsage(round);
  const last = state.charges.at(-1);
  if (last !== undefined && state.time < last + CHARGE_INTERVAL_NS) return;
  const due = state.paymentsDue.due(state.time).flatMap((id) => state.canisters.get(id) ?? []);
  // What they could pay before comes first.
  for (const canister of due) settleCharges(state, canister);
  state.charges.push(state.time);
  for (const canister of due) {
    if (!settleCharges(state, canister)) uninstallOutOfCycles(round, canister);
    indexCanister(state, canister);
  }
  const kept = state.charges.findIndex((time) => time > state.time - CHARGES_KEPT_NS);
  if (kept > 0) state.charges = state.charges.slice(kept);
  measureUsage(round);
}

function uninstallOutOfCycles(round: Round, canister: CanisterState): void {
  uninstall(round, canister);
  removeAllSnapshots(round.state, canister);
  canister.settings = { ...canister.settings, computeAllocation: 0, memoryAllocation: 0n };
  canister.history = { total: canister.history.total, entries: [] };
  burnBalance(round, canister);
  canister.chargedAt = round.state.time;
}

/** Takes everything that is left. */
function burnBalance({ state }: Round, canister: CanisterState): void {
  const left = canister.cycles + canister.reservedCycles;
  takeReservedFirst(canister, left);
  noteConsumption(state, canister, "uninstall", left);
}
