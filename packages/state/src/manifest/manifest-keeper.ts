// Keeps the hashes of the last checkpoint, so that the manifest of the next one costs what has changed in between. Some
// chunks that have not changed are hashed all the same, in turn: what is on the disk is what it was when the subnet
// agreed on it, or this node stops. Consensus and chain-key facts, 11.2.
import { invariant } from "@atoll/types/errors";
import type { Height } from "@atoll/types/units";
import type { Touched, TouchedMemory } from "../store/checkpoint-transaction.ts";
import type { CheckpointView } from "../store/checkpoint-view.ts";
import {
  chunkBytes,
  chunkCount,
  type FileEntry,
  META_PATH,
  memoryEntry,
  memoryPath,
  recordEntry,
  rowAt,
} from "./file-entry.ts";
import { filesOf, type Manifest, manifestOf } from "./manifest.ts";
import { chunkHash, type Sha256 } from "./manifest-hash.ts";

/** One chunk in so many that have not changed is hashed again, ... */
const REHASH_EVERY = 10;
/** ... but no more than so many beyond the number of those that have: a checkpoint must not cost a read of everything. */
const REHASH_AT_MOST = 64;

export class ManifestKeeper {
  readonly #sha256: Sha256;
  #files = new Map<string, FileEntry>();
  /** Sorted. */
  #paths: string[] = [];
  /** Of the checkpoint that the files are of; undefined: of none. */
  #height: Height | undefined;
  /** The next file to look at again. */
  #cursor = 0;
  #hashed = 0;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  /** Of the checkpoint that `manifest` was made for last. */
  get files(): ReadonlyMap<string, FileEntry> {
    return this.#files;
  }

  /** Undefined: the hashes of no checkpoint are known. */
  get height(): Height | undefined {
    return this.#height;
  }

  /** Takes over what was kept on the disk. False: it makes no sense, and nothing is taken. */
  restore(height: Height, table: Uint8Array): boolean {
    const files = filesOf(table, this.#sha256);
    if (files === undefined) return false;
    this.#files = files;
    this.#paths = [...files.keys()];
    this.#height = height;
    return true;
  }

  /**
   * Makes the manifest of a checkpoint, chunk by chunk: yields after each, so that others get their turn. `touched`: what
   * changed since the checkpoint before; without it, or where the hashes of that are not known, everything is hashed.
   * Throws STATE_CORRUPT for damage on the disk.
   */
  *manifest(view: CheckpointView, touched?: Touched): Generator<void, Manifest> {
    const isKnown = touched !== undefined && touched.since === this.#height && this.#height !== undefined;
    this.#height = undefined;
    this.#hashed = 0;
    if (!isKnown) this.#files.clear();
    yield* this.#hashRecords(view, isKnown ? touched.keys : view.keys());
    yield* this.#hashMemories(view, isKnown ? touched.memories : allOf(view));
    this.#sortPaths();
    if (isKnown) yield* this.#hashAgain(view);
    this.#height = view.height;
    return manifestOf(this.#paths, this.#files, this.#sha256);
  }

  *#hashRecords(view: CheckpointView, keys: Iterable<string>): Generator<void> {
    yield* this.#hashRecord(META_PATH, view.meta);
    for (const key of keys) yield* this.#hashRecord(key, view.value(key));
  }

  *#hashRecord(path: string, value: Uint8Array | undefined): Generator<void> {
    if (value === undefined) this.#files.delete(path);
    else this.#put(path, yield* recordEntry(value, this.#sha256));
  }

  *#hashMemories(view: CheckpointView, memories: ReadonlyMap<string, TouchedMemory>): Generator<void> {
    // As they were before any of them changes: some begin as others were.
    const bases = new Map(
      [...memories].map(([memory, { base }]) => [
        memory,
        base === undefined ? undefined : this.#files.get(memoryPath(base)),
      ]),
    );
    for (const [memory, { regions }] of memories) {
      const entry = yield* memoryEntry(view, memory, bases.get(memory), regions, this.#sha256);
      if (entry === undefined) this.#files.delete(memoryPath(memory));
      else this.#put(memoryPath(memory), entry);
    }
  }

  #put(path: string, entry: FileEntry): void {
    this.#hashed++;
    this.#files.set(path, entry);
  }

  #sortPaths(): void {
    const known = new Set(this.#paths);
    const added = [...this.#files.keys()].filter((path) => !known.has(path)).sort();
    const kept = this.#paths.filter((path) => this.#files.has(path));
    this.#paths = added.length === 0 ? kept : merge(kept, added);
  }

  *#hashAgain(view: CheckpointView): Generator<void> {
    let left = Math.min(Math.ceil(this.#paths.length / REHASH_EVERY), this.#hashed + REHASH_AT_MOST);
    for (; left > 0 && this.#paths.length > 0; left--) {
      this.#cursor = (this.#cursor + 1) % this.#paths.length;
      const path = this.#paths[this.#cursor] as string;
      const entry = this.#files.get(path) as FileEntry;
      const count = chunkCount(entry);
      if (count === 0) continue;
      const { offset, hash } = rowAt(entry, view.height % count);
      const bytes = chunkBytes(view, path, offset);
      const isSame = bytes !== undefined && isEqual(chunkHash(this.#sha256, bytes), hash);
      // Damage of the disk is named by its checksum; what is left is a mistake of ours.
      if (!isSame) view.value(path);
      invariant(isSame, `the chunk of ${path} at ${offset} changed, and nothing wrote it`);
      yield;
    }
  }
}

function allOf(view: CheckpointView): ReadonlyMap<string, TouchedMemory> {
  return new Map(
    [...view.memories()].map((memory) => [memory, { base: undefined, regions: new Set(view.regions(memory)) }]),
  );
}

function merge(one: readonly string[], other: readonly string[]): string[] {
  const all: string[] = [];
  let at = 0;
  for (const path of one) {
    while (at < other.length && (other[at] as string) < path) all.push(other[at++] as string);
    all.push(path);
  }
  return [...all, ...other.slice(at)];
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
