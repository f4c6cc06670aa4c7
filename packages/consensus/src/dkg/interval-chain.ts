// What the blocks of an interval have brought so far for its key generations, on the chain that ends with a given block:
// each block may be extended by several, so this belongs to a block and not to a height. Section 12.3.
import { invariant } from "@atoll/types";
import type { Block } from "../artifacts.ts";
import type { DkgDealing, DkgDealingMessage } from "../dkg-types.ts";
import { isSummaryBlock, parentBlock, type SummaryBlock } from "../finalized-chain.ts";
import type { Pool } from "../pool.ts";
import { dkgKey } from "./dkg-keys.ts";

export interface IntervalChain {
  /** The block that begins the interval. */
  readonly summary: SummaryBlock;
  /** By `dkgKey`. */
  readonly dealings: ReadonlyMap<string, readonly DkgDealing[]>;
  /** Key generations whose transcripts are in a data block already, by `dkgKey`. */
  readonly completed: ReadonlySet<string>;
}

// A block object lives as long as the pool has it, and so does what is known of its chain.
const chains = new WeakMap<Block, IntervalChain>();

/** `tip` is the last block looked at. Undefined: the pool lacks a block on the way down to the summary. */
export function intervalChain(pool: Pool, tip: Block): IntervalChain | undefined {
  const path: Block[] = [];
  let block: Block | undefined = tip;
  while (block !== undefined && !chains.has(block) && !isSummaryBlock(block)) {
    path.push(block);
    block = parentBlock(pool, block);
  }
  if (block === undefined) return undefined;
  let chain = chains.get(block) ?? beginning(block);
  chains.set(block, chain);
  for (const next of path.reverse()) {
    chain = extended(chain, next);
    chains.set(next, chain);
  }
  return chain;
}

function beginning(block: Block): IntervalChain {
  invariant(isSummaryBlock(block), "an interval begins with a summary");
  return { summary: block, dealings: new Map(), completed: new Set() };
}

function extended(chain: IntervalChain, { payload }: Block): IntervalChain {
  if (payload.kind === "summary" || payload.dealings.length + payload.remote.length === 0) return chain;
  return {
    summary: chain.summary,
    dealings: withDealings(chain.dealings, payload.dealings),
    completed: new Set([...chain.completed, ...payload.remote.map(({ dkgId }) => dkgKey(dkgId))]),
  };
}

// The second dealing of a dealer cannot be in a valid block, and would not count.
function withDealings(
  known: IntervalChain["dealings"],
  messages: readonly DkgDealingMessage[],
): IntervalChain["dealings"] {
  const all = new Map(known);
  for (const { dkgId, dealer, content } of messages) {
    const key = dkgKey(dkgId);
    const before = all.get(key) ?? [];
    if (!before.some((dealing) => dealing.dealer === dealer)) all.set(key, [...before, { dealer, content }]);
  }
  return all;
}
