// Makes a failing plan smaller: leaves out parts of it (faults, lies, changes of the registry) as long as the run fails in the same
// way. What is left is named by places in the plan that the seed gives, so that one line of a command is enough to have it again.
import type { RunPlan } from "./run-plan.ts";
import type { RunFailure } from "./sim-run.ts";

type Part =
  | { readonly kind: "fault"; readonly place: number }
  | { readonly kind: "lie"; readonly liar: number; readonly place: number }
  | { readonly kind: "change"; readonly place: number };

function partsOf(plan: RunPlan): readonly Part[] {
  return [
    ...plan.faults.map((_, place) => ({ kind: "fault" as const, place })),
    ...plan.liars.flatMap(({ behaviours }, liar) =>
      behaviours.map((_, place) => ({ kind: "lie" as const, liar, place })),
    ),
    ...plan.changes.map((_, place) => ({ kind: "change" as const, place })),
  ];
}

/** How many parts a plan has: they are named by 0 to that number, less 1. */
export function countParts(plan: RunPlan): number {
  return partsOf(plan).length;
}

/** The plan with these parts only. */
export function keepParts(plan: RunPlan, kept: ReadonlySet<number>): RunPlan {
  const parts = partsOf(plan).filter((_, i) => kept.has(i));
  const has = (wanted: Part): boolean => parts.some((part) => JSON.stringify(part) === JSON.stringify(wanted));
  return {
    ...plan,
    faults: plan.faults.filter((_, place) => has({ kind: "fault", place })),
    liars: plan.liars
      .map(({ node, behaviours }, liar) => ({
        node,
        behaviours: behaviours.filter((_, place) => has({ kind: "lie", liar, place })),
      }))
      .filter(({ behaviours }) => behaviours.length > 0),
    changes: plan.changes.filter((_, place) => has({ kind: "change", place })),
  };
}

export interface Minimised {
  /** Sorted. */
  readonly kept: readonly number[];
  readonly runs: number;
}

/** `failsIn`: how the plan fails, if it does. Zeller's delta debugging, at most `mostRuns` runs. */
export async function minimise(
  plan: RunPlan,
  failure: RunFailure,
  failsIn: (plan: RunPlan) => Promise<RunFailure | undefined>,
  mostRuns: number,
): Promise<Minimised> {
  let kept = partsOf(plan).map((_, i) => i);
  let runs = 0;
  const isSame = async (candidate: readonly number[]): Promise<boolean> => {
    runs++;
    return (await failsIn(keepParts(plan, new Set(candidate))))?.name === failure.name;
  };
  for (let size = Math.ceil(kept.length / 2); size >= 1 && kept.length > 0 && runs < mostRuns; ) {
    let isSmaller = false;
    for (let from = 0; from < kept.length && runs < mostRuns; ) {
      const candidate = [...kept.slice(0, from), ...kept.slice(from + size)];
      if (await isSame(candidate)) {
        kept = candidate;
        isSmaller = true;
      } else from += size;
    }
    if (size === 1 && !isSmaller) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return { kept, runs };
}
