// Invariants 4, 6 and 7 of what nodes execute: batches once each and in order with increasing time, the same content and the
// same state on every honest node, no message twice; a certified state was executed by more nodes than can be faulty; and a
// tape is not known before the block below it is final.
import type { Height, Time } from "@atoll/types";
import { ByHeight, type Checker, type Observation, REMEMBERED_HEIGHTS, type RunFacts, Violation } from "./checker.ts";

interface Executed {
  readonly digest: string;
  readonly rootHash: string;
  readonly time: Time;
  readonly by: Set<number>;
}

type ExecutedObservation = Extract<Observation, { kind: "executed" }>;

export function executionChecker(facts: RunFacts): Checker {
  const heights = new ByHeight<Executed>(REMEMBERED_HEIGHTS);
  /** Of each message the height of the batch that it was in. */
  const requests = new Map<string, Height>();
  const next = new Map<number, { height: Height; time: Time }>();
  let finalized: Height = 0;

  const noteExecuted = (observation: ExecutedObservation): void => {
    const { node, height, time, digest, rootHash } = observation;
    const own = next.get(node.index);
    if (own !== undefined && own.height !== height)
      throw new Violation(6, `node ${node.index} executed batch ${height} instead of ${own.height}`);
    if (own !== undefined && own.time >= time)
      throw new Violation(6, `the time of batch ${height} is not above the one before it`);
    next.set(node.index, { height: height + 1, time });
    const entry = heights.at(height, () => ({ digest, rootHash, time, by: new Set<number>() }));
    if (entry.digest !== digest)
      throw new Violation(1, `node ${node.index} executed another batch ${height} than others`);
    if (entry.rootHash !== rootHash)
      throw new Violation(4, `node ${node.index} came to another state at height ${height} than others`);
    entry.by.add(node.index);
    for (const id of observation.requests) {
      const before = requests.get(id);
      if (before !== undefined && before !== height)
        throw new Violation(7, `message ${id.slice(0, 12)} is in the batches ${before} and ${height}`);
      requests.set(id, height);
    }
  };

  return (observation) => {
    const { node, kind } = observation;
    if (!node.isHonest) return;
    if (kind === "executed") noteExecuted(observation);
    if (kind === "crashed") next.delete(node.index);
    if (kind === "started" || kind === "synced") next.set(node.index, { height: observation.height + 1, time: 0n });
    if (kind !== "event") return;
    const { event } = observation;
    if (event.kind === "finalized") finalized = Math.max(finalized, event.height);
    if (event.kind === "catch-up") finalized = Math.max(finalized, event.height);
    if (event.kind === "tape" && event.height > finalized + 1)
      throw new Violation(6, `tape ${event.height} is known, but only ${finalized} is final`);
    if (event.kind === "certified" && event.height > 0) {
      const by = heights.get(event.height)?.by.size ?? 0;
      const needed = Math.floor((facts.fewestMembers - 1) / 3) + 1;
      if (by < needed)
        throw new Violation(4, `height ${event.height} is certified, but executed by ${by} honest nodes`);
    }
  };
}
