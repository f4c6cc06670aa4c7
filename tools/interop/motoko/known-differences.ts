// Why an output may differ although the replica is right: the compiler of the npm package is not the one of the suite's
// command line. Such a case counts as a known difference, named with its reason; docs/interop/motoko.md says more.

import type { TestCase } from "./test-case.ts";

/** Flags that change what a module does. Others are as good as absent: what they allow is allowed anyway. */
const TELLING =
  /^--trap-on-call-error|^--stabilization-instruction-limit|^--stable-memory-access-limit|^--max-stable-pages|^--rts-stack-pages/;
const IMPLICIT = "Detected implicit upgrade from classical orthogonal persistence to enhanced orthogonal persistence";

/** undefined: there is no excuse for a difference. */
export function knownDifference({ modules, expected }: TestCase, output: string): string | undefined {
  const flags = [...modules.values()].flatMap((module) => module.missingFlags).filter((flag) => TELLING.test(flag));
  if (flags.length > 0) return `the npm package's compiler does not have ${[...new Set(flags)].join(" ")}`;
  const count = (text: string): number => text.split(IMPLICIT).length;
  if (count(output) > count(expected)) {
    return "the npm package's compiler does not have --enhanced-orthogonal-persistence as an explicit flag, which its modules need to take over a heap of classical persistence";
  }
  return undefined;
}
