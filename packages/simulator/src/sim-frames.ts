// Frames between the nodes of one process: what a node wrote, its peer need not read again. So an artifact stays one object, with
// its bytes, its hash and its name, however many nodes have it. Now and then a frame is read all the same, as everywhere else:
// a message that does not come back from its bytes as it was must not go unnoticed.
import { decodeFrame, encodeFrame, type Frame, type FrameCodec } from "@atoll/p2p";

/** One frame of so many is read. */
const READ_EVERY = 16;

/** A table from bytes to frames would cost more than all else here. */
interface Written extends Uint8Array {
  frame?: Frame;
}

export function sharedFrames(): FrameCodec {
  let count = 0;
  return {
    encode(frame) {
      const bytes: Written = encodeFrame(frame);
      bytes.frame = frame;
      return bytes;
    },
    decode: (bytes: Written) => (++count % READ_EVERY === 0 ? undefined : bytes.frame) ?? decodeFrame(bytes),
  };
}
