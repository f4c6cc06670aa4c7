// One TLS connection to a peer that has been told who it is: frames in, frames out, signs of life. What is written is kept
// within a bound by refusing more; what is read is kept within a bound by reading one frame after the other.
import type { TLSSocket } from "node:tls";
import { FrameReader, frameHeader, SIGN_OF_LIFE } from "./framing.ts";

export interface ChannelHandler {
  onFrame(frame: Uint8Array): void;
  onWritable(): void;
  /** Once. `why` is for the log. */
  onClose(why: string): void;
}

/** Frames up to this size are copied behind their header: one buffer less to encrypt. */
const COPIED_BYTES = 4096;

export class Channel {
  handler: ChannelHandler | undefined;
  readonly #socket: TLSSocket;
  readonly #reader: FrameReader;
  readonly #maxBuffered: number;
  #isClosed = false;
  #isHeld = false;
  #isCorked = false;
  #why: string | undefined;
  /** Milliseconds of `performance.now()`. */
  heardAt: number = performance.now();
  saidAt: number = performance.now();
  /** Since when more was on its way than may be. */
  stuckAt: number | undefined;

  /** `maxBuffered`: bytes that wait for the peer to read before `send` refuses. */
  constructor(socket: TLSSocket, maxFrameBytes: number, maxBuffered: number) {
    this.#socket = socket;
    this.#reader = new FrameReader(maxFrameBytes);
    this.#maxBuffered = maxBuffered;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error) => this.close(error.message));
    socket.on("close", () => this.close("closed by the peer"));
  }

  set maxFrameBytes(bytes: number) {
    this.#reader.maxFrameBytes = bytes;
  }

  /** False: as much waits already as may. */
  send(frame: Uint8Array): boolean {
    if (this.#isClosed) return false;
    if (this.#socket.writableLength >= this.#maxBuffered) {
      this.stuckAt ??= performance.now();
      return false;
    }
    this.#cork();
    if (frame.length <= COPIED_BYTES) {
      const bytes = new Uint8Array(4 + frame.length);
      bytes.set(frameHeader(frame.length));
      bytes.set(frame, 4);
      this.#socket.write(bytes);
    } else {
      this.#socket.write(frameHeader(frame.length));
      this.#socket.write(frame);
    }
    this.saidAt = performance.now();
    return true;
  }

  /** Frames of one turn go out in one write. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  sayAlive(): void {
    if (this.#isClosed || this.#socket.writableLength > 0) return;
    this.#socket.write(SIGN_OF_LIFE);
    this.saidAt = performance.now();
  }

  /** Nothing is read until `release`. */
  hold(): void {
    this.#isHeld = true;
    this.#socket.pause();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#socket.resume();
    // Not from within the call of whoever releases.
    process.nextTick(() => this.#deliver());
  }

  #onData(chunk: Uint8Array): void {
    this.heardAt = performance.now();
    // A Buffer would go on behaving like one wherever it ends up.
    this.#reader.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#deliver();
  }

  #deliver(): void {
    while (!this.#isClosed && !this.#isHeld) {
      const frame = this.#reader.next();
      if (frame === "more") return;
      if (frame === "too long") this.close("a frame is too long");
      else if (frame.length > 0) this.handler?.onFrame(frame);
    }
  }

  #onDrain(): void {
    this.stuckAt = undefined;
    if (!this.#isClosed) this.handler?.onWritable();
  }

  /** `handler.onClose` follows, not from within this call. */
  close(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#why = why;
    this.#socket.destroy();
    process.nextTick(() => this.handler?.onClose(this.#why ?? ""));
  }
}
