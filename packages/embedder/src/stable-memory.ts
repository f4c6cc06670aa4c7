// Stable memory during one execution: the committed pages below, this execution's own pages above. Dropping the
// object undoes everything at no cost; committing costs the pages that were written.

import { copyBytes, PageTable } from "@atoll/state";
import {
  MAX_STABLE_MEMORY_BYTES,
  OS_PAGE_BYTES,
  STABLE_PAGES_QUERY,
  STABLE_PAGES_UPDATE,
  WASM_PAGE_BYTES,
} from "@atoll/types";
import { Trap } from "./execution-error.ts";

/** Committed pages of a memory, as the state or a query thread holds them. */
export interface MemoryPages {
  /** Size in pages of 64 KiB. */
  readonly wasmPages: number;
  /** Bytes of a 4 KiB page; undefined = zeros. The view must not be kept. */
  read(page: number): Uint8Array | undefined;
  /** All pages that are not zeros. The views must not be kept. */
  pages(): Iterable<[page: number, bytes: Uint8Array]>;
}

/** Those of a stable memory, which is read in stretches. */
export interface StablePages extends MemoryPages {
  /** Copies the bytes [offset, offset + size) to `target` at `at`. */
  copyTo(target: Uint8Array, at: number, offset: number, size: number): void;
}

const MAX_WASM_PAGES = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;

export class StableMemory {
  #wasmPages: number;
  readonly #base: StablePages;
  /** What this execution did with a page: UNTOUCHED, READ, or WRITTEN + its number among `#pages`. */
  readonly #use = new PageTable();
  readonly #pages = new PageBuffer();
  /** Page numbers in the order of `#pages`. */
  readonly #written: number[] = [];
  readonly #pageLimit: number;

  /** `pageLimit`: 4 KiB pages that this execution may touch. */
  constructor(base: StablePages, pageLimit: number) {
    this.#base = base;
    this.#wasmPages = base.wasmPages;
    this.#pageLimit = pageLimit;
  }

  get wasmPages(): number {
    return this.#wasmPages;
  }

  get bytes(): number {
    return this.#wasmPages * WASM_PAGE_BYTES;
  }

  get writtenPages(): number {
    return this.#written.length;
  }

  /** Pages written so far, with their whole content, as views on what goes on being written. */
  get written(): Iterable<[page: number, bytes: Uint8Array]> {
    return this.#written.map((page, i) => [page, this.#pages.at(i)]);
  }

  /** Size before the call in 64 KiB pages, or undefined when the memory cannot become that large. */
  grow(pages: number): number | undefined {
    const old = this.#wasmPages;
    if (pages > MAX_WASM_PAGES - old) return undefined;
    this.#wasmPages = old + pages;
    return old;
  }

  /** Number of pages in [offset, offset + size) not written before in this execution. */
  pagesToDirty(offset: number, size: number): number {
    let count = 0;
    const last = Math.floor((offset + size - 1) / OS_PAGE_BYTES);
    for (let page = Math.floor(offset / OS_PAGE_BYTES); page <= last; page++) {
      if (this.#use.get(page) < WRITTEN) count++;
    }
    return count;
  }

  read(target: Uint8Array, targetOffset: number, offset: number, size: number): void {
    if (this.#written.length === 0) {
      this.#base.copyTo(target, targetOffset, offset, size);
      return;
    }
    let done = 0;
    while (done < size) {
      const from = offset + done;
      const at = targetOffset + done;
      let page = Math.floor(from / OS_PAGE_BYTES);
      const use = this.#use.get(page);
      let end = Math.min(offset + size, (page + 1) * OS_PAGE_BYTES);
      if (use >= WRITTEN) {
        copyBytes(this.#pages.at(use - WRITTEN), from % OS_PAGE_BYTES, target, at, end - from);
      } else {
        // The pages that follow and are as they were come with it.
        while (end < offset + size && this.#use.get(++page) < WRITTEN)
          end = Math.min(offset + size, end + OS_PAGE_BYTES);
        this.#base.copyTo(target, at, from, end - from);
      }
      done = end - offset;
    }
  }

  write(source: Uint8Array, sourceOffset: number, offset: number, size: number): void {
    let done = 0;
    while (done < size) {
      const page = Math.floor((offset + done) / OS_PAGE_BYTES);
      const within = (offset + done) % OS_PAGE_BYTES;
      const length = Math.min(OS_PAGE_BYTES - within, size - done);
      const use = this.#use.get(page);
      const bytes = use >= WRITTEN ? this.#pages.at(use - WRITTEN) : this.#newPage(page, length);
      copyBytes(source, sourceOffset + done, bytes, within, length);
      done += length;
    }
  }

  /** Counts the pages of [offset, offset + size) as touched; fails when that is more than one execution may touch. */
  access(offset: number, size: number): void {
    const last = Math.floor((offset + size - 1) / OS_PAGE_BYTES);
    for (let page = Math.floor(offset / OS_PAGE_BYTES); page <= last; page++) {
      if (this.#use.get(page) !== UNTOUCHED) continue;
      if (this.#use.count >= this.#pageLimit) throw tooManyPages();
      this.#use.set(page, READ);
    }
  }

  /** A page of this execution, with what is committed unless all of it is about to be written. */
  #newPage(page: number, length: number): Uint8Array {
    const bytes = this.#pages.add();
    this.#use.set(page, WRITTEN + this.#written.length);
    this.#written.push(page);
    if (length < OS_PAGE_BYTES) this.#base.copyTo(bytes, 0, page * OS_PAGE_BYTES, OS_PAGE_BYTES);
    return bytes;
  }
}

const UNTOUCHED = 0;
const READ = 1;
const WRITTEN = 2;

/** Pages one after the other, in pieces that double up to 1 MiB: most executions write one or two. */
class PageBuffer {
  readonly #views: Uint8Array[] = [];
  #rest = new Uint8Array();

  at(index: number): Uint8Array {
    return this.#views[index] as Uint8Array;
  }

  add(): Uint8Array {
    if (this.#rest.length === 0) this.#rest = new Uint8Array(OS_PAGE_BYTES * Math.min(256, this.#views.length + 1));
    const page = this.#rest.subarray(0, OS_PAGE_BYTES);
    this.#rest = this.#rest.subarray(OS_PAGE_BYTES);
    this.#views.push(page);
    return page;
  }
}

const KIB_PER_PAGE = OS_PAGE_BYTES / 1024;

/** The sentence names the limits of both kinds, whichever was met. */
function tooManyPages(): Trap {
  return new Trap({
    kind: "memory-access-limit",
    detail:
      "Exceeded the limit for the number of accessed pages in the stable memory in a single message execution: limit " +
      `${STABLE_PAGES_UPDATE * KIB_PER_PAGE} KB for regular messages and ${STABLE_PAGES_QUERY * KIB_PER_PAGE} KB for queries.`,
  });
}
