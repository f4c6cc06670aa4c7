// The maker of blocks: a node with a rank in this round proposes a block once its delay has passed and nobody of lower rank
// was faster. Sections 5.2 and 8.
import type { Height, RegistryPort, Time } from "@atoll/types";
import { blockHash, payloadHash } from "./artifact-hash.ts";
import type { Block, BlockContext, BlockProposal, Payload } from "./artifacts.ts";
import { buildDkgPart, type DkgPart } from "./dkg/dkg-payload.ts";
import { isDisqualified } from "./equivocation.ts";
import { haltStatus } from "./halting.ts";
import { type Membership, membershipAt } from "./membership.ts";
import { pastPayloads } from "./past-payloads.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { after, hasPassed, notarizedBlocks, notarizedHeight, proposalDelay, roundStart } from "./round.ts";
import { blockMetadataBytes } from "./signed-bytes.ts";

export const blockMaker: Role = (context) => {
  const { pool, self } = context;
  const height = notarizedHeight(pool) + 1;
  const membership = membershipAt(context, height);
  const rank = membership?.blockMakers.indexOf(self) ?? -1;
  if (membership === undefined || rank < 0 || isTaken(context, height, rank)) return [];
  const halt = haltStatus(context, height);
  if (halt === undefined || halt === "halted") return [];
  const parent = notarizedBlocks(pool, height - 1).toSorted((a, b) => a.rank - b.rank)[0];
  const start = roundStart(pool, height);
  if (parent === undefined || start === undefined) return [];
  const delay = proposalDelay(pool, membership.settings, rank, parent);
  if (!hasPassed(context.now, start, delay)) {
    context.wakeAt(after(start, delay));
    return [];
  }
  const block = makeBlock(context, membership, rank, parent);
  return block === undefined ? [] : [{ kind: "add", artifact: propose(context, block) }];
};

/** Whether there is a proposal of this node, or one of lower rank that may be notarized. */
function isTaken({ pool, self }: RoleContext, height: Height, rank: number): boolean {
  return pool.validated
    .at("block-proposal", height)
    .some(
      ({ artifact: { signer, block } }) =>
        signer === self || (block.rank < rank && !isDisqualified(pool, height, signer)),
    );
}

/** Undefined: not now; what it would stand on is not here. */
function makeBlock(context: RoleContext, membership: Membership, rank: number, parent: Block): Block | undefined {
  const blockContext = contextAfter(context, membership, parent);
  if (blockContext === undefined) return undefined;
  const payload = makePayload(context, membership, parent, blockContext);
  if (payload === undefined) return undefined;
  return {
    protocolVersion: context.protocolVersion,
    height: parent.height + 1,
    parent: blockHash(parent),
    payloadHash: payloadHash(payload, context.crypto.sha256),
    payload,
    rank,
    context: blockContext,
  };
}

/** Undefined: this node knows less than the maker of the parent did. */
function contextAfter(context: RoleContext, { settings }: Membership, parent: Block): BlockContext | undefined {
  const { now, registry, state } = context;
  const certifiedHeight = state.certifiedHeight();
  const stable = stableVersion(registry, now.monotonic, settings.registryStableAge);
  const registryVersion = Math.max(stable, parent.context.registryVersion);
  const time = latest(now.wall, parent.context.time + settings.initialNotaryDelay + 1n);
  if (certifiedHeight < parent.context.certifiedHeight || registryVersion > registry.latestVersion()) return undefined;
  return { registryVersion, certifiedHeight, time };
}

/** The newest version that has been known for a while, so that most nodes know it too. */
function stableVersion(registry: RegistryPort, now: Time, age: Time): number {
  for (let version = registry.latestVersion(); version > 0; version--) {
    const since = registry.knownSince(version);
    if (since !== undefined && now - since >= age) return version;
  }
  return 0;
}

function makePayload(
  context: RoleContext,
  membership: Membership,
  parent: Block,
  blockContext: BlockContext,
): Payload | undefined {
  const part: DkgPart | undefined = buildDkgPart(context, parent, blockContext);
  if (part === undefined || part.kind === "summary") return part;
  if (haltStatus(context, parent.height + 1) !== "running")
    return { kind: "data", batch: new Uint8Array(), dealings: [], remote: [] };
  const batch = makeBatch(context, membership, parent, blockContext);
  return batch && { kind: "data", batch, dealings: part.dealings, remote: part.remote };
}

function makeBatch(
  context: RoleContext,
  { settings }: Membership,
  parent: Block,
  blockContext: BlockContext,
): Uint8Array | undefined {
  const { pool, payloads, self } = context;
  const height = parent.height + 1;
  const past = pastPayloads(pool, parent, blockContext.certifiedHeight);
  if (past === undefined) return undefined;
  const batch = payloads.build(height, blockContext, past, settings.maxBlockPayload);
  // What is proposed is what would be accepted: a block that nobody takes costs a whole round.
  if (payloads.validate(height, batch, blockContext, past, self) === "valid") return batch;
  context.note({ kind: "alarm", what: `the payload that was built for height ${height} is not valid` });
  const empty = new Uint8Array();
  return payloads.validate(height, empty, blockContext, past, self) === "valid" ? empty : undefined;
}

function propose({ crypto, self, subnetId }: RoleContext, block: Block): BlockProposal {
  const { protocolVersion, height } = block;
  const metadata = { protocolVersion, height, blockHash: blockHash(block, crypto.sha256), subnetId };
  return { kind: "block-proposal", block, signer: self, signature: crypto.signBasic(blockMetadataBytes(metadata)) };
}

function latest(a: Time, b: Time): Time {
  return a > b ? a : b;
}
