// Paying for an execution: the most that it can cost is taken off the balance before it runs, what it did not use
// comes back. So no canister can run on cycles that it does not have. Checklist 5.1, 5.2.
import { groupedCycles, type RunResult } from "@atoll/embedder";
import { type CanisterState, noteConsumption, payCharges } from "@atoll/state";
import {
  addCycles,
  type Cycles,
  ErrorCode,
  type PrincipalId,
  principalToText,
  type UserError,
  userError,
} from "@atoll/types";
import { isWasm64 } from "./execution-inputs.ts";
import { freezingThreshold, type Round } from "./round.ts";

/** Takes the largest possible cost of an execution off the balance; an error when that would freeze the canister. */
export function prepay(
  round: Round,
  canister: CanisterState,
  instructionLimit: number,
  caller: PrincipalId,
): Cycles | UserError {
  payCharges(round.state, canister);
  const cost = round.fees.execution(instructionLimit, isWasm64(round, canister));
  const threshold = freezingThreshold(round, canister);
  if (canister.cycles < threshold + cost) return outOfCycles(canister, threshold + cost, caller);
  canister.cycles -= cost;
  return cost;
}

/**
 * Settles an execution that was prepaid for `limit` instructions: what it spent and accepted if it succeeded, and the
 * unused part back.
 */
export function settle(round: Round, canister: CanisterState, result: RunResult, { prepaid, limit }: Prepayment): void {
  if (result.error === undefined) {
    changeBalance(canister, result.balanceChange);
    canister.reservedCycles += result.effects.cyclesReserved;
    noteConsumption(round.state, canister, "burnedCycles", result.effects.cyclesBurned);
  }
  refundUnused(round, canister, result.instructions, { prepaid, limit });
}

/** What was paid in advance, and for how many instructions. */
export interface Prepayment {
  readonly prepaid: Cycles;
  readonly limit: number;
}

/** Adds what an execution did to the balance; others may have added to it while it was under way. */
export function changeBalance(canister: CanisterState, change: bigint): void {
  canister.cycles = addCycles(canister.cycles, change);
}

/** Gives back what was prepaid for instructions that were not executed; never the charge for executing at all. */
export function refundUnused(
  { fees, state }: Round,
  canister: CanisterState,
  instructions: number,
  { prepaid, limit }: Prepayment,
): void {
  // The module may be another by now, and its instructions dearer than those that were paid for.
  const is64 = isWasm64({ state }, canister);
  const unused = fees.unusedExecution(Math.max(0, limit - instructions), is64);
  const refund = unused < prepaid ? unused : prepaid;
  canister.cycles = addCycles(canister.cycles, refund);
  const isFree = fees.nominal !== fees;
  const consumed = isFree ? fees.nominal.execution(instructions, is64) : prepaid - refund;
  noteConsumption(state, canister, "instructions", consumed);
}

/** How much is missing is told to controllers only. */
export function outOfCycles(
  canister: Pick<CanisterState, "id" | "cycles" | "settings">,
  required: Cycles,
  caller: PrincipalId,
): UserError {
  const sentence = `Canister ${principalToText(canister.id)} is out of cycles`;
  if (!canister.settings.controllers.includes(caller)) return userError(ErrorCode.CanisterOutOfCycles, sentence);
  const missing = groupedCycles(required - canister.cycles);
  return userError(
    ErrorCode.CanisterOutOfCycles,
    `${sentence}: please top up the canister with at least ${missing} additional cycles`,
  );
}
