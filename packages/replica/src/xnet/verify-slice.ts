// Checks a certified slice from another subnet before it may be in a block: is it what that subnet certified, does it
// follow what is there already, does it bring something new? Cheap checks come first, the signature last.
// Consensus and chain-key, 16.5.
import { labeledChildren, lookupPath, lookupSubtree, type SignatureCache, verifyCertificate } from "@atoll/crypto";
import {
  CborError,
  type Certificate,
  type CryptoPort,
  decodeCertificate,
  decodeStreamHeader,
  decodeStreamMessage,
  type HashTree,
  isWellFormed,
  MAX_CERTIFIED_SLICE_BYTES,
  MAX_STREAM_SIGNALS,
  type PrincipalId,
  type StreamHeader,
  type StreamMessage,
  type StreamSlice,
  type SubnetRecord,
} from "@atoll/types";
import { headerPath, messagesPath } from "./certified-slice.ts";
import type { SliceExpectations } from "./expectations.ts";

export interface SliceCheck {
  /** The subnet that the slice is from, as our topology has it. */
  readonly source: SubnetRecord;
  /** The subnet that it is for: ours. */
  readonly own: PrincipalId;
  readonly expected: SliceExpectations;
  readonly crypto: Pick<CryptoPort, "sha256" | "bls">;
  readonly cache?: SignatureCache;
}

export type SliceResult =
  | { readonly ok: true; readonly slice: StreamSlice }
  | { readonly ok: false; readonly reason: string };

export function verifySlice(bytes: Uint8Array, check: SliceCheck): SliceResult {
  try {
    return verify(bytes, check);
  } catch (error) {
    if (error instanceof CborError) return refused(`it cannot be decoded: ${error.message}`);
    throw error;
  }
}

/** The slice that the bytes show, or what is wrong with them. Who signed it is not looked at, nor what was expected. */
export function readSlice(bytes: Uint8Array, from: PrincipalId, own: PrincipalId): StreamSlice | string {
  try {
    return sliceOf(decodeCertificate(bytes), from, own);
  } catch (error) {
    if (error instanceof CborError) return `it cannot be decoded: ${error.message}`;
    throw error;
  }
}

function verify(bytes: Uint8Array, check: SliceCheck): SliceResult {
  const { source, own, expected, crypto, cache } = check;
  if (source.subnetId === own) return refused("a subnet takes no slices from itself");
  if (bytes.length > MAX_CERTIFIED_SLICE_BYTES) return refused("it is too large");
  const certificate = decodeCertificate(bytes);
  const slice = sliceOf(certificate, source.subnetId, own);
  if (typeof slice === "string") return refused(slice);
  const wrong = checkHeader(slice, expected) ?? checkMessages(slice, expected);
  if (wrong !== undefined) return refused(wrong);
  const verified = verifyCertificate(certificate, {
    crypto,
    rootKey: source.publicKey,
    ...(cache === undefined ? {} : { cache }),
  });
  return verified.ok ? { ok: true, slice } : refused(verified.error);
}

function refused(reason: string): SliceResult {
  return { ok: false, reason };
}

/** The slice that a certificate shows, or what it lacks. Throws CborError. */
function sliceOf({ tree, delegation }: Certificate, from: PrincipalId, own: PrincipalId): StreamSlice | string {
  if (delegation !== undefined) return "it has a delegation";
  if (!isWellFormed(tree)) return "its hash tree is not well-formed";
  const header = lookupPath(tree, headerPath(own));
  if (header.status !== "found") return "it shows no header of a stream to this subnet";
  const shown = revealed(tree, own);
  if (typeof shown === "string") return shown;
  return { from, header: decodeStreamHeader(header.value), ...shown };
}

type Messages = Pick<StreamSlice, "firstIndex" | "messages">;

function revealed(tree: HashTree, own: PrincipalId): Messages | string {
  const messages: StreamMessage[] = [];
  let firstIndex = 0;
  const subtree = lookupSubtree(tree, messagesPath(own));
  if (subtree.status !== "found") return { firstIndex, messages };
  for (const { label, child } of labeledChildren(subtree.tree)) {
    if (child.kind === "pruned") continue;
    if (child.kind !== "leaf" || label.length !== 8) return "its messages are not in the form of a stream";
    const index = new DataView(label.buffer, label.byteOffset, 8).getBigUint64(0);
    if (index > BigInt(Number.MAX_SAFE_INTEGER)) return "an index of a message is out of range";
    if (messages.length === 0) firstIndex = Number(index);
    if (Number(index) !== firstIndex + messages.length) return "its messages do not follow each other";
    messages.push(decodeStreamMessage(child.value));
  }
  return { firstIndex, messages };
}

function checkHeader({ header, messages }: StreamSlice, expected: SliceExpectations): string | undefined {
  const { begin, end, signalsEnd, rejectSignals } = header;
  const { messageIndex, signalIndex, ownEnd } = expected;
  if (begin > end) return `the stream begins at ${begin} and ends at ${end}`;
  if (begin > messageIndex || end < messageIndex) {
    return `message ${messageIndex} is expected, and the stream goes from ${begin} to ${end}`;
  }
  if (signalsEnd < signalIndex || signalsEnd > ownEnd) {
    return `its signals end at ${signalsEnd}, where something between ${signalIndex} and ${ownEnd} is expected`;
  }
  const [first] = rejectSignals;
  // Decoding has seen to it that they ascend and stay below the end.
  if (first !== undefined && signalsEnd - first.index > MAX_STREAM_SIGNALS)
    return "it has reject signals that are too old";
  if (messages.length === 0 && signalsEnd === signalIndex) return "it brings nothing new";
  return undefined;
}

function checkMessages({ header, firstIndex, messages }: StreamSlice, expected: SliceExpectations): string | undefined {
  if (messages.length === 0) return undefined;
  const end = firstIndex + messages.length;
  if (firstIndex !== expected.messageIndex) {
    return `its messages begin at ${firstIndex}, where ${expected.messageIndex} is expected`;
  }
  if (end > header.end) return `it has messages up to ${end}, and the stream ends at ${header.end}`;
  if (messages.length > expected.messageLimit) {
    return `it has ${messages.length} messages, where ${expected.messageLimit} may come`;
  }
  return end - header.begin > MAX_STREAM_SIGNALS ? tooManySignals(header) : undefined;
}

function tooManySignals({ begin }: StreamHeader): string {
  return `it has messages for which there is no room among the signals since ${begin}`;
}
