// Checkpoints of one subnet's state: keys with values, and memories made of 4 KiB pages, log-structured.
//
// A transaction appends records to segments (checkpoint-records.ts); `commit` syncs them and then replaces the
// manifest at once (checkpoint-manifest.ts), so a crash at any instruction leaves the last commit or the new one and
// nothing between. What lies behind the committed length is removed at start. Everything committed is read and
// checked at start, and once more by record when it is used. Compaction is itself a commit: it writes the live
// records of the oldest segment again and leaves that segment out of the manifest; since nothing is older, it can
// forget deletions too.
import { EnvironmentError, InvariantViolation, invariant } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";
import type { Height } from "@atoll/types/units";
import { CheckpointIndex } from "./checkpoint-index.ts";
import {
  type CommittedSegment,
  encodeManifest,
  MANIFEST_FILE,
  type Manifest,
  readManifest,
} from "./checkpoint-manifest.ts";
import {
  checkpointSegmentName,
  checkpointSegmentNumber,
  ENTRY_HEADER_BYTES,
  PAGE_BYTES,
  PAGE_RECORD_BYTES,
  readEntryHeader,
  segmentOf,
} from "./checkpoint-records.ts";
import { CheckpointTransaction, type Touched } from "./checkpoint-transaction.ts";
import { CheckpointView } from "./checkpoint-view.ts";
import { type Crc32, corrupt, portableCrc32, SEGMENT_HEADER_BYTES, viewOf } from "./integrity.ts";
import { readPageRecords, readRecord, scanSegment } from "./segment-reader.ts";
import { SegmentWriter } from "./segment-writer.ts";

export interface CheckpointStoreOptions {
  readonly crc32?: Crc32;
  /** A segment is full at this size; also the amount that one step of compaction works on. Default 64 MiB. */
  readonly segmentBytes?: number;
  /** Size of the write buffer. Default 4 MiB. */
  readonly bufferBytes?: number;
  /**
   * The checkpoint before the last one stays readable (`previous`), for other nodes that need it. Its records stay on the
   * disk until then. It does not outlast the process.
   */
  readonly keepsPrevious?: boolean;
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const EMPTY: Manifest = { height: undefined, meta: new Uint8Array(0), segments: [] };

export class CheckpointStore {
  readonly #storage: StoragePort;
  readonly #crc: Crc32;
  readonly #writer: SegmentWriter;
  readonly #index: CheckpointIndex;
  readonly #keepsPrevious: boolean;
  #manifest: Manifest;
  #touched: Touched | undefined;
  #previous: CheckpointView | undefined;
  /** Segments that compaction emptied, and that `#previous` may still read. */
  #emptied: number[] = [];
  #transaction: CheckpointTransaction | undefined;
  /** The segments may hold more than what is committed, and could not be cut back yet. */
  #isUndoNeeded = false;
  #failure: EnvironmentError | undefined;

  /** Reads and checks every committed byte; throws STATE_CORRUPT or STATE_VERSION before it changes any. */
  static open(storage: StoragePort, options: CheckpointStoreOptions = {}): CheckpointStore {
    const crc = options.crc32 ?? portableCrc32;
    const numbers = storage.list().flatMap((name) => checkpointSegmentNumber(name) ?? []);
    const manifest = readManifest(storage, crc);
    if (manifest === undefined) {
      if (numbers.length > 0) throw corrupt(MANIFEST_FILE, "it is missing");
      storage.replace(MANIFEST_FILE, encodeManifest(EMPTY, crc));
    }
    const { segments } = manifest ?? EMPTY;
    const index = scanAll(storage, segments, crc);
    const leftOver = numbers.filter((number) => !segments.some((segment) => segment.number === number));
    const isWithin = (number: number) =>
      segments.some((s) => s.number < number) && segments.some((s) => s.number > number);
    const stray = leftOver.find(isWithin);
    if (stray !== undefined) throw corrupt(checkpointSegmentName(stray), "it does not belong to the checkpoint");
    // A killed process may have left a manifest that only the page cache knows; everything builds on it from here on.
    storage.sync(MANIFEST_FILE);
    for (const number of leftOver) storage.remove(checkpointSegmentName(number));
    const last = segments.at(-1);
    if (last !== undefined) {
      const name = checkpointSegmentName(last.number);
      if ((storage.size(name) ?? 0) > last.length) storage.truncate(name, last.length);
    }
    return new CheckpointStore(storage, manifest ?? EMPTY, index, options);
  }

  private constructor(
    storage: StoragePort,
    manifest: Manifest,
    index: CheckpointIndex,
    options: CheckpointStoreOptions,
  ) {
    this.#storage = storage;
    this.#crc = options.crc32 ?? portableCrc32;
    this.#manifest = manifest;
    this.#index = index;
    this.#keepsPrevious = options.keepsPrevious === true;
    const segmentBytes = options.segmentBytes ?? 64 * 1024 * 1024;
    this.#writer = new SegmentWriter(storage, this.#crc, segmentBytes, options.bufferBytes ?? 4 * 1024 * 1024);
  }

  /** Height of the last commit, undefined before the first. */
  get height(): Height | undefined {
    return this.#manifest.height;
  }

  /** What the last commit was given as `meta`. */
  get meta(): Uint8Array {
    return this.#manifest.meta;
  }

  /** Bytes of all segments. */
  get size(): number {
    return this.#manifest.segments.reduce((sum, segment) => sum + segment.length, 0);
  }

  /** Share of the stored bytes that the last commit does not need, 0 to 1. */
  get garbageRatio(): number {
    const stored = this.size - this.#manifest.segments.length * SEGMENT_HEADER_BYTES;
    // Pages that memories share count for each of them: compaction gives each its own.
    return stored === 0 ? 0 : Math.max(0, 1 - this.#index.liveBytes / stored);
  }

  /** The committed value of `key`. */
  get(key: string): Uint8Array | undefined {
    const entry = this.#index.keys.get(key);
    if (entry === undefined) return undefined;
    const record = readRecord(this.#storage, entry.place, entry.size, this.#crc);
    return record.subarray(ENTRY_HEADER_BYTES + readEntryHeader(viewOf(record), 0).a);
  }

  hasKey(key: string): boolean {
    return this.#index.keys.has(key);
  }

  /** The last commit, as nodes compare it. Undefined before the first. Not to be used after the next one. */
  view(): CheckpointView | undefined {
    const { height, meta } = this.#manifest;
    if (height === undefined) return undefined;
    const { keys } = this.#index;
    return new CheckpointView(this.#storage, this.#crc, {
      height,
      meta,
      entry: (key) => keys.get(key),
      pages: (memory) => this.#index.memory(memory)?.pages,
      keys: () => keys.keys(),
      memories: () => this.#index.memoryNames(),
    });
  }

  /** The commit before the last one, with `keepsPrevious`: what it had at each key and memory can be asked for. */
  previous(): CheckpointView | undefined {
    return this.#previous;
  }

  /** What the last commit of this process changed, once. */
  takeTouched(): Touched | undefined {
    const touched = this.#touched;
    this.#touched = undefined;
    return touched;
  }

  /** The committed keys that start with `prefix`, sorted by UTF-16 code units. */
  keys(prefix = ""): string[] {
    return [...this.#index.keys.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  /** Names of the committed memories, sorted. */
  memories(): string[] {
    return this.#index.memoryNames();
  }

  pageCount(memory: string): number {
    return this.#index.memory(memory)?.pages.count ?? 0;
  }

  has(memory: string): boolean {
    return this.#index.memory(memory) !== undefined;
  }

  /** Indexes of the committed pages of a memory, ascending; pages of zeros that were put are among them. */
  pageIndexes(memory: string): Uint32Array {
    return this.#index.memory(memory)?.pages.indexes() ?? new Uint32Array(0);
  }

  /** The committed 4,096 bytes of a page, undefined when it was never put. */
  readPage(memory: string, index: number): Uint8Array | undefined {
    const place = this.#index.memory(memory)?.pages.get(index) ?? 0;
    if (place === 0) return undefined;
    if (place < 0) return new Uint8Array(PAGE_BYTES);
    return readRecord(this.#storage, place, PAGE_RECORD_BYTES, this.#crc).subarray(ENTRY_HEADER_BYTES);
  }

  /** All committed pages of a memory in the order of the disk. `bytes` is valid only during the call. */
  readPages(memory: string, visit: (index: number, bytes: Uint8Array, place: number) => void): void {
    const pages = this.#index.memory(memory)?.pages;
    if (pages === undefined) return;
    const zeros = new Uint8Array(PAGE_BYTES);
    readPageRecords(this.#storage, pages.places(), this.#crc, (header, record, place) => {
      visit(header.c, record.length === ENTRY_HEADER_BYTES ? zeros : record.subarray(ENTRY_HEADER_BYTES), place);
    });
  }

  /** Whether another memory may have pages at the same places. */
  sharesPages(memory: string): boolean {
    return this.#index.memory(memory)?.isShared === true;
  }

  /** Begins the one transaction that can be open. Reads go on to see the last commit. */
  begin(): void {
    this.#begin(false);
  }

  put(key: string, value: Uint8Array): void {
    this.#write((transaction) => transaction.put(key, value));
  }

  delete(key: string): void {
    this.#write((transaction) => transaction.delete(key));
  }

  /** `bytes` are the 4,096 bytes of the page; they are copied. The memory is made by its first page. */
  putPage(memory: string, index: number, bytes: Uint8Array): void {
    this.#write((transaction) => transaction.putPage(memory, index, bytes));
  }

  /**
   * Makes a memory with the committed pages of `source`, at the cost of 64 bits a page in memory and nothing on the disk.
   * To be called before anything is written to `source` in the same transaction.
   */
  cloneMemory(memory: string, source: string): void {
    this.#write((transaction) => transaction.cloneMemory(memory, source));
  }

  /** Forgets a memory with all its pages; pages put later in the same transaction begin a new one. */
  dropMemory(memory: string): void {
    this.#write((transaction) => transaction.dropMemory(memory));
  }

  /**
   * Makes the transaction durable and visible, all or nothing. When this, or a write before it, throws (ENOSPC, ...)
   * the transaction is over and the last commit stands; begin again once there is room.
   */
  commit(height: Height, meta: Uint8Array): void {
    invariant(height >= (this.height ?? 0), "the height of a checkpoint does not fall");
    this.#commit(height, meta.slice(), undefined);
  }

  /** Ends the transaction, if one is open, as if it had not begun. */
  abort(): void {
    this.#giveUp();
  }

  /**
   * Rewrites the oldest segments until less than `ratio` is garbage, each once at most; every step is a commit of
   * its own and works on one segment. Returns the number of steps. Needs room for one more segment.
   */
  compact(ratio = 0.5): number {
    const newest = this.#manifest.segments.at(-1)?.number ?? 0;
    let steps = 0;
    while (this.garbageRatio > ratio && (this.#manifest.segments[0]?.number ?? newest + 1) <= newest) {
      this.compactStep();
      steps++;
    }
    return steps;
  }

  /** One step of `compact`: moves what lives in the oldest segment to the end and removes the segment. */
  compactStep(): void {
    const { height, meta, segments } = this.#manifest;
    const oldest = segments[0];
    if (oldest === undefined || height === undefined) return;
    this.#begin(segments.length === 1);
    this.#write((transaction) => this.#copyLive(transaction, oldest.number));
    this.#commit(height, meta, oldest);
  }

  #copyLive(transaction: CheckpointTransaction, segment: number): void {
    const isInside = (place: number) => segmentOf(Math.abs(place)) === segment;
    for (const [key, { place, size }] of this.#index.keys) {
      if (isInside(place)) transaction.copyKey(key, readRecord(this.#storage, place, size, this.#crc));
    }
    for (const { number, name, naming, pages } of this.#index.memories.values()) {
      if (name !== undefined && naming !== undefined && isInside(naming.place)) {
        transaction.copyMemory(number, name, readRecord(this.#storage, naming.place, naming.size, this.#crc));
      }
      readPageRecords(this.#storage, pages.places().filter(isInside), this.#crc, (header, record) => {
        transaction.copyPage(number, header.c, record, header.b);
      });
    }
  }

  #begin(inFreshSegment: boolean): void {
    if (this.#failure !== undefined) throw this.#failure;
    invariant(this.#transaction === undefined, "one transaction of the checkpoint store at a time");
    if (this.#isUndoNeeded) this.#undo();
    this.#isUndoNeeded = true;
    this.#transaction = new CheckpointTransaction(this.#writer, this.#index);
    this.#write(() => this.#writer.begin(this.#manifest.segments, inFreshSegment));
  }

  #write(write: (transaction: CheckpointTransaction) => void): void {
    const transaction = this.#transaction;
    if (transaction === undefined) throw new InvariantViolation("no transaction of the checkpoint store is open");
    try {
      write(transaction);
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  #commit(height: Height, meta: Uint8Array, removed: CommittedSegment | undefined): void {
    let segments: CommittedSegment[] = [];
    this.#write(() => {
      const written = this.#writer.finish();
      segments = this.#manifest.segments.filter((s) => s !== removed && s.number !== written[0]?.number);
      segments.push(...written);
    });
    const manifest = { height, meta, segments };
    const bytes = encodeManifest(manifest, this.#crc);
    try {
      this.#storage.replace(MANIFEST_FILE, bytes);
    } catch (error) {
      this.#afterFailedReplace(error);
    }
    const touched = removed === undefined ? this.#transaction?.touched(this.height) : undefined;
    if (touched !== undefined) this.#turn(touched);
    this.#manifest = manifest;
    this.#transaction?.apply();
    this.#transaction = undefined;
    this.#isUndoNeeded = false;
    if (removed === undefined) return;
    if (this.#previous === undefined) this.#removeSegment(removed.number);
    else this.#emptied.push(removed.number);
  }

  /** What is the last commit becomes the one before. */
  #turn(touched: Touched): void {
    this.#touched = touched;
    if (!this.#keepsPrevious) return;
    // What they hold was moved before this commit began: only the one that is given up now could miss it.
    for (const number of this.#emptied) this.#removeSegment(number);
    this.#emptied = [];
    this.#previous = previousView(this.view(), touched, this.#index);
  }

  /** Cutting the segments back is right only if the old manifest is the one on the disk. */
  #afterFailedReplace(error: unknown): never {
    if (!(error instanceof EnvironmentError)) throw error;
    let found: Manifest | undefined;
    try {
      found = readManifest(this.#storage, this.#crc);
    } catch {
      found = undefined;
    }
    const isOld =
      found !== undefined &&
      encodeManifest(found, this.#crc).join() === encodeManifest(this.#manifest, this.#crc).join();
    if (isOld) {
      this.#giveUp();
      throw error;
    }
    const message = `The checkpoint could not be committed (${error.message}): start the program again.`;
    this.#failure = new EnvironmentError(error.code, message, { cause: error });
    this.#transaction = undefined;
    throw this.#failure;
  }

  #giveUp(): void {
    this.#transaction = undefined;
    try {
      this.#undo();
    } catch (error) {
      // The next transaction tries again, before it writes anything.
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }

  #undo(): void {
    if (!this.#isUndoNeeded || this.#failure !== undefined) return;
    this.#writer.undo();
    this.#isUndoNeeded = false;
  }

  #removeSegment(number: number): void {
    try {
      this.#storage.remove(checkpointSegmentName(number));
    } catch (error) {
      // It is no part of the checkpoint any more; the next start removes it.
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }
}

/** `view`, which reads from the index, once the index has moved on: what is touched is as it was. */
function previousView(
  view: CheckpointView | undefined,
  { keys, memories }: Touched,
  index: CheckpointIndex,
): CheckpointView | undefined {
  const entries = new Map([...keys].map((key) => [key, index.keys.get(key)]));
  const pages = new Map([...memories.keys()].map((memory) => [memory, index.memory(memory)?.pages.copy()]));
  return view?.with({
    entry: (key) => (entries.has(key) ? entries.get(key) : index.keys.get(key)),
    pages: (memory) => (pages.has(memory) ? pages.get(memory) : index.memory(memory)?.pages),
    keys: () => [],
    memories: () => [],
  });
}

function scanAll(storage: StoragePort, segments: readonly CommittedSegment[], crc: Crc32): CheckpointIndex {
  const index = new CheckpointIndex();
  for (const segment of segments) {
    scanSegment(storage, segment, crc, (header, name, place, size) => {
      index.visit(header, name.length === 0 ? "" : DECODER.decode(name), place, size);
    });
  }
  for (const memory of index.memories.values()) {
    if (memory.name === undefined)
      throw corrupt(MANIFEST_FILE, `memory ${memory.number} of the checkpoint has no name`);
  }
  return index;
}
