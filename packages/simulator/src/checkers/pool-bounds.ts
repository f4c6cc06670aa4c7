// Invariant 9: what a node keeps and broadcasts stays within the bounds of section 7, counted as what it has published and not
// retracted. The bound of unvalidated artifacts is the node's own affair: no checker sees them.
import type { ArtifactKind } from "@atoll/consensus";
import { type Checker, type RunFacts, Violation } from "./checker.ts";

/** Heights by which notarization may be ahead of certification, and of the next catch-up package. */
const CERTIFICATION_GAP = 70;
const CATCH_UP_GAP = 131;

export function poolBounds(facts: RunFacts): ReadonlyMap<ArtifactKind, number> {
  const nodes = facts.mostMembers;
  const makers = Math.floor((nodes - 1) / 3) + 1;
  const d = CERTIFICATION_GAP;
  // Of two intervals: the newest package is signed only when the one after it is under way.
  const l = 2 * (facts.longestInterval + 1) + facts.minimumChainLength + CATCH_UP_GAP;
  return new Map<ArtifactKind, number>([
    // An equivocating maker has two proposals that nodes keep as the proof of it.
    ["block-proposal", 2 * makers * d + l + 1],
    ["notarization", makers * d + l],
    ["finalization", l],
    ["random-beacon", l + 1],
    ["random-tape", l + 1],
    ["notarization-share", d * makers * nodes],
    ["finalization-share", d * nodes],
    ["random-beacon-share", (l + 1) * nodes],
    ["random-tape-share", (l + 1) * nodes],
    ["catch-up-package", l],
  ]);
}

interface Tally {
  readonly most: number;
  count: number;
}

/** What one node keeps: of each kind how many, and of each artifact where it is counted. */
interface Kept {
  readonly tallies: Map<ArtifactKind, Tally>;
  readonly artifacts: Map<string, Tally>;
}

export function poolBoundsChecker(facts: RunFacts): Checker {
  const bounds = poolBounds(facts);
  const nodes = new Map<number, Kept>();
  const tallyOf = ({ tallies }: Kept, what: ArtifactKind): Tally => {
    let tally = tallies.get(what);
    if (tally === undefined) {
      tally = { most: bounds.get(what) ?? Number.POSITIVE_INFINITY, count: 0 };
      tallies.set(what, tally);
    }
    return tally;
  };
  return {
    crashed({ node }) {
      nodes.delete(node.index);
    },
    published({ node, id, artifact }) {
      if (!node.isHonest) return;
      let own = nodes.get(node.index);
      if (own === undefined) {
        own = { tallies: new Map(), artifacts: new Map() };
        nodes.set(node.index, own);
      }
      if (own.artifacts.has(id)) return;
      const tally = tallyOf(own, artifact.kind);
      own.artifacts.set(id, tally);
      if (++tally.count > tally.most)
        throw new Violation(9, `node ${node.index} keeps ${tally.count} artifacts of kind ${artifact.kind}`);
    },
    retracted({ node, id }) {
      const own = nodes.get(node.index);
      const tally = own?.artifacts.get(id);
      if (own === undefined || tally === undefined) return;
      own.artifacts.delete(id);
      tally.count--;
    },
  };
}
