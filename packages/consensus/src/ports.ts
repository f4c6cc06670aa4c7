// What consensus needs of the rest of the node. The replica stands behind these: batches go down, state hashes come up.
// All of it is synchronous: what takes time (execution, state sync) is asked for here and seen later.
import type { Height, InitialDkgRequest, PrincipalId, RegistryPort, Time } from "@atoll/types";
import type { BlockContext, Certification, Hash } from "./artifacts.ts";
import type { ConsensusCrypto } from "./consensus-crypto.ts";
import type { RemoteDkgResult } from "./dkg-types.ts";

/** A state that was executed here and is not certified. */
export interface StateToCertify {
  readonly height: Height;
  readonly rootHash: Hash;
  /** CBOR hash tree that shows /metadata/height under the root. */
  readonly witness: Uint8Array;
}

/** Another subnet asks for keys: a call to `setup_initial_dkg` that waits in the certified state. */
export type RemoteDkgRequest = InitialDkgRequest;

export interface StatePort {
  /** Of the last batch that was executed. */
  executedHeight(): Height;
  /** Of the latest state that is executed here and certified. */
  certifiedHeight(): Height;
  /** Ascending, without gaps, above the certified height. */
  toCertify(): readonly StateToCertify[];
  /** Root hash of an executed state that is still known. */
  rootHash(height: Height): Hash | undefined;
  /** A certification that has been verified. Heights that are not executed yet are kept until they are. */
  certified(certification: Certification): void;
  /** Root of the manifest of the checkpoint at a summary height; undefined: not there yet, or no longer. */
  stateHash(height: Height): Hash | undefined;
  /** Another number as soon as `stateHash` has more to say. */
  stateHashes(): number;
  /** In the certified state at that height; undefined: that state is no longer, or not yet, at hand. */
  remoteDkgRequests(height: Height): readonly RemoteDkgRequest[] | undefined;
  /** A validated catch-up package is ahead of what is executed here: its state has to be fetched. Said again is nothing new. */
  fetchState(height: Height, stateHash: Hash): void;
  /** This node has computed another state than the subnet certified: it must not go on. */
  diverged(height: Height, why: string): void;
}

/** The agreed content of one finalized block, ready to be executed. */
export interface DeliveredBatch {
  readonly height: Height;
  readonly time: Time;
  /** Hash of the random tape at this height. */
  readonly randomness: Hash;
  readonly registryVersion: number;
  /** Payload of the replica; undefined: a summary block, which has none. */
  readonly batch: Uint8Array | undefined;
  /** At summary heights: the state is checkpointed after the batch, and its hash goes into the catch-up package. */
  readonly needsStateHash: boolean;
  readonly remoteDkgs: readonly RemoteDkgResult[];
  readonly blockmaker: PrincipalId;
  /** Block makers of lower rank whose block was not taken. */
  readonly failed: readonly PrincipalId[];
}

export interface BatchPort {
  /** Height of the batch that has to come next. */
  expected(): Height;
  /** How many more batches are taken now: 0 when 16 wait. */
  room(): number;
  deliver(batch: DeliveredBatch): void;
}

/** A block's payload that is not executed yet. */
export interface PastPayload {
  readonly height: Height;
  readonly time: Time;
  readonly payloadHash: Hash;
  readonly batch: Uint8Array;
}

export interface PayloadPort {
  /** At most about `maxBytes`. `past`: from the certified height of the context on, oldest first. */
  build(height: Height, context: BlockContext, past: readonly PastPayload[], maxBytes: number): Uint8Array;
  /** "later": something that is needed to tell is not here yet. `proposer`: who made the block. */
  validate(
    height: Height,
    batch: Uint8Array,
    context: BlockContext,
    past: readonly PastPayload[],
    proposer: PrincipalId,
  ): "valid" | "invalid" | "later";
}

export interface ConsensusPorts {
  readonly crypto: ConsensusCrypto;
  readonly registry: RegistryPort;
  readonly state: StatePort;
  readonly batches: BatchPort;
  readonly payloads: PayloadPort;
  /** Whether a peer has shown since the start that it knows no newer version of the registry; absent: nobody is asked. */
  readonly isRegistryCompared?: () => boolean;
}
