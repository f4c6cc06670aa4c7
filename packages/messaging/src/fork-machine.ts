// A second machine over a fork of the state: the same next batches give the same results on both, and neither sees what
// the other does. Executions that are between two slices stay with the first one, since a Wasm stack cannot be copied:
// in the fork they begin again from their inputs, as after a checkpoint, which every node does alike.
import { forkState, type PageStore } from "@atoll/state";
import type { StateMachine } from "./process-batch.ts";

/** Between two rounds. `pages` is a fork of the state's page store. */
export function forkMachine(machine: StateMachine, pages: PageStore, pool: StateMachine["pool"]): StateMachine {
  const { fees, crypto, rootKey, long, tree, trace } = machine;
  // All fields, so that nobody who adds one forgets it here.
  const fork: Required<StateMachine> = {
    state: forkState(machine.state, pages),
    pool,
    fees,
    crypto,
    rootKey,
    long: long.fork(),
    tree: tree.fork(),
    trace: trace === true,
  };
  return fork;
}
