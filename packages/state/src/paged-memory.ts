// One memory of a canister (its Wasm heap or its stable memory) as a table of pages. Holds what the last
// successful message left; a message that fails simply never writes here. It also knows which pages changed in
// this round (for readers) and since the last checkpoint (for the disk), so neither ever scans a memory.
import { type Height, OS_PAGE_BYTES, WASM_PAGE_BYTES } from "@atoll/types";
import { copyRange } from "./page-copy.ts";
import { PageSet } from "./page-set.ts";
import { type PageReader, type PageStore, readSlot, type Slot } from "./page-store.ts";
import { PageTable, type TableCopies } from "./page-table.ts";

/** What a reader is told of a memory after a round. */
export interface MemoryDelta {
  readonly wasmPages: number;
  /** True when the memory was replaced: forget every page known so far. */
  readonly replaced: boolean;
  /** page, slot, page, slot, ... */
  readonly changes: Uint32Array;
}

export class PagedMemory {
  /** Unique over the life of the subnet: a replaced memory gets a new one. Names the pages on disk. */
  readonly id: string;
  /** Size in Wasm pages of 64 KiB. */
  wasmPages = 0;
  /** The memories that this one was the same as when it began, latest first; none when it began empty. */
  readonly origins: readonly string[];
  readonly #table: PageTable;
  readonly #store: PageStore;
  readonly #retain: (slot: Slot) => void;
  /** Pages that this memory wrote in this round, each to a slot that nothing else knows: these it may write again. */
  readonly #written = new Map<number, Slot>();
  /** Pages that changed in this round otherwise, or were shared since. */
  readonly #changed = new Map<number, Slot>();
  #changedSinceCheckpoint = new PageSet();
  #isNewToReaders = true;

  constructor(
    id: string,
    store: PageStore,
    start?: { readonly origins: readonly string[]; readonly table: PageTable },
  ) {
    this.id = id;
    this.#store = store;
    this.#retain = (slot) => store.retain(slot);
    this.origins = start?.origins ?? [];
    this.#table = start?.table ?? new PageTable();
  }

  get bytes(): number {
    return this.wasmPages * WASM_PAGE_BYTES;
  }

  get reader(): PageReader {
    return this.#store;
  }

  get table(): Pick<PageTable, "get" | "entries" | "count"> {
    return this.#table;
  }

  /** The bytes of a page, or undefined when it is all zeros. The view must not be kept. */
  read(page: number): Uint8Array | undefined {
    return readSlot(this.#store, this.#table.get(page));
  }

  /** All pages that are not zeros. The views must not be kept. */
  *pages(): Generator<[page: number, bytes: Uint8Array]> {
    for (const [page, slot] of this.#table.entries()) yield [page, readSlot(this.#store, slot) as Uint8Array];
  }

  /** Copies the bytes [offset, offset + size) to `target` at `at`. */
  copyTo(target: Uint8Array, at: number, offset: number, size: number): void {
    copyRange(this.#store, this.#table, target, at, offset, size);
  }

  /** Stores new content for a page during the round that leads to `height`. */
  write(page: number, content: Uint8Array, height: Height): void {
    let slot = this.#written.get(page);
    if (slot === undefined) {
      const before = this.#table.get(page);
      slot = this.#store.allocate();
      this.#table.set(page, slot, this.#retain);
      this.#store.retire(before, height);
      this.#written.set(page, slot);
    }
    // Not above: a checkpoint may have been taken since the first write of this round.
    this.#changedSinceCheckpoint.add(page);
    this.#store.write(slot, content);
  }

  /** Stores bytes at any offset, as a user uploads them. */
  writeBytes(offset: number, bytes: Uint8Array, height: Height): void {
    for (let done = 0; done < bytes.length; ) {
      const page = Math.floor((offset + done) / OS_PAGE_BYTES);
      const within = (offset + done) % OS_PAGE_BYTES;
      const length = Math.min(OS_PAGE_BYTES - within, bytes.length - done);
      const content = new Uint8Array(OS_PAGE_BYTES);
      const before = length < OS_PAGE_BYTES ? this.read(page) : undefined;
      if (before !== undefined) content.set(before);
      content.set(bytes.subarray(done, done + length), within);
      this.write(page, content, height);
      done += length;
    }
  }

  readBytes(offset: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    this.copyTo(bytes, 0, offset, size);
    return bytes;
  }

  /** Puts a page back that came from a checkpoint: not a change. */
  restore(page: number, content: Uint8Array): Slot {
    const slot = this.#store.allocate();
    this.#store.write(slot, content);
    this.#table.set(page, slot);
    return slot;
  }

  /** As `restore`, for a page that another memory has too. */
  restoreShared(page: number, slot: Slot): void {
    this.#store.retain(slot);
    this.#table.set(page, slot);
  }

  /** A memory of the same content, at the cost of a reference per 4 MiB: pages are shared until one of them writes. */
  fork(id: string): PagedMemory {
    this.#leavePages();
    const copy = new PagedMemory(id, this.#store, { origins: [this.id, ...this.origins], table: this.#table.fork() });
    copy.wasmPages = this.wasmPages;
    copy.#changedSinceCheckpoint = this.#changedSinceCheckpoint.copy();
    return copy;
  }

  /** The same memory in a copy of the state, whose page store is a fork of this one's. */
  copy(store: PageStore, tables: TableCopies): PagedMemory {
    this.#leavePages();
    const copy = new PagedMemory(this.id, store, { origins: this.origins, table: this.#table.copy(tables) });
    copy.wasmPages = this.wasmPages;
    for (const [page, slot] of this.#changed) copy.#changed.set(page, slot);
    copy.#changedSinceCheckpoint = this.#changedSinceCheckpoint.copy();
    copy.#isNewToReaders = this.#isNewToReaders;
    return copy;
  }

  /** The pages written in this round are known to others from now on. */
  #leavePages(): void {
    for (const [page, slot] of this.#written) this.#changed.set(page, slot);
    this.#written.clear();
  }

  /** Takes the place of `before`: readers that know that one are told of the pages that differ, and of no others. */
  replace(before: PagedMemory, height: Height): void {
    this.#isNewToReaders = before.#isNewToReaders;
    for (const changes of [before.#changed, before.#written]) {
      for (const page of changes.keys()) this.#changed.set(page, this.#table.get(page));
    }
    for (const [page, slot] of this.#table.changesSince(before.#table)) this.#changed.set(page, slot);
    before.discard(height);
  }

  /** Pages of which this memory may hold another content than `other`. */
  *pagesUnlike(other: PagedMemory): Generator<number> {
    for (const [page] of this.#table.changesSince(other.#table)) yield page;
  }

  /** Frees every page; the object must not be used afterwards. */
  discard(height: Height): void {
    this.#table.drop((slot) => this.#store.retire(slot, height));
  }

  get hasChangedThisRound(): boolean {
    return this.#isNewToReaders || this.#written.size > 0 || this.#changed.size > 0;
  }

  /** Ends the round for this memory: what readers have to know. */
  takeDelta(): MemoryDelta {
    const replaced = this.#isNewToReaders;
    // Pages in both were shared and then written: the later slot counts.
    const changes = replaced
      ? flatten(this.#table.entries())
      : flatten(this.#changed.size === 0 ? this.#written : new Map([...this.#changed, ...this.#written]));
    this.#written.clear();
    this.#changed.clear();
    this.#isNewToReaders = false;
    return { wasmPages: this.wasmPages, replaced, changes };
  }

  /** Pages to write to the next checkpoint, ascending; the set starts again empty. */
  takeCheckpointChanges(): PageSet {
    const pages = this.#changedSinceCheckpoint;
    this.#changedSinceCheckpoint = new PageSet();
    return pages;
  }

  forgetCheckpointChanges(): void {
    this.#changedSinceCheckpoint.clear();
  }
}

function flatten(entries: Iterable<[number, number]>): Uint32Array {
  const flat: number[] = [];
  for (const [page, slot] of entries) flat.push(page, slot);
  return Uint32Array.from(flat);
}

/** Number of 4 KiB pages in `bytes`. */
export function osPages(bytes: number): number {
  return Math.ceil(bytes / OS_PAGE_BYTES);
}
