// The nouns of distributed key generation: which keys shall be made, the dealings that nodes make for them, the transcripts
// that come out, and the summary that begins each interval with all of it. Sections 12 to 14.
import type { Height, PrincipalId } from "@atoll/types";
import {
  bytes,
  type Codec,
  fixedBytes,
  list,
  optional,
  principal,
  type RecordCodec,
  record,
  text,
  uint,
  word,
} from "@atoll/types/wire";
import { MAX_DEALING_BYTES, MAX_DKG_CONFIGS, MAX_NODES, MAX_SIGNATURE_BYTES } from "./bounds.ts";

/** low: random beacon and tape; a fresh key in each interval. high: certification and catch-up packages; the subnet's key. */
export type DkgTag = "low" | "high";

/** Names one key generation. */
export interface DkgId {
  readonly startHeight: Height;
  readonly dealerSubnet: PrincipalId;
  readonly tag: DkgTag;
  /** For another subnet: 32 bytes that name it among all. */
  readonly target: Uint8Array | undefined;
}

/** A key generation that shall happen. */
export interface DkgConfig {
  readonly dkgId: DkgId;
  /** Sorted by id; a node's place here is its dealer index. */
  readonly dealers: readonly PrincipalId[];
  /** Sorted by id; a node's place here is its share index. */
  readonly receivers: readonly PrincipalId[];
  /** Shares that make a signature. */
  readonly threshold: number;
  /** Dealings that make a transcript. */
  readonly collectionThreshold: number;
  /** Where the keys of dealers and receivers are taken from. */
  readonly registryVersion: number;
  /** The transcript whose key is shared anew; its receivers are the dealers. Undefined: a new key. */
  readonly resharing: DkgTranscript | undefined;
}

/** What a dealer deals: opaque here, made and checked by `ConsensusCrypto`. */
export interface DkgDealing {
  readonly dealer: PrincipalId;
  readonly content: Uint8Array;
}

/** A dealing, signed by its dealer for one key generation. */
export interface DkgDealingMessage extends DkgDealing {
  readonly dkgId: DkgId;
  readonly signature: Uint8Array;
}

/** A key that exists as shares, and all that its receivers need to get them. */
export interface DkgTranscript {
  readonly dkgId: DkgId;
  readonly receivers: readonly PrincipalId[];
  readonly threshold: number;
  readonly registryVersion: number;
  /** Coefficients of the public polynomial, lowest degree first: the first is the public key. 96 bytes each. */
  readonly coefficients: readonly Uint8Array[];
  /** For resharing: the dealers by their share indices in the transcript that was shared anew; else their dealer indices. */
  readonly dealings: readonly { readonly dealerIndex: number; readonly content: Uint8Array }[];
}

/** The state of key generation at the beginning of an interval. Section 12.2. */
export interface DkgSummary {
  readonly height: Height;
  /** Whose nodes make up the subnet in this interval. */
  readonly registryVersion: number;
  readonly intervalLength: number;
  readonly nextIntervalLength: number;
  /** Key generations whose dealings the blocks of this interval carry. */
  readonly configs: readonly DkgConfig[];
  /** One per tag: `low`, `high`. */
  readonly current: readonly DkgTranscript[];
  /** One per tag, unless its key generation failed. */
  readonly next: readonly DkgTranscript[];
  /** For other subnets: made in the interval before, or given up. */
  readonly remote: readonly RemoteDkgResult[];
  /** Intervals in which a key generation for that target was tried. */
  readonly attempts: readonly { readonly target: Uint8Array; readonly count: number }[];
}

export interface RemoteDkgResult {
  readonly dkgId: DkgId;
  /** Undefined: given up, for the reason `failure`. */
  readonly transcript: DkgTranscript | undefined;
  readonly failure: string;
}

const nodes = list(principal, MAX_NODES);

export const dkgId: Codec<DkgId> = record({
  startHeight: uint(),
  dealerSubnet: principal,
  tag: word<DkgTag>("low", "high"),
  target: optional(fixedBytes(32)),
});

export const dkgTranscript: Codec<DkgTranscript> = record({
  dkgId,
  receivers: nodes,
  threshold: uint(MAX_NODES),
  registryVersion: uint(),
  coefficients: list(bytes(96), MAX_NODES),
  dealings: list(record({ dealerIndex: uint(MAX_NODES), content: bytes(MAX_DEALING_BYTES) }), MAX_NODES),
});

export const dkgConfig: Codec<DkgConfig> = record({
  dkgId,
  dealers: nodes,
  receivers: nodes,
  threshold: uint(MAX_NODES),
  collectionThreshold: uint(MAX_NODES),
  registryVersion: uint(),
  resharing: optional(dkgTranscript),
});

export const dkgDealingMessage: RecordCodec<DkgDealingMessage> = record({
  dkgId,
  dealer: principal,
  content: bytes(MAX_DEALING_BYTES),
  signature: bytes(MAX_SIGNATURE_BYTES),
});

export const remoteDkgResult: Codec<RemoteDkgResult> = record({
  dkgId,
  transcript: optional(dkgTranscript),
  failure: text(200),
});

export const dkgSummary: Codec<DkgSummary> = record({
  height: uint(),
  registryVersion: uint(),
  intervalLength: uint(),
  nextIntervalLength: uint(),
  configs: list(dkgConfig, MAX_DKG_CONFIGS),
  current: list(dkgTranscript, 2),
  next: list(dkgTranscript, 2),
  remote: list(remoteDkgResult, MAX_DKG_CONFIGS),
  attempts: list(record({ target: fixedBytes(32), count: uint(255) }), MAX_DKG_CONFIGS),
});
