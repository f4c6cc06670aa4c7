// `npm run interop:azle-suite`: Azle's own end-to-end tests (github.com/demergent-labs/azle), unmodified and by their
// own test runner, against a network that `atoll start` runs at the port that they name, 4943. docs/interop/languages.md
// says what it proves. ATOLL_AZLE names a checkout or bare repository. Arguments: names of examples, none for all.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { EnvironmentError } from "@atoll/types";
import { endAll, startNetwork, temporaryFolder } from "../../../../apps/cli/test/process.ts";
import { ALICE, Icp, unsupported } from "../../icp-cli/icp.ts";
import { EXAMPLES, knownDifference } from "./examples.ts";
import { type AzleSuite, prepareAzleSuite } from "./prepare.ts";

const PORT = "4943";
const MINUTES = 60_000;

interface TestResult {
  readonly fullName: string;
  readonly status: "passed" | "failed" | "pending" | "skipped" | "todo";
}

interface Counts {
  passed: number;
  known: number;
  failed: number;
}

async function main(names: readonly string[]): Promise<boolean> {
  if (unsupported !== undefined) throw new EnvironmentError("NOT_AVAILABLE", `${unsupported}.`);
  const suite = await prepareAzleSuite();
  const network = await startNetwork({ stateDir: temporaryFolder(), args: ["--port", PORT] });
  const home = temporaryFolder();
  await new Icp(home, network.gatewayUrl).addIdentity("alice", ALICE);
  const env = {
    ...process.env,
    PATH: [suite.commands, dirname(process.execPath), process.env.PATH].join(delimiter),
    DFX_URL: network.gatewayUrl,
    DFX_HOME: home,
    DFX_ROOT: suite.root,
    DFX_IDENTITY: "alice",
    // These look at Azle itself: its types, its own globals, the growth of its heap.
    AZLE_RUN_TYPE_CHECKS: "false",
    AZLE_CHECK_GLOBAL_STATE_AFTER_TESTS: "false",
    AZLE_CHECK_MEMORY_STATE_AFTER_TESTS: "false",
  };
  print(`azle ${suite.version}, commit ${suite.commit.slice(0, 12)}, network ${network.gatewayUrl}`);
  const total: Counts = { passed: 0, known: 0, failed: 0 };
  for (const name of names) await runExample(suite, name, env, total);
  await network.kill("SIGTERM");
  print(`${total.passed} passed, ${total.failed} failed, ${total.known} differ for a known reason`);
  return total.failed === 0;
}

async function runExample(suite: AzleSuite, name: string, env: NodeJS.ProcessEnv, total: Counts): Promise<void> {
  const folder = suite.example(name);
  for (const left of [".ids.json", ".azle"]) rmSync(join(folder, left), { recursive: true, force: true });
  const deployed = await run(["--import", "tsx", join("test", "pretest.ts")], folder, env);
  if (deployed.code !== 0) return report(name, [{ fullName: "is deployed", status: "failed" }], total, deployed.output);
  const results = join(folder, ".azle", "results.json");
  const jest = join(suite.root, "node_modules", "jest", "bin", "jest.js");
  const tested = await run([jest, "--forceExit", "--json", "--outputFile", results], folder, env);
  report(name, existsSync(results) ? testResults(results) : [], total, tested.output);
}

function testResults(path: string): readonly TestResult[] {
  const { testResults: files } = JSON.parse(readFileSync(path, "utf8")) as {
    testResults: readonly { readonly assertionResults: readonly TestResult[]; readonly status: string }[];
  };
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  return tests.length > 0 ? tests : [{ fullName: "has tests", status: "failed" }];
}

function report(name: string, tests: readonly TestResult[], total: Counts, output: string): void {
  const failed = tests.filter(({ status }) => status === "failed");
  const passed = tests.filter(({ status }) => status === "passed").length;
  const defects = failed.filter(({ fullName }) => knownDifference(name, fullName) === undefined);
  total.passed += passed;
  total.known += failed.length - defects.length;
  total.failed += defects.length + (passed + failed.length === 0 ? 1 : 0);
  print(`${name}: ${passed} passed${failed.length > 0 ? `, ${failed.length} failed` : ""}`);
  for (const { fullName } of failed) {
    print(`  ${knownDifference(name, fullName) ?? "FAILED"}\n    ${fullName}`);
  }
  if (defects.length > 0) print(output.slice(-8_000));
}

function run(
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd, env, timeout: 8 * MINUTES });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", (error) => resolve({ code: -1, output: String(error) }));
    child.on("close", (code) => resolve({ code, output }));
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  const names = process.argv.slice(2);
  process.exitCode = (await main(names.length > 0 ? names : EXAMPLES)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await endAll();
}
