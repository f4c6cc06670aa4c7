// Makes a checkpoint out of the one that is here and the chunks that are not: what is equal stays where it is, the rest is
// written, and one commit puts the new checkpoint in the place of the old one. So taking over a state costs what differs,
// and a crash at any moment leaves the one or the other. Consensus and chain-key facts, 11.3.
import { invariant } from "@atoll/types/errors";
import type { Height } from "@atoll/types/units";
import { FETCHED_KEY, PAGE_BYTES, PREPARED, REGION_PAGES } from "../store/checkpoint-records.ts";
import type { CheckpointStore } from "../store/checkpoint-store.ts";
import { type CheckpointView, REGION_MAP_BYTES } from "../store/checkpoint-view.ts";
import { type ChunkRow, chunkBytes, type FileEntry, firstPage, META_PATH, memoryOfPath, rowsOf } from "./file-entry.ts";

export type Files = ReadonlyMap<string, FileEntry>;

/** The bytes of a chunk that differs from what the checkpoint has at its place; it has been checked. */
export type ChunkSource = (row: ChunkRow) => Uint8Array;

/** Calls `visit` for each chunk of `target` that `base` has not got at the same place. */
export function eachMissingChunk(base: Files, target: Files, visit: (row: ChunkRow, path: string) => void): void {
  for (const [path, entry] of target) {
    const known = base.get(path);
    if (known !== undefined && isEqual(known, entry)) continue;
    const rows = rowsByOffset(known);
    for (const row of rowsOf(entry)) if (!isSameRow(rows.get(row.offset), row)) visit(row, path);
  }
}

/**
 * Commits the checkpoint of `height` that `target` lists. `base`: the files of the last commit of `store`. Throws
 * EnvironmentError when the disk fails; then the last commit stands.
 */
export function applyManifest(
  store: CheckpointStore,
  height: Height,
  base: Files,
  target: Files,
  source: ChunkSource,
): void {
  const view = store.view();
  invariant(view !== undefined, "there is always a checkpoint, that of the empty state");
  store.begin();
  try {
    const writer: Writer = { store, view, source };
    for (const path of base.keys()) if (!target.has(path)) removeFile(writer, path);
    let meta: Uint8Array | undefined;
    for (const [path, entry] of target) {
      const known = base.get(path);
      const memory = memoryOfPath(path);
      if (path === META_PATH) meta = wholeRecord(writer, path, known, entry);
      else if (known !== undefined && isEqual(known, entry)) continue;
      else if (memory !== undefined) writeMemory(writer, memory, known, entry);
      else store.put(path, wholeRecord(writer, path, known, entry));
    }
    invariant(meta !== undefined, "a manifest without a meta record was let in");
    store.put(FETCHED_KEY, new Uint8Array());
    store.commit(height, meta);
  } catch (error) {
    store.abort();
    throw error;
  }
}

interface Writer {
  readonly store: CheckpointStore;
  readonly view: CheckpointView;
  readonly source: ChunkSource;
}

const MODULE = "module/";

function removeFile({ store }: Writer, path: string): void {
  const memory = memoryOfPath(path);
  if (memory !== undefined) store.dropMemory(memory);
  else store.delete(path);
  if (path.startsWith(MODULE)) store.delete(PREPARED + path.slice(MODULE.length));
}

function wholeRecord(
  { view, source }: Writer,
  path: string,
  known: FileEntry | undefined,
  entry: FileEntry,
): Uint8Array {
  const rows = [...rowsOf(entry)];
  const value = new Uint8Array(rows.reduce((sum, { size }) => sum + size, 0));
  const there = rowsByOffset(known);
  for (const row of rows) {
    const bytes = isSameRow(there.get(row.offset), row) ? chunkBytes(view, path, row.offset) : source(row);
    invariant(bytes?.length === row.size, `the chunk of ${path} at ${row.offset} is not what the manifest says`);
    value.set(bytes, row.offset);
  }
  return value;
}

const ZEROS = new Uint8Array(PAGE_BYTES);

function writeMemory(
  { store, view, source }: Writer,
  memory: string,
  known: FileEntry | undefined,
  entry: FileEntry,
): void {
  const there = rowsByOffset(known);
  for (const row of rowsOf(entry)) {
    const before = there.get(row.offset);
    there.delete(row.offset);
    if (isSameRow(before, row)) continue;
    writeRegion(store, view, memory, firstPage(row.offset), source(row));
  }
  for (const offset of there.keys()) writeRegion(store, view, memory, firstPage(offset), NO_PAGES);
}

const NO_PAGES = new Uint8Array(REGION_MAP_BYTES);

function writeRegion(
  store: CheckpointStore,
  view: CheckpointView,
  memory: string,
  first: number,
  chunk: Uint8Array,
): void {
  let at = REGION_MAP_BYTES;
  for (let i = 0; i < REGION_PAGES; i++) {
    if (((chunk[i >> 3] as number) & (1 << (i & 7))) !== 0) {
      store.putPage(memory, first + i, chunk.subarray(at, at + PAGE_BYTES));
      at += PAGE_BYTES;
    } else if (view.hasPage(memory, first + i)) store.putPage(memory, first + i, ZEROS);
  }
}

function rowsByOffset(entry: FileEntry | undefined): Map<number, ChunkRow> {
  const rows = new Map<number, ChunkRow>();
  for (const row of entry === undefined ? [] : rowsOf(entry)) rows.set(row.offset, row);
  return rows;
}

function isSameRow(one: ChunkRow | undefined, other: ChunkRow): boolean {
  return one !== undefined && one.size === other.size && isEqual(one.hash, other.hash);
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
