// Runs the simulator from the command line: one seed again and again the same, or new seeds for a while.
import { parseArgs } from "node:util";
import { drawPlan, type RunResult, runPlan } from "@atoll/simulator";
import { nodeHost } from "./host.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "20" },
    members: { type: "string" },
    seconds: { type: "string" },
    "no-faults": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const host = await nodeHost();
const seeds =
  values.seed !== undefined ? [values.seed] : Array.from({ length: Number(values.seeds) }, (_, i) => `${i}`);
for (const seed of seeds) {
  const plan = drawPlan(seed, {
    ...(values.members !== undefined && { members: Number(values.members) }),
    ...(values.seconds !== undefined && { safetyNs: Number(values.seconds) * 1e9 }),
    hasFaults: !values["no-faults"],
  });
  const begun = process.cpuUsage();
  const result = await runPlan(plan, host, values.verbose ? { tell: (line) => console.log(line) } : {});
  const { user, system } = process.cpuUsage(begun);
  report(result, (user + system) / 1e6);
}

function report(result: RunResult, cpuSeconds: number): void {
  const { plan, failure, finalizedHeight, nodeRounds, hash } = result;
  const kinds = [...new Set(plan.faults.map(({ kind }) => kind))].join(",");
  const lies = plan.liars.flatMap(({ behaviours }) => behaviours).join(",");
  console.log(
    `seed ${plan.seed} n=${plan.members} height ${finalizedHeight} ${(nodeRounds / cpuSeconds).toFixed(0)} node-rounds/s ` +
      `${(result.virtualNs / 1e9).toFixed(0)} s virtual ${cpuSeconds.toFixed(1)} s cpu ${hash} [${kinds}] [${lies}] ` +
      `[${plan.changes.map(({ kind }) => kind)}]`,
  );
  if (failure === undefined) return;
  console.log(`  FAILED at ${(failure.atNs / 1e9).toFixed(3)} s: ${failure.name}: ${failure.message}`);
  for (const line of result.lastLines.filter((each) => !each.includes("frame")).slice(-15)) console.log(`    ${line}`);
}
