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
    this.#mix(part.length);
    const whole = part.length & ~3;
    for (let i = 0; i < whole; i += 4)
      this.#mix(
        (part[i] as number) |
          ((part[i + 1] as number) << 8) |
          ((part[i + 2] as number) << 16) |
          ((part[i + 3] as number) << 24),
      );
    for (let i = whole; i < part.length; i++) this.#mix(part[i] as number);
  }

  squeeze(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    // What came last has to reach all words before the first one goes out.
    for (let i = 0; i < 4; i++) this.#mix(length);
    for (let at = 0; at < length; at += 4) {
      this.#mix(at);
      const word = this.#a ^ this.#c;
      for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = word >>> (8 * i);
    }
    return bytes;
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
