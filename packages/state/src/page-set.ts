// A set of page numbers, a bit each: the pages that a checkpoint has to write. Copying it costs 128 bytes for every
// 4 MiB in which there is one, so a snapshot can take over what its canister has not written to the disk yet.
const CHUNK_PAGES = 1024;

export class PageSet {
  readonly #chunks = new Map<number, Uint32Array>();

  add(page: number): void {
    const index = Math.floor(page / CHUNK_PAGES);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint32Array(CHUNK_PAGES / 32);
      this.#chunks.set(index, chunk);
    }
    const bit = page % CHUNK_PAGES;
    chunk[bit >>> 5] = (chunk[bit >>> 5] as number) | (1 << (bit & 31));
  }

  addAll(other: PageSet): void {
    for (const [index, theirs] of other.#chunks) {
      const ours = this.#chunks.get(index);
      if (ours === undefined) this.#chunks.set(index, theirs.slice());
      else for (const [i, word] of theirs.entries()) ours[i] = (ours[i] as number) | word;
    }
  }

  clear(): void {
    this.#chunks.clear();
  }

  copy(): PageSet {
    const copy = new PageSet();
    copy.addAll(this);
    return copy;
  }

  /** Ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(index) as Uint32Array;
      for (const [i, word] of chunk.entries()) {
        for (let bit = 0; word >>> bit !== 0 && bit < 32; bit++) {
          if (((word >>> bit) & 1) === 1) yield index * CHUNK_PAGES + i * 32 + bit;
        }
      }
    }
  }
}
