// The notary: a member of the round's committee signs the valid block of the lowest rank that it has once the delay of that
// rank has passed. It may sign several blocks of a height, only ever of lower rank (or of higher rank when the lower one is
// disqualified), and nothing at heights that are notarized already; nor, after a restart that lost a notarization, another block
// than the one that it has said is the only one. Section 5.4.
import { equalBytes } from "@atoll/crypto/domain";
import { blockHash } from "./artifact-hash.ts";
import type { BlockProposal, NotarizationShare } from "./artifacts.ts";
import { isDisqualified } from "./equivocation.ts";
import { haltStatus } from "./halting.ts";
import { membershipAt } from "./membership.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { after, hasPassed, notarizedHeight, notaryDelay, referenceTo, roundStart } from "./round.ts";
import { notarizationBytes } from "./signed-bytes.ts";

export const notary: Role = (context) => {
  const { pool, self, state, now } = context;
  const height = notarizedHeight(pool) + 1;
  const proposals = pool.validated.at("block-proposal", height);
  if (proposals.every(({ artifact }) => hasSigned(context, artifact))) return [];
  const candidates = proposals
    .map(({ artifact }) => artifact)
    .filter(({ signer }) => !isDisqualified(pool, height, signer));
  if (candidates.length === 0) return [];
  const rank = candidates.reduce((lowest, { block }) => Math.min(lowest, block.rank), Number.MAX_SAFE_INTEGER);
  const only = pool.validated
    .at("finalization-share", height)
    .find(({ artifact }) => artifact.signer === self)?.artifact;
  const unsigned = candidates
    .filter(({ block }) => block.rank === rank)
    .filter((proposal) => !hasSigned(context, proposal))
    .filter(({ block }) => only === undefined || equalBytes(blockHash(block), only.blockHash));
  const membership = membershipAt(context, height);
  const start = roundStart(pool, height);
  if (unsigned.length === 0 || membership === undefined || start === undefined) return [];
  if (!membership.notaries.has(self)) return [];
  const delay = notaryDelay(
    pool,
    membership.settings,
    rank,
    state.certifiedHeight(),
    haltStatus(context, height) !== "running",
  );
  if (delay === undefined) return [];
  if (!hasPassed(now, start, delay)) {
    context.wakeAt(after(start, delay));
    return [];
  }
  return unsigned.map((proposal) => ({ kind: "add", artifact: sign(context, proposal) }));
};

function hasSigned({ pool, self }: RoleContext, { block }: BlockProposal): boolean {
  const hash = blockHash(block);
  return pool.validated
    .at("notarization-share", block.height)
    .some(({ artifact }) => artifact.signer === self && equalBytes(artifact.blockHash, hash));
}

function sign({ crypto, self }: RoleContext, { block }: BlockProposal): NotarizationShare {
  const reference = referenceTo(block);
  return {
    kind: "notarization-share",
    ...reference,
    signer: self,
    signature: crypto.signMulti(notarizationBytes(reference)),
  };
}
