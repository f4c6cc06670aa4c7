// One memory of a canister (its Wasm heap or its stable memory) as a table of pages. Holds what the last
// successful message left; a message that fails simply never writes here. It also knows which pages changed in
// this round (for readers) and since the last checkpoint (for the disk), so neither ever scans a memory.
import { type Height, OS_PAGE_BYTES, WASM_PAGE_BYTES } from "@atoll/types";
import { copyRange } from "./page-copy.ts";
import { type PageReader, type PageStore, readSlot, type Slot } from "./page-store.ts";

const LEAF_PAGES = 64;

/**
 * A sparse table from page index to slot; absent means zeros. Leaves are small, because most canisters use a few pages
 * here and there, and a page at the far end of 500 GiB costs one leaf like any other.
 */
export class PageTable {
  readonly #leaves = new Map<number, Uint32Array>();
  /** The leaf used last: pages are mostly visited one after the other. */
  #lastIndex = -1;
  #last: Uint32Array | undefined;
  #count = 0;

  /** Number of pages that are not zeros. */
  get count(): number {
    return this.#count;
  }

  get(page: number): Slot {
    return this.#leaf(Math.floor(page / LEAF_PAGES))?.[page % LEAF_PAGES] ?? 0;
  }

  set(page: number, slot: Slot): void {
    const index = Math.floor(page / LEAF_PAGES);
    let leaf = this.#leaf(index);
    if (leaf === undefined) {
      if (slot === 0) return;
      leaf = new Uint32Array(LEAF_PAGES);
      this.#leaves.set(index, leaf);
      this.#last = leaf;
    }
    const at = page % LEAF_PAGES;
    this.#count += Number(slot !== 0) - Number(leaf[at] !== 0);
    leaf[at] = slot;
  }

  /** All pages that are not zeros, in ascending order. */
  *entries(): Generator<[page: number, slot: Slot]> {
    for (const index of [...this.#leaves.keys()].sort((a, b) => a - b)) {
      const leaf = this.#leaves.get(index) as Uint32Array;
      for (let at = 0; at < LEAF_PAGES; at++) {
        const slot = leaf[at] as number;
        if (slot !== 0) yield [index * LEAF_PAGES + at, slot];
      }
    }
  }

  #leaf(index: number): Uint32Array | undefined {
    if (index !== this.#lastIndex) {
      this.#last = this.#leaves.get(index);
      this.#lastIndex = index;
    }
    return this.#last;
  }
}

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
  readonly table = new PageTable();
  readonly #store: PageStore;
  readonly #changedThisRound = new Map<number, Slot>();
  #changedSinceCheckpoint = new Set<number>();
  #isNewToReaders = true;

  constructor(id: string, store: PageStore) {
    this.id = id;
    this.#store = store;
  }

  get bytes(): number {
    return this.wasmPages * WASM_PAGE_BYTES;
  }

  get reader(): PageReader {
    return this.#store;
  }

  /** The bytes of a page, or undefined when it is all zeros. The view must not be kept. */
  read(page: number): Uint8Array | undefined {
    return readSlot(this.#store, this.table.get(page));
  }

  /** Copies the bytes [offset, offset + size) to `target` at `at`. */
  copyTo(target: Uint8Array, at: number, offset: number, size: number): void {
    copyRange(this.#store, this.table, target, at, offset, size);
  }

  /** All pages that are not zeros. The views must not be kept. */
  *pages(): Generator<[page: number, bytes: Uint8Array]> {
    for (const [page, slot] of this.table.entries()) yield [page, readSlot(this.#store, slot) as Uint8Array];
  }

  /** Stores new content for a page during the round that leads to `height`. */
  write(page: number, content: Uint8Array, height: Height): void {
    let slot = this.#changedThisRound.get(page);
    if (slot === undefined) {
      this.#store.retire(this.table.get(page), height);
      slot = this.#store.allocate();
      this.#changedThisRound.set(page, slot);
      this.table.set(page, slot);
    }
    // Not above: a checkpoint may have been taken since the first write of this round.
    this.#changedSinceCheckpoint.add(page);
    this.#store.write(slot, content);
  }

  /** Puts a page back that came from a checkpoint: not a change. */
  restore(page: number, content: Uint8Array): void {
    const slot = this.#store.allocate();
    this.#store.write(slot, content);
    this.table.set(page, slot);
  }

  /** Frees every page; the object must not be used afterwards. */
  discard(height: Height): void {
    for (const [, slot] of this.table.entries()) this.#store.retire(slot, height);
  }

  get hasChangedThisRound(): boolean {
    return this.#isNewToReaders || this.#changedThisRound.size > 0;
  }

  /** Ends the round for this memory: what readers have to know. */
  takeDelta(): MemoryDelta {
    const replaced = this.#isNewToReaders;
    const changes = replaced ? flatten(this.table.entries()) : flatten(this.#changedThisRound);
    this.#changedThisRound.clear();
    this.#isNewToReaders = false;
    return { wasmPages: this.wasmPages, replaced, changes };
  }

  /** Pages to write to the next checkpoint; the list starts again empty. */
  takeCheckpointChanges(): readonly number[] {
    const pages = [...this.#changedSinceCheckpoint].sort((a, b) => a - b);
    this.#changedSinceCheckpoint = new Set();
    return pages;
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
