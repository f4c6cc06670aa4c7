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

export function poolBoundsChecker(facts: RunFacts): Checker {
  const bounds = poolBounds(facts);
  const counts = new Map<number, Map<ArtifactKind, number>>();
  const kinds = new Map<number, Map<string, ArtifactKind>>();
  return (observation) => {
    const { node, kind } = observation;
    if (!node.isHonest) return;
    if (kind === "crashed") {
      counts.delete(node.index);
      kinds.delete(node.index);
    }
    if (kind !== "published" && kind !== "retracted") return;
    const own = kinds.get(node.index) ?? new Map<string, ArtifactKind>();
    kinds.set(node.index, own);
    const count = counts.get(node.index) ?? new Map<ArtifactKind, number>();
    counts.set(node.index, count);
    if (kind === "retracted") {
      const gone = own.get(observation.id);
      if (gone !== undefined && own.delete(observation.id)) count.set(gone, (count.get(gone) ?? 0) - 1);
      return;
    }
    if (own.has(observation.id)) return;
    const what = observation.artifact.kind;
    own.set(observation.id, what);
    const now = (count.get(what) ?? 0) + 1;
    count.set(what, now);
    if (now > (bounds.get(what) ?? Number.POSITIVE_INFINITY))
      throw new Violation(9, `node ${node.index} keeps ${now} artifacts of kind ${what}`);
  };
}
