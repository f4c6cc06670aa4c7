// The roles in the order in which they have their turns, each with the kinds of artifacts that it looks at: as long as nothing of
// these has changed, nor anything behind the ports, nor a time that it asked for has come, it would say the same again and is
// not asked. Section 3, "Invocation order".
import type { ArtifactKind } from "./artifacts.ts";
import { deliverBatches } from "./batch-delivery.ts";
import { blockMaker } from "./block-maker.ts";
import { catchUpPackageAggregator } from "./catch-up-package-aggregator.ts";
import { catchUpPackageMaker } from "./catch-up-package-maker.ts";
import { catchUpPackageValidator } from "./catch-up-package-validator.ts";
import { certifier } from "./certifier.ts";
import { dkgDealer } from "./dkg/dealer.ts";
import { dealingValidator } from "./dkg/dealing-validator.ts";
import { keyLoader } from "./dkg/key-loader.ts";
import { Pace } from "./dkg/pace.ts";
import { finalizer } from "./finalizer.ts";
import { notary } from "./notary.ts";
import { purger } from "./purger.ts";
import { randomBeaconMaker } from "./random-beacon-maker.ts";
import { randomTapeMaker } from "./random-tape-maker.ts";
import type { Role } from "./role-context.ts";
import {
  aggregateFinalizations,
  aggregateNotarizations,
  beaconAggregator,
  tapeAggregator,
} from "./share-aggregator.ts";
import {
  validateBeacons,
  validateEquivocationProofs,
  validateFinalizations,
  validateNotarizations,
  validateTapes,
} from "./validator.ts";
import { validateProposals } from "./validator-proposal.ts";

export interface RoleInTurn {
  readonly role: Role;
  /** Kinds of the validated section. */
  readonly reads: readonly ArtifactKind[];
  /** Kinds of the unvalidated section. */
  readonly arrivals: readonly ArtifactKind[];
  /** Whether it asks the ports for heights. (A new version of the registry concerns every role.) */
  readonly readsPorts: boolean;
}

/** What says which nodes and keys are in force; nearly all roles depend on it. */
const IN_FORCE: readonly ArtifactKind[] = ["catch-up-package", "finalization"];
const ROUND: readonly ArtifactKind[] = [...IN_FORCE, "notarization", "random-beacon"];
const NONE: readonly ArtifactKind[] = [];

/** Of one node. Keys and dealings come where shares are made. */
export function invocationOrder(): readonly RoleInTurn[] {
  type Kinds = readonly ArtifactKind[];
  const inPool = (role: Role, reads: Kinds, arrivals = NONE) => ({ role, reads, arrivals, readsPorts: false });
  const alsoPorts = (role: Role, reads: Kinds, arrivals = NONE) => ({ role, reads, arrivals, readsPorts: true });
  const pace = new Pace();
  return [
    inPool(keyLoader(pace), IN_FORCE),
    inPool(finalizer, [...ROUND, "notarization-share", "finalization-share"]),
    alsoPorts(delivery, [...IN_FORCE, "random-tape", "random-beacon"]),
    alsoPorts(catchUpPackageMaker, [...IN_FORCE, "random-beacon", "catch-up-package-share"]),
    inPool(beaconAggregator(), [...ROUND, "random-beacon-share"], ["random-beacon-share"]),
    inPool(aggregateNotarizations, [...ROUND, "block-proposal", "notarization-share"], ["notarization-share"]),
    inPool(aggregateFinalizations, [...ROUND, "finalization-share"], ["finalization-share"]),
    alsoPorts(tapeAggregator(), [...IN_FORCE, "random-tape", "random-tape-share"], ["random-tape-share"]),
    inPool(
      catchUpPackageAggregator,
      [...IN_FORCE, "random-beacon", "catch-up-package-share"],
      ["catch-up-package-share"],
    ),
    alsoPorts(certifier(), [...IN_FORCE, ...CERTIFICATION], CERTIFICATION),
    // What comes in is not below what is needed: only when that changes there may be something to drop.
    alsoPorts(purger(), ROUND),
    alsoPorts(notary, [...ROUND, "block-proposal", "notarization-share", "equivocation-proof"]),
    inPool(randomBeaconMaker, [...ROUND, "random-beacon-share"]),
    alsoPorts(randomTapeMaker, [...IN_FORCE, "random-tape", "random-tape-share"]),
    inPool(dkgDealer(pace), [...IN_FORCE, "dkg-dealing"]),
    alsoPorts(blockMaker, [...ROUND, "block-proposal", "equivocation-proof"]),
    inPool(dealingValidator(pace), [...IN_FORCE, "dkg-dealing"], ["dkg-dealing"]),
    alsoPorts(catchUpPackageValidator(), IN_FORCE, ["catch-up-package"]),
    inPool(validateBeacons, ROUND, ["random-beacon"]),
    inPool(validateEquivocationProofs, [...ROUND, "equivocation-proof"], ["equivocation-proof"]),
    alsoPorts(
      validateProposals,
      [...ROUND, "block-proposal", "equivocation-proof"],
      ["block-proposal", "notarization"],
    ),
    inPool(validateNotarizations, [...ROUND, "block-proposal"], ["notarization"]),
    inPool(validateFinalizations, ROUND, ["finalization"]),
    alsoPorts(validateTapes, [...IN_FORCE, "random-tape"], ["random-tape"]),
  ];
}

const CERTIFICATION: readonly ArtifactKind[] = ["certification", "certification-share"];

const delivery: Role = (context) => {
  deliverBatches(context);
  return [];
};
