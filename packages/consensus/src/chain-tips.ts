// How far the chain has got in a pool: what nearly every role asks for first. It is read off the pool once after each change
// that can make a difference to it, and kept there.
import type { Height } from "@atoll/types";
import type { ArtifactKind, CatchUpPackage } from "./artifacts.ts";
import { blockOfChain, isSummaryBlock, nextSummaryHeight, type SummaryBlock } from "./finalized-chain.ts";
import type { Pool } from "./pool.ts";

export interface ChainTips {
  /** The newest validated one. */
  readonly catchUpPackage: CatchUpPackage & { readonly block: SummaryBlock };
  readonly finalized: Height;
  readonly notarized: Height;
  readonly beacon: Height;
  /** The final summary blocks from that of the newest catch-up package on. The same list as long as they are the same. */
  readonly summaries: readonly SummaryBlock[];
}

/** Of the validated section: what else changes, changes no tip. */
export const KINDS_OF_TIPS: readonly ArtifactKind[] = [
  "catch-up-package",
  "notarization",
  "finalization",
  "random-beacon",
  "block-proposal",
];

/** Throws when there is no catch-up package: a pool always has at least that of genesis. `before`: the last ones. */
export function chainTips({ validated }: Pick<Pool, "validated">, before: ChainTips | undefined): ChainTips {
  const top = validated.range("catch-up-package")?.max;
  const newest = top === undefined ? undefined : validated.at("catch-up-package", top)[0]?.artifact;
  if (newest === undefined || !isSummaryBlock(newest.block)) throw new RangeError("a pool without a catch-up package");
  const cup = newest as ChainTips["catchUpPackage"];
  const heightOf = (kind: ArtifactKind): Height => Math.max(cup.height, validated.range(kind)?.max ?? 0);
  const finalized = heightOf("finalization");
  const summaries = [cup.block];
  for (let latest = cup.block; ; ) {
    const height = nextSummaryHeight(latest.payload.summary);
    const block = height > finalized ? undefined : blockOfChain({ validated }, cup, height);
    if (block === undefined || !isSummaryBlock(block)) break;
    latest = block;
    summaries.push(latest);
  }
  return {
    catchUpPackage: cup,
    finalized,
    notarized: heightOf("notarization"),
    beacon: heightOf("random-beacon"),
    summaries: isSameList(before?.summaries, summaries) ? before.summaries : summaries,
  };
}

function isSameList<T>(before: readonly T[] | undefined, now: readonly T[]): before is readonly T[] {
  return before?.length === now.length && now.every((each, i) => each === before[i]);
}
