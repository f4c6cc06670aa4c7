// Where the pages of one memory lie: page index -> place, in typed arrays of 64 places for each touched 256 KiB.
// That is some 12 bytes a page in a full memory of 4 GiB; a small or sparse one costs only what it touches.
const CHUNK_PAGES = 64;

export class PageIndex {
  #chunks = new Map<number, Float64Array>();
  /** Chunks that no copy shares: the others are copied before they are written. */
  #own = new Set<number>();
  #count = 0;

  /** Number of pages that have a place. */
  get count(): number {
    return this.#count;
  }

  /** The place of a page, 0 when it has none. */
  get(index: number): number {
    return this.#chunks.get(Math.floor(index / CHUNK_PAGES))?.[index % CHUNK_PAGES] ?? 0;
  }

  /** Sets the place (not 0) and returns the one before, 0 when there was none. */
  set(index: number, place: number): number {
    const number = Math.floor(index / CHUNK_PAGES);
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) {
      chunk = new Float64Array(CHUNK_PAGES);
      this.#chunks.set(number, chunk);
      this.#own.add(number);
    } else if (!this.#own.has(number)) {
      chunk = chunk.slice();
      this.#chunks.set(number, chunk);
      this.#own.add(number);
    }
    const before = chunk[index % CHUNK_PAGES] as number;
    chunk[index % CHUNK_PAGES] = place;
    if (before === 0) this.#count++;
    return before;
  }

  /** Shares the chunks until either side writes to them. */
  copy(): PageIndex {
    const copy = new PageIndex();
    copy.#chunks = new Map(this.#chunks);
    this.#own.clear();
    copy.#count = this.#count;
    return copy;
  }

  /** All page indexes, ascending. */
  indexes(): Uint32Array {
    const out = new Uint32Array(this.#count);
    let at = 0;
    for (const number of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(number) as Float64Array;
      for (let i = 0; i < CHUNK_PAGES; i++) if (chunk[i] !== 0) out[at++] = number * CHUNK_PAGES + i;
    }
    return out;
  }

  /** Numbers of the stretches of `size` pages (a multiple of 64) that have a place above 0, ascending. */
  stretches(size: number): number[] {
    const found = new Set<number>();
    for (const [number, chunk] of this.#chunks) {
      const stretch = Math.floor((number * CHUNK_PAGES) / size);
      if (!found.has(stretch) && chunk.some((place) => place > 0)) found.add(stretch);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** All places, in no order. */
  places(): Float64Array {
    const out = new Float64Array(this.#count);
    let at = 0;
    for (const chunk of this.#chunks.values()) for (const place of chunk) if (place !== 0) out[at++] = place;
    return out;
  }
}
