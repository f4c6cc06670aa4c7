// Invariants 4, 6 and 7 of what nodes execute: batches once each and in order with increasing time, the same content and the
// same state on every honest node, no message twice; and a certified state was executed by more nodes than can be faulty.
import type { Height, Time } from "@atoll/types";
import {
  ByHeight,
  type Checker,
  type ObservationOf,
  type Observed,
  REMEMBERED_HEIGHTS,
  type RunFacts,
  Violation,
} from "./checker.ts";

interface Executed {
  readonly digest: string;
  readonly rootHash: string;
  readonly time: Time;
  readonly by: Set<number>;
}

/** Heights above its own of which a node learns what the others certified, and some more. */
const NOTICED_WITHIN = 25;

export function executionChecker(facts: Pick<RunFacts, "fewestMembers">): Checker {
  const heights = new ByHeight<Executed>(REMEMBERED_HEIGHTS);
  /** Of each message the height of the batch that it was in. */
  const requests = new Map<string, Height>();
  const next = new Map<number, { height: Height; time: Time }>();
  /** Who began with the state of a height on its disk: a process can end between writing a state and telling of it. */
  const begunWith = new ByHeight<Set<number>>(REMEMBERED_HEIGHTS);

  const noteExecuted = (observation: ObservationOf<"executed">): void => {
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

  const begin = ({ node, height }: ObservationOf<"started" | "synced">): void => {
    if (node.corruptsState) corrupt.forget(node);
    if (node.isHonest) next.set(node.index, { height: height + 1, time: 0n });
  };

  return {
    started(observation) {
      begin(observation);
      const { node, height } = observation;
      if (node.isHonest) begunWith.at(height, () => new Set()).add(node.index);
    },
    synced: begin,
    crashed({ node }) {
      if (node.corruptsState) corrupt.forget(node);
      if (node.isHonest) next.delete(node.index);
    },
    executed(observation) {
      const { node, height, rootHash } = observation;
      if (node.corruptsState) corrupt.executed(node, height, rootHash);
      if (node.isHonest) noteExecuted(observation);
    },
    event({ node, event }) {
      if (event.kind !== "certified") return;
      if (node.corruptsState) corrupt.certified(node, event.height);
      if (!node.isHonest || event.height === 0) return;
      const by = new Set([...(heights.get(event.height)?.by ?? []), ...(begunWith.get(event.height) ?? [])]).size;
      const needed = Math.floor((facts.fewestMembers - 1) / 3) + 1;
      if (by < needed)
        throw new Violation(4, `height ${event.height} is certified, but executed by ${by} honest nodes`);
    },
  };
}

/** Invariant 4 at a node whose state is not the subnet's: it finds out, or at least does not go on as if it were. */
function corruptStateChecker(rootAt: (height: Height) => string | undefined) {
  const own = new Map<number, Map<Height, string>>();
  return {
    forget: ({ index }: Observed): void => void own.delete(index),
    executed({ index }: Observed, height: Height, rootHash: string): void {
      const roots = own.get(index) ?? new Map<Height, string>();
      own.set(index, roots.set(height, rootHash));
    },
    certified({ index }: Observed, certified: Height): void {
      const roots = own.get(index) ?? new Map<Height, string>();
      const noticed = certified - NOTICED_WITHIN;
      const due = [...roots].filter(([height]) => height <= noticed);
      for (const [height, root] of due) {
        const right = rootAt(height);
        if (right !== undefined && right !== root)
          throw new Violation(4, `node ${index} has not noticed that its state at height ${height} is wrong`);
        roots.delete(height);
      }
    },
  };
}
