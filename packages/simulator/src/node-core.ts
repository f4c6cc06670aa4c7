// What the simulator drives: a node between its ports. A whole replica is one; a cheap one with next to no state is another
// (counting-core.ts), for runs that are about agreement alone.
import type { CatchUpPackage, ConsensusCrypto, ConsensusEvent, ConsensusStatus, Instant } from "@atoll/consensus";
import type { ReplicaBackend } from "@atoll/replica";
import type { SharedRegistry } from "@atoll/replica/consensus/registry-exchange";
import type { Batch, EntropyPort, Height, LogPort, PeerHandler, PeerNetwork, StoragePort, Time } from "@atoll/types";
import type { SimIdentity } from "./crypto-world.ts";
import type { SimSubnet } from "./sim-subnet.ts";

export interface NodeCore {
  /** What clients talk to; a cheap node has none. */
  readonly backend: ReplicaBackend | undefined;
  readonly peerHandler: PeerHandler;
  onWork: (() => void) | undefined;
  start(): Promise<void>;
  /** Whether something in it may be waiting for a promise, or may have begun to. */
  readonly mayWait: boolean;
  /** Gives the monotonic time of the next step at the latest. */
  step(): Time;
  /** Its process is gone: what it holds of the host is given back. */
  discard(): void;
  status(): ConsensusStatus & { readonly executedHeight: Height; readonly certifiedHeight: Height };
}

export interface CoreParts {
  readonly identity: SimIdentity;
  readonly subnet: SimSubnet;
  readonly protocolVersion: string;
  readonly genesis: CatchUpPackage;
  readonly clock: { now(): Instant };
  readonly entropy: EntropyPort;
  readonly consensusCrypto: ConsensusCrypto;
  readonly registry: SharedRegistry;
  readonly poolStorage: StoragePort;
  readonly stateStorage: StoragePort;
  readonly network: PeerNetwork;
  readonly log: LogPort;
  readonly execution: Execution;
  onEvent(event: ConsensusEvent): void;
  /** It has computed another state than the subnet. */
  onDiverged(height: Height, why: string): void;
  onRound(round: { readonly height: Height; readonly rootHash: Uint8Array }): void;
}

/** How a node executes, as its driver has it. */
export interface Execution {
  delayNs(): number;
  isAlive(): boolean;
  onWorked(): void;
  onBatch(batch: Batch): void;
  /** It goes on from the state of other nodes. */
  onInstalled(height: Height): void;
  readonly lies: "none" | "no-execution";
  /** It comes to another state at that height than it should. */
  isCorrupt(height: Height): boolean;
}

export type MakeCore = (parts: CoreParts) => NodeCore;
