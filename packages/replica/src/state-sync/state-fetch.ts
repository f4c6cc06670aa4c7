// Fetching one state, as a machine without peers, clocks or waiting: it gives questions, is given answers, and knows what
// is missing. First the meta-manifest, which the state hash vouches for, then the sub-manifests, which it vouches for,
// then the chunks that are neither at their place in the checkpoint that is here, nor elsewhere in it, nor fetched already.
// Consensus and chain-key facts, 11.3.
import {
  type ChunkRow,
  chunkHash,
  eachMissingChunk,
  type FileEntry,
  filesOf,
  MAX_META_MANIFEST_BYTES,
  metaManifestHash,
  rowsOf,
  type Sha256,
  subManifestHash,
  subManifestHashes,
} from "@atoll/state";
import { EnvironmentError, type Height } from "@atoll/types";
import type { StateFetchReply, StateQuestion } from "./fetch-steps.ts";
import { type FetchedChunks, hashKey } from "./fetched-chunks.ts";
import {
  type ChunkName,
  decodeChunks,
  encodeRequest,
  MAX_CHUNKS,
  type StateRequest,
  TARGET_ANSWER_BYTES,
} from "./messages.ts";

export type Files = ReadonlyMap<string, FileEntry>;

interface WantedChunk extends ChunkName {
  readonly key: string;
  readonly hash: Uint8Array;
  readonly size: number;
}

type Asked =
  | { readonly kind: "meta" }
  | { readonly kind: "part"; readonly part: number }
  | { readonly kind: "chunks"; readonly chunks: readonly WantedChunk[] };

/** Where a chunk lies in the checkpoint that is here. */
export interface LocalChunk extends ChunkName {
  readonly hash: Uint8Array;
}

export interface StateFetchPorts {
  readonly sha256: Sha256;
  readonly fetched: FetchedChunks;
  /** The files of the last checkpoint here, as they are at the time of asking. */
  readonly base: () => Files;
}

export class StateFetch {
  readonly height: Height;
  readonly hash: Uint8Array;
  readonly #ports: StateFetchPorts;
  readonly #asked = new Map<number, Asked>();
  #nextId = 0;
  #metaManifest: Uint8Array | undefined;
  #partHashes: readonly Uint8Array[] = [];
  #parts: (Uint8Array | undefined)[] = [];
  /** Sub-manifests or chunks that nobody has been asked for. */
  #partsToAsk: number[] = [];
  #chunksToAsk: WantedChunk[] = [];
  #target: Files | undefined;
  #table: Uint8Array | undefined;
  #chunks = 0;
  #of = 0;

  constructor(height: Height, hash: Uint8Array, ports: StateFetchPorts) {
    this.height = height;
    this.hash = hash;
    this.#ports = ports;
  }

  /** Begins, or begins again: what was asked and not answered is asked once more. */
  begin(room: number): StateFetchReply {
    this.#asked.clear();
    if (this.#target !== undefined) this.#plan(this.#target);
    else this.#partsToAsk = this.#parts.flatMap((part, i) => (part === undefined ? [i] : []));
    return this.#reply(room);
  }

  answer(id: number, bytes: Uint8Array, room: number): StateFetchReply {
    const asked = this.#asked.get(id);
    if (asked === undefined) return this.#reply(room);
    const isGood = this.#take(asked, bytes);
    // The question stays open: somebody else is asked the same.
    if (isGood) this.#asked.delete(id);
    return { verdict: isGood ? "good" : "bad", ...this.#reply(room) };
  }

  get isComplete(): boolean {
    return this.#target !== undefined && this.#chunksToAsk.length === 0 && this.#asked.size === 0;
  }

  /** What is to be made, once complete. */
  get target(): { readonly files: Files; readonly table: Uint8Array } | undefined {
    if (this.#target === undefined || this.#table === undefined) return undefined;
    return { files: this.#target, table: this.#table };
  }

  /** The checkpoint that is here may be another one than before: true when nothing is missing all the same. */
  planAgain(): boolean {
    if (this.#target === undefined) return false;
    this.#asked.clear();
    this.#plan(this.#target);
    return this.isComplete;
  }

  /** Where chunks lie that are here, but not at the place where they have to be, by the keys of their hashes. */
  localChunks(): Map<string, LocalChunk> {
    const found = new Map<string, LocalChunk>();
    const base = this.#ports.base();
    const wanted = new Set<string>();
    eachMissingChunk(base, this.#target ?? new Map(), ({ hash }) => wanted.add(hashKey(hash)));
    eachChunk(base, (row, path) => {
      const key = hashKey(row.hash);
      if (wanted.has(key)) found.set(key, { path, offset: row.offset, hash: row.hash });
    });
    return found;
  }

  #take(asked: Asked, bytes: Uint8Array): boolean {
    switch (asked.kind) {
      case "meta":
        return this.#takeMetaManifest(bytes);
      case "part":
        return this.#takePart(asked.part, bytes);
      case "chunks":
        return this.#takeChunks(asked.chunks, bytes);
    }
  }

  #takeMetaManifest(bytes: Uint8Array): boolean {
    if (bytes.length > MAX_META_MANIFEST_BYTES) return false;
    if (!isEqual(metaManifestHash(this.#ports.sha256, bytes), this.hash)) return false;
    const hashes = subManifestHashes(bytes);
    if (hashes === undefined) throw notUnderstood(this.height);
    this.#metaManifest = bytes;
    this.#partHashes = hashes;
    this.#parts = hashes.map(() => undefined);
    this.#partsToAsk = hashes.map((_, i) => i);
    return true;
  }

  #takePart(part: number, bytes: Uint8Array): boolean {
    if (!isEqual(subManifestHash(this.#ports.sha256, bytes), this.#partHashes[part] as Uint8Array)) return false;
    this.#parts[part] = bytes;
    if (this.#parts.some((each) => each === undefined)) return true;
    const table = join(this.#parts as Uint8Array[]);
    this.#parts = [];
    const target = filesOf(table, this.#ports.sha256);
    if (target === undefined) throw notUnderstood(this.height);
    this.#table = table;
    this.#target = target;
    this.#plan(target);
    return true;
  }

  #takeChunks(chunks: readonly WantedChunk[], bytes: Uint8Array): boolean {
    const contents = decodeChunks(bytes);
    if (contents === undefined || contents.length !== chunks.length) return false;
    const { sha256, fetched } = this.#ports;
    for (const [i, { size, hash }] of chunks.entries()) {
      const content = contents[i] as Uint8Array;
      if (content.length !== size || !isEqual(chunkHash(sha256, content), hash)) return false;
    }
    fetched.add(chunks.map(({ key }, i) => ({ key, bytes: contents[i] as Uint8Array })));
    this.#chunks += chunks.length;
    return true;
  }

  #plan(target: Files): void {
    const { fetched } = this.#ports;
    const base = this.#ports.base();
    const missing = new Map<string, WantedChunk>();
    const needed = new Set<string>();
    eachMissingChunk(base, target, ({ hash, size, offset }, path) => {
      const key = hashKey(hash);
      needed.add(key);
      missing.set(key, { key, hash, size, offset, path });
    });
    fetched.tidy((key) => needed.has(key));
    eachChunk(base, ({ hash }) => missing.delete(hashKey(hash)));
    this.#of = missing.size;
    for (const key of missing.keys()) if (fetched.has(key)) missing.delete(key);
    this.#chunks = this.#of - missing.size;
    this.#chunksToAsk = [...missing.values()].reverse();
  }

  #reply(room: number): StateFetchReply {
    const questions: StateQuestion[] = [];
    while (questions.length < room) {
      const asked = this.#next();
      if (asked === undefined) break;
      const id = this.#nextId++;
      this.#asked.set(id, asked);
      questions.push({ id, bytes: encodeRequest(requestOf(this.height, asked)) });
    }
    return { questions, chunks: this.#chunks, of: this.#of, isComplete: this.isComplete };
  }

  #next(): Asked | undefined {
    if (this.#metaManifest === undefined) return this.#asked.size > 0 ? undefined : { kind: "meta" };
    const part = this.#partsToAsk.shift();
    if (part !== undefined) return { kind: "part", part };
    const chunks: WantedChunk[] = [];
    let bytes = 0;
    for (let next = this.#chunksToAsk.at(-1); next !== undefined; next = this.#chunksToAsk.at(-1)) {
      bytes += next.size;
      if (chunks.length === MAX_CHUNKS || (chunks.length > 0 && bytes > TARGET_ANSWER_BYTES)) break;
      chunks.push(next);
      this.#chunksToAsk.pop();
    }
    return chunks.length > 0 ? { kind: "chunks", chunks } : undefined;
  }
}

function requestOf(height: Height, asked: Asked): StateRequest {
  if (asked.kind !== "chunks") return { ...asked, height };
  return { kind: "chunks", height, chunks: asked.chunks.map(({ path, offset }) => ({ path, offset })) };
}

function eachChunk(files: Files, visit: (row: ChunkRow, path: string) => void): void {
  for (const [path, entry] of files) for (const row of rowsOf(entry)) visit(row, path);
}

/** The subnet vouches for it, and this program cannot read it: it is another one than that of the other nodes. */
function notUnderstood(height: Height): EnvironmentError {
  return new EnvironmentError(
    "STATE_VERSION",
    `The state of height ${height} has a form that this program does not know: run the version of the other nodes.`,
  );
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
