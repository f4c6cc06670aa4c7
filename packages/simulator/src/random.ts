// Chance that can be had again: every decision of a run comes out of its seed. Each kind of decision draws from a stream of
// its own, found by name, so that a new kind of fault leaves all other decisions of old seeds as they were. Section 22.

export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
  /** True in that part of all cases. */
  chance(part: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** `count` of the items, in any order. */
  sample<T>(items: readonly T[], count: number): T[];
  bytes(length: number): Uint8Array;
  /** Another stream; what is drawn here does not depend on it, nor the other way round. */
  stream(name: string): Random;
}

export function seededRandom(seed: string): Random {
  const next = sfc32(...mix128(seed));
  const below = (limit: number): number => Math.floor((next() * limit) / 2 ** 32);
  const sample = <T>(items: readonly T[], count: number): T[] => {
    const left = [...items];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) taken.push(...left.splice(below(left.length), 1));
    return taken;
  };
  return {
    below,
    between: (from, to) => from + below(to - from + 1),
    chance: (part) => next() < part * 2 ** 32,
    pick(items) {
      if (items.length === 0) throw new RangeError("nothing to pick from");
      return items[below(items.length)] as (typeof items)[number];
    },
    sample,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    stream: (name) => seededRandom(`${seed}/${name}`),
  };
}

/** Chris Doty-Humphrey's small fast counting generator: 32 bits a call. */
function sfc32(a0: number, b0: number, c0: number, d0: number): () => number {
  let [a, b, c, d] = [a0, b0, c0, d0];
  const next = (): number => {
    const result = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** Four words from a text, each of which depends on all of it. */
function mix128(text: string): [number, number, number, number] {
  const words: [number, number, number, number] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0xdeadbeef];
  const factors = [597399067, 2869860233, 951274213, 2716044179] as const;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    for (let k = 0; k < 4; k++) {
      const word = (words[k as 0] ^ (words[((k + 1) % 4) as 0] >>> 7)) + code;
      words[k as 0] = Math.imul(word ^ (word >>> 15), factors[k as 0]);
    }
  }
  return words;
}
