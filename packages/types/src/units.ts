// The protocol's quantities. Brands keep a height from being added to an instruction count by mistake; at run
// time they are plain numbers and bigints. Instruction counts stay below 2^53 (the largest limit is 10^12).

declare const unit: unique symbol;
/** Nanoseconds since 1970-01-01. */
export type Time = bigint & { readonly [unit]?: "Time" };
/** Cycles, 0 to 2^128 - 1. */
export type Cycles = bigint & { readonly [unit]?: "Cycles" };
/** Number of a block, and of the state that it leads to. Genesis is 0. */
export type Height = number & { readonly [unit]?: "Height" };
/** Metered Wasm instructions. */
export type Instructions = number & { readonly [unit]?: "Instructions" };

export const MAX_CYCLES: Cycles = (1n << 128n) - 1n;
export const NS_PER_SECOND = 1_000_000_000n;

/** Sum that stops at 2^128 - 1, as everywhere in the protocol. */
export function addCycles(a: Cycles, b: Cycles): Cycles {
  const sum = a + b;
  return sum > MAX_CYCLES ? MAX_CYCLES : sum;
}

/** Difference that stops at 0. */
export function subtractCycles(a: Cycles, b: Cycles): Cycles {
  return a > b ? a - b : 0n;
}
