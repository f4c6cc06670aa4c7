// The connection between the front and a node: it carries all requests and answers at once, so that many of them take one
// read and one write, where HTTP takes a connection and four of these for each. It begins as an HTTP upgrade. A frame is
// four bytes that number the request, four with the length of a head in JSON, the head, and the body as it is.
import type { Socket } from "node:net";
import { FrameReader, frameHeader } from "@atoll/p2p/transport/framing";

export const LINK_PROTOCOL = "atoll-front";

/** No head: the request is given up. */
export const GIVE_UP = "";
/** Headers are 32 KiB at most, and can be twice as long in JSON. */
export const MAX_HEAD_BYTES = 128 * 1024;
/** The largest answers are certificates of much; canisters reply with 3 MiB at most. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const NOTHING = new Uint8Array(0);
const FIELD_BYTES = 4;

export interface LinkEvents {
  /** `body` is part of what was received with it: copy it to keep it. */
  onFrame(id: number, head: string, body: Uint8Array): void;
  /** Called once. */
  onClosed(): void;
}

export class FrontLink {
  readonly #socket: Socket;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  /** A frame above `maxFrameBytes`, or one that is none, closes the connection. `received`: what came with the upgrade. */
  constructor(socket: Socket, received: Uint8Array, maxFrameBytes: number, events: LinkEvents) {
    this.#socket = socket;
    const reader = new FrameReader(maxFrameBytes);
    const take = (chunk: Uint8Array): void => {
      reader.push(chunk);
      for (let frame = reader.next(); frame !== "more"; frame = reader.next()) {
        if (socket.destroyed) return;
        if (frame !== "too long" && readFrame(frame, events)) continue;
        this.destroy();
        return;
      }
    };
    socket.setTimeout(0).setNoDelay(true);
    // Before anybody listens, so that it comes when whoever made this has it.
    if (received.length > 0) socket.unshift(received);
    socket.on("data", take);
    socket.on("error", () => undefined);
    socket.on("end", () => this.destroy());
    socket.on("close", () => events.onClosed());
  }

  /** What the other side has not taken yet. */
  get unsentBytes(): number {
    return this.#pendingBytes + this.#socket.writableLength;
  }

  send(id: number, head: string, body: Uint8Array = NOTHING): void {
    const headBytes = Buffer.byteLength(head);
    const length = 2 * FIELD_BYTES + headBytes + body.length;
    const start = Buffer.allocUnsafe(3 * FIELD_BYTES + headBytes);
    start.set(frameHeader(length));
    start.writeUInt32BE(id, FIELD_BYTES);
    start.writeUInt32BE(headBytes, 2 * FIELD_BYTES);
    start.write(head, 3 * FIELD_BYTES);
    if (this.#pending.length === 0) setImmediate(() => this.#flush());
    this.#pending.push(start, body);
    this.#pendingBytes += start.length + body.length;
  }

  /** Closes once everything is sent. */
  end(): void {
    this.#flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}

/** False: it is no frame. */
function readFrame(bytes: Uint8Array, events: LinkEvents): boolean {
  if (bytes.length < 2 * FIELD_BYTES) return false;
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const bodyAt = 2 * FIELD_BYTES + frame.readUInt32BE(FIELD_BYTES);
  if (bodyAt > frame.length) return false;
  events.onFrame(frame.readUInt32BE(0), frame.toString("utf8", 2 * FIELD_BYTES, bodyAt), frame.subarray(bodyAt));
  return true;
}

/** The JSON of a head; undefined: it is none. */
export function parseHead(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
