// Invariant 5: what an honest node signs for a height, also across crashes: notarization shares in non-increasing rank and
// never at or below the height that it has notarized; a finalization share only where it signed no other block. What counts is
// what left the node: a share that was never sent binds nobody.
import { type Artifact, blockHash } from "@atoll/consensus";
import { type Height, toHex } from "@atoll/types";
import { ByHeight, type Checker, type Observation, REMEMBERED_HEIGHTS, Violation } from "./checker.ts";

interface Signed {
  readonly notarized: Set<string>;
  lowestRank: number;
  finalized: string | undefined;
}

interface Life {
  readonly signed: ByHeight<Signed>;
  /** Highest notarization that the node has published. */
  notarizedHeight: Height;
}

export function signingRulesChecker(): Checker {
  const lives = new Map<number, Life>();
  const ranks = new ByHeight<Map<string, number>>(REMEMBERED_HEIGHTS);

  const lifeOf = (index: number): Life => {
    let life = lives.get(index);
    if (life === undefined) {
      life = { signed: new ByHeight(REMEMBERED_HEIGHTS), notarizedHeight: 0 };
      lives.set(index, life);
    }
    return life;
  };

  const noteShare = (index: number, artifact: Artifact, isOld: boolean): void => {
    if (artifact.kind !== "notarization-share" && artifact.kind !== "finalization-share") return;
    const { height } = artifact;
    const hash = toHex(artifact.blockHash);
    const life = lifeOf(index);
    const signed = life.signed.at(height, () => ({
      notarized: new Set(),
      lowestRank: Number.POSITIVE_INFINITY,
      finalized: undefined,
    }));
    if (artifact.kind === "finalization-share") {
      if (signed.finalized !== undefined && signed.finalized !== hash)
        throw new Violation(5, `node ${index} signed two blocks as final at height ${height}`);
      signed.finalized = hash;
    } else if (!signed.notarized.has(hash)) {
      if (!isOld) checkNotarizing(index, artifact.height, life.notarizedHeight);
      signed.notarized.add(hash);
      const rank = ranks.get(height)?.get(hash);
      if (rank !== undefined && rank > signed.lowestRank)
        throw new Violation(5, `node ${index} signed rank ${rank} after ${signed.lowestRank} at height ${height}`);
      signed.lowestRank = Math.min(signed.lowestRank, rank ?? signed.lowestRank);
    }
    const other = [...signed.notarized].find((block) => block !== signed.finalized);
    if (signed.finalized !== undefined && other !== undefined)
      throw new Violation(5, `node ${index} signed a block as final at height ${height} and notarized another`);
  };

  return (observation: Observation) => {
    const { node, kind } = observation;
    if (kind !== "published") return;
    const { artifact } = observation;
    if (artifact.kind === "block-proposal")
      ranks.at(artifact.block.height, () => new Map()).set(toHex(blockHash(artifact.block)), artifact.block.rank);
    // Who forgot what it signed counts among the faulty nodes.
    if (!node.isHonest || node.hasForgotten) return;
    if ("signer" in artifact && artifact.signer !== node.id) return;
    noteShare(node.index, artifact, observation.isOld);
    if (artifact.kind === "notarization") {
      const life = lifeOf(node.index);
      life.notarizedHeight = Math.max(life.notarizedHeight, artifact.height);
    }
  };
}

function checkNotarizing(index: number, height: Height, notarizedHeight: Height): void {
  if (height <= notarizedHeight)
    throw new Violation(5, `node ${index} signed at height ${height}, but had a notarization at ${notarizedHeight}`);
}
