// The purger: drops what nobody needs any more, so that the pool stays within bounds however long the chain gets. Kept are some
// heights below the newest catch-up package for slow peers, and all above it that became final. Section 7.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height } from "@atoll/types";
import { blockHash } from "./artifact-hash.ts";
import type { ArtifactKind } from "./artifacts.ts";
import { catchUpPackage, finalizedBlock, finalizedHeight } from "./finalized-chain.ts";
import type { Change, Pool } from "./pool.ts";
import { minimumChainLength } from "./pool-bounds.ts";
import type { Role, RoleContext } from "./role-context.ts";
import { beaconHeight } from "./round.ts";

/** The lowest height that the validated section, and so the disk, has to keep. */
export function purgeHeight(context: Pick<RoleContext, "pool" | "registry">): Height {
  return Math.max(0, catchUpPackage(context.pool).height - minimumChainLength(context));
}

/** One instance per node: it remembers up to where side branches are gone. */
export function purger(): Role {
  let cleared = 0;
  return (context) => {
    const finalized = finalizedHeight(context.pool);
    const changes = [
      ...oldArtifacts(context),
      ...superseded(context),
      ...sideBranches(context, cleared + 1, finalized),
    ];
    cleared = finalized;
    return changes;
  };
}

const OWN_CHAIN: readonly ArtifactKind[] = [
  "block-proposal",
  "notarization",
  "finalization",
  "random-beacon",
  "random-beacon-share",
  "random-tape",
  "random-tape-share",
  "catch-up-package",
  "catch-up-package-share",
];

const NONE: readonly never[] = [];

function oldArtifacts(context: RoleContext): readonly Change[] {
  return drop(context.pool, "validated", purgeHeight(context), OWN_CHAIN);
}

const SHARES: readonly ArtifactKind[] = ["notarization-share", "finalization-share", "equivocation-proof"];
const OF_BLOCKS: readonly ArtifactKind[] = [...SHARES, "block-proposal", "notarization", "finalization"];
const BEACON: readonly ArtifactKind[] = ["random-beacon", "random-beacon-share"];
const TAPE: readonly ArtifactKind[] = ["random-tape", "random-tape-share"];
const PACKAGE_SHARE: readonly ArtifactKind[] = ["catch-up-package-share"];
const PACKAGE: readonly ArtifactKind[] = ["catch-up-package", ...PACKAGE_SHARE];

/** What is settled by a whole signature or by finality. */
function superseded({ pool, batches }: RoleContext): Change[] {
  const finalized = finalizedHeight(pool);
  const expected = batches.expected();
  const catchUp = catchUpPackage(pool).height;
  // Right after a state was taken over, execution is ahead of the chain: what peers send for the way there is still of use.
  const isAhead = expected > finalized + 1;
  return [
    ...drop(pool, "validated", finalized + 1, SHARES),
    ...drop(pool, "validated", catchUp + 1, PACKAGE_SHARE),
    ...drop(pool, "unvalidated", finalized + 1, OF_BLOCKS),
    ...drop(pool, "unvalidated", beaconHeight(pool) + 1, BEACON),
    ...drop(pool, "unvalidated", isAhead ? catchUp + 1 : expected - 1, TAPE),
    ...drop(pool, "unvalidated", catchUp + 1, PACKAGE),
  ];
}

/** Blocks that did not become final, and their notarizations. */
function sideBranches({ pool }: RoleContext, from: Height, to: Height): Change[] {
  const changes: Change[] = [];
  if (from > to) return changes;
  for (const height of pool.validated.heights("block-proposal", from, to)) {
    const final = finalizedBlock(pool, height);
    if (final === undefined) continue;
    const hash = blockHash(final);
    for (const { id, artifact } of pool.validated.at("block-proposal", height))
      if (!equalBytes(blockHash(artifact.block), hash)) changes.push({ kind: "remove", section: "validated", id });
    for (const { id, artifact } of pool.validated.at("notarization", height))
      if (!equalBytes(artifact.blockHash, hash)) changes.push({ kind: "remove", section: "validated", id });
  }
  return changes;
}

/** Where there is any. */
export function drop(
  pool: Pool,
  section: "validated" | "unvalidated",
  below: Height,
  kinds: readonly ArtifactKind[],
): readonly Change[] {
  let due: ArtifactKind[] | undefined;
  for (const kind of kinds) {
    const range = pool[section].range(kind);
    if (range === undefined || range.min >= below) continue;
    due ??= [];
    due.push(kind);
  }
  return due === undefined ? NONE : [{ kind: "purge", section, below, kinds: due }];
}
