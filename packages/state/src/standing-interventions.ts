// What interventions of tests have left in a state for the rounds to come: which messages to put aside, those that are
// held, executions that shall trap, places taken in queues. Part of the replicated state of networks for tests, and
// empty everywhere else. A held message is on its way: it takes neither a place nor memory at its receiver, what its
// call has reserved stays reserved, and its deadline goes on.
import type { CanisterId, HoldRule, TrapTarget } from "@atoll/types";
import type { InputItem } from "./canister-state.ts";

export interface StandingInterventions {
  /** Rules and held messages share one count. */
  nextNumber: number;
  /** In the order in which they were made: the first that matches counts the message. */
  rules: StandingHoldRule[];
  /** By number, in the order in which they were put aside. */
  readonly held: Map<number, HeldMessage>;
  traps: StandingTrap[];
  fullQueues: FullQueue[];
}

export interface StandingHoldRule {
  readonly number: number;
  readonly rule: HoldRule;
  /** Messages that it may still hold; undefined: any number. */
  readonly left: number | undefined;
}

export interface HeldMessage {
  readonly receiver: CanisterId;
  readonly item: InputItem;
}

export interface StandingTrap {
  readonly canister: CanisterId;
  readonly on: TrapTarget | undefined;
  readonly message: string;
}

export interface FullQueue {
  readonly sender: CanisterId;
  readonly receiver: CanisterId;
  readonly places: number;
}

export function noInterventions(): StandingInterventions {
  return { nextNumber: 1, rules: [], held: new Map(), traps: [], fullQueues: [] };
}
