// What the nodes of a subnet say to each other to agree: every kind of artifact with its fields, and its one encoding,
// which is hashed, signed, kept on disk and sent. Consensus and chain-key facts, sections 2 and 3.
// A node that runs another version of the protocol drops an artifact on arrival, by `protocolVersion`.
import { type ArtifactOrigin, type Height, type PrincipalId, type Time, toHex } from "@atoll/types";
import {
  bytes,
  type Codec,
  encodeWire,
  fixedBytes,
  list,
  principal,
  record,
  text,
  u64,
  uint,
  union,
} from "@atoll/types/wire";
import { MAX_NODES, MAX_PAYLOAD_BYTES, MAX_SIGNATURE_BYTES, MAX_WITNESS_BYTES } from "./bounds.ts";
import {
  type DkgDealingMessage,
  type DkgId,
  type DkgSummary,
  dkgDealingMessage,
  dkgId,
  dkgSummary,
  type RemoteDkgResult,
  remoteDkgResult,
} from "./dkg-types.ts";

/** SHA-256 with the domain of what was hashed: 32 bytes. */
export type Hash = Uint8Array;

export interface BlockContext {
  readonly registryVersion: number;
  readonly certifiedHeight: Height;
  readonly time: Time;
}

/** What a block carries. `batch` is the replica's affair: consensus passes it on. */
export type Payload =
  | { readonly kind: "summary"; readonly summary: DkgSummary }
  | {
      readonly kind: "data";
      readonly batch: Uint8Array;
      readonly dealings: readonly DkgDealingMessage[];
      /** Keys for another subnet whose dealings were complete before the interval ended: both of it, or none. */
      readonly remote: readonly RemoteDkgResult[];
    };

/** The block's own hash covers `payloadHash`, so that a payload can be checked and sent apart from it. */
export interface Block {
  readonly protocolVersion: string;
  readonly height: Height;
  /** Hash of the parent block. */
  readonly parent: Hash;
  readonly payloadHash: Hash;
  readonly payload: Payload;
  readonly rank: number;
  readonly context: BlockContext;
}

/** Signed by the block maker over BlockMetadata. */
export interface BlockProposal {
  readonly kind: "block-proposal";
  readonly block: Block;
  readonly signer: PrincipalId;
  readonly signature: Uint8Array;
}

/** What notarizations and finalizations are about. */
export interface BlockReference {
  readonly protocolVersion: string;
  readonly height: Height;
  readonly blockHash: Hash;
}

/** One node's share of a signature: of several keys together, or of one key that none of them has. */
export interface Share {
  readonly signer: PrincipalId;
  readonly signature: Uint8Array;
}

/** The keys of all `signers`, sorted, have signed. */
export interface MultiSignature {
  readonly signers: readonly PrincipalId[];
  readonly signature: Uint8Array;
}

export interface NotarizationShare extends BlockReference, Share {
  readonly kind: "notarization-share";
}
export interface Notarization extends BlockReference, MultiSignature {
  readonly kind: "notarization";
}
export interface FinalizationShare extends BlockReference, Share {
  readonly kind: "finalization-share";
}
export interface Finalization extends BlockReference, MultiSignature {
  readonly kind: "finalization";
}

/** The id of the transcript whose shares sign; `parent`: hash of the beacon before. */
export interface BeaconContent {
  readonly protocolVersion: string;
  readonly height: Height;
  readonly parent: Hash;
  readonly dkgId: DkgId;
}
export interface RandomBeaconShare extends BeaconContent, Share {
  readonly kind: "random-beacon-share";
}
export interface RandomBeacon extends BeaconContent {
  readonly kind: "random-beacon";
  readonly signature: Uint8Array;
}

export interface TapeContent {
  readonly protocolVersion: string;
  readonly height: Height;
  readonly dkgId: DkgId;
}
export interface RandomTapeShare extends TapeContent, Share {
  readonly kind: "random-tape-share";
}
export interface RandomTape extends TapeContent {
  readonly kind: "random-tape";
  readonly signature: Uint8Array;
}

/** Signed is the whole package; a share names the block by its hash only. */
export interface CatchUpContent {
  readonly protocolVersion: string;
  readonly height: Height;
  readonly beacon: RandomBeacon;
  /** Root of the manifest of the state at `height`. */
  readonly stateHash: Hash;
  readonly oldestRegistryVersionInUse: number;
}
export interface CatchUpPackageShare extends CatchUpContent, Share {
  readonly kind: "catch-up-package-share";
  readonly blockHash: Hash;
  readonly dkgId: DkgId;
}
export interface CatchUpPackage extends CatchUpContent {
  readonly kind: "catch-up-package";
  /** The summary block at `height`. */
  readonly block: Block;
  /** By the subnet's key. Empty: of genesis or of a recovery, and never taken from a peer. */
  readonly signature: Uint8Array;
}

export interface EquivocationProof {
  readonly kind: "equivocation-proof";
  readonly protocolVersion: string;
  readonly height: Height;
  readonly subnetId: PrincipalId;
  readonly signer: PrincipalId;
  readonly hash1: Hash;
  readonly signature1: Uint8Array;
  readonly hash2: Hash;
  readonly signature2: Uint8Array;
}

/** `witness`: CBOR hash tree that shows /metadata/height under `rootHash`. */
export interface CertificationContent {
  readonly protocolVersion: string;
  readonly height: Height;
  readonly rootHash: Hash;
  readonly witness: Uint8Array;
}
export interface CertificationShare extends CertificationContent, Share {
  readonly kind: "certification-share";
  readonly dkgId: DkgId;
}
export interface Certification extends CertificationContent {
  readonly kind: "certification";
  readonly signature: Uint8Array;
}

export interface DkgDealingArtifact extends DkgDealingMessage {
  readonly kind: "dkg-dealing";
}

export type Artifact =
  | BlockProposal
  | NotarizationShare
  | Notarization
  | FinalizationShare
  | Finalization
  | RandomBeaconShare
  | RandomBeacon
  | RandomTapeShare
  | RandomTape
  | CatchUpPackageShare
  | CatchUpPackage
  | EquivocationProof
  | CertificationShare
  | Certification
  | DkgDealingArtifact;

export type ArtifactKind = Artifact["kind"];
export type ArtifactOf<K extends ArtifactKind> = Extract<Artifact, { kind: K }>;

export const ARTIFACT_KINDS: readonly ArtifactKind[] = [
  "block-proposal",
  "notarization-share",
  "notarization",
  "finalization-share",
  "finalization",
  "random-beacon-share",
  "random-beacon",
  "random-tape-share",
  "random-tape",
  "catch-up-package-share",
  "catch-up-package",
  "equivocation-proof",
  "certification-share",
  "certification",
  "dkg-dealing",
];

const AGGREGATES: ReadonlySet<ArtifactKind> = new Set([
  "notarization",
  "finalization",
  "random-beacon",
  "random-tape",
  "catch-up-package",
  "certification",
]);

/** What is made of shares has no signature of whoever made it. */
export function originOf(kind: ArtifactKind): ArtifactOrigin {
  return AGGREGATES.has(kind) ? "aggregate" : "own";
}

/** Of a dealing: the height at which the interval of its key generation began. */
export function heightOf(artifact: Artifact): Height {
  if (artifact.kind === "block-proposal") return artifact.block.height;
  if (artifact.kind === "dkg-dealing") return artifact.dkgId.startHeight;
  return artifact.height;
}

const height: Codec<Height> = uint();
const hash = fixedBytes(32);
const version = text(64);
const signature = bytes(MAX_SIGNATURE_BYTES);
const share = { signer: principal, signature };
const multi = { signers: list(principal, MAX_NODES), signature };
const reference = { protocolVersion: version, height, blockHash: hash };
const beaconContent = { protocolVersion: version, height, parent: hash, dkgId };
const tapeContent = { protocolVersion: version, height, dkgId };
const randomBeaconFields = { ...beaconContent, signature };

export const payloadCodec: Codec<Payload> = union<Payload>({
  summary: record({ summary: dkgSummary }),
  data: record({
    batch: bytes(MAX_PAYLOAD_BYTES),
    dealings: list(dkgDealingMessage, MAX_NODES),
    remote: list(remoteDkgResult, 2),
  }),
});

export const blockContext: Codec<BlockContext> = record({
  registryVersion: uint(),
  certifiedHeight: height,
  time: u64,
});

export const blockCodec: Codec<Block> = record({
  protocolVersion: version,
  height,
  parent: hash,
  payloadHash: hash,
  payload: payloadCodec,
  rank: uint(MAX_NODES),
  context: blockContext,
});

const beaconFields: Codec<Omit<RandomBeacon, "kind">> = record(randomBeaconFields);
export const randomBeaconCodec: Codec<RandomBeacon> = {
  write: (writer, value) => beaconFields.write(writer, value),
  read: (reader) => ({ kind: "random-beacon", ...beaconFields.read(reader) }),
};

const catchUpContent = {
  protocolVersion: version,
  height,
  beacon: randomBeaconCodec,
  stateHash: hash,
  oldestRegistryVersionInUse: uint(),
};
const certificationContent = { protocolVersion: version, height, rootHash: hash, witness: bytes(MAX_WITNESS_BYTES) };

export const artifactCodec: Codec<Artifact> = union<Artifact>({
  "block-proposal": record({ block: blockCodec, ...share }),
  "notarization-share": record({ ...reference, ...share }),
  notarization: record({ ...reference, ...multi }),
  "finalization-share": record({ ...reference, ...share }),
  finalization: record({ ...reference, ...multi }),
  "random-beacon-share": record({ ...beaconContent, ...share }),
  "random-beacon": record(randomBeaconFields),
  "random-tape-share": record({ ...tapeContent, ...share }),
  "random-tape": record({ ...tapeContent, signature }),
  "catch-up-package-share": record({ ...catchUpContent, blockHash: hash, dkgId, ...share }),
  "catch-up-package": record({ ...catchUpContent, block: blockCodec, signature }),
  "equivocation-proof": record({
    protocolVersion: version,
    height,
    subnetId: principal,
    signer: principal,
    hash1: hash,
    signature1: signature,
    hash2: hash,
    signature2: signature,
  }),
  "certification-share": record({ ...certificationContent, dkgId, ...share }),
  certification: record({ ...certificationContent, signature }),
  "dkg-dealing": dkgDealingMessage,
});

type Sha256 = (data: Uint8Array) => Uint8Array;

/** `kind/height/hash`: names an artifact on every node, and says without it whether it is of use. */
export type ArtifactId = string;

export function artifactId(artifact: Artifact, encoded: Uint8Array, sha256: Sha256): ArtifactId {
  return artifactIdOf(artifact, sha256(encoded));
}

/** `hash`: of the encoding. */
export function artifactIdOf(artifact: Artifact, hash: Hash): ArtifactId {
  return `${artifact.kind}/${heightOf(artifact)}/${toHex(hash)}`;
}

export function encodeArtifact(artifact: Artifact): Uint8Array {
  return encodeWire(artifactCodec, artifact);
}
