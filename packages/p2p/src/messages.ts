// What goes between two nodes, as bytes. A frame names the sender's session (drawn at random for each connection) and
// holds messages one after the other, so that what is due at the same time goes out in one write. Sections 21.2, 21.3.
import {
  bytes,
  type Codec,
  fixedBytes,
  list,
  record,
  text,
  uint,
  union,
  WireError,
  WireReader,
  WireWriter,
} from "@atoll/types/wire";
import {
  CHUNK_BYTES,
  MAX_ANSWER_BYTES,
  MAX_FRAME_BYTES,
  MAX_ID_LENGTH,
  MAX_INLINE_BYTES,
  MAX_QUESTION_BYTES,
  MAX_SLOTS,
} from "./limits.ts";

export const SESSION_BYTES = 8;
/** More messages than that do not fit into a frame that a node makes. */
const MAX_MESSAGES = 4096;
export const MAX_ACKS = 2048;
export const MAX_CHUNKS = Math.ceil(MAX_ANSWER_BYTES / CHUNK_BYTES);

/** What a slot of the sender's table holds from a commit on. A later commit of the same slot takes its place. */
export type SlotUpdate =
  | { readonly kind: "inline"; readonly slot: number; readonly commit: number; readonly artifact: Uint8Array }
  | {
      readonly kind: "advert";
      readonly slot: number;
      readonly commit: number;
      readonly id: string;
      readonly size: number;
    }
  | { readonly kind: "empty"; readonly slot: number; readonly commit: number };

/** `generation`: how often the acknowledging side has started over with what it knows of the sender's table. */
export interface Acknowledgement {
  readonly kind: "ack";
  readonly session: Uint8Array;
  readonly generation: number;
  readonly commits: readonly number[];
}

/** `request`: drawn by who asks; everything that belongs to the question has it. */
export type Asking =
  | { readonly kind: "question"; readonly request: number; readonly question: Uint8Array }
  | { readonly kind: "fetch"; readonly request: number; readonly id: string }
  /** Chunks by their place that should come, be it again. */
  | { readonly kind: "want"; readonly request: number; readonly chunks: readonly number[] }
  /** Nothing more is needed. */
  | { readonly kind: "done"; readonly request: number };

export type Answering =
  | {
      readonly kind: "chunk";
      readonly request: number;
      /** Bytes of the whole answer. */
      readonly total: number;
      readonly place: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "refused"; readonly request: number };

export type Message = SlotUpdate | Acknowledgement | Asking | Answering;

const slot = uint(MAX_SLOTS - 1);
const request = uint();
const id = text(3 * MAX_ID_LENGTH);
const size = uint(MAX_ANSWER_BYTES);
const place = uint(MAX_CHUNKS - 1);

const message: Codec<Message> = union<Message>({
  inline: record({ slot, commit: uint(), artifact: bytes(MAX_INLINE_BYTES) }),
  advert: record({ slot, commit: uint(), id, size }),
  empty: record({ slot, commit: uint() }),
  ack: record({ session: fixedBytes(SESSION_BYTES), generation: uint(), commits: list(uint(), MAX_ACKS) }),
  question: record({ request, question: bytes(MAX_QUESTION_BYTES) }),
  fetch: record({ request, id }),
  want: record({ request, chunks: list(place, MAX_CHUNKS) }),
  done: record({ request }),
  chunk: record({ request, total: size, place, bytes: bytes(CHUNK_BYTES) }),
  refused: record({ request }),
});

export interface Frame {
  readonly session: Uint8Array;
  readonly messages: readonly Message[];
}

/** How a node writes and reads frames; nodes of one process may have a way of their own. */
export interface FrameCodec {
  encode(frame: Frame): Uint8Array;
  /** Undefined: not a frame. */
  decode(bytes: Uint8Array): Frame | undefined;
}

/** `keep`: gives a copy of what was written, of which it must keep nothing else. */
export function encodeFrame({ session, messages }: Frame, keep?: (written: Uint8Array) => Uint8Array): Uint8Array {
  const writer = new WireWriter();
  writer.raw(session);
  for (const each of messages) message.write(writer, each);
  return keep === undefined ? writer.take() : writer.finish(keep);
}

/** The same for one chunk, whose bytes are copied once. */
export function encodeChunk(session: Uint8Array, chunk: Extract<Answering, { kind: "chunk" }>): Uint8Array {
  const writer = new WireWriter();
  writer.raw(encodeFrame({ session, messages: [{ ...chunk, bytes: new Uint8Array() }] }).subarray(0, -1));
  writer.uint(chunk.bytes.length);
  const head = writer.take();
  const frame = new Uint8Array(head.length + chunk.bytes.length);
  frame.set(head);
  frame.set(chunk.bytes, head.length);
  return frame;
}

/** Undefined: not a frame. */
export function decodeFrame(frame: Uint8Array): Frame | undefined {
  if (frame.length > MAX_FRAME_BYTES) return undefined;
  try {
    const reader = new WireReader(frame);
    const session = reader.raw(SESSION_BYTES).slice();
    const messages: Message[] = [];
    while (reader.left > 0) {
      if (messages.length === MAX_MESSAGES) return undefined;
      messages.push(message.read(reader));
    }
    return { session, messages };
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** About how many bytes a slot update takes. */
export function updateSize(update: SlotUpdate): number {
  switch (update.kind) {
    case "inline":
      return 12 + update.artifact.length;
    case "advert":
      return 16 + update.id.length;
    case "empty":
      return 10;
  }
}
