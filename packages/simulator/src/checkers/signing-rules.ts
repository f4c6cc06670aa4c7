// Invariant 5: what an honest node signs for a height, also across crashes: notarization shares in non-increasing rank and
// never at or below the height that it has notarized; a finalization share only where it signed no other block. What counts is
// what left the node: a share that was never sent binds nobody.
import { type Artifact, type BlockProposal, blockHash } from "@atoll/consensus";
import { type Height, type PrincipalId, toHex } from "@atoll/types";
import { ByHeight, type Checker, REMEMBERED_HEIGHTS, type RunFacts, Violation } from "./checker.ts";

/** What must not be forgotten: with one of these forgotten a node could sign what contradicts it. */
const VOTES: ReadonlySet<string> = new Set(["block-proposal", "notarization-share", "finalization-share"]);

interface BlockOfRank {
  readonly rank: number;
  readonly maker: string;
}

interface Signed {
  readonly notarized: Set<string>;
  readonly blocks: BlockOfRank[];
  finalized: string | undefined;
}

interface Life {
  /** What the node vouches for at a height: blocks by their makers' ranks, and makers that have been proved to lie. */
  makers: ByHeight<Map<string, number>>;
  readonly liars: ByHeight<Set<string>>;
  readonly signed: ByHeight<Signed>;
  /** Its own block of each height. */
  readonly proposed: ByHeight<string>;
  /** Highest notarization that the node has published. */
  notarizedHeight: Height;
}

export function signingRulesChecker({
  mostMembers,
}: Pick<RunFacts, "mostMembers">): Pick<Checker, "published" | "crashed"> {
  const makers = Math.floor((mostMembers - 1) / 3) + 1;
  const honest = new Set<PrincipalId>();
  const lives = new Map<number, Life>();
  const blocks = new ByHeight<Map<string, BlockOfRank>>(REMEMBERED_HEIGHTS);

  const lifeOf = (index: number): Life => {
    let life = lives.get(index);
    if (life === undefined) {
      life = newLife();
      lives.set(index, life);
    }
    return life;
  };

  const noteShare = (index: number, artifact: Artifact, isOld: boolean): void => {
    if (artifact.kind !== "notarization-share" && artifact.kind !== "finalization-share") return;
    const { height } = artifact;
    const hash = toHex(artifact.blockHash);
    const life = lifeOf(index);
    const signed = life.signed.at(height, () => ({ notarized: new Set(), blocks: [], finalized: undefined }));
    if (artifact.kind === "finalization-share") {
      if (signed.finalized !== undefined && signed.finalized !== hash)
        throw new Violation(5, `node ${index} signed two blocks as final at height ${height}`);
      signed.finalized = hash;
    } else if (!signed.notarized.has(hash)) {
      if (!isOld) checkNotarizing(index, artifact.height, life.notarizedHeight);
      const block = blocks.get(height)?.get(hash);
      if (!isOld) checkLowest(index, height, block?.rank, life);
      signed.notarized.add(hash);
      if (block !== undefined) checkOrder(index, height, block, signed, life.liars.get(height));
    }
    if (signed.finalized !== undefined && signed.notarized.size > (signed.notarized.has(signed.finalized) ? 1 : 0))
      throw new Violation(5, `node ${index} signed a block as final at height ${height} and notarized another`);
  };

  const published: Checker["published"] = ({ node, artifact, isOld, isDurable }) => {
    if (artifact.kind === "block-proposal") {
      const { block, signer } = artifact;
      blocks.at(block.height, () => new Map()).set(toHex(blockHash(block)), { rank: block.rank, maker: signer });
    }
    if (!node.isHonest || node.hasForgotten) honest.delete(node.id);
    else honest.add(node.id);
    // Who forgot what it signed counts among the faulty nodes.
    if (!honest.has(node.id)) return;
    checkVouched(node.index, artifact, { honest, makers });
    if ("signer" in artifact && artifact.signer !== node.id) {
      noteKnown(lifeOf(node.index), artifact);
      return;
    }
    if (VOTES.has(artifact.kind) && !isDurable)
      throw new Violation(5, `node ${node.index} sends a ${artifact.kind} that a crash could make it forget`);
    noteKnown(lifeOf(node.index), artifact);
    if (artifact.kind === "block-proposal") checkOnly(node.index, artifact, lifeOf(node.index).proposed);
    noteShare(node.index, artifact, isOld);
    if (artifact.kind === "notarization") {
      const life = lifeOf(node.index);
      life.notarizedHeight = Math.max(life.notarizedHeight, artifact.height);
    }
  };
  return {
    published,
    crashed({ node }) {
      const life = lives.get(node.index);
      if (life !== undefined) forgetUnsynced(life);
    },
  };
}

/** Blocks and notarizations need not be on the disk; what is there the node publishes when it starts. */
function forgetUnsynced(life: Life): void {
  life.makers = new ByHeight(REMEMBERED_HEIGHTS);
  life.notarizedHeight = 0;
}

function newLife(): Life {
  const heights = <T>() => new ByHeight<T>(REMEMBERED_HEIGHTS);
  return { makers: heights(), liars: heights(), signed: heights(), proposed: heights(), notarizedHeight: 0 };
}

/** What no node that keeps to the protocol passes on, whoever made it. */
function checkVouched(
  index: number,
  artifact: Artifact,
  { honest, makers }: { honest: ReadonlySet<PrincipalId>; makers: number },
): void {
  if (artifact.kind === "equivocation-proof" && honest.has(artifact.signer))
    throw new Violation(5, `node ${index} has proof of two blocks at height ${artifact.height} of one that made one`);
  if (artifact.kind === "block-proposal" && artifact.block.rank >= makers)
    throw new Violation(5, `node ${index} vouches for a block of rank ${artifact.block.rank}`);
}

function checkOnly(index: number, { block }: BlockProposal, proposed: ByHeight<string>): void {
  const hash = toHex(blockHash(block));
  if (proposed.at(block.height, () => hash) !== hash)
    throw new Violation(5, `node ${index} proposed two blocks at height ${block.height}`);
}

function noteKnown({ makers, liars }: Life, artifact: Artifact): void {
  if (artifact.kind === "block-proposal") {
    const { height, rank } = artifact.block;
    makers.at(height, () => new Map()).set(artifact.signer, rank);
  }
  if (artifact.kind === "equivocation-proof") liars.at(artifact.height, () => new Set()).add(artifact.signer);
}

/** Two blocks of one rank are of one maker: who has both has the proof that it lies, and its rank no longer counts. */
function checkOrder(
  index: number,
  height: Height,
  block: BlockOfRank,
  signed: Signed,
  liars?: ReadonlySet<string>,
): void {
  for (const before of signed.blocks)
    if (before.rank <= block.rank && liars?.has(before.maker) !== true)
      throw new Violation(5, `node ${index} signed rank ${block.rank} after ${before.rank} at height ${height}`);
  signed.blocks.push(block);
}

function checkLowest(index: number, height: Height, rank: number | undefined, { makers, liars }: Life): void {
  if (rank === undefined) return;
  for (const [maker, lower] of makers.get(height) ?? [])
    if (lower < rank && liars.get(height)?.has(maker) !== true)
      throw new Violation(5, `node ${index} signed rank ${rank} at height ${height} and had a block of rank ${lower}`);
}

function checkNotarizing(index: number, height: Height, notarizedHeight: Height): void {
  if (height <= notarizedHeight)
    throw new Violation(5, `node ${index} signed at height ${height}, but had a notarization at ${notarizedHeight}`);
}
