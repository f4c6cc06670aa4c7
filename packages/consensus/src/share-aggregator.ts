// The aggregator: as soon as enough different nodes have signed the same thing, their shares become one signature. Anybody may
// do it. Shares are combined first and the result is verified once; only if that fails they are verified singly, and wrong
// ones are dropped and blamed. So shares of peers stay unvalidated: each node sends its own ones to all, nobody relays
// another's, and a share only counts when it came from its signer (`receive` sees to that), which bounds them and makes
// blame certain. Section 5.6; those of certifications and catch-up packages are combined by the roles that know their content.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height, NodeRecord } from "@atoll/types";
import type { Artifact, ArtifactOf, BlockReference, Share } from "./artifacts.ts";
import { combineForLater, combineThenVerify } from "./combine-then-verify.ts";
import { isSameDkg } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import type { DkgId } from "./dkg-types.ts";
import { finalizedHeight } from "./finalized-chain.ts";
import { InVain } from "./in-vain.ts";
import { beaconAt, type Membership, membershipAt } from "./membership.ts";
import type { Change, Entry } from "./pool.ts";
import { isBeaconDue, nextBeaconContent } from "./random-beacon-maker.ts";
import { isTapeDue, tapeContent, tapeHeights } from "./random-tape-maker.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { beaconHeight, isNotarized, notarizedHeight, referenceTo } from "./round.ts";
import { beaconBytes, finalizationBytes, notarizationBytes, tapeBytes } from "./signed-bytes.ts";

/** One instance per node. */
export function beaconAggregator(): Role {
  const inVain = new InVain();
  return (context) => {
    const { pool } = context;
    const tip = beaconHeight(pool);
    const looked = looksAt(context, "random-beacon-share", tip + 1, isBeaconDue(context, tip + 1));
    if (looked === undefined) return [];
    looked.push(beaconAt(pool, tip));
    return inVain.unlessSame(tip + 1, looked, () => aggregateBeacon(context));
  };
}

function aggregateBeacon(context: RoleContext): Change[] {
  const content = nextBeaconContent(context);
  if (content === undefined) return [];
  const entries = sharesAt(context, "random-beacon-share", content.height);
  if (entries.length === 0) return [];
  const fits = ({ artifact }: Entry<ArtifactOf<"random-beacon-share">>) =>
    artifact.protocolVersion === content.protocolVersion &&
    equalBytes(artifact.parent, content.parent) &&
    isSameDkg(artifact.dkgId, content.dkgId);
  const act = isBeaconDue(context, content.height) ? combineThenVerify : combineForLater;
  return combineThreshold(context, content, entries, { fits, act }, beaconBytes(content), (signature) => ({
    kind: "random-beacon",
    ...content,
    signature,
  }));
}

/** One instance per node. */
export function tapeAggregator(): Role {
  const inVain = new InVain();
  return (context) => {
    const { from, to } = tapeHeights(context);
    const changes: Change[] = [];
    for (let height = from; height <= to; height++) {
      if (context.pool.validated.at("random-tape", height).length > 0) continue;
      const looked = looksAt(context, "random-tape-share", height, isTapeDue(context, height));
      if (looked === undefined) continue;
      changes.push(...inVain.unlessSame(height, looked, () => aggregateTape(context, height)));
    }
    return changes;
  };
}

function aggregateTape(context: RoleContext, height: Height): Change[] {
  const entries = sharesAt(context, "random-tape-share", height);
  const content = entries.length === 0 ? undefined : tapeContent(context, height);
  if (content === undefined) return [];
  const fits = ({ artifact }: Entry<ArtifactOf<"random-tape-share">>) =>
    artifact.protocolVersion === content.protocolVersion && isSameDkg(artifact.dkgId, content.dkgId);
  const act = isTapeDue(context, height) ? combineThenVerify : combineForLater;
  return combineThreshold(context, content, entries, { fits, act }, tapeBytes(content), (signature) => ({
    kind: "random-tape",
    ...content,
    signature,
  }));
}

/**
 * All that a threshold signature can be combined of, and undefined for nothing: lists of the pool are new ones when anything in
 * them is. Before the signature is due, it only matters whether there are enough shares of it.
 */
function looksAt(
  { pool }: RoleContext,
  kind: "random-beacon-share" | "random-tape-share",
  height: Height,
  isDue: boolean,
): unknown[] | undefined {
  const own = pool.validated.at(kind, height);
  const others = pool.unvalidated.at(kind, height);
  if (own.length + others.length === 0) return undefined;
  const transcript = activeTranscript(pool, "low", height);
  if (transcript === undefined) return undefined;
  if (isDue) return [transcript, own, others];
  return own.length + others.length < transcript.threshold ? undefined : [transcript];
}

export function aggregateNotarizations(context: RoleContext): Change[] {
  const { pool } = context;
  const height = notarizedHeight(pool) + 1;
  const shares = sharesAt(context, "notarization-share", height);
  if (shares.length === 0) return [];
  return pool.validated.at("block-proposal", height).flatMap(({ artifact }) => {
    const reference = referenceTo(artifact.block);
    return combineMulti(context, reference, shares, notarizationBytes, (signers, signature) => ({
      kind: "notarization",
      ...reference,
      signers,
      signature,
    }));
  });
}

export function aggregateFinalizations(context: RoleContext): Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  for (const height of pool.validated.heights("notarization", finalizedHeight(pool) + 1, notarizedHeight(pool))) {
    const shares = sharesAt(context, "finalization-share", height);
    if (shares.length === 0) continue;
    for (const { artifact } of pool.validated.at("notarization", height)) {
      const { protocolVersion, blockHash } = artifact;
      const reference = { protocolVersion, height, blockHash };
      if (!isNotarized(pool, height, blockHash)) continue;
      const found = combineMulti(context, reference, shares, finalizationBytes, (signers, signature) => ({
        kind: "finalization",
        ...reference,
        signers,
        signature,
      }));
      changes.push(...found);
    }
  }
  return changes;
}

type ShareKind = "random-beacon-share" | "random-tape-share" | "notarization-share" | "finalization-share";

function sharesAt<K extends ShareKind>(
  { pool }: RoleContext,
  kind: K,
  height: Height,
): readonly Entry<ArtifactOf<K>>[] {
  const own = pool.validated.at(kind, height);
  const others = pool.unvalidated.at(kind, height);
  return others.length === 0 ? own : [...own, ...others];
}

function combineThreshold<A extends Artifact & Share>(
  context: RoleContext,
  { height, dkgId }: { readonly height: Height; readonly dkgId: DkgId },
  entries: readonly Entry<A>[],
  { fits, act }: { readonly fits: (entry: Entry<A>) => boolean; readonly act: typeof combineThenVerify },
  message: Uint8Array,
  build: (signature: Uint8Array) => Artifact,
): Change[] {
  const { pool, crypto } = context;
  const transcript = activeTranscript(pool, "low", height);
  if (transcript === undefined || !isSameDkg(transcript.dkgId, dkgId)) return [];
  const [good, bad] = split(entries, (entry) => fits(entry) && transcript.receivers.includes(entry.artifact.signer));
  const changes: Change[] = bad.map(({ id }) => ({ kind: "invalid", id, why: "a share of something else" }));
  const shares = good.map(({ id, artifact }) => ({
    id,
    signer: artifact.signer,
    signature: artifact.signature,
    isChecked: pool.validated.has(id),
  }));
  const { signature, right, wrong } = act(crypto, transcript, message, shares);
  for (const id of wrong) changes.push({ kind: "invalid", id, why: "a wrong share" });
  if (signature === undefined) return [...changes, ...right.map((id): Change => ({ kind: "move", id }))];
  changes.push({ kind: "add", artifact: build(signature) });
  return [...changes, ...dropped(context, good)];
}

type CommitteeShare = ArtifactOf<"notarization-share"> | ArtifactOf<"finalization-share">;

/** One share of each member of the committee, and enough of them. */
function combineMulti(
  context: RoleContext,
  reference: BlockReference,
  all: readonly Entry<CommitteeShare>[],
  messageOf: (reference: BlockReference) => Uint8Array,
  build: (signers: NodeRecord["nodeId"][], signature: Uint8Array) => Artifact,
): Change[] {
  const membership = membershipAt(context, reference.height);
  if (membership === undefined) return [];
  const { threshold } = membership;
  const about = all.filter(({ artifact }) => equalBytes(artifact.blockHash, reference.blockHash));
  if (about.length < threshold) return [];
  const { chosen, strangers } = committeeShares(context, membership, about);
  const changes: Change[] = strangers.map(({ id }) => ({
    kind: "invalid",
    id,
    why: "its signer is not in the committee",
  }));
  if (chosen.length < threshold) return changes;
  const message = messageOf(reference);
  const first = combineAndVerify(context, membership, chosen.slice(0, threshold), message);
  if (first !== undefined) return [...changes, { kind: "add", artifact: build(...first) }, ...dropped(context, about)];
  const [right, wrong] = split(chosen, (entry) => isRightShare(context, membership, entry, message));
  changes.push(...wrong.map(({ id }): Change => ({ kind: "invalid", id, why: "a wrong share" })));
  const second =
    right.length < threshold ? undefined : combineAndVerify(context, membership, right.slice(0, threshold), message);
  if (second === undefined) return changes;
  return [...changes, { kind: "add", artifact: build(...second) }, ...dropped(context, right)];
}

function committeeShares(
  { pool }: RoleContext,
  { notaries, nodes }: Membership,
  about: readonly Entry<CommitteeShare>[],
): { chosen: Entry<CommitteeShare>[]; strangers: Entry<CommitteeShare>[] } {
  const bySigner = new Map<string, Entry<CommitteeShare>>();
  const strangers: Entry<CommitteeShare>[] = [];
  for (const entry of about) {
    const { signer } = entry.artifact;
    if (!notaries.has(signer) || !nodes.has(signer)) strangers.push(entry);
    else if (pool.validated.has(entry.id) || verified.has(entry.artifact) || !bySigner.has(signer))
      bySigner.set(signer, entry);
  }
  return { chosen: [...bySigner.values()], strangers };
}

function combineAndVerify(
  { crypto }: RoleContext,
  { nodes }: Membership,
  chosen: readonly Entry<CommitteeShare>[],
  message: Uint8Array,
): [NodeRecord["nodeId"][], Uint8Array] | undefined {
  const signature = crypto.combineMulti(chosen.map(({ artifact }) => artifact.signature));
  const signers = chosen.map(({ artifact }) => artifact.signer).sort();
  const records = signers.map((signer) => nodes.get(signer) as NodeRecord);
  return signature && crypto.verifyMulti(records, message, signature) ? [signers, signature] : undefined;
}

// Shares that were verified singly and did not make a whole yet: not to be verified again.
const verified = new WeakSet<Artifact>();

function isRightShare(
  { pool, crypto }: RoleContext,
  { nodes }: Membership,
  { id, artifact }: Entry<CommitteeShare>,
  message: Uint8Array,
): boolean {
  if (pool.validated.has(id) || verified.has(artifact)) return true;
  const isRight = crypto.verifyMulti([nodes.get(artifact.signer) as NodeRecord], message, artifact.signature);
  if (isRight) verified.add(artifact);
  return isRight;
}

/** Peers' shares of what is signed as a whole now are of no use any more. */
function dropped({ pool }: RoleContext, entries: readonly Entry[]): Change[] {
  return entries
    .filter(({ id }) => pool.unvalidated.has(id))
    .map(({ id }) => ({ kind: "remove", section: "unvalidated", id }));
}

function split<T>(all: readonly T[], isFirst: (each: T) => boolean): [T[], T[]] {
  const first: T[] = [];
  const second: T[] = [];
  for (const each of all) (isFirst(each) ? first : second).push(each);
  return [first, second];
}
