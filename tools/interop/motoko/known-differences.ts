// Cases whose output differs for a reason that is not a defect of ours, each with its reason. docs/interop/motoko.md
// says more about them. A case that is named here and passes is a pass.

import type { Persistence, TestCase } from "./test-case.ts";

const KNOWN: ReadonlyMap<string, { readonly persistence?: Persistence; readonly reason: string }> = new Map([]);

export function knownDifference({ name }: TestCase, persistence: Persistence): string | undefined {
  const known = KNOWN.get(name);
  if (known === undefined || (known.persistence ?? persistence) !== persistence) return undefined;
  return known.reason;
}
