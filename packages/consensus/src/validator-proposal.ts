// Which proposals are valid: made and signed by a maker of the round, on a notarized block, in time, with a context and a payload
// that this node can check for itself; or, quicker, notarized by a quorum that has done so. Section 6.2.
import { equalBytes } from "@atoll/crypto/domain";
import { blockHash, payloadHash } from "./artifact-hash.ts";
import type { Block, BlockProposal, Notarization } from "./artifacts.ts";
import { validateDkgPart } from "./dkg/dkg-payload.ts";
import { equivocationProof, isDisqualified } from "./equivocation.ts";
import { finalizedHeight, knownBlock } from "./finalized-chain.ts";
import { haltStatus } from "./halting.ts";
import { type Membership, membershipAt } from "./membership.ts";
import { pastPayloads } from "./past-payloads.ts";
import type { Change, Entry } from "./pool.ts";
import type { RoleContext } from "./role-context.ts";
import { after, hasPassed, isNotarized, notarizedHeight, proposalDelay, roundStart, validatedSince } from "./round.ts";
import { blockMetadataBytes, notarizationBytes } from "./signed-bytes.ts";
import { checkMultiSignature } from "./validator.ts";

export function validateProposals(context: RoleContext): Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  const top = notarizedHeight(pool) + 1;
  for (const height of pool.unvalidated.heights("block-proposal", finalizedHeight(pool) + 1, top)) {
    const membership = membershipAt(context, height);
    if (membership === undefined) continue;
    for (const entry of pool.unvalidated.at("block-proposal", height)) {
      const found = validateProposal(context, membership, entry);
      changes.push(...found);
      // What one proposal changes may matter to the next one of its height.
      if (found.some(({ kind }) => kind === "add" || kind === "move")) return changes;
    }
  }
  return changes;
}

function validateProposal(context: RoleContext, membership: Membership, entry: Entry<BlockProposal>): Change[] {
  const { pool, subnetId, crypto } = context;
  const { id, artifact } = entry;
  const { block, signer } = artifact;
  const { height } = block;
  const hash = blockHash(block, crypto.sha256);
  if (knownBlock(pool, height, hash) !== undefined) return [{ kind: "remove", section: "unvalidated", id }];
  const fault = makerFault(context, membership, artifact);
  if (fault !== undefined) return [{ kind: "invalid", id, why: fault }];
  const byNotarization = fastPath(context, entry, hash);
  if (byNotarization.length > 0) return byNotarization;
  if (isDisqualified(pool, height, signer)) return [];
  const other = otherOfMaker(context, membership, artifact);
  const proof = other && equivocationProof(subnetId, other, artifact);
  if (proof !== undefined) {
    context.note({ kind: "equivocation", height, node: signer });
    return [{ kind: "add", artifact: proof }];
  }
  switch (validateByItself(context, membership, artifact)) {
    case "valid":
      return [{ kind: "move", id }];
    case "later":
      return [];
    case "invalid":
      return [{ kind: "invalid", id, why: "the block is not valid" }];
  }
}

// What depends on nothing but who takes part is checked once. Nodes of one process may see one proposal with different eyes.
const faults = new WeakMap<Membership, WeakMap<BlockProposal, string>>();

function makerFault(context: RoleContext, membership: Membership, proposal: BlockProposal): string | undefined {
  let found = faults.get(membership);
  if (found === undefined) {
    found = new WeakMap();
    faults.set(membership, found);
  }
  const known = found.get(proposal);
  if (known !== undefined) return known === "" ? undefined : known;
  const fault = findMakerFault(context, membership, proposal);
  found.set(proposal, fault ?? "");
  return fault;
}

function findMakerFault(
  { crypto, subnetId }: RoleContext,
  { blockMakers, nodes }: Membership,
  { block, signer, signature }: BlockProposal,
): string | undefined {
  const node = nodes.get(signer);
  if (node === undefined || blockMakers[block.rank] !== signer) return "its maker does not have that rank";
  const { protocolVersion, height } = block;
  const metadata = { protocolVersion, height, blockHash: blockHash(block), subnetId };
  if (!crypto.verifyBasic(node, blockMetadataBytes(metadata), signature)) return "the signature of its maker is wrong";
  if (!equalBytes(payloadHash(block.payload, crypto.sha256), block.payloadHash)) return "it names another payload";
  return undefined;
}

/** A quorum has checked the block: it is taken together with their notarization. */
function fastPath(context: RoleContext, { id, artifact }: Entry<BlockProposal>, hash: Uint8Array): Change[] {
  const { pool } = context;
  const { height, parent } = artifact.block;
  if (!isNotarized(pool, height - 1, parent)) return [];
  const changes: Change[] = [];
  for (const notarization of pool.unvalidated.at("notarization", height)) {
    if (!equalBytes(notarization.artifact.blockHash, hash)) continue;
    const answer = checkNotarization(context, notarization);
    if (answer === "valid") return [...changes, { kind: "move", id }, { kind: "move", id: notarization.id }];
    if (answer === "invalid") changes.push({ kind: "invalid", id: notarization.id, why: "not signed by a quorum" });
  }
  return changes;
}

function checkNotarization(context: RoleContext, { artifact }: Entry<Notarization>) {
  return checkMultiSignature(context, artifact.height, artifact, notarizationBytes(artifact));
}

/** Another proposal of the same maker at the same height, signed by it. */
function otherOfMaker(
  context: RoleContext,
  membership: Membership,
  proposal: BlockProposal,
): BlockProposal | undefined {
  const { pool } = context;
  const { height } = proposal.block;
  const isOther = ({ artifact }: Entry<BlockProposal>) =>
    artifact !== proposal &&
    artifact.signer === proposal.signer &&
    !equalBytes(blockHash(artifact.block), blockHash(proposal.block)) &&
    makerFault(context, membership, artifact) === undefined;
  const other =
    pool.validated.at("block-proposal", height).find(isOther) ??
    pool.unvalidated.at("block-proposal", height).find(isOther);
  return other?.artifact;
}

type Answer = "valid" | "invalid" | "later";

function validateByItself(context: RoleContext, membership: Membership, { block, signer }: BlockProposal): Answer {
  const { pool, now } = context;
  const { height, rank } = block;
  if (!isNotarized(pool, height - 1, block.parent)) return "later";
  const parent = knownBlock(pool, height - 1, block.parent);
  const start = roundStart(pool, height);
  if (parent === undefined || start === undefined) return "later";
  const isBetter = ({ artifact }: Entry<BlockProposal>) =>
    artifact.block.rank < rank && !isDisqualified(pool, height, artifact.signer);
  if (pool.validated.at("block-proposal", height).some(isBetter)) return "later";
  const delay = proposalDelay(pool, membership.settings, rank, parent);
  if (!hasPassed(now, start, delay)) {
    context.wakeAt(after(start, delay));
    return "later";
  }
  const answer = checkContext(context, block, parent);
  return answer === "valid" ? checkPayload(context, membership, block, parent, signer) : answer;
}

/** Above that of the parent, and not beyond what this node knows; its time has come by this clock or by the parent's. */
function checkContext(context: RoleContext, block: Block, parent: Block): Answer {
  const { now, registry, state, pool } = context;
  const { registryVersion, certifiedHeight, time } = block.context;
  const before = parent.context;
  if (time <= before.time || registryVersion < before.registryVersion || certifiedHeight < before.certifiedHeight)
    return "invalid";
  if (registry.latestVersion() < registryVersion || state.certifiedHeight() < certifiedHeight) return "later";
  const since = validatedSince(pool, parent);
  const missing = time - now.wall;
  if (missing <= 0n) return "valid";
  const missingSinceParent = since === undefined ? missing : time - before.time - (now.monotonic - since.monotonic);
  const least = missing < missingSinceParent ? missing : missingSinceParent;
  if (least <= 0n) return "valid";
  context.wakeAt({ wall: now.wall + least, monotonic: now.monotonic + least });
  return "later";
}

function checkPayload(
  context: RoleContext,
  { settings }: Membership,
  block: Block,
  parent: Block,
  proposer: BlockProposal["signer"],
): Answer {
  const { payload, height } = block;
  const halt = haltStatus(context, height);
  if (halt === undefined) return "later";
  const isHalting = halt !== "running";
  if (
    isHalting &&
    payload.kind === "data" &&
    payload.batch.length + payload.dealings.length + payload.remote.length > 0
  )
    return "invalid";
  // An interval begins with its summary also then: a chain without it would not know who its nodes are.
  const dkg = validateDkgPart(context, parent, payload, block.context);
  if (dkg !== "valid" || payload.kind === "summary" || isHalting) return dkg;
  if (payload.batch.length > 2 * settings.maxBlockPayload) return "invalid";
  const past = pastPayloads(context.pool, parent, block.context.certifiedHeight);
  if (past === undefined) return "later";
  return context.payloads.validate(height, payload.batch, block.context, past, proposer);
}
