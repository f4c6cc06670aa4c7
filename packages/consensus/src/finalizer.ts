// The finalizer: a member of the committee that sees exactly one notarized block at a height, and has signed no other there,
// says so. 2f + 1 of these make the block and all its ancestors final: no other can ever be notarized. Section 5.5.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height } from "@atoll/types";
import type { BlockReference, FinalizationShare } from "./artifacts.ts";
import { finalizedHeight } from "./finalized-chain.ts";
import { membershipAt } from "./membership.ts";
import type { Change } from "./pool.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { notarizedHeight } from "./round.ts";
import { finalizationBytes } from "./signed-bytes.ts";

export const finalizer: Role = (context) => {
  const { pool } = context;
  const changes: Change[] = [];
  for (let height = finalizedHeight(pool) + 1; height <= notarizedHeight(pool); height++) {
    const artifact = finalizeAt(context, height);
    if (artifact !== undefined) changes.push({ kind: "add", artifact });
  }
  return changes;
};

function finalizeAt(context: RoleContext, height: Height): FinalizationShare | undefined {
  const { pool, self, crypto } = context;
  const notarized = pool.validated.at("notarization", height);
  const [only] = notarized;
  if (only === undefined || notarized.some(({ artifact }) => !isSame(artifact, only.artifact))) return undefined;
  if (pool.validated.at("finalization-share", height).some(({ artifact }) => artifact.signer === self))
    return undefined;
  if (!membershipAt(context, height)?.notaries.has(self)) return undefined;
  const others = pool.validated
    .at("notarization-share", height)
    .filter(({ artifact }) => artifact.signer === self && !isSame(artifact, only.artifact));
  if (others.length > 0) return undefined;
  const { protocolVersion, blockHash } = only.artifact;
  const reference: BlockReference = { protocolVersion, height, blockHash };
  return {
    kind: "finalization-share",
    ...reference,
    signer: self,
    signature: crypto.signMulti(finalizationBytes(reference)),
  };
}

function isSame(a: BlockReference, b: BlockReference): boolean {
  return equalBytes(a.blockHash, b.blockHash);
}
