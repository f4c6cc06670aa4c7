// Which pages of one instance's heap hold memory of the machine: those that were ever written, since the engine gives
// none back. One bit a page, as far as the highest one; so a heap of gigabytes with two pages in use counts as two.

export class PageSet {
  #bits = new Uint8Array(8);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** True if the page was not in the set. */
  add(page: number): boolean {
    const at = page >> 3;
    if (at >= this.#bits.length) {
      const larger = new Uint8Array(Math.max(at + 1, this.#bits.length * 2));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    const before = this.#bits[at] as number;
    const after = before | (1 << (page & 7));
    if (after === before) return false;
    this.#bits[at] = after;
    this.#count++;
    return true;
  }
}
