// `npm run fuzz:wasm`: random programs and hostile bytes for FUZZ_SECONDS (60), from FUZZ_SEED (the time) on. One seed is
// one program and ten hostile modules. A failure prints its seed: FUZZ_SEED=<seed> FUZZ_SECONDS=0 repeats it alone.
import { checkProgram } from "./check-program.ts";
import { checkHostile, mutated } from "./hostile.ts";

const HOSTILE_PER_SEED = 10;

export interface Totals {
  readonly seeds: number;
  /** Hostile modules that were accepted after all. */
  readonly accepted: number;
  readonly instructions: number;
  /** How programs ended -> how many. */
  readonly ends: Readonly<Record<string, number>>;
}

/** Stops at the first failure, which tells its seed, or when `again` says so. */
export function fuzz(firstSeed: number, again: (seeds: number) => boolean): Totals {
  const ends: Record<string, number> = {};
  let [seeds, accepted, instructions] = [0, 0, 0];
  do {
    const seed = firstSeed + seeds;
    try {
      const { trap = "result", used } = checkProgram(seed);
      ends[trap] = (ends[trap] ?? 0) + 1;
      instructions += used;
      for (let i = 0; i < HOSTILE_PER_SEED; i++) if (checkHostile(mutated(seed * HOSTILE_PER_SEED + i))) accepted++;
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed}`, { cause: error });
    }
    seeds++;
  } while (again(seeds));
  return { seeds, accepted, instructions, ends };
}

if (import.meta.main) {
  const seconds = Number(process.env.FUZZ_SECONDS ?? 60);
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
  const end = performance.now() + 1000 * seconds;
  console.log(`FUZZ_SEED=${seed}`);
  console.log(fuzz(seed, () => performance.now() < end));
}
