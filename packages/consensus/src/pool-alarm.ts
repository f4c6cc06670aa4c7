// Holds the validated section to the bounds that follow from the rules of purging and from the hard stops: every ten heights it
// is counted, and too much is an alarm. Section 7.
import type { Height } from "@atoll/types";
import type { ArtifactKind } from "./artifacts.ts";
import type { LoopContext } from "./component-loop.ts";
import { catchUpPackage } from "./finalized-chain.ts";
import { membershipAt } from "./membership.ts";
import { minimumChainLength } from "./pool-bounds.ts";
import { MAX_CATCH_UP_GAP, MAX_CERTIFICATION_GAP, notarizedHeight } from "./round.ts";

const EVERY = 10;

export class PoolAlarm {
  #last: Height = 0;

  check(context: LoopContext): void {
    const height = notarizedHeight(context.pool);
    if (height - this.#last < EVERY) return;
    this.#last = height;
    for (const [kind, bound] of Object.entries(poolBounds(context, height) ?? {})) {
      const count = context.pool.validated.count(kind as ArtifactKind);
      if (count > bound)
        context.note({ kind: "alarm", what: `the pool holds ${count} of ${kind}, more than ${bound}` });
    }
  }
}

/** How many artifacts of each kind there can be. Undefined: it is not known who the nodes are. */
export function poolBounds(context: LoopContext, height: Height): Partial<Record<ArtifactKind, number>> | undefined {
  const membership = membershipAt(context, height);
  if (membership === undefined) return undefined;
  const { intervalLength, nextIntervalLength } = catchUpPackage(context.pool).block.payload.summary;
  const nodes = membership.nodes.size;
  const makers = membership.blockMakers.length;
  const interval = Math.max(intervalLength, nextIntervalLength) + 1;
  const heights = interval + minimumChainLength(context) + MAX_CATCH_UP_GAP + 1;
  const open = MAX_CERTIFICATION_GAP;
  return {
    "block-proposal": makers * open + (heights - open) + 1,
    notarization: makers * open + (heights - open),
    finalization: heights,
    "random-beacon": heights + 1,
    "random-tape": heights + 1,
    "notarization-share": open * makers * nodes,
    "finalization-share": open * nodes,
    "random-beacon-share": (heights + 1) * nodes,
    "random-tape-share": (heights + 1) * nodes,
  };
}
