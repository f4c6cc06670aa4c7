// One file of a checkpoint's manifest: its chunks, with the hash of each, and the hash over them. A file is a record of
// the checkpoint store or a memory; a chunk is 1 MiB of a record, or the pages of one region of a memory. Regions of
// zeros have no chunk, so a memory costs what it holds and not what it spans. Consensus and chain-key facts, 11.2.
//
// entry = file hash, number of chunks u32, per chunk: size u32, offset u64, hash. All numbers big-endian.
import { REGION_PAGES } from "../store/checkpoint-records.ts";
import type { CheckpointView } from "../store/checkpoint-view.ts";
import { viewOf } from "../store/integrity.ts";
import { CHUNK_BYTES, chunkHash, fileHash, type Sha256 } from "./manifest-hash.ts";

export type FileEntry = Uint8Array;

export interface ChunkRow {
  /** Bytes. */
  readonly size: number;
  /** Where it begins in the file, a multiple of 1 MiB. In memories: in the bytes of the memory. */
  readonly offset: number;
  readonly hash: Uint8Array;
}

const HEAD_BYTES = 36;
const ROW_BYTES = 44;
const MEMORY = "memory/";
export const META_PATH = "meta";

export function memoryPath(memory: string): string {
  return MEMORY + memory;
}

/** The memory that a path names, or undefined for a record. */
export function memoryOfPath(path: string): string | undefined {
  return path.startsWith(MEMORY) ? path.slice(MEMORY.length) : undefined;
}

export function chunkCount(entry: FileEntry): number {
  return viewOf(entry).getUint32(32);
}

export function rowAt(entry: FileEntry, i: number): ChunkRow {
  const at = HEAD_BYTES + i * ROW_BYTES;
  const view = viewOf(entry);
  const offset = view.getUint32(at + 4) * 2 ** 32 + view.getUint32(at + 8);
  return { size: view.getUint32(at), offset, hash: entry.subarray(at + 12, at + ROW_BYTES) };
}

export function* rowsOf(entry: FileEntry): Generator<ChunkRow> {
  const count = chunkCount(entry);
  for (let i = 0; i < count; i++) yield rowAt(entry, i);
}

/** `rows` in the order of their offsets. */
export function entryOf(rows: readonly ChunkRow[], sha256: Sha256): FileEntry {
  const entry = new Uint8Array(HEAD_BYTES + rows.length * ROW_BYTES);
  const view = viewOf(entry);
  view.setUint32(32, rows.length);
  for (const [i, { size, offset, hash }] of rows.entries()) {
    const at = HEAD_BYTES + i * ROW_BYTES;
    view.setUint32(at, size);
    view.setUint32(at + 4, Math.floor(offset / 2 ** 32));
    view.setUint32(at + 8, offset % 2 ** 32);
    entry.set(hash, at + 12);
  }
  entry.set(fileHash(sha256, entry.subarray(32)), 0);
  return entry;
}

/** Bytes of the entry at the start of `bytes`, or undefined when it is cut short or its hash is not that of its rows. */
export function entryLength(bytes: Uint8Array, sha256: Sha256): number | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = HEAD_BYTES + chunkCount(bytes) * ROW_BYTES;
  if (length > bytes.length) return undefined;
  const hash = fileHash(sha256, bytes.subarray(32, length));
  return hash.every((byte, i) => byte === bytes[i]) ? length : undefined;
}

/** A record as a file; yields after each chunk. */
export function* recordEntry(value: Uint8Array, sha256: Sha256): Generator<void, FileEntry> {
  const rows: ChunkRow[] = [];
  for (let offset = 0; offset < value.length; offset += CHUNK_BYTES) {
    const chunk = value.subarray(offset, offset + CHUNK_BYTES);
    rows.push({ size: chunk.length, offset, hash: chunkHash(sha256, chunk) });
    yield;
  }
  return entryOf(rows, sha256);
}

/** A memory as a file, but for `regions` the same as `base`; undefined: it is all zeros. Yields after each chunk. */
export function* memoryEntry(
  view: CheckpointView,
  memory: string,
  base: FileEntry | undefined,
  regions: Iterable<number>,
  sha256: Sha256,
): Generator<void, FileEntry | undefined> {
  const rows = new Map<number, ChunkRow>();
  for (const row of base === undefined ? [] : rowsOf(base)) rows.set(row.offset, row);
  for (const region of regions) {
    const chunk = view.region(memory, region);
    const offset = region * CHUNK_BYTES;
    if (chunk === undefined) rows.delete(offset);
    else rows.set(offset, { size: chunk.length, offset, hash: chunkHash(sha256, chunk) });
    yield;
  }
  if (rows.size === 0) return undefined;
  return entryOf(
    [...rows.values()].sort((a, b) => a.offset - b.offset),
    sha256,
  );
}

/** The bytes of a chunk in a checkpoint. Those of records are not checked: whoever gets them has their hash. */
export function chunkBytes(view: CheckpointView, path: string, offset: number): Uint8Array | undefined {
  if (offset % CHUNK_BYTES !== 0) return undefined;
  const memory = memoryOfPath(path);
  if (memory !== undefined) return view.region(memory, offset / CHUNK_BYTES);
  if (path !== META_PATH) return view.valuePart(path, offset, CHUNK_BYTES);
  const part = view.meta.subarray(offset, offset + CHUNK_BYTES);
  return part.length === 0 ? undefined : part;
}

/** First page of the region that a chunk of a memory holds. */
export function firstPage(offset: number): number {
  return (offset / CHUNK_BYTES) * REGION_PAGES;
}
