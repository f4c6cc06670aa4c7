// Rates that a canister may exceed for a moment but not in the long run: memory written, and instructions of
// installations. What is too much is a debit that decays each round; until it has, no message runs, and no code is
// installed while there is any debit of installations. Instruction-costs 6.
import { type CanisterState, resourcesOf, touch } from "@atoll/state";
import { OS_PAGE_BYTES, type UserError } from "@atoll/types";
import { heapDeltaRateLimited, installRateLimited } from "./management/management-errors.ts";
import type { Round } from "./round.ts";

/** Counts pages that were written and stay. */
export function noteHeapDelta({ state }: Round, canister: CanisterState, pages: number): void {
  if (isLimited(resourcesOf(state.config).heapDeltaPerRound)) canister.heapDeltaDebit += pages * OS_PAGE_BYTES;
}

/** Counts what an installation that succeeded took. */
export function noteInstallation({ state }: Round, canister: CanisterState, instructions: number): void {
  if (isLimited(resourcesOf(state.config).installInstructionsPerRound)) canister.installCodeDebit += instructions;
}

/** Debits that no canister comes near to are not kept. */
function isLimited(perRound: number): boolean {
  return perRound < 1e15;
}

/** True while the canister must not run. */
export function isRateLimited({ state }: Round, { heapDeltaDebit, installCodeDebit }: CanisterState): boolean {
  if (heapDeltaDebit === 0 && installCodeDebit === 0) return false;
  const { heapDeltaPerRound, installInstructionsPerRound } = resourcesOf(state.config);
  return heapDeltaDebit >= heapDeltaPerRound || installCodeDebit >= installInstructionsPerRound;
}

/** Why no code may be installed now. */
export function installRateError(canister: CanisterState): UserError | undefined {
  return canister.installCodeDebit > 0 ? installRateLimited(canister.id) : undefined;
}

/** Why chunks and snapshots may not be written now. */
export function heapDeltaError({ state }: Round, { id, heapDeltaDebit }: CanisterState): UserError | undefined {
  const limit = resourcesOf(state.config).heapDeltaPerRound;
  return heapDeltaDebit >= limit ? heapDeltaRateLimited(id, heapDeltaDebit, limit) : undefined;
}

/** Ends a round: all debits become smaller. Costs what has one. */
export function decayDebits({ state }: Round): void {
  const { heapDeltaPerRound, installInstructionsPerRound } = resourcesOf(state.config);
  for (const id of [...state.withDebit]) {
    const canister = state.canisters.get(id);
    if (canister === undefined) continue;
    canister.heapDeltaDebit = Math.max(0, canister.heapDeltaDebit - heapDeltaPerRound);
    canister.installCodeDebit = Math.max(0, canister.installCodeDebit - installInstructionsPerRound);
    touch(state, canister);
  }
}
