// A block proposal without the messages of users: in their place stand the hashes of their envelopes, because nearly every
// node has them in its pool already. A block of 4 MiB travels in some tens of KB, one of a few messages in the very frame
// that offers it. What is filled in again is, to the byte, what the block maker has signed. Section 21.4.
import { type ArtifactId, artifactCodec, artifactId, type BlockProposal, encodeArtifact } from "@atoll/consensus";
import { concatBytes } from "@atoll/crypto";
import { type CryptoPort, toHex } from "@atoll/types";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  fixedBytes,
  list,
  record,
  text,
  WireError,
} from "@atoll/types/wire";
import { decodePayload, encodePayload, MAX_INGRESS_PER_PAYLOAD } from "./payload-codec.ts";

/** First byte of the artifact. */
export const STRIPPED_PROPOSAL_TAG = 0x61;
const PREFIX = "stripped/";
const MAX_ID_BYTES = 128;
/** A proposal without messages: slices, answers of outcalls, dealings. */
const MAX_REST_BYTES = 9 * 1024 * 1024;

export interface StrippedProposal {
  /** Id of the whole proposal. */
  readonly whole: ArtifactId;
  /** The proposal as if its payload had no messages. */
  readonly rest: Uint8Array;
  /** SHA-256 of the envelopes, in their order. */
  readonly digests: readonly Uint8Array[];
}

const strippedCodec: Codec<StrippedProposal> = record<StrippedProposal>({
  whole: text(MAX_ID_BYTES),
  rest: bytes(MAX_REST_BYTES),
  digests: list(fixedBytes(32), MAX_INGRESS_PER_PAYLOAD),
});

/** `envelopes`: what was taken out. Undefined: there is nothing to take out. */
export function stripProposal(
  whole: ArtifactId,
  artifact: Uint8Array,
  sha256: CryptoPort["sha256"],
): { readonly stripped: Uint8Array; readonly envelopes: readonly Uint8Array[] } | undefined {
  const proposal = proposalOf(artifact);
  const batch = proposal === undefined ? undefined : batchOf(proposal);
  if (proposal === undefined || batch === undefined) return undefined;
  const payload = ignoringWireErrors(() => decodePayload(batch));
  if (payload === undefined || payload.ingress.length === 0) return undefined;
  const rest = encodeArtifact(withBatch(proposal, encodePayload({ ...payload, ingress: [] })));
  const digests = payload.ingress.map((envelope) => sha256(envelope));
  const stripped = encodeWire(strippedCodec, { whole, rest, digests });
  return { stripped: concatBytes(Uint8Array.of(STRIPPED_PROPOSAL_TAG), stripped), envelopes: payload.ingress };
}

/** Undefined: it is none. */
export function decodeStripped(artifact: Uint8Array): StrippedProposal | undefined {
  if (artifact[0] !== STRIPPED_PROPOSAL_TAG) return undefined;
  return ignoringWireErrors(() => decodeWire(strippedCodec, artifact.subarray(1)));
}

/** The whole proposal again; undefined: these bytes and these messages are not the proposal of that id. */
export function fillProposal(
  { whole, rest }: StrippedProposal,
  envelopes: readonly Uint8Array[],
  sha256: CryptoPort["sha256"],
): Uint8Array | undefined {
  const proposal = proposalOf(rest);
  const batch = proposal === undefined ? undefined : batchOf(proposal);
  if (proposal === undefined || batch === undefined) return undefined;
  const payload = ignoringWireErrors(() => decodePayload(batch));
  if (payload === undefined || payload.ingress.length > 0) return undefined;
  const filled = withBatch(proposal, encodePayload({ ...payload, ingress: envelopes }));
  const encoded = encodeArtifact(filled);
  return artifactId(filled, encoded, sha256) === whole ? encoded : undefined;
}

/**
 * `stripped/<id of the whole>/<hash of the stripped bytes>`: everybody strips a proposal alike, and nobody can take the id
 * of a proposal for something else.
 */
export function strippedId(
  { whole }: Pick<StrippedProposal, "whole">,
  artifact: Uint8Array,
  sha256: CryptoPort["sha256"],
) {
  return `${PREFIX}${whole}/${toHex(sha256(artifact).subarray(0, 16))}`;
}

/** Id of the whole proposal; undefined: no id of a stripped one. */
export function wholeOfId(id: string): ArtifactId | undefined {
  const match = /^stripped\/(block-proposal\/[0-9]{1,16}\/[0-9a-f]{64})\/[0-9a-f]{32}$/.exec(id);
  return match?.[1];
}

function proposalOf(artifact: Uint8Array): BlockProposal | undefined {
  const decoded = ignoringWireErrors(() => decodeWire(artifactCodec, artifact));
  return decoded?.kind === "block-proposal" ? decoded : undefined;
}

function batchOf({ block: { payload } }: BlockProposal): Uint8Array | undefined {
  return payload.kind === "data" ? payload.batch : undefined;
}

function withBatch(proposal: BlockProposal, batch: Uint8Array): BlockProposal {
  const { block } = proposal;
  return block.payload.kind === "data"
    ? { ...proposal, block: { ...block, payload: { ...block.payload, batch } } }
    : proposal;
}

function ignoringWireErrors<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Which messages of a proposal a node lacks: asked of a peer that has offered it. */
export interface MissingMessages {
  readonly whole: ArtifactId;
  /** Ascending places among the messages of the proposal. */
  readonly places: readonly number[];
}

const missingCodec: Codec<MissingMessages> = record<MissingMessages>({
  whole: text(MAX_ID_BYTES),
  places: list(
    { write: (writer, value) => writer.uint(value), read: (reader) => reader.uint() },
    MAX_INGRESS_PER_PAYLOAD,
  ),
});
const messagesCodec = list(bytes(4 * 1024 * 1024), MAX_INGRESS_PER_PAYLOAD);

export const encodeMissing = (missing: MissingMessages): Uint8Array => encodeWire(missingCodec, missing);
export const decodeMissing = (question: Uint8Array): MissingMessages | undefined =>
  ignoringWireErrors(() => decodeWire(missingCodec, question));
export const encodeMessages = (envelopes: readonly Uint8Array[]): Uint8Array => encodeWire(messagesCodec, envelopes);
export const decodeMessages = (answer: Uint8Array): readonly Uint8Array[] | undefined =>
  ignoringWireErrors(() => decodeWire(messagesCodec, answer));

export function isDigestOf(digest: Uint8Array, envelope: Uint8Array, sha256: CryptoPort["sha256"]): boolean {
  return toHex(digest) === toHex(sha256(envelope));
}
