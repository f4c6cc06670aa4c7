// Stable memory during one execution: the committed pages below, this execution's own pages above. Dropping the
// object undoes everything at no cost; committing costs the pages that were written.
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

const MAX_WASM_PAGES = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;

export class StableMemory {
  #wasmPages: number;
  readonly #base: MemoryPages;
  readonly #written = new Map<number, Uint8Array>();
  readonly #accessed = new Set<number>();
  readonly #pageLimit: number;

  /** `pageLimit`: 4 KiB pages that this execution may touch. */
  constructor(base: MemoryPages, pageLimit: number) {
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

  /** Pages written so far, with their whole content. */
  get written(): ReadonlyMap<number, Uint8Array> {
    return this.#written;
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
    for (let page = Math.floor(offset / OS_PAGE_BYTES); page * OS_PAGE_BYTES < offset + size; page++) {
      if (!this.#written.has(page)) count++;
    }
    return count;
  }

  read(target: Uint8Array, targetOffset: number, offset: number, size: number): void {
    this.#eachPage(offset, size, (page, within, done, length) => {
      const bytes = this.#written.get(page) ?? this.#base.read(page);
      const at = targetOffset + done;
      if (bytes === undefined) target.fill(0, at, at + length);
      else target.set(bytes.subarray(within, within + length), at);
    });
  }

  write(source: Uint8Array, sourceOffset: number, offset: number, size: number): void {
    this.#eachPage(offset, size, (page, within, done, length) => {
      let bytes = this.#written.get(page);
      if (bytes === undefined) {
        bytes = new Uint8Array(OS_PAGE_BYTES);
        const committed = this.#base.read(page);
        if (committed !== undefined) bytes.set(committed);
        this.#written.set(page, bytes);
      }
      bytes.set(source.subarray(sourceOffset + done, sourceOffset + done + length), within);
    });
  }

  /** Counts the pages of [offset, offset + size) as touched; fails when that is more than one execution may touch. */
  access(offset: number, size: number): void {
    const first = Math.floor(offset / OS_PAGE_BYTES);
    for (let page = first; page * OS_PAGE_BYTES < offset + size; page++) {
      if (this.#accessed.has(page)) continue;
      if (this.#accessed.size >= this.#pageLimit) throw tooManyPages();
      this.#accessed.add(page);
    }
  }

  #eachPage(
    offset: number,
    size: number,
    visit: (page: number, within: number, done: number, length: number) => void,
  ): void {
    let done = 0;
    while (done < size) {
      const page = Math.floor((offset + done) / OS_PAGE_BYTES);
      const within = (offset + done) % OS_PAGE_BYTES;
      const length = Math.min(OS_PAGE_BYTES - within, size - done);
      visit(page, within, done, length);
      done += length;
    }
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
