// What is left of a damaged pool: the chain from the newest catch-up package up to the first height at which something is
// missing. What is above that comes again from the peers, as for any node that was away. Own signatures stay, wherever they
// are: they must not be forgotten. Section 3, "persisted"; 11.4.
import { toHex } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { ArtifactKind, CatchUpPackage } from "./artifacts.ts";
import { heightOf } from "./artifacts.ts";
import type { StoredArtifact } from "./pool-storage.ts";

/** Kinds of which a chain is made. */
const CHAIN: ReadonlySet<ArtifactKind> = new Set([
  "block-proposal",
  "notarization",
  "finalization",
  "random-beacon",
  "equivocation-proof",
]);

/** `genesis`: where the chain begins when no package is left. */
export function intactArtifacts(stored: readonly StoredArtifact[], genesis: CatchUpPackage): readonly StoredArtifact[] {
  const hole = firstHole(stored, genesis);
  return stored.filter(({ artifact, isVote }) => isVote || !CHAIN.has(artifact.kind) || heightOf(artifact) < hole);
}

/** The lowest height above the newest package that lacks a beacon or a notarized block on one below. */
function firstHole(stored: readonly StoredArtifact[], genesis: CatchUpPackage): number {
  let newest = genesis;
  const beacons = new Set<number>();
  const notarized = new Set<string>();
  const blocks = new Map<number, { readonly hash: string; readonly parent: string }[]>();
  for (const { artifact } of stored) {
    if (artifact.kind === "catch-up-package" && artifact.height > newest.height) newest = artifact;
    if (artifact.kind === "random-beacon") beacons.add(artifact.height);
    if (artifact.kind === "notarization") notarized.add(toHex(artifact.blockHash));
    if (artifact.kind !== "block-proposal") continue;
    const { block } = artifact;
    const there = blocks.get(block.height) ?? [];
    blocks.set(block.height, [...there, { hash: toHex(blockHash(block)), parent: toHex(block.parent) }]);
  }
  let below = new Set([toHex(blockHash(newest.block))]);
  for (let height = newest.height + 1; ; height++) {
    const linked = (blocks.get(height) ?? []).filter(({ hash, parent }) => notarized.has(hash) && below.has(parent));
    if (linked.length === 0 || !beacons.has(height)) return linked.length === 0 ? height : height + 1;
    below = new Set(linked.map(({ hash }) => hash));
  }
}
