// Invariants 4, 6 and 7 of what nodes execute: batches once each and in order with increasing time, the same content and the
// same state on every honest node, no message twice; and a certified state was executed by more nodes than can be faulty.
import type { Height, Time } from "@atoll/types";
import { ByHeight, type Checker, type Observation, REMEMBERED_HEIGHTS, type RunFacts, Violation } from "./checker.ts";

interface Executed {
  readonly digest: string;
  readonly rootHash: string;
  readonly time: Time;
  readonly by: Set<number>;
}

/** Heights above its own of which a node learns what the others certified, and some more. */
const NOTICED_WITHIN = 25;

type ExecutedObservation = Extract<Observation, { kind: "executed" }>;

export function executionChecker(facts: RunFacts): Checker {
  const heights = new ByHeight<Executed>(REMEMBERED_HEIGHTS);
  /** Of each message the height of the batch that it was in. */
  const requests = new Map<string, Height>();
  const next = new Map<number, { height: Height; time: Time }>();

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

  const corrupt = corruptStateChecker((height) => heights.get(height)?.rootHash);

  return (observation) => {
    const { node, kind } = observation;
    if (node.corruptsState) corrupt(observation);
    if (!node.isHonest) return;
    if (kind === "executed") noteExecuted(observation);
    if (kind === "crashed") next.delete(node.index);
    if (kind === "started" || kind === "synced") next.set(node.index, { height: observation.height + 1, time: 0n });
    if (kind !== "event") return;
    const { event } = observation;
    if (event.kind === "certified" && event.height > 0) {
      const by = heights.get(event.height)?.by.size ?? 0;
      const needed = Math.floor((facts.fewestMembers - 1) / 3) + 1;
      if (by < needed)
        throw new Violation(4, `height ${event.height} is certified, but executed by ${by} honest nodes`);
    }
  };
}

/** Invariant 4 at a node whose state is not the subnet's: it finds out, or at least does not go on as if it were. */
function corruptStateChecker(rootAt: (height: Height) => string | undefined): Checker {
  const own = new Map<number, Map<Height, string>>();
  return (observation) => {
    const { node, kind } = observation;
    if (kind === "started" || kind === "crashed" || kind === "synced") own.delete(node.index);
    const roots = own.get(node.index) ?? new Map<Height, string>();
    own.set(node.index, roots);
    if (kind === "executed") roots.set(observation.height, observation.rootHash);
    if (kind !== "event" || observation.event.kind !== "certified") return;
    const noticed = observation.event.height - NOTICED_WITHIN;
    const due = [...roots].filter(([height]) => height <= noticed);
    for (const [height, root] of due) {
      const right = rootAt(height);
      if (right !== undefined && right !== root)
        throw new Violation(4, `node ${node.index} has not noticed that its state at height ${height} is wrong`);
      roots.delete(height);
    }
  };
}
