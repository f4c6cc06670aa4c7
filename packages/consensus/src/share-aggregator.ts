// The aggregator: as soon as enough different nodes have signed the same thing, their shares become one signature. Anybody may
// do it. Shares are combined first and the result is verified once; only if that fails they are verified singly, and wrong
// ones are dropped and blamed. So shares of peers stay unvalidated: each node sends its own ones to all, nobody relays
// another's, and a share only counts when it came from its signer (`receive` sees to that), which bounds them and makes
// blame certain. Section 5.6; those of certifications and catch-up packages are combined by the roles that know their content.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height, NodeRecord } from "@atoll/types";
import type { Artifact, ArtifactOf, BlockReference, Share } from "./artifacts.ts";
import { combineForLater, combineThenVerify, type ShareEntry } from "./combine-then-verify.ts";
import { isSameDkg } from "./dkg/dkg-keys.ts";
import { activeTranscript } from "./dkg/registry-version.ts";
import type { DkgId } from "./dkg-types.ts";
import { finalizedHeight } from "./finalized-chain.ts";
import { type Membership, membershipAt } from "./membership.ts";
import type { Change, Entry, Pool } from "./pool.ts";
import { isBeaconDue, nextBeaconContent } from "./random-beacon-maker.ts";
import { isTapeDue, tapeContent, tapeHeights } from "./random-tape-maker.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { beaconHeight, notarizedHeight, referenceTo } from "./round.ts";
import { beaconBytes, finalizationBytes, notarizationBytes, tapeBytes } from "./signed-bytes.ts";

/** One instance per node: it remembers the height of a signature that is combined and waits until it is due. */
export function beaconAggregator(): Role {
  let waiting: Height | undefined;
  return (context) => {
    const { pool } = context;
    const height = beaconHeight(pool) + 1;
    const shares = sharesAt(pool, "random-beacon-share", height);
    const isDue = isBeaconDue(context, height);
    if (!isEnough(pool, height, shares) || (!isDue && waiting === height)) return [];
    const content = nextBeaconContent(context);
    if (content === undefined) return [];
    if (!isDue) waiting = height;
    const fits = (artifact: ArtifactOf<"random-beacon-share">) =>
      artifact.protocolVersion === content.protocolVersion &&
      equalBytes(artifact.parent, content.parent) &&
      isSameDkg(artifact.dkgId, content.dkgId);
    const act = isDue ? combineThenVerify : combineForLater;
    return combineThreshold(context, content, shares, { fits, act }, beaconBytes(content), (signature) => ({
      kind: "random-beacon",
      ...content,
      signature,
    }));
  };
}

/** One instance per node, for the same reason. Of tapes only the highest one can be early. */
export function tapeAggregator(): Role {
  let waiting: Height | undefined;
  return (context) => {
    const { pool } = context;
    const { from, to } = tapeHeights(context);
    const changes: Change[] = [];
    for (let height = from; height <= to; height++) {
      if (pool.validated.at("random-tape", height).length > 0) continue;
      const shares = sharesAt(pool, "random-tape-share", height);
      const isDue = isTapeDue(context, height);
      if (!isEnough(pool, height, shares) || (!isDue && waiting === height)) continue;
      if (!isDue) waiting = height;
      for (const change of aggregateTape(context, height, shares, isDue)) changes.push(change);
    }
    return changes;
  };
}

function aggregateTape(
  context: RoleContext,
  height: Height,
  shares: Shares<ArtifactOf<"random-tape-share">>,
  isDue: boolean,
): Change[] {
  const content = tapeContent(context, height);
  if (content === undefined) return [];
  const fits = (artifact: ArtifactOf<"random-tape-share">) =>
    artifact.protocolVersion === content.protocolVersion && isSameDkg(artifact.dkgId, content.dkgId);
  const act = isDue ? combineThenVerify : combineForLater;
  return combineThreshold(context, content, shares, { fits, act }, tapeBytes(content), (signature) => ({
    kind: "random-tape",
    ...content,
    signature,
  }));
}

export function aggregateNotarizations(context: RoleContext): readonly Change[] {
  const { pool } = context;
  const height = notarizedHeight(pool) + 1;
  const shares = sharesAt(pool, "notarization-share", height);
  const membership = membershipAt(context, height);
  if (membership === undefined || countOf(shares) < membership.threshold) return NONE;
  return pool.validated.at("block-proposal", height).flatMap(({ artifact }) => {
    const reference = referenceTo(artifact.block);
    return combineMulti(context, membership, reference, shares, notarizationBytes, (signers, signature) => ({
      kind: "notarization",
      ...reference,
      signers,
      signature,
    }));
  });
}

export function aggregateFinalizations(context: RoleContext): readonly Change[] {
  const { pool } = context;
  const changes: Change[] = [];
  for (let height = finalizedHeight(pool) + 1; height <= notarizedHeight(pool); height++) {
    const shares = sharesAt(pool, "finalization-share", height);
    const membership = membershipAt(context, height);
    if (membership === undefined || countOf(shares) < membership.threshold) continue;
    for (const { artifact } of pool.validated.at("notarization", height)) {
      const { protocolVersion, blockHash } = artifact;
      const reference = { protocolVersion, height, blockHash };
      const found = combineMulti(context, membership, reference, shares, finalizationBytes, (signers, signature) => ({
        kind: "finalization",
        ...reference,
        signers,
        signature,
      }));
      for (const change of found) changes.push(change);
    }
  }
  return changes;
}

const NONE: readonly never[] = [];

type ShareKind = "random-beacon-share" | "random-tape-share" | "notarization-share" | "finalization-share";

/** This node's own ones, or such as it vouches for; and what peers sent. */
interface Shares<A extends Artifact> {
  readonly own: readonly Entry<A>[];
  readonly others: readonly Entry<A>[];
}

function sharesAt<K extends ShareKind>(pool: Pool, kind: K, height: Height): Shares<ArtifactOf<K>> {
  return { own: pool.validated.at(kind, height), others: pool.unvalidated.at(kind, height) };
}

function countOf({ own, others }: Shares<Artifact>): number {
  return own.length + others.length;
}

function isEnough(pool: Pool, height: Height, shares: Shares<Artifact>): boolean {
  const count = countOf(shares);
  return count > 0 && count >= (activeTranscript(pool, "low", height)?.threshold ?? Number.POSITIVE_INFINITY);
}

function combineThreshold<A extends Artifact & Share>(
  { pool, crypto }: RoleContext,
  { height, dkgId }: { readonly height: Height; readonly dkgId: DkgId },
  { own, others }: Shares<A>,
  { fits, act }: { readonly fits: (artifact: A) => boolean; readonly act: typeof combineThenVerify },
  message: Uint8Array,
  build: (signature: Uint8Array) => Artifact,
): Change[] {
  const transcript = activeTranscript(pool, "low", height);
  if (transcript === undefined || !isSameDkg(transcript.dkgId, dkgId)) return [];
  const changes: Change[] = [];
  const shares: ShareEntry[] = [];
  const isOf = (artifact: A) => fits(artifact) && transcript.receivers.includes(artifact.signer);
  for (const { id, artifact } of own)
    if (isOf(artifact)) shares.push({ id, signer: artifact.signer, signature: artifact.signature, isChecked: true });
  for (const { id, artifact } of others)
    if (isOf(artifact)) shares.push({ id, signer: artifact.signer, signature: artifact.signature, isChecked: false });
    else changes.push({ kind: "invalid", id, why: "a share of something else" });
  const { signature, right, wrong } = act(crypto, transcript, message, shares);
  for (const id of wrong) changes.push({ kind: "invalid", id, why: "a wrong share" });
  if (signature === undefined) {
    for (const id of right) changes.push({ kind: "move", id });
    return changes;
  }
  changes.push({ kind: "add", artifact: build(signature) });
  for (const { id, isChecked } of shares) if (!isChecked) changes.push({ kind: "remove", section: "unvalidated", id });
  return changes;
}

type CommitteeShare = ArtifactOf<"notarization-share"> | ArtifactOf<"finalization-share">;

/** One share of each member of the committee, and enough of them. */
function combineMulti(
  context: RoleContext,
  membership: Membership,
  reference: BlockReference,
  { own, others }: Shares<CommitteeShare>,
  messageOf: (reference: BlockReference) => Uint8Array,
  build: (signers: NodeRecord["nodeId"][], signature: Uint8Array) => Artifact,
): Change[] {
  const { threshold } = membership;
  const isAbout = ({ artifact }: Entry<CommitteeShare>) => equalBytes(artifact.blockHash, reference.blockHash);
  const about = [...own, ...others].filter(isAbout);
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
