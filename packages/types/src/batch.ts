// A batch is everything a round of execution depends on besides the state: the agreed content of one block.
// Same state + same batch = same bytes. Written to the batch log before it is executed.
import type { CanisterId, PrincipalId } from "./ids.ts";
import type { InitialDkgResponse } from "./initial-dkg.ts";
import type { Intervention } from "./interventions.ts";
import type { IngressMessage } from "./messages.ts";
import type { OutcallResponse } from "./outcalls.ts";
import type { StreamSlice } from "./streams.ts";
import type { NetworkTopology } from "./topology.ts";
import type { Height, Time } from "./units.ts";

/** A node of the subnet, as its state knows it: the key in DER is what clients check answers to queries with. */
export interface SubnetNode {
  readonly nodeId: PrincipalId;
  readonly publicKey: Uint8Array;
}

export interface Batch {
  readonly height: Height;
  /** Strictly increasing from batch to batch. */
  readonly time: Time;
  /** 32 bytes that nobody could predict when the messages of this batch were sent. */
  readonly randomness: Uint8Array;
  /** Root hash of the state tree of the height before: it chains what is certified. None where nobody certifies. */
  readonly prevStateHash?: Uint8Array;
  readonly ingress: readonly IngressMessage[];
  /** A checkpoint follows: executions between two slices are dropped and begin again after it. */
  readonly isCheckpoint?: boolean;
  /** The node whose block this was, and the nodes that should have made it before but did not. */
  readonly blockmaker?: { readonly proposer: PrincipalId; readonly failed: readonly PrincipalId[] };
  /** What queries took since the last figures of this node. */
  readonly queryStats?: readonly CanisterQueryStats[];
  /** The subnets of the network from this batch on, where they are others than before. */
  readonly topology?: NetworkTopology;
  /** The nodes of this subnet from this batch on, where they are others than before. */
  readonly nodes?: readonly SubnetNode[];
  /** At most one of each other subnet. */
  readonly slices?: readonly StreamSlice[];
  readonly outcallResponses?: readonly OutcallResponse[];
  /** Keys for other subnets that were made, or given up. */
  readonly remoteDkgs?: readonly InitialDkgResponse[];
  /** Made before anything else. A batch with some runs no messages: looking at a state must not move it on. */
  readonly interventions?: readonly Intervention[];
  /** The round ends after so many executions; undefined: when it has used its instructions. */
  readonly maxExecutions?: number;
}

/** Queries on one canister that a node answered: figures that the whole subnet takes over from the batch. */
export interface CanisterQueryStats {
  readonly canister: CanisterId;
  readonly calls: number;
  readonly instructions: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}
