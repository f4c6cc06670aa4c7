// `npm run interop:test-runners`: one test file in node:test, Vitest and Jest (as ES module and as CommonJS), with the
// packed test kit. docs/interop/test-runners.md says what it proves. Arguments are further Node programs to run all of it
// with; without any it is the Node that runs this.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "../npm.ts";
import { prepareProject } from "./project.ts";

const FOLDER = fileURLToPath(new URL("../../../.cache/test-runners/", import.meta.url));

const VITEST = join("node_modules", "vitest", "vitest.mjs");
const JEST = join("node_modules", "jest", "bin", "jest.js");
const RUNS: Readonly<Record<string, readonly string[]>> = {
  "node:test": ["--test", "--import", "./node-globals.mjs", "counter.test.mjs"],
  "node:test, CommonJS": ["--test", "--import", "./node-globals.mjs", "counter.test.cjs"],
  Vitest: [VITEST, "run"],
  Jest: ["--experimental-vm-modules", JEST, "--testMatch", "**/counter.test.mjs"],
  "Jest, CommonJS": [JEST, "--testMatch", "**/counter.test.cjs"],
};

async function main(nodes: readonly string[]): Promise<number> {
  mkdirSync(FOLDER, { recursive: true });
  await prepareProject(FOLDER);
  await npm(["install", "--ignore-scripts"], FOLDER);
  // npm takes out what package.json does not name.
  await prepareProject(FOLDER);
  let failed = 0;
  for (const node of nodes) for (const [name, args] of Object.entries(RUNS)) if (!isGreen(node, name, args)) failed++;
  return failed === 0 ? 0 : 1;
}

function isGreen(node: string, name: string, args: readonly string[]): boolean {
  const started = performance.now();
  const options = { cwd: FOLDER, encoding: "utf8", timeout: 300_000 } as const;
  const version = spawnSync(node, ["--version"], options).stdout?.trim();
  const { status, stdout, stderr } = spawnSync(node, args, options);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${status === 0 ? "ok" : "FAILED"}: ${name}, Node ${version}, ${seconds} s\n`);
  if (status !== 0) process.stdout.write(`${stdout}\n${stderr}\n`);
  return status === 0;
}

const nodes = process.argv.slice(2).map((path) => resolve(path));
process.exitCode = await main(nodes.length === 0 ? [process.execPath] : nodes);
