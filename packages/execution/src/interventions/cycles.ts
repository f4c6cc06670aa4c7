// Cycles out of nowhere, or a balance of any size: to see what a canister does without cycles, say. What it owes for
// storage and compute so far is paid first.
import { touch } from "@atoll/state";
import { type InterventionResult, MAX_CYCLES } from "@atoll/types";
import type { Round } from "../round.ts";
import { busyError, canisterOf, type InterventionOf, MADE, notFound, refused } from "./refused.ts";

export function addCyclesTo(round: Round, { canister: id, amount }: InterventionOf<"add_cycles">): InterventionResult {
  const canister = canisterOf(round, id);
  if (canister === undefined) return notFound(id);
  if (amount < 0n || amount > MAX_CYCLES - canister.cycles) return refused(OUT_OF_RANGE);
  touch(round.state, canister);
  canister.cycles += amount;
  return MADE;
}

export function setCycles(round: Round, { canister: id, amount }: InterventionOf<"set_cycles">): InterventionResult {
  const canister = canisterOf(round, id);
  if (canister === undefined) return notFound(id);
  if (amount < 0n || amount > MAX_CYCLES) return refused(OUT_OF_RANGE);
  const busy = busyError(canister);
  if (busy !== undefined) return busy;
  touch(round.state, canister);
  canister.cycles = amount;
  return MADE;
}

const OUT_OF_RANGE = "A balance is between 0 and 2^128 - 1 cycles.";
