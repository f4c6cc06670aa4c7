// One node of a subnet of many: consensus decides the batches, the executor executes them, the nodes certify the states
// together, and clients are answered from what is certified. It owns no timer, socket or file: a driver calls `step` when
// `onWork` or the time that the last `step` gave says so, and joins `peerHandler` to the network between the nodes.
import type { CatchUpPackage, ConsensusCrypto, ConsensusEvent, ConsensusStatus, Instant } from "@atoll/consensus";
import type { SubnetConfig } from "@atoll/state";
import type {
  CryptoPort,
  EntropyPort,
  Height,
  LogPort,
  PeerHandler,
  PeerNetwork,
  PrincipalId,
  RegistryPort,
  StoragePort,
  Time,
} from "@atoll/types";
import type { ReplicaBackend } from "../backend.ts";
import type { Executor } from "../executor.ts";

export interface ConsensusReplicaOptions {
  readonly config: SubnetConfig;
  /** DER of the network's root key. */
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: PrincipalId;
  readonly nodeId: PrincipalId;
  /** Ed25519 seed of this node. */
  readonly nodeSecret: Uint8Array;
  readonly protocolVersion: string;
  readonly genesis: CatchUpPackage;
  readonly onEvent?: (event: ConsensusEvent) => void;
  readonly onRound?: (round: { readonly height: Height; readonly rootHash: Uint8Array }) => void;
}

export interface ConsensusReplicaPorts {
  readonly clock: { now(): Instant };
  readonly entropy: EntropyPort;
  readonly crypto: CryptoPort;
  readonly consensusCrypto: ConsensusCrypto;
  readonly registry: RegistryPort;
  /** The validated pool of consensus: nothing leaves the node before it is here. */
  readonly poolStorage: StoragePort;
  readonly network: PeerNetwork;
  readonly log: LogPort;
}

export interface ConsensusReplicaStatus extends ConsensusStatus {
  readonly executedHeight: Height;
  readonly certifiedHeight: Height;
  readonly checkpointHeight: Height;
  /** Of a state that is being fetched. */
  readonly fetching: { readonly height: Height; readonly chunks: number; readonly of: number } | undefined;
  readonly waitingIngress: number;
}

export interface ConsensusReplica {
  readonly backend: ReplicaBackend;
  readonly peerHandler: PeerHandler;
  /** Loads the state and the pool. */
  start(): Promise<void>;
  /** Lets consensus work on what came in and on the time; gives the monotonic time of the next call at the latest. */
  step(): Time;
  /** Called when something came in: the driver should call `step` soon. */
  onWork: (() => void) | undefined;
  status(): ConsensusReplicaStatus;
  stop(): Promise<void>;
}

export type MakeConsensusReplica = (
  options: ConsensusReplicaOptions,
  ports: ConsensusReplicaPorts,
  executor: Executor,
) => ConsensusReplica;
