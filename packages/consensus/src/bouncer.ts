// Which artifacts of peers are of use at the heights that this node has got to: others are not fetched, or not kept. What is too
// early is offered again later; what is too late is not missed. Section 7.

import { equalBytes } from "@atoll/crypto/domain";
import type { Height, PrincipalId } from "@atoll/types";
import type { Artifact, ArtifactKind } from "./artifacts.ts";
import { CERTIFICATION_REACH } from "./certifier.ts";
import { latestFinalizedSummary } from "./dkg/registry-version.ts";
import { catchUpPackage, finalizedHeight } from "./finalized-chain.ts";
import type { RoleContext } from "./role-context.ts";
import { beaconHeight, isNotarized, MAX_CATCH_UP_GAP, nextCatchUpHeight, notarizedHeight } from "./round.ts";

export type BouncerContext = Pick<RoleContext, "pool" | "batches" | "state">;

/** Heights above the own ones from which artifacts are taken. */
const REACH = 10;

/** "late": of no use any more. "early": perhaps later. */
export function bounce(context: BouncerContext, kind: ArtifactKind, height: Height): "wanted" | "late" | "early" {
  const { from, to } = wantedHeights(context, kind);
  if (height < from) return "late";
  if (height > to) return "early";
  if (kind !== "catch-up-package" && height > nextCatchUpHeight(context.pool) + MAX_CATCH_UP_GAP) return "early";
  return "wanted";
}

function wantedHeights({ pool, batches, state }: BouncerContext, kind: ArtifactKind): { from: Height; to: Height } {
  const finalized = finalizedHeight(pool);
  const catchUp = catchUpPackage(pool).height;
  switch (kind) {
    case "block-proposal":
    case "notarization-share":
    case "notarization":
    case "finalization-share":
    case "finalization":
    case "equivocation-proof":
      return { from: finalized + 1, to: notarizedHeight(pool) + REACH };
    case "random-beacon-share":
    case "random-beacon":
      return { from: beaconHeight(pool) + 1, to: Math.max(beaconHeight(pool), notarizedHeight(pool)) + REACH };
    case "random-tape-share":
    case "random-tape":
      return { from: Math.min(Math.max(batches.expected(), catchUp), finalized + 1), to: finalized + REACH };
    case "catch-up-package":
      return { from: catchUp + 1, to: Number.MAX_SAFE_INTEGER };
    case "catch-up-package-share":
      return { from: catchUp + 1, to: nextCatchUpHeight(pool) + MAX_CATCH_UP_GAP };
    case "certification-share":
    case "certification":
      return { from: state.certifiedHeight() + 1, to: state.executedHeight() + CERTIFICATION_REACH };
    case "dkg-dealing": {
      const { height } = latestFinalizedSummary(pool);
      return { from: height, to: nextCatchUpHeight(pool) + MAX_CATCH_UP_GAP };
    }
  }
}

/** Shares come from those who made them: nobody relays another's, so that whoever sends a wrong one is to blame for it. */
export function isRelayedShare(artifact: Artifact, peer: PrincipalId): boolean {
  return isShare(artifact.kind) && "signer" in artifact && artifact.signer !== peer;
}

export function isShare(kind: ArtifactKind): boolean {
  return kind.endsWith("-share");
}

/** Whether what the artifact would contribute to, or prove, is there already. */
export function isSuperseded({ pool }: BouncerContext, artifact: Artifact): boolean {
  switch (artifact.kind) {
    case "notarization-share":
    case "notarization":
      return isNotarized(pool, artifact.height, artifact.blockHash);
    case "finalization-share":
    case "finalization":
      return pool.validated
        .at("finalization", artifact.height)
        .some((entry) => equalBytes(entry.artifact.blockHash, artifact.blockHash));
    case "random-tape-share":
    case "random-tape":
      return pool.validated.at("random-tape", artifact.height).length > 0;
    case "certification-share":
    case "certification":
      return pool.validated.at("certification", artifact.height).length > 0;
    default:
      return false;
  }
}
