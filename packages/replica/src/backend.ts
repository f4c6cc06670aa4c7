// What the HTTP interface sees of a replica: its certified state, a way in for messages, answers to queries.
// The HTTP handlers are written against this alone, so that they serve a solo node, a node among many and a
// test network without a change. Interface specification, "HTTPS interface".
import type {
  CanisterId,
  ClockPort,
  CryptoPort,
  Height,
  IngressMessage,
  Path,
  PrincipalId,
  QueryRequest,
  QueryResult,
  RequestId,
  Time,
  UserError,
} from "@atoll/types";

export type ReplicaHealth =
  | "starting"
  | "waiting_for_certified_state"
  | "waiting_for_root_delegation"
  | "certified_state_behind"
  | "healthy";

/** How the ranges of a delegation are shown: v2/v3 call style, v3 query and v4 call style, or not at all. */
export type DelegationStyle = "flat" | "sharded" | "none";

/** The latest state that the subnet has signed. Immutable: a later height is another object. */
export interface CertifiedState {
  readonly height: Height;
  readonly time: Time;
  /** CBOR certificate (with the self-describe tag) that reveals everything below each path, or proves absence. */
  certificate(paths: readonly Path[], style: DelegationStyle): Uint8Array;
  /** The same without delegation, for other subnets: they know this one's key. */
  undelegated(paths: readonly Path[]): Uint8Array;
  /** The leaf at `path`, or undefined. */
  lookup(path: Path): Uint8Array | undefined;
  /** True when a leaf or a subtree exists at `path`. */
  has(path: Path): boolean;
}

export interface SubnetDescription {
  readonly subnetId: PrincipalId;
  readonly rootSubnetId: PrincipalId;
  readonly type: "application" | "system" | "verified_application" | "cloud_engine";
  /** Inclusive ranges of canister ids that this subnet hosts. */
  readonly canisterRanges: readonly (readonly [CanisterId, CanisterId])[];
  readonly nodeId: PrincipalId;
  /** DER of the network's root key (133 bytes). */
  readonly rootKey: Uint8Array;
}

export type SubmitOutcome = "accepted" | "duplicate" | "pool-full";

export interface ReplicaBackend {
  readonly clock: ClockPort;
  readonly crypto: CryptoPort;
  readonly subnet: SubnetDescription;
  /** Keys that certificates inside requests (canister signatures) may go back to: own root key first. */
  readonly trustedRootKeys: readonly Uint8Array[];
  health(): ReplicaHealth;
  certifiedState(): CertifiedState | undefined;
  /** Checks of checklist 1.8 after authentication, `canister_inspect_message` included; undefined = let it in. */
  filterIngress(message: IngressMessage): Promise<UserError | undefined>;
  /** `envelope`: as it was signed, which is what the blocks of a subnet of many nodes carry. */
  submitIngress(message: IngressMessage, envelope?: Uint8Array): SubmitOutcome;
  /** Resolves with the first certified state in which the message is replied, rejected or done. `cancel` forgets. */
  awaitCompletion(requestId: RequestId): { readonly completed: Promise<CertifiedState>; cancel(): void };
  /** Runs a query against the certified state; `style` is for the data certificate that the canister can read. */
  query(query: QueryRequest, style: DelegationStyle): Promise<{ result: QueryResult; time: Time }>;
  /** Ed25519 signature of this node. */
  signAsNode(message: Uint8Array): Uint8Array;
  /** Sender and receiver of a message whose status is known, for read_state permissions. */
  ingressOrigin(requestId: RequestId): { sender: PrincipalId; receiver: CanisterId } | undefined;
  /** Controllers of a canister, or undefined when there is none. */
  controllers(canisterId: CanisterId): readonly PrincipalId[] | undefined;
  /** True when the module's custom section `name` is `icp:private`. */
  isPrivateMetadata(canisterId: CanisterId, name: string): boolean;
}
