// The payloads that are agreed and not yet in the certified state that a block stands on: what they hold must not come again.
// Section 6.2.
import type { Height } from "@atoll/types";
import type { Block } from "./artifacts.ts";
import { parentBlock } from "./finalized-chain.ts";
import type { Pool } from "./pool.ts";
import type { PastPayload } from "./ports.ts";

/** Of the blocks above `certifiedHeight` up to `parent`, oldest first. Undefined: the pool lacks one of them. */
export function pastPayloads(pool: Pool, parent: Block, certifiedHeight: Height): readonly PastPayload[] | undefined {
  const past: PastPayload[] = [];
  let block: Block | undefined = parent;
  for (let height = parent.height; height > certifiedHeight; height--) {
    if (block === undefined) return undefined;
    const { payload, payloadHash, context } = block;
    if (payload.kind === "data") past.push({ height, time: context.time, payloadHash, batch: payload.batch });
    block = parentBlock(pool, block);
  }
  return past.reverse();
}
