// What a node asks another one for when it takes over a state, and the answers. All of it comes from and goes to peers who
// may say anything: sizes are bounded before anything is read. Answers carry no promise, as hashes tell what is right.
// Consensus and chain-key facts, 11.2 (chunk ids; here chunks are named by file and offset) and 11.3.
import { MAX_REGION_BYTES } from "@atoll/state";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  list,
  record,
  text,
  uint,
  union,
  WireError,
} from "@atoll/types/wire";

export interface ChunkName {
  readonly path: string;
  /** Bytes, a multiple of 1 MiB. */
  readonly offset: number;
}

export type StateRequest =
  /** The meta-manifest of the checkpoint. */
  | { readonly kind: "meta"; readonly height: number }
  /** One sub-manifest. */
  | { readonly kind: "part"; readonly height: number; readonly part: number }
  /** Chunks, all of them or none. Small ones together, so that many small canisters are few questions. */
  | { readonly kind: "chunks"; readonly height: number; readonly chunks: readonly ChunkName[] };

/** Chunks in one question, and the bytes that all of them together should not exceed unless it is a single one. */
export const MAX_CHUNKS = 1024;
export const TARGET_ANSWER_BYTES = 1024 * 1024;
/** More is refused. */
export const MAX_ANSWER_BYTES = TARGET_ANSWER_BYTES + MAX_REGION_BYTES;
const MAX_PATH_BYTES = 300;

const chunkName: Codec<ChunkName> = record<ChunkName>({ path: text(MAX_PATH_BYTES), offset: uint() });

const request: Codec<StateRequest> = union<StateRequest>({
  meta: record<{ height: number }>({ height: uint() }),
  part: record<{ height: number; part: number }>({ height: uint(), part: uint() }),
  chunks: record<{ height: number; chunks: readonly ChunkName[] }>({
    height: uint(),
    chunks: list(chunkName, MAX_CHUNKS),
  }),
});

const chunkList = list(bytes(MAX_REGION_BYTES), MAX_CHUNKS);

export function encodeRequest(value: StateRequest): Uint8Array {
  return encodeWire(request, value);
}

/** Undefined: the bytes are no request. */
export function decodeRequest(content: Uint8Array): StateRequest | undefined {
  return understood(() => decodeWire(request, content));
}

export function encodeChunks(chunks: readonly Uint8Array[]): Uint8Array {
  return encodeWire(chunkList, chunks);
}

/** Undefined: the bytes are no list of chunks. */
export function decodeChunks(content: Uint8Array): readonly Uint8Array[] | undefined {
  return understood(() => decodeWire(chunkList, content));
}

function understood<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
