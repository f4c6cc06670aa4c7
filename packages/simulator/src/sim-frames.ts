// Frames between the nodes of one process: what a node wrote, its peer need not read again. So an artifact stays one object, with
// its bytes, its hash and its name, however many nodes have it. Now and then a frame is read all the same, as everywhere else:
// a message that does not come back from its bytes as it was must not go unnoticed.
import { decodeFrame, encodeFrame, type Frame, type FrameCodec } from "@atoll/p2p";

/** One frame of so many is read. */
const READ_EVERY = 16;
/** Memory for many frames: to get some for each takes longer than to write most of them. */
const SHARED_BYTES = 16 * 1024;

/** A table from bytes to frames would cost more than all else here. */
interface Written extends Uint8Array {
  frame?: Frame;
}

export function sharedFrames(): FrameCodec {
  let count = 0;
  let shared = new Uint8Array(SHARED_BYTES);
  let used = 0;
  const keep = (written: Uint8Array): Uint8Array => {
    const { length } = written;
    if (length > SHARED_BYTES / 8) return written.slice();
    if (used + length > SHARED_BYTES) {
      shared = new Uint8Array(SHARED_BYTES);
      used = 0;
    }
    const frame = shared.subarray(used, used + length);
    frame.set(written);
    used += length;
    return frame;
  };
  return {
    encode(frame) {
      const bytes: Written = encodeFrame(frame, keep);
      bytes.frame = frame;
      return bytes;
    },
    decode: (bytes: Written) => (++count % READ_EVERY === 0 ? undefined : bytes.frame) ?? decodeFrame(bytes),
  };
}
