// The chain that this node knows to be final, read off the pool: it begins with the newest catch-up package and ends with
// the highest finalization; a finalization finalizes all ancestors of its block too. Sections 3 to 5.
import { equalBytes } from "@atoll/crypto";
import type { Height } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { Block, CatchUpPackage, Hash } from "./artifacts.ts";
import type { ChainTips } from "./chain-tips.ts";
import type { DkgSummary } from "./dkg-types.ts";
import type { Pool } from "./pool.ts";

/** A block that begins an interval. */
export type SummaryBlock = Block & { readonly payload: { readonly kind: "summary"; readonly summary: DkgSummary } };

export function isSummaryBlock(block: Block): block is SummaryBlock {
  return block.payload.kind === "summary";
}

/** Where the interval after this summary's begins. */
export function nextSummaryHeight(summary: DkgSummary): Height {
  return summary.height + summary.intervalLength + 1;
}

type Validated = Pick<Pool, "validated">;

/** The newest validated one; a pool always has at least that of genesis. Throws when it has none. */
export function catchUpPackage(pool: Pool): ChainTips["catchUpPackage"] {
  return pool.tips.catchUpPackage;
}

/** The validated block at that height with that hash; also the one of the catch-up package. */
export function knownBlock(pool: Validated, height: Height, hash: Hash): Block | undefined {
  for (const { artifact } of pool.validated.at("block-proposal", height))
    if (equalBytes(blockHash(artifact.block), hash)) return artifact.block;
  for (const { artifact } of pool.validated.at("catch-up-package", height))
    if (equalBytes(blockHash(artifact.block), hash)) return artifact.block;
  return undefined;
}

/** The parent of `block`, as long as the pool has it. */
export function parentBlock(pool: Validated, block: Block): Block | undefined {
  return block.height === 0 ? undefined : knownBlock(pool, block.height - 1, block.parent);
}

export function finalizedHeight(pool: Pool): Height {
  return pool.tips.finalized;
}

export function finalizedTip(pool: Pool): Block {
  const cup = catchUpPackage(pool);
  const tip = finalizedBlock(pool, finalizedHeight(pool));
  return tip ?? cup.block;
}

/** Undefined: not final yet, or purged. */
export function finalizedBlock(pool: Pool, height: Height): Block | undefined {
  return blockOfChain(pool, catchUpPackage(pool), height);
}

/** The same, where `cup` is the newest catch-up package. */
export function blockOfChain(pool: Validated, cup: CatchUpPackage, height: Height): Block | undefined {
  if (height === cup.height) return cup.block;
  const top = pool.validated.range("finalization")?.max ?? 0;
  // The nearest finalization from here up, and down again from its block.
  let above = height;
  while (above <= top && pool.validated.at("finalization", above).length === 0 && above !== cup.height) above++;
  let block: Block | undefined;
  if (above === cup.height) block = cup.block;
  else {
    const finalization = pool.validated.at("finalization", above)[0];
    if (finalization !== undefined) block = knownBlock(pool, above, finalization.artifact.blockHash);
  }
  while (block !== undefined && block.height > height) block = parentBlock(pool, block);
  return block;
}
