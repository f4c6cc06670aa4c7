// A receiver finds its chunk m in m * generator. An honest chunk has 16 bits and is found in a few steps. A cheating dealer
// can get others past the proof of chunking: z / d for small d, with z of some 30 bits and of either sign. They must be
// found too, or a bad dealing that everybody accepted would keep all receivers from their shares. Section 14.1.
//
// How far: with Z the proof's bound, what is not found is |z| > 4 Z / 255 or d > 3. For a chunk m, 32 challenges e have to
// fall so that each e * m lands in [0, Z) but for a number chosen before: in a window of less than a quarter of all e, or
// in one class of at least four (or both in part: d = 2 leaves half the e, of which less than half fit). So a dealer has
// to try about 4^32 = 2^64 dealings, each with its own proof.
import type { BlsPort, G1Point } from "@atoll/types";
import { equalBytes } from "../domain.ts";
import { invert, modulo } from "../scalar-field.ts";
import { chunkingBound } from "./chunking-proof.ts";
import { CHUNK_BITS } from "./dealing.ts";

/** Multiples of the generator that are looked up: +-0 to +-2^11 for honest chunks; for others as many as ever pay. */
const SMALL_TABLE = 1 << 11;
const LARGE_TABLE = 1 << 18;
/** What the small table leaves of 2^16. */
const HONEST_STEPS = 16;
const LARGEST_DENOMINATOR = 3n;

/** Steps that searches for chunks that are not honest may still take; each costs some microseconds. */
export interface SearchBudget {
  steps: number;
}

/** Chunks of one curve library: the tables are made when they are first needed, and kept. */
export interface ChunkSearch {
  /** The scalar m with point = m * generator; undefined: not found within the budget. `receivers`: of the dealing. */
  find(point: G1Point, receivers: number, budget: SearchBudget): bigint | undefined;
}

export function createChunkSearch(bls: BlsPort): ChunkSearch {
  let small: Table | undefined;
  let large: Table | undefined;
  return {
    find(point, receivers, budget) {
      if (bls.g1.isZero(point)) return 0n;
      small ??= makeTable(bls, SMALL_TABLE);
      const honest = search(bls, small, point, 0n, (1n << CHUNK_BITS) - 1n, { steps: HONEST_STEPS });
      if (honest !== undefined || budget.steps === 0) return honest;
      large ??= makeTable(bls, LARGE_TABLE);
      return findCheating(bls, large, point, receivers, budget);
    },
  };
}

function findCheating(
  bls: BlsPort,
  table: Table,
  point: G1Point,
  receivers: number,
  budget: SearchBudget,
): bigint | undefined {
  const reach = (4n * chunkingBound(receivers)) / 255n;
  for (let denominator = 1n; denominator <= LARGEST_DENOMINATOR; denominator++) {
    const multiple = bls.g1.sum([point], [denominator]);
    // Small ones first: they are what a dealer gets without trying many times.
    for (let from = 0n, to = reach / 16n; from < reach; from = to + 1n, to = to * 4n > reach ? reach : to * 4n) {
      const found = search(bls, table, multiple, from, to, budget) ?? search(bls, table, multiple, -to, -from, budget);
      if (found !== undefined) return modulo(found * invert(denominator));
    }
  }
  return undefined;
}

/** Points on the way to which a walk is made at once. */
const STRIDE = 256;

/** Giant steps over [from, to], baby steps in the table: each step covers 2 * table.reach + 1 numbers. */
function search(
  bls: BlsPort,
  table: Table,
  point: G1Point,
  from: bigint,
  to: bigint,
  budget: SearchBudget,
): bigint | undefined {
  const { g1 } = bls;
  const reach = BigInt(table.reach);
  const width = 2n * reach + 1n;
  const step = g1.sum([g1.generator], [modulo(-width)]);
  for (let centre = from + reach; centre - reach <= to; centre += BigInt(STRIDE) * width) {
    const count = Math.min(STRIDE, Number((to - (centre - reach)) / width) + 1, budget.steps);
    if (count === 0) return undefined;
    budget.steps -= count;
    const path = bls.walkG1(g1.sum([point, g1.generator], [1n, modulo(-centre)]), step, count);
    for (let i = 0; i < count; i++) {
      for (const near of table.find(path, COMPRESSED * i)) {
        const candidate = centre + BigInt(i) * width + near;
        if (isLogarithm(bls, candidate, point)) return candidate;
      }
    }
  }
  return undefined;
}

function isLogarithm({ g1 }: BlsPort, candidate: bigint, point: G1Point): boolean {
  return equalBytes(g1.toBytes(g1.sum([g1.generator], [modulo(candidate)])), g1.toBytes(point));
}

const COMPRESSED = 48;

/** The multiples of the generator from 0 to `reach`, by 32 bits of their x coordinate, which m and -m share. */
interface Table {
  readonly reach: number;
  /** What the compressed point at `at` may be a multiple by; wrong now and then. */
  find(path: Uint8Array, at: number): readonly bigint[];
}

/** Open addressing in two arrays: a Map of 2^18 numbers takes ten times the memory. */
function makeTable(bls: BlsPort, reach: number): Table {
  const { g1 } = bls;
  const slots = 4 * reach;
  const keys = new Uint32Array(slots);
  const multiples = new Uint32Array(slots);
  const walkAtOnce = 1 << 11;
  for (let from = 1; from <= reach; from += walkAtOnce) {
    const path = bls.walkG1(g1.sum([g1.generator], [BigInt(from)]), g1.generator, walkAtOnce);
    for (let i = 0; i < walkAtOnce; i++) {
      const key = keyAt(path, COMPRESSED * i);
      let slot = key % slots;
      while (multiples[slot] !== 0) slot = (slot + 1) % slots;
      keys[slot] = key;
      multiples[slot] = from + i;
    }
  }
  return {
    reach,
    find(path, at) {
      if (((path[at] as number) & 0x40) !== 0) return [0n];
      const key = keyAt(path, at);
      const found: bigint[] = [];
      for (let slot = key % slots; multiples[slot] !== 0; slot = (slot + 1) % slots) {
        const multiple = BigInt(multiples[slot] as number);
        if (keys[slot] === key) found.push(multiple, -multiple);
      }
      return found;
    },
  };
}

function keyAt(path: Uint8Array, at: number): number {
  const end = at + COMPRESSED;
  const [a, b, c, d] = [path[end - 4], path[end - 3], path[end - 2], path[end - 1]] as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
