// One node's part in the agreement: it takes artifacts in, lets the roles work on the pool until none has anything more to
// do, and says what to broadcast. It owns no timer, socket or file. Section 3, invocation order; section 5.
import type { Height, LogPort, PrincipalId, StoragePort, Time } from "@atoll/types";
import type { Artifact, ArtifactId, CatchUpPackage } from "./artifacts.ts";
import type { Instant } from "./pool.ts";
import type { ConsensusPorts } from "./ports.ts";
import type { ConsensusEvent } from "./role-context.ts";

export interface ConsensusOptions {
  readonly self: PrincipalId;
  readonly subnetId: PrincipalId;
  readonly protocolVersion: string;
  /** Where this node begins when its disk is empty: the unsigned package of genesis, or of a recovery. */
  readonly genesis: CatchUpPackage;
  /** Told of what happened, in order. */
  readonly onEvent?: (event: ConsensusEvent) => void;
}

export interface ConsensusPlaces {
  /** The validated pool is kept here: nothing leaves this node that could be forgotten by it. */
  readonly storage: StoragePort;
  readonly log: LogPort;
}

/** What a step changed for the other nodes. */
export interface StepResult {
  /** To be broadcast: they are on the disk. */
  readonly published: readonly { readonly id: ArtifactId; readonly artifact: Artifact; readonly bytes: Uint8Array }[];
  /** No longer broadcast. */
  readonly retracted: readonly ArtifactId[];
  /** Monotonic time of the next step at the latest, if nothing comes in before. */
  readonly wakeAt: Time;
}

/** Heights that the node has got to; also what its metrics and the supervisor look at. */
export interface ConsensusStatus {
  readonly notarizedHeight: Height;
  readonly finalizedHeight: Height;
  readonly beaconHeight: Height;
  readonly catchUpHeight: Height;
  readonly registryVersion: number;
  readonly isHalted: boolean;
  /** The version of the protocol that the subnet stops for, or has stopped for. */
  readonly awaitedVersion: string | undefined;
}

export interface ConsensusNode {
  /** Lets the roles work until nothing changes. Throws EnvironmentError when the pool cannot be written: nothing was broadcast. */
  step(now: Instant): StepResult;
  /** An artifact of an authenticated peer, by its encoding. */
  receive(peer: PrincipalId, bytes: Uint8Array, now: Instant): "taken" | "unwanted" | "invalid";
  /** Whether an artifact known by its id only should be fetched (section 7, bouncer). */
  wants(id: ArtifactId): boolean;
  /** What is broadcast at a start: the validated pool as it was read from the disk. */
  published(): StepResult["published"];
  status(): ConsensusStatus;
  /** The newest catch-up package that this node has. */
  catchUpPackage(): CatchUpPackage;
  close(): void;
}

/** Opens the pool in `places.storage`, or begins with `options.genesis`. */
export type OpenConsensus = (
  options: ConsensusOptions,
  ports: ConsensusPorts,
  places: ConsensusPlaces,
) => ConsensusNode;
