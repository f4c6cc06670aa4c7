// `npm run interop:motoko`: the Motoko compiler's own scripts (`test/run-drun` of its repository) against our replica,
// in this process. Nothing of the suite is part of this project; it is looked for where MOTOKO_SUITE says, or in a
// checkout of the compiler's repository beside this one.
//   MOTOKO_SUITE=<folder> npm run interop:motoko
//   ... -- counter.mo timer              only cases whose names contain one of these
//   ... -- --persistence=both            enhanced, classical, both; by default each case's own
//   ... -- --shard=0/3                   the cases whose name's SHA-256 begins with a byte that leaves 0 divided by 3
//   ... -- --limit=120                   seconds a case may take

import { fileURLToPath } from "node:url";
import { type CaseResult, runSuite, type SuiteOptions, suiteFolder, type Verdict } from "./suite.ts";

const BESIDE = fileURLToPath(new URL("../../../../motoko", import.meta.url));
const MISSING =
  "The Motoko compiler's test suite is not here: check out https://github.com/dfinity/motoko and set MOTOKO_SUITE to " +
  "its folder (or to its folder test/run-drun).";

async function main(args: readonly string[]): Promise<number> {
  const folder = suiteFolder(process.env.MOTOKO_SUITE ?? BESIDE);
  if (folder === undefined) {
    process.stderr.write(`${MISSING}\n`);
    return 2;
  }
  const start = performance.now();
  const results = await runSuite({ folder, ...optionsOf(args), onResult: show });
  process.stdout.write(`${summary(results, (performance.now() - start) / 1000)}\n`);
  return results.some((result) => result.verdict === "fail") ? 1 : 0;
}

function optionsOf(args: readonly string[]): Omit<SuiteOptions, "folder" | "onResult"> {
  const value = (name: string): string | undefined => args.find((arg) => arg.startsWith(`--${name}=`))?.split("=")[1];
  const [rest = 0, count = 1] = (value("shard") ?? "0/1").split("/").map(Number);
  if (!(count >= 1 && rest >= 0 && rest < count)) throw new Error("--shard is <rest>/<count>, e.g. 0/3");
  return {
    persistence: (value("persistence") ?? "own") as SuiteOptions["persistence"],
    names: args.filter((arg) => !arg.startsWith("--")),
    shard: { rest, count },
    limitMs: Number(value("limit") ?? 120) * 1000,
  };
}

function show(result: CaseResult, { done, all }: { done: number; all: number }): void {
  const { name, persistence, verdict, details, ms } = result;
  const time = ms >= 1000 ? `, ${(ms / 1000).toFixed(1)} s` : "";
  process.stdout.write(`[${done}/${all}] ${verdict}: ${name} (${persistence}${time})\n`);
  if (verdict !== "pass")
    for (const line of details.slice(0, 60)) process.stdout.write(`      ${line.slice(0, 400)}\n`);
}

function summary(results: readonly CaseResult[], seconds: number): string {
  const verdicts: readonly Verdict[] = ["pass", "known difference", "fail", "not compiled", "not run"];
  const counts = verdicts.map((verdict) => {
    return `${results.filter((result) => result.verdict === verdict).length} ${verdict}`;
  });
  const slowest = [...results].sort((a, b) => b.ms - a.ms).slice(0, 3);
  const slow = slowest.map(({ name, ms }) => `${name} ${(ms / 1000).toFixed(1)} s`).join(", ");
  return `${counts.join(", ")}; ${seconds.toFixed(0)} s (slowest: ${slow})`;
}

process.exitCode = await main(process.argv.slice(2));
