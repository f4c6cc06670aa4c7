// What one node says that it got as the answer to an HTTPS outcall: a signed hash, and the answer itself where no other
// node makes the call. Sections 1 and 3.
import { MAX_SIGNATURE_BYTES } from "@atoll/consensus";
import { concatBytes } from "@atoll/crypto";
import { type CryptoPort, type PrincipalId, type ResponsePayload, toHex } from "@atoll/types";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  fixedBytes,
  optional,
  principal,
  record,
  uint,
  WireError,
} from "@atoll/types/wire";
import { outcallResult } from "./payload-codec.ts";

export interface OutcallShare {
  readonly outcall: number;
  /** Of outcall and result: 32 bytes. */
  readonly hash: Uint8Array;
  readonly signer: PrincipalId;
  readonly signature: Uint8Array;
  /** Of an outcall that is not replicated; of others every node that agrees has the result itself. */
  readonly result: ResponsePayload | undefined;
}

/** First byte of the artifact. Kinds of consensus have small numbers, and envelopes are CBOR maps. */
export const OUTCALL_SHARE_TAG = 0x60;

const shareCodec: Codec<OutcallShare> = record<OutcallShare>({
  outcall: uint(),
  hash: fixedBytes(32),
  signer: principal,
  signature: bytes(MAX_SIGNATURE_BYTES),
  result: optional(outcallResult),
});

export function encodeOutcallShare(share: OutcallShare): Uint8Array {
  return concatBytes(Uint8Array.of(OUTCALL_SHARE_TAG), encodeWire(shareCodec, share));
}

/** Undefined: it is none. */
export function decodeOutcallShare(artifact: Uint8Array): OutcallShare | undefined {
  if (artifact[0] !== OUTCALL_SHARE_TAG) return undefined;
  try {
    return decodeWire(shareCodec, artifact.subarray(1));
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

const PREFIX = "outcall/";

/** `outcall/<number>/<hash of the artifact>`. */
export function outcallShareId(outcall: number, artifact: Uint8Array, sha256: CryptoPort["sha256"]): string {
  return `${PREFIX}${outcall}/${toHex(sha256(artifact))}`;
}

/** Number of the outcall; undefined: no id of a share. */
export function outcallOfId(id: string): number | undefined {
  const match = /^outcall\/(0|[1-9][0-9]{0,15})\/[0-9a-f]{64}$/.exec(id);
  const outcall = Number(match?.[1]);
  return Number.isSafeInteger(outcall) ? outcall : undefined;
}

const NAME = new TextEncoder().encode("http_outcall_share_domain");
const DOMAIN = Uint8Array.of(NAME.length, ...NAME);

interface SignedContent {
  readonly subnetId: PrincipalId;
  readonly outcall: number;
  readonly hash: Uint8Array;
}

const signedContent: Codec<SignedContent> = record<SignedContent>({
  subnetId: principal,
  outcall: uint(),
  hash: fixedBytes(32),
});

/** What a node signs. */
export function outcallShareBytes(content: SignedContent): Uint8Array {
  return concatBytes(DOMAIN, encodeWire(signedContent, content));
}
