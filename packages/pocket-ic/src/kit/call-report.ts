// What a call has cost, with everything that it caused on all subnets: instructions as the network meters them, and
// cycles consumed by executing and sending messages. The same in every run, so that a test can hold a budget to them.
import type { MessageFigures } from "@atoll/replica";
import type { CanisterId, Cycles } from "@atoll/types";

export interface CallFigures {
  readonly instructions: number;
  readonly cycles: Cycles;
}

export interface CallReport extends CallFigures {
  /** Calls, the first one included. */
  readonly messages: number;
  /** By name, or by the text of the id. */
  readonly byCanister: Readonly<Record<string, CallFigures>>;
}

export function reportOf(figures: MessageFigures, nameOf: (id: CanisterId) => string): CallReport {
  const { instructions, cyclesConsumed, messages, byCanister } = figures;
  return {
    instructions,
    cycles: cyclesConsumed,
    messages,
    byCanister: Object.fromEntries(
      [...byCanister].map(([id, own]) => [nameOf(id), { instructions: own.instructions, cycles: own.cyclesConsumed }]),
    ),
  };
}
