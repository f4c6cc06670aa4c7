// Invariant 6 of randomness: a tape is not known before the block below it is final, nor a beacon before the one below it is
// notarized, and no honest node signs its share of one before it knows that: whoever gets enough shares early knows early
// what the makers of blocks must not know.
import type { Artifact } from "@atoll/consensus";
import type { Height } from "@atoll/types";
import { type Checker, type Observed, Violation } from "./checker.ts";

/** Highest heights. */
interface Known {
  notarized: Height;
  finalized: Height;
}

export function randomnessChecker(): Checker {
  /** To anybody who is honest. */
  const all: Known = { notarized: 0, finalized: 0 };
  /** To each node, or more. */
  const known = new Map<number, Known>();
  const knownTo = ({ index }: Observed): Known => {
    let own = known.get(index);
    if (own === undefined) {
      own = { notarized: 0, finalized: 0 };
      known.set(index, own);
    }
    return own;
  };
  return {
    // Of what its pool has from before, or the package that it begins with, it makes no events.
    started({ node }) {
      if (node.isHonest) Object.assign(knownTo(node), all);
    },
    published({ node, artifact, isOld }) {
      if (!node.isHonest) return;
      if (!isOld) checkShare(node, artifact, knownTo(node));
      // It may have ended before it could tell what is on its disk now.
      else if (artifact.kind === "notarization") note(all, { kind: "notarized", height: artifact.height });
      else if (artifact.kind === "finalization") note(all, { kind: "finalized", height: artifact.height });
    },
    event({ node, event }) {
      if (!node.isHonest || !("height" in event)) return;
      note(all, event);
      note(knownTo(node), event);
      if (event.kind === "beacon" && event.height > all.notarized + 1)
        throw new Violation(6, `beacon ${event.height} is known, but only ${all.notarized} is notarized`);
      if (event.kind === "tape" && event.height > all.finalized + 1)
        throw new Violation(6, `tape ${event.height} is known, but only ${all.finalized} is final`);
    },
  };
}

function note(heights: Known, { kind, height }: { readonly kind: string; readonly height: Height }): void {
  if (kind === "finalized" || kind === "catch-up") heights.finalized = Math.max(heights.finalized, height);
  if (kind === "notarized") heights.notarized = Math.max(heights.notarized, height);
  heights.notarized = Math.max(heights.notarized, heights.finalized);
}

function checkShare(node: Observed, artifact: Artifact, { notarized, finalized }: Known): void {
  if (!("signer" in artifact) || artifact.signer !== node.id) return;
  if (artifact.kind === "random-beacon-share" && artifact.height > notarized + 1)
    throw new Violation(6, `node ${node.index} signs beacon ${artifact.height} when ${notarized} is notarized`);
  if (artifact.kind === "random-tape-share" && artifact.height > finalized + 1)
    throw new Violation(6, `node ${node.index} signs tape ${artifact.height} when ${finalized} is final`);
}
