// Seeds: some that are always the same, and a few that nobody has ever run. What fails prints the command to run it again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeHost } from "../../../tools/simulation/host.ts";
import { drawPlan, type PlanOptions, runPlan, SECOND } from "../src/index.ts";

async function goesWell(
  seed: string,
  fleet: "whole" | "counting",
  { members, seconds }: { members: number; seconds: number },
) {
  const options: PlanOptions = { members, safetyNs: seconds * SECOND };
  const { failure } = await runPlan(drawPlan(seed, options), await nodeHost(fleet));
  const command = `npm run sim -- --seed ${seed} --members ${members} --seconds ${seconds} --fleet ${fleet} --light`;
  assert.equal(failure, undefined, `${failure?.message}\nto run it again: ${command}`);
}

const fresh = Date.now().toString(36);

for (const seed of ["0", `${fresh}-a`, `${fresh}-b`])
  test(`seed ${seed}: four whole nodes`, () => goesWell(seed, "whole", { members: 4, seconds: 5 }));

for (const seed of ["2", `${fresh}-c`, `${fresh}-d`])
  test(`seed ${seed}: consensus of four`, () => goesWell(seed, "counting", { members: 4, seconds: 6 }));

for (const seed of [`${fresh}-e`])
  test(`seed ${seed}: consensus of seven`, () => goesWell(seed, "counting", { members: 7, seconds: 4 }));
