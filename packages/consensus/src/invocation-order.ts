// The roles in the order in which they have their turns, each with what can give it something to say: as long as nothing of that
// has changed, nor a time that it asked for has come, it is not asked. What only takes something to do away from a role is not
// among it. Section 3, "Invocation order".
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
  /** Kinds of the validated section of which more could give it something to say. "in-force": see `IN_FORCE`. */
  readonly reads: readonly (ArtifactKind | typeof IN_FORCE)[];
  /** Kinds of the unvalidated section. */
  readonly arrivals: readonly ArtifactKind[];
  /** What it asks the ports for. (A new version of the registry concerns every role.) */
  readonly ports: readonly PortHeight[];
  /** What it tells the ports may change what they say. */
  readonly actsOnPorts: boolean;
}

/** The heights that the ports give; with the expected batch goes whether there is room for it. */
export type PortHeight = "executed" | "certified" | "expected" | "state-hashes";

/** The newest catch-up package and the final summaries after it: which nodes and keys are in force. */
const IN_FORCE = "in-force";
/** Who takes part in a round, and that it has begun. */
const ROUND = [IN_FORCE, "notarization", "random-beacon"] as const;

/** Of one node. Keys and dealings come where shares are made. */
export function invocationOrder(): readonly RoleInTurn[] {
  const pace = new Pace();
  return [
    turn(keyLoader(pace), [IN_FORCE]),
    turn(finalizer, ROUND),
    {
      ...turn(delivery, [IN_FORCE, "finalization", "random-tape", "random-beacon"], [], ["expected"]),
      actsOnPorts: true,
    },
    {
      ...turn(
        catchUpPackageMaker,
        [IN_FORCE, "finalization", "random-beacon", "catch-up-package-share"],
        [],
        ["expected", "state-hashes"],
      ),
      actsOnPorts: true,
    },
    turn(beaconAggregator(), [...ROUND, "random-beacon-share"], ["random-beacon-share"]),
    turn(aggregateNotarizations, [...ROUND, "block-proposal", "notarization-share"], ["notarization-share"]),
    turn(aggregateFinalizations, [...ROUND, "finalization-share"], ["finalization-share"]),
    turn(tapeAggregator(), [IN_FORCE, "finalization", "random-tape-share"], ["random-tape-share"], ["expected"]),
    turn(catchUpPackageAggregator, [IN_FORCE, "random-beacon", "catch-up-package-share"], ["catch-up-package-share"]),
    {
      ...turn(certifier(), [IN_FORCE, ...CERTIFICATION], CERTIFICATION, ["executed", "certified"]),
      actsOnPorts: true,
    },
    // What comes in is not below what is needed: only when that changes there may be something to drop.
    turn(purger(), [IN_FORCE, "finalization", "random-beacon"], [], ["expected"]),
    turn(notary, [...ROUND, "finalization", "block-proposal", "equivocation-proof"], [], ["certified"]),
    turn(randomBeaconMaker, ROUND),
    turn(randomTapeMaker, [IN_FORCE, "finalization"], [], ["expected"]),
    // It tries again with every block what it could not deal.
    turn(dkgDealer(pace), [IN_FORCE, "finalization", "dkg-dealing"]),
    turn(blockMaker, [...ROUND, "block-proposal", "equivocation-proof"], [], ["executed", "certified"]),
    turn(dealingValidator(pace), [IN_FORCE, "finalization", "dkg-dealing"], ["dkg-dealing"]),
    turn(catchUpPackageValidator(), [IN_FORCE, "finalization"], ["catch-up-package"], ["executed"]),
    turn(validateBeacons, ROUND, ["random-beacon"]),
    turn(validateEquivocationProofs, ROUND, ["equivocation-proof"]),
    turn(
      validateProposals,
      [...ROUND, "block-proposal", "equivocation-proof"],
      ["block-proposal", "notarization"],
      ["executed", "certified"],
    ),
    turn(validateNotarizations, [...ROUND, "block-proposal"], ["notarization"]),
    turn(validateFinalizations, ROUND, ["finalization"]),
    turn(validateTapes, [IN_FORCE, "finalization", "random-tape"], ["random-tape"], ["expected"]),
  ];
}

function turn(
  role: Role,
  reads: RoleInTurn["reads"],
  arrivals: RoleInTurn["arrivals"] = [],
  ports: RoleInTurn["ports"] = [],
): RoleInTurn {
  return { role, reads, arrivals, ports, actsOnPorts: false };
}

const CERTIFICATION: readonly ArtifactKind[] = ["certification", "certification-share"];

const delivery: Role = (context) => {
  deliverBatches(context);
  return [];
};
