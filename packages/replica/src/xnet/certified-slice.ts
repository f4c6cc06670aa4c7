// A certified slice: what one subnet shows another one of its stream to it. The bytes are an ordinary certificate without
// delegation that reveals /streams/<subnet>/header and some of the messages, so whoever carries them need not be trusted.
// Here it is made of a node's certified state. Consensus and chain-key, 16.4.
import { indexLabel } from "@atoll/state";
import {
  decodeStreamHeader,
  MAX_CERTIFIED_SLICE_BYTES,
  type Path,
  type PrincipalId,
  principalToBytes,
} from "@atoll/types";
import type { CertifiedState } from "../backend.ts";

const encoder = new TextEncoder();
const STREAMS = encoder.encode("streams");
const HEADER = encoder.encode("header");
const MESSAGES = encoder.encode("messages");

export interface SliceLimits {
  /** Messages; 0 for the header alone. */
  readonly messages?: number;
  readonly bytes?: number;
}

/** The certificate around what is shown: header, time, and the hashes of what is left out. */
const FRAME_BYTES = 16 * 1024;
/** Of a message beside itself: labels, heads and forks. */
const MESSAGE_FRAME_BYTES = 40;

/**
 * The messages from `from` on of the stream to `subnet`, as many as the limits let. Undefined when there is no such stream,
 * or when it begins after `from` or ends before: then whoever asks has fallen behind, or is ahead of this node.
 */
export function certifiedSlice(
  state: CertifiedState,
  subnet: PrincipalId,
  from: number,
  { messages = Number.POSITIVE_INFINITY, bytes = MAX_CERTIFIED_SLICE_BYTES }: SliceLimits = {},
): Uint8Array | undefined {
  const encoded = state.lookup(headerPath(subnet));
  if (encoded === undefined) return undefined;
  const { begin, end } = decodeStreamHeader(encoded);
  if (!Number.isSafeInteger(from) || from < begin || from > end) return undefined;
  const paths: Path[] = [headerPath(subnet)];
  const base = messagesPath(subnet);
  let room = bytes - FRAME_BYTES - encoded.length;
  for (let index = from; index < Math.min(end, from + messages); index++) {
    const path = [...base, indexLabel(index)];
    room -= (state.lookup(path)?.length ?? 0) + MESSAGE_FRAME_BYTES;
    if (room < 0) break;
    paths.push(path);
  }
  return state.undelegated(paths);
}

export function headerPath(subnet: PrincipalId): Path {
  return [STREAMS, principalToBytes(subnet), HEADER];
}

export function messagesPath(subnet: PrincipalId): Path {
  return [STREAMS, principalToBytes(subnet), MESSAGES];
}
