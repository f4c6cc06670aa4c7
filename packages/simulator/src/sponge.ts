// Bytes that depend on every bit of what was taken in, ten times as quick as a cryptographic hash: for tags of a simulation,
// whose nodes do not reckon what they could forge. Each step can be undone, so nothing of the 128 bits gets lost on the way.

export class Sponge {
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #c = 0xb7e15162;
  #d = 0xdeadbeef;

  /** Goes on from where the other one is. */
  begin(from: Sponge): void {
    this.#a = from.#a;
    this.#b = from.#b;
    this.#c = from.#c;
    this.#d = from.#d;
  }

  /** A part, its length before it: no two lists of parts are the same. */
  absorb(part: Uint8Array): void {
    const { length } = part;
    this.#mix(length);
    const whole = length & ~3;
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d];
    for (let i = 0; i < whole; i += 4) {
      const word =
        (part[i] as number) |
        ((part[i + 1] as number) << 8) |
        ((part[i + 2] as number) << 16) |
        ((part[i + 3] as number) << 24);
      // As #mix does it, on what need not be stored in between.
      a = Math.imul(a ^ word, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b + a, 0x85ebca77);
      b ^= b >>> 13;
      c = Math.imul(c ^ b, 0xc2b2ae3d);
      c ^= c >>> 16;
      d = Math.imul(d + c, 0x27d4eb2f) ^ word;
      d = (d << 13) | (d >>> 19);
      a = (a + d) | 0;
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
    for (let i = whole; i < length; i++) this.#mix(part[i] as number);
  }

  squeeze(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#spread(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.#wordAt(at);
      for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = word >>> (8 * i);
    }
    return bytes;
  }

  /** Whether as many bytes squeezed out would be these, from `start` on. */
  isAt(bytes: Uint8Array, start: number): boolean {
    const length = bytes.length - start;
    this.#spread(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.#wordAt(at);
      for (let i = 0; i < 4 && at + i < length; i++)
        if (bytes[start + at + i] !== ((word >>> (8 * i)) & 0xff)) return false;
    }
    return true;
  }

  /** What came last has to reach all words before the first one goes out. */
  #spread(length: number): void {
    for (let i = 0; i < 4; i++) this.#mix(length);
  }

  #wordAt(at: number): number {
    this.#mix(at);
    return this.#a ^ this.#c;
  }

  #mix(word: number): void {
    let a = Math.imul(this.#a ^ word, 0x9e3779b1);
    a ^= a >>> 15;
    let b = Math.imul(this.#b + a, 0x85ebca77);
    b ^= b >>> 13;
    let c = Math.imul(this.#c ^ b, 0xc2b2ae3d);
    c ^= c >>> 16;
    let d = Math.imul(this.#d + c, 0x27d4eb2f) ^ word;
    d = (d << 13) | (d >>> 19);
    this.#a = (a + d) | 0;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }
}
