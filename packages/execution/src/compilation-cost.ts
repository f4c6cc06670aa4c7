// What it costs to make a module ready to run, in instructions: part of installing code and of loading a snapshot.
// Checklist: instruction-costs 7.
import type { PreparedModule } from "@atoll/embedder";
import type { Round } from "./round.ts";

export const COMPILE_BASE = 20_000_000;
export const COMPILE_PER_OPERATOR = 6_000;

/** Less for a module that the subnet knows already. */
export function compilationCost(round: Pick<Round, "state">, { stored, compiledOperators }: PreparedModule): number {
  const isKnown = round.state.modules.get(stored.hash) !== undefined;
  const perOperator = isKnown ? COMPILE_PER_OPERATOR / 100 : COMPILE_PER_OPERATOR;
  return COMPILE_BASE + perOperator * compiledOperators;
}
