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
import { finalizer } from "./finalizer.ts";
import { notary } from "./notary.ts";
import { purger } from "./purger.ts";
import { randomBeaconMaker } from "./random-beacon-maker.ts";
import { randomTapeMaker } from "./random-tape-maker.ts";
import type { Role } from "./role-context.ts";
import { aggregateBeacon, aggregateFinalizations, aggregateNotarizations, aggregateTapes } from "./share-aggregator.ts";
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
  readonly reads: readonly ArtifactKind[];
  /** Whether it asks the ports for heights or versions. */
  readonly readsPorts: boolean;
}

/** What says which nodes and keys are in force; nearly all roles depend on it. */
const IN_FORCE: readonly ArtifactKind[] = ["catch-up-package", "finalization"];
const ROUND: readonly ArtifactKind[] = [...IN_FORCE, "notarization", "random-beacon"];

/** Of one node. Keys and dealings come where shares are made. */
export function invocationOrder(): readonly RoleInTurn[] {
  const inPool = (role: Role, ...reads: ArtifactKind[]) => ({ role, reads, readsPorts: false });
  const alsoPorts = (role: Role, ...reads: ArtifactKind[]) => ({ role, reads, readsPorts: true });
  return [
    inPool(keyLoader(), ...IN_FORCE),
    inPool(finalizer, ...ROUND, "notarization-share", "finalization-share"),
    alsoPorts(delivery, ...IN_FORCE, "random-tape", "random-beacon"),
    alsoPorts(catchUpPackageMaker, ...IN_FORCE, "random-beacon", "catch-up-package-share"),
    inPool(aggregateBeacon, ...ROUND, "random-beacon-share"),
    inPool(aggregateNotarizations, ...ROUND, "block-proposal", "notarization-share"),
    inPool(aggregateFinalizations, ...ROUND, "finalization-share"),
    alsoPorts(aggregateTapes, ...IN_FORCE, "random-tape", "random-tape-share"),
    inPool(catchUpPackageAggregator, ...IN_FORCE, "random-beacon", "catch-up-package-share"),
    alsoPorts(certifier(), ...IN_FORCE, "certification", "certification-share"),
    alsoPorts(purger(), ...ROUND),
    alsoPorts(notary, ...ROUND, "block-proposal", "notarization-share", "equivocation-proof"),
    inPool(randomBeaconMaker, ...ROUND, "random-beacon-share"),
    alsoPorts(randomTapeMaker, ...IN_FORCE, "random-tape", "random-tape-share"),
    inPool(dkgDealer, ...IN_FORCE, "dkg-dealing"),
    alsoPorts(blockMaker, ...ROUND, "block-proposal", "equivocation-proof"),
    inPool(dealingValidator(), ...IN_FORCE, "dkg-dealing"),
    alsoPorts(catchUpPackageValidator(), ...IN_FORCE),
    inPool(validateBeacons, ...ROUND),
    inPool(validateEquivocationProofs, ...ROUND, "equivocation-proof"),
    alsoPorts(validateProposals, ...ROUND, "block-proposal", "equivocation-proof"),
    inPool(validateNotarizations, ...ROUND, "block-proposal"),
    inPool(validateFinalizations, ...ROUND),
    alsoPorts(validateTapes, ...IN_FORCE, "random-tape"),
  ];
}

const delivery: Role = (context) => {
  deliverBatches(context);
  return [];
};
