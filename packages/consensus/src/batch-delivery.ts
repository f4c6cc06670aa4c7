// Hands final blocks to execution, in order, each with the randomness that was drawn after it was made. Execution that lags
// takes no more, and the notaries slow down in turn. Sections 9 and 12.5.
import type { Height } from "@atoll/types";
import { tapeHash } from "./artifact-hash.ts";
import { remoteDkgsOf } from "./dkg/dkg-payload.ts";
import { catchUpPackage, finalizedBlock, finalizedHeight } from "./finalized-chain.ts";
import { shouldHalt } from "./halting.ts";
import { membershipAt } from "./membership.ts";
import type { DeliveredBatch } from "./ports.ts";
import type { RoleContext } from "./role-context.ts";

/** Delivers what can be delivered. */
export function deliverBatches(context: RoleContext): void {
  const { batches, pool } = context;
  for (;;) {
    const height = batches.expected();
    if (batches.room() === 0 || height > finalizedHeight(pool)) return;
    const batch = batchAt(context, height);
    if (batch === undefined) {
      fetchIfCutOff(context, height);
      return;
    }
    batches.deliver(batch);
    context.note({ kind: "delivered", height });
    if (batches.expected() <= height) return;
  }
}

/** What leads to the newest package is gone: no peer has to keep it. Its state stands for all of it. */
function fetchIfCutOff(context: RoleContext, height: Height): void {
  const { pool, state } = context;
  const { height: top, stateHash } = catchUpPackage(pool);
  if (top === 0 || height > top) return;
  const isHere = finalizedBlock(pool, height) !== undefined && membershipAt(context, height) !== undefined;
  if (!isHere) state.fetchState(top, stateHash);
}

/** Undefined: something of it is not here yet, or nothing is executed any more before the next version of the protocol. */
function batchAt(context: RoleContext, height: Height): DeliveredBatch | undefined {
  const { pool, registry } = context;
  const block = finalizedBlock(pool, height);
  const tape = pool.validated.at("random-tape", height)[0]?.artifact;
  const membership = membershipAt(context, height);
  if (block === undefined || tape === undefined || membership === undefined) return undefined;
  const { payload } = block;
  const { registryVersion, time } = block.context;
  if (registry.record(registryVersion) === undefined) return undefined;
  const isSummary = payload.kind === "summary";
  const isHalting = shouldHalt(context, height);
  if (isHalting === undefined) return undefined;
  if (isHalting && (!isSummary || shouldHalt(context, height - 1) === true)) return undefined;
  const blockmaker = membership.blockMakers[block.rank];
  if (blockmaker === undefined) return undefined;
  return {
    height,
    time,
    randomness: tapeHash(tape, context.crypto.sha256),
    registryVersion,
    batch: isSummary ? undefined : payload.batch,
    needsStateHash: isSummary,
    remoteDkgs: remoteDkgsOf(payload),
    blockmaker,
    failed: membership.blockMakers.slice(0, block.rank),
  };
}
