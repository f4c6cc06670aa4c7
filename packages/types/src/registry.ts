// What the registry says of one subnet, version by version: which nodes it has, by which keys they are known and where
// they are, and how fast it goes. Every node reads the same versions, sooner or later; consensus agrees in its blocks on
// which version is in force. So far the versions come as records that the network's operator signs; the registry canister
// takes that place. Consensus and chain-key facts, sections 2, 4 and 12.
import type { PrincipalId } from "./ids.ts";
import type { Time } from "./units.ts";

/** A node as everybody knows it. The proofs of possession have been checked when the record was taken in. */
export interface NodeRecord {
  /** Self-authenticating id of the DER form of `signingKey`. */
  readonly nodeId: PrincipalId;
  /** Ed25519, 32 bytes: block proposals, dealings, answers to queries; and the key of its TLS certificate. */
  readonly signingKey: Uint8Array;
  /** BLS, in G2, 96 bytes: notarization and finalization. */
  readonly committeeKey: Uint8Array;
  /** Proves that the node has the secret of `committeeKey`: 48 bytes. */
  readonly committeeKeyProof: Uint8Array;
  /** In G1, 48 bytes: shares of the subnet's keys are encrypted to it. */
  readonly dealingKey: Uint8Array;
  /** Proves that the node has the secret of `dealingKey`. */
  readonly dealingKeyProof: Uint8Array;
  /** Where other nodes connect to: host and port. */
  readonly address: string;
  /** Where its HTTP interface is, as others see it; empty: nobody but itself knows. */
  readonly httpAddress: string;
}

export interface RegistryRecord {
  /** Grows by one with each record, from 1. */
  readonly version: number;
  readonly subnetId: PrincipalId;
  /** Sorted by id. */
  readonly nodes: readonly NodeRecord[];
  /** Nodes that are known and belong to no subnet yet, sorted by id: the keys of a new subnet can be dealt to them. */
  readonly unassigned?: readonly NodeRecord[];
  readonly settings: ConsensusSettings;
  /** The version of the protocol that the nodes shall run. */
  readonly protocolVersion: string;
  /** Stop at the next catch-up package and stay there. */
  readonly haltAtCupHeight: boolean;
  /** Stop at once. */
  readonly isHalted: boolean;
}

/** Section 23. Durations in ns. */
export interface ConsensusSettings {
  readonly unitDelay: Time;
  readonly initialNotaryDelay: Time;
  /** Blocks from one summary block to the next, less one. */
  readonly dkgIntervalLength: number;
  readonly dkgDealingsPerBlock: number;
  readonly maxIngressPerBlock: number;
  /** Bytes. */
  readonly maxBlockPayload: number;
  /** Heights below the newest catch-up package that are kept for slow peers. */
  readonly minimumChainLength: number;
  /** Added to the notary delay for each height that certification lags behind by, beyond one. */
  readonly backlogDelay: Time;
  /** How long a node that is nearly there goes on executing before it takes over a state instead. */
  readonly cupHoldBack: Time;
  /** A version is proposed in blocks when it has been known for so long. */
  readonly registryStableAge: Time;
}

export const DEFAULT_CONSENSUS_SETTINGS: ConsensusSettings = {
  unitDelay: 1_000_000_000n,
  initialNotaryDelay: 300_000_000n,
  dkgIntervalLength: 499,
  dkgDealingsPerBlock: 1,
  maxIngressPerBlock: 1000,
  maxBlockPayload: 4 * 1024 * 1024,
  minimumChainLength: 50,
  backlogDelay: 2_000_000_000n,
  cupHoldBack: 150_000_000_000n,
  registryStableAge: 5_000_000_000n,
};

/** The versions that a node knows. Reading is local and never waits; something outside brings new versions. */
export interface RegistryPort {
  /** 0: none yet. */
  latestVersion(): number;
  /** Undefined: not known here, or not yet. Old versions stay known as long as anything needs them. */
  record(version: number): RegistryRecord | undefined;
  /** Monotonic time at which this process first knew the version. */
  knownSince(version: number): Time | undefined;
}
