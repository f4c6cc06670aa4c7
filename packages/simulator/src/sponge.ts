// Bytes that depend on every bit of what was taken in, ten times as quick as a cryptographic hash: for tags of a simulation,
// whose nodes do not reckon what they could forge. Each step can be undone, so nothing of the 128 bits gets lost on the way.

export class Sponge {
  /** Not four fields: numbers above 30 bits are objects there. */
  readonly #words = Int32Array.of(0x9e3779b9, 0x243f6a88, 0xb7e15162, 0xdeadbeef);

  /** Goes on from where the other one is. */
  begin(from: Sponge): void {
    for (let i = 0; i < 4; i++) this.#words[i] = from.#words[i] as number;
  }

  /** A part, its length before it: no two lists of parts are the same. */
  absorb(part: Uint8Array): void {
    const { length } = part;
    const words = this.#words;
    mix(words, length);
    const whole = length & ~3;
    for (let i = 0; i < whole; i += 4)
      mix(
        words,
        (part[i] as number) |
          ((part[i + 1] as number) << 8) |
          ((part[i + 2] as number) << 16) |
          ((part[i + 3] as number) << 24),
      );
    for (let i = whole; i < length; i++) mix(words, part[i] as number);
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
    for (let i = 0; i < 4; i++) mix(this.#words, length);
  }

  #wordAt(at: number): number {
    mix(this.#words, at);
    return (this.#words[0] as number) ^ (this.#words[2] as number);
  }
}

function mix(words: Int32Array, word: number): void {
  let a = Math.imul((words[0] as number) ^ word, 0x9e3779b1);
  a ^= a >>> 15;
  let b = Math.imul((words[1] as number) + a, 0x85ebca77);
  b ^= b >>> 13;
  let c = Math.imul((words[2] as number) ^ b, 0xc2b2ae3d);
  c ^= c >>> 16;
  let d = Math.imul((words[3] as number) + c, 0x27d4eb2f) ^ word;
  d = (d << 13) | (d >>> 19);
  words[0] = a + d;
  words[1] = b;
  words[2] = c;
  words[3] = d;
}
