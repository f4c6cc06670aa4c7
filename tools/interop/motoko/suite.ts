// The whole suite, or a part of it: finds the cases, compiles ahead of what runs, runs one script at a time, and says
// of each whether the output is the expected one.

import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type CompiledModule, compileModule, NotCompiled } from "./compile-module.ts";
import { knownDifference } from "./known-differences.ts";
import { compare } from "./output.ts";
import type { ScriptRun } from "./run-script.ts";
import type { ThreadAnswer } from "./run-thread.ts";
import { ScriptRunner } from "./script-runner.ts";
import { type NotRun, type Persistence, readCase, type TestCase } from "./test-case.ts";

export type Verdict = "pass" | "fail" | "known difference" | "not compiled" | "not run";

export interface CaseResult {
  readonly name: string;
  readonly persistence: Persistence;
  readonly verdict: Verdict;
  /** Why, or the difference: lines. */
  readonly details: readonly string[];
  readonly ms: number;
}

export interface SuiteOptions {
  readonly folder: string;
  readonly persistence: Persistence | "own" | "both";
  /** Cases whose name contains one of these; empty: all. */
  readonly names: readonly string[];
  /** Cases whose name's SHA-256 begins with a byte that leaves `rest` when divided by `count`. */
  readonly shard: { readonly rest: number; readonly count: number };
  readonly limitMs: number;
  readonly onResult: (result: CaseResult, progress: { readonly done: number; readonly all: number }) => void;
}

/** The suite's folder itself, or one of the compiler's repository. */
export function suiteFolder(path: string): string | undefined {
  return [path, join(path, "test/run-drun"), join(path, "run-drun")].find((folder) => {
    return existsSync(join(folder, "ok")) && existsSync(folder);
  });
}

function caseNames(options: Pick<SuiteOptions, "folder" | "names" | "shard">): string[] {
  return readdirSync(options.folder)
    .filter((name) => name.endsWith(".mo") || name.endsWith(".drun"))
    .filter((name) => isInShard(name, options.shard))
    .filter((name) => options.names.length === 0 || options.names.some((part) => name.includes(part)))
    .sort();
}

function isInShard(name: string, { rest, count }: SuiteOptions["shard"]): boolean {
  return (createHash("sha256").update(name).digest()[0] ?? 0) % count === rest;
}

export async function runSuite(options: SuiteOptions): Promise<CaseResult[]> {
  const cases = caseNames(options).flatMap((name) => versionsOf(options, name));
  const runner = new ScriptRunner();
  const results: CaseResult[] = [];
  const compiled = new Map<number, Promise<Compilation>>();
  const compileAhead = (index: number): Promise<Compilation> => {
    const existing = compiled.get(index);
    if (existing !== undefined) return existing;
    const compilation = compileCase(cases[index] as Version);
    compiled.set(index, compilation);
    return compilation;
  };
  try {
    for (const [index, version] of cases.entries()) {
      for (let ahead = index; ahead < Math.min(index + COMPILED_AHEAD, cases.length); ahead++) compileAhead(ahead);
      const compilation = await compileAhead(index);
      const result = await runCase(version, compilation, (run) => runner.run(run, options.limitMs));
      compiled.delete(index);
      results.push(result);
      options.onResult(result, { done: index + 1, all: cases.length });
    }
  } finally {
    await runner.stop();
  }
  return results;
}

const COMPILED_AHEAD = 4;

interface Version {
  readonly persistence: Persistence;
  readonly test: TestCase | NotRun;
}

/** `own`: with enhanced persistence, but the cases that are about classical persistence. */
function versionsOf({ folder, persistence }: SuiteOptions, name: string): Version[] {
  const read = (each: Persistence): Version => ({ persistence: each, test: readCase(folder, name, each) });
  if (persistence === "both") return [read("enhanced"), read("classical")];
  if (persistence !== "own") return [read(persistence)];
  const enhanced = read("enhanced");
  return "reason" in enhanced.test && enhanced.test.reason.startsWith("classical") ? [read("classical")] : [enhanced];
}

type Compilation = ReadonlyMap<string, CompiledModule> | { readonly complaint: string } | { readonly broken: string };

async function compileCase({ test }: Version): Promise<Compilation> {
  if ("reason" in test) return new Map();
  try {
    const compiled = [...test.modules].map(async ([path, request]) => [path, await compileModule(request)] as const);
    return new Map(await Promise.all(compiled));
  } catch (error) {
    if (error instanceof NotCompiled) return { complaint: error.message };
    return { broken: (error as Error).message };
  }
}

async function runCase(
  version: Version,
  compilation: Compilation,
  run: (script: ScriptRun) => Promise<ThreadAnswer>,
): Promise<CaseResult> {
  const { test, persistence } = version;
  const start = performance.now();
  const result = (verdict: Verdict, details: readonly string[]): CaseResult => {
    return { name: test.name, persistence, verdict, details, ms: performance.now() - start };
  };
  if ("reason" in test) return result("not run", [test.reason]);
  if ("complaint" in compilation) return result("not compiled", compilation.complaint.split("\n"));
  if ("broken" in compilation) return result("fail", compilation.broken.split("\n"));
  const { script, subnetType } = test;
  const answer = await run({ script, subnetType, modules: compilation as Map<string, CompiledModule> });
  if ("failure" in answer) return result("fail", answer.failure.split("\n"));
  const output = answer.output.join("\n");
  const details = compare(test.expected, output)?.lines ?? [];
  if (details.length === 0) return result("pass", []);
  const known = knownDifference(test, output);
  if (known !== undefined) return result("known difference", [known]);
  const flags = [...test.modules.values()].flatMap((module) => module.missingFlags);
  const hint = flags.length > 0 ? [`(the npm compiler does not have ${flags.join(" ")})`] : [];
  return result("fail", [...hint, ...details]);
}
