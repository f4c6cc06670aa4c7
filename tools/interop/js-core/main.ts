// `npm run interop:js-core`: the end-to-end tests of the official JavaScript agent (github.com/dfinity/icp-js-core,
// e2e/node), unmodified, against a network that `atoll start` runs. docs/interop/js-core.md says what it proves.
// ATOLL_JS_CORE names a checkout or bare repository; without it the repository is cloned. Arguments go to vitest.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { EnvironmentError } from "@atoll/types";
import { endAll, type Network, startNetwork, temporaryFolder } from "../../../apps/cli/test/process.ts";
import { agentOf } from "../../../apps/cli/test/recorder.ts";
import { deploy } from "../../../packages/replica/test/network.ts";
import { type ManInTheMiddle, startManInTheMiddle } from "./man-in-the-middle.ts";
import { CONFIG, MAN_IN_THE_MIDDLE, prepareSuite, type Suite } from "./suite.ts";

/** As their own setup names and deploys them. */
const CANISTERS = { COUNTER: "counter", COUNTER2: "counter", COUNTER3: "counter", WHOAMI: "whoami", TRAP: "trap" };

async function main(args: readonly string[]): Promise<number> {
  const suite = await prepareSuite();
  const network = await startNetwork({ stateDir: temporaryFolder() });
  const middle = await manInTheMiddle(network);
  const env = { ...(await deployed(suite, network)), GATEWAY_PORT: new URL(network.gatewayUrl).port };
  print(`icp-js-core ${suite.commit.slice(0, 12)}, @icp-sdk/core ${suite.version}, network ${network.gatewayUrl}`);
  const skip = middle === undefined ? ["--exclude", MAN_IN_THE_MIDDLE.file] : [];
  const code = await vitest(suite.folder, ["run", "--config", CONFIG, ...skip, ...args], env);
  await middle?.close();
  await network.kill("SIGTERM");
  return code;
}

async function deployed(suite: Suite, network: Network): Promise<Record<string, string>> {
  const agent = agentOf(network);
  const ids: Record<string, string> = {};
  for (const [name, file] of Object.entries(CANISTERS)) {
    ids[`CANISTER_ID_${name}`] = (await deploy(agent, suite.wasm(file))).toText();
  }
  return ids;
}

async function manInTheMiddle(network: Network): Promise<ManInTheMiddle | undefined> {
  const { file, port, words } = MAN_IN_THE_MIDDLE;
  try {
    return await startManInTheMiddle(network.gatewayUrl, words, port);
  } catch {
    print(`${file} does not run: port ${port}, which it names, is taken.`);
    return undefined;
  }
}

function vitest(folder: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const manifest = createRequire(join(folder, "package.json")).resolve("vitest/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: { vitest: string } };
  const script = join(dirname(manifest), bin.vitest);
  // Where their helper would look for PocketIC first.
  const { SERVER_URL: _, ...own } = process.env;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: folder,
      env: { ...own, ...env },
      stdio: "inherit",
    });
    child.on("error", () => resolve(1));
    child.on("close", (code) => resolve(code ?? 1));
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await endAll();
}
