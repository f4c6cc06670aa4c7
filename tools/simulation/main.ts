// Runs the simulator from the command line: one seed, always the same, or new seeds for a while, as in a night. What fails is run
// again with less and less of its plan, and the command for the rest is printed: one line.
import { parseArgs } from "node:util";
import {
  type Behaviour,
  countParts,
  drawBacklog,
  drawPlan,
  type FaultKind,
  keepParts,
  MS,
  minimise,
  type PlanOptions,
  type RunPlan,
  type RunResult,
  runPlan,
  SECOND,
  type SimHost,
} from "@atoll/simulator";
import { type Fleet, nodeHost } from "./host.ts";

const USAGE = `npm run sim -- [options]
  --minutes N      new seeds for so long (default: 1)
  --seeds N        seeds 0 to N - 1 instead
  --seed S         one seed, or several: 1,5,night-3
  --only 1,4       of its plan these parts only, as a failure names them
  --members N      nodes of the subnet (default: by the seed)
  --seconds N      virtual seconds with faults (default: by the seed)
  --height-ms N    a height takes about N ms at least
  --fleet whole    replicas with real state; or counting: consensus alone
  --light, --real  signatures (default: a tenth of the seeds has real ones)
  --lies a,b       node 0 lies in these ways, and no other node lies
  --stress a,b     many faults, all of these kinds
  --backlog        nothing goes wrong but that f + 1 nodes hardly execute
  --no-faults      nothing goes wrong
  --keep-going     on after a failure
  --verbose        each event`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seeds: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    members: { type: "string" },
    seconds: { type: "string" },
    "height-ms": { type: "string" },
    fleet: { type: "string", default: "whole" },
    lies: { type: "string" },
    stress: { type: "string" },
    light: { type: "boolean", default: false },
    real: { type: "boolean", default: false },
    backlog: { type: "boolean", default: false },
    "no-faults": { type: "boolean", default: false },
    "no-minimise": { type: "boolean", default: false },
    "keep-going": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** Runs that minimising a failure may take. */
const MINIMISING_RUNS = 60;

if (values.help) console.log(USAGE);
else process.exitCode = await main();

async function main(): Promise<number> {
  if (values.fleet !== "whole" && values.fleet !== "counting") throw new RangeError(USAGE);
  const host = await nodeHost(values.fleet satisfies Fleet);
  let failures = 0;
  for (const seed of seeds()) {
    if (!(await runSeed(seed, host))) failures++;
    if (failures > 0 && !values["keep-going"]) break;
  }
  return failures === 0 ? 0 : 1;
}

/** The seeds of a night differ from those of the night before. */
function* seeds(): Generator<string> {
  if (values.seed !== undefined) return yield* values.seed.split(",");
  if (values.seeds !== undefined) {
    for (let i = 0; i < Number(values.seeds); i++) yield `${i}`;
    return;
  }
  const until = Date.now() + Number(values.minutes) * 60_000;
  const first = Date.now().toString(36);
  for (let i = 0; Date.now() < until; i++) yield `${first}-${i}`;
}

function planOf(seed: string): RunPlan {
  const options: PlanOptions = {
    crypto: isReal(seed) ? "real" : "light",
    ...(values.members !== undefined && { members: Number(values.members) }),
    ...(values.seconds !== undefined && { safetyNs: Number(values.seconds) * SECOND }),
    ...(values["height-ms"] !== undefined && { heightNs: Number(values["height-ms"]) * MS }),
    ...(values.lies !== undefined && { lies: values.lies.split(",") as Behaviour[] }),
    ...(values.stress !== undefined && { stress: values.stress.split(",") as FaultKind[] }),
    hasFaults: !values["no-faults"],
  };
  const plan = (values.backlog ? drawBacklog : drawPlan)(seed, options);
  return values.only === undefined ? plan : keepParts(plan, new Set(values.only.split(",").map(Number)));
}

function isReal(seed: string): boolean {
  if (values.light || values.real) return values.real;
  return seed.endsWith("7");
}

async function runSeed(seed: string, host: SimHost): Promise<boolean> {
  const plan = planOf(seed);
  const before = process.cpuUsage();
  const result = await runPlan(plan, host, values.verbose ? { tell: (line) => console.log(line) } : {});
  const { user, system } = process.cpuUsage(before);
  console.log(summary(result, (user + system) / 1e6));
  if (result.failure === undefined) return true;
  console.log(`  ${(result.failure.atNs / SECOND).toFixed(3)} s: ${result.failure.message}`);
  for (const line of result.lastLines.filter((each) => !each.includes(" frame ")).slice(-15))
    console.log(`    ${line}`);
  await tellHowToRepeat(plan, result, host);
  return false;
}

async function tellHowToRepeat(plan: RunPlan, result: RunResult, host: SimHost): Promise<void> {
  if (result.failure === undefined || values["no-minimise"] || values.only !== undefined) return;
  console.log(`  to run it again: ${command(plan.seed)}`);
  if (countParts(plan) === 0) return;
  const failsIn = async (candidate: RunPlan) => (await runPlan(candidate, host)).failure;
  const { kept, runs } = await minimise(plan, result.failure, failsIn, MINIMISING_RUNS);
  console.log(`  ${kept.length} of ${countParts(plan)} parts are enough (${runs} runs): ${command(plan.seed, kept)}`);
  const { faults, liars, changes } = keepParts(plan, new Set(kept));
  for (const part of [...faults, ...liars, ...changes]) console.log(`    ${JSON.stringify(part)}`);
}

function command(seed: string, only?: readonly number[]): string {
  const options = [
    `--seed ${seed}`,
    ...(only === undefined ? [] : [`--only ${only.length === 0 ? "none" : only.join(",")}`]),
    ...(["members", "seconds", "height-ms", "lies", "stress"] as const).flatMap((name) =>
      values[name] === undefined ? [] : [`--${name} ${values[name]}`],
    ),
    ...(values.fleet === "whole" ? [] : [`--fleet ${values.fleet}`]),
    isReal(seed) ? "--real" : "--light",
    ...(values.backlog ? ["--backlog"] : []),
    ...(values["no-faults"] ? ["--no-faults"] : []),
  ];
  return `npm run sim -- ${options.join(" ")}`;
}

function summary(result: RunResult, cpuSeconds: number): string {
  const { plan, failure, finalizedHeight, nodeRounds, calls, hash } = result;
  const parts = [
    ...new Set(plan.faults.map(({ kind }) => kind)),
    ...plan.liars.flatMap(({ behaviours }) => behaviours),
    ...plan.changes.map(({ kind }) => kind),
  ];
  return [
    failure === undefined ? "ok    " : "FAILED",
    `seed ${plan.seed}`,
    `${plan.members} nodes, ${plan.crypto}`,
    `height ${finalizedHeight}`,
    `${calls} calls`,
    `${(result.virtualNs / SECOND).toFixed(0)} s in ${cpuSeconds.toFixed(1)} s of CPU`,
    `${(nodeRounds / cpuSeconds).toFixed(0)} node-rounds/s`,
    hash,
    parts.join(" "),
  ].join("  ");
}
