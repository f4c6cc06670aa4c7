// Frames on a stream of bytes: four bytes of length, big-endian, then the frame; no length is a sign of life. A length
// above the bound ends the connection, before anything of it is kept.

const HEADER_BYTES = 4;

export const SIGN_OF_LIFE: Uint8Array = new Uint8Array(HEADER_BYTES);

export function frameHeader(length: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, length);
  return header;
}

/** Puts frames together from what arrives. Holds at most one frame. */
export class FrameReader {
  /** Changes once the other side is known. */
  maxFrameBytes: number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerBytes = 0;
  #frame: Uint8Array | undefined;
  #filled = 0;
  /** What came in while nobody wanted frames. */
  #rest: Uint8Array = new Uint8Array();

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  push(chunk: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? chunk : new Uint8Array(Buffer.concat([this.#rest, chunk]));
  }

  /** The next whole frame; empty: a sign of life. "more": it has not arrived. "too long": nothing of it is kept. */
  next(): Uint8Array | "more" | "too long" {
    if (this.#frame === undefined) {
      const header = this.#take(HEADER_BYTES - this.#headerBytes);
      this.#header.set(header, this.#headerBytes);
      this.#headerBytes += header.length;
      if (this.#headerBytes < HEADER_BYTES) return "more";
      const length = new DataView(this.#header.buffer).getUint32(0);
      if (length > this.maxFrameBytes) return "too long";
      this.#headerBytes = 0;
      if (this.#rest.length >= length) return this.#take(length);
      this.#frame = new Uint8Array(length);
      this.#filled = 0;
    }
    const frame = this.#frame;
    const part = this.#take(frame.length - this.#filled);
    frame.set(part, this.#filled);
    this.#filled += part.length;
    if (this.#filled < frame.length) return "more";
    this.#frame = undefined;
    return frame;
  }

  /** Up to so many bytes of what has arrived. */
  #take(count: number): Uint8Array {
    const taken = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }
}
