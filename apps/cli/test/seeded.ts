// Chance that can be repeated: a test prints its seed, and SEED=... runs it again.

export interface Chance {
  readonly seed: number;
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** A whole number from `first` to `last`. */
  between(first: number, last: number): number;
}

export function chance(seed = Number(process.env.SEED ?? Date.now() % 1_000_000)): Chance {
  let state = seed >>> 0;
  const below = (limit: number): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % limit;
  };
  return { seed, below, between: (first, last) => first + below(last - first + 1) };
}
