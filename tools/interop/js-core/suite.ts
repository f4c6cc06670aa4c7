// The end-to-end tests of the official JavaScript agent, made ready to run: their files out of a checkout, their
// dependencies from npm, in a folder of its own that is kept for the next run of the same commit. The agent under test
// is the one npm has in the version that the checkout names.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "@atoll/types";
import { npm } from "../npm.ts";

const CACHE = fileURLToPath(new URL("../../../.cache/interop/", import.meta.url));
const REPOSITORY = "https://github.com/dfinity/icp-js-core";

/** Need the Internet Computer itself: they ask fixed canisters of it through its public address. */
const OF_MAINNET = ["basic/mainnet.test.ts", "basic/readSubnetState.test.ts"];
/** Needs a man in the middle at the port that it names. */
export const MAN_IN_THE_MIDDLE = { file: "basic/mitm.test.ts", port: 8888, words: ["Hello", "Hullo"] } as const;

export interface Suite {
  readonly commit: string;
  /** Version of @icp-sdk/core. */
  readonly version: string;
  /** Where `vitest` runs. */
  readonly folder: string;
  readonly wasm: (name: string) => Uint8Array;
}

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export async function prepareSuite(): Promise<Suite> {
  const checkout = process.env.ATOLL_JS_CORE ?? cloned();
  const commit = git(checkout, "rev-parse", "HEAD").toString().trim();
  const root = join(CACHE, `js-core-${commit.slice(0, 12)}`);
  if (!existsSync(root)) await make(checkout, root);
  const { dependencies } = manifest(readFileSync(join(root, "package.json")));
  const folder = join(root, "e2e", "node");
  writeFileSync(join(folder, CONFIG), config());
  return {
    commit,
    version: dependencies?.["@icp-sdk/core"] ?? "unknown",
    folder,
    wasm: (name) => new Uint8Array(readFileSync(join(folder, "canisters", `${name}.wasm`))),
  };
}

export const CONFIG = "vitest.atoll.config.ts";

/** Their own configuration, without the start of PocketIC and without what needs the internet. */
function config(): string {
  const options = {
    setupFiles: ["./test-setup.ts"],
    testTimeout: 100_000,
    include: ["basic/**/*.test.ts"],
    exclude: OF_MAINNET,
  };
  return `export default { test: ${JSON.stringify(options)} };\n`;
}

async function make(checkout: string, root: string): Promise<void> {
  const making = `${root}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    const files = git(checkout, "archive", "HEAD", "e2e", "tsconfig.base.json");
    execFileSync("tar", ["-x", "-C", making], { input: files });
    const read = (path: string) => manifest(git(checkout, "show", `HEAD:${path}`));
    writeFileSync(join(making, "package.json"), JSON.stringify(needed(read)));
    await npm(["install", "--ignore-scripts"], making);
    renameSync(making, root);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function needed(read: (path: string) => Manifest): Manifest & { readonly private: true } {
  const [tools, tests] = [read("package.json"), read("e2e/node/package.json")];
  const dependencies: Record<string, string> = { ...tests.dependencies, ...tests.devDependencies };
  // PocketIC's client downloads its server; ours is the server here.
  delete dependencies["@dfinity/pic"];
  for (const name of ["vitest", "dotenv"]) {
    const version = tools.devDependencies?.[name];
    if (version !== undefined) dependencies[name] = version;
  }
  const { version } = read("packages/core/package.json");
  if (version !== undefined) dependencies["@icp-sdk/core"] = version;
  return { private: true, dependencies };
}

function manifest(text: Uint8Array): Manifest {
  return JSON.parse(new TextDecoder().decode(text)) as Manifest;
}

function cloned(): string {
  const folder = join(CACHE, "icp-js-core");
  if (existsSync(folder)) return folder;
  try {
    execFileSync("git", ["clone", "--quiet", "--depth", "1", REPOSITORY, folder], { timeout: 300_000, stdio: "pipe" });
    return folder;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const message = `${REPOSITORY} could not be cloned; set ATOLL_JS_CORE to a checkout of it.`;
    throw new EnvironmentError("NOT_AVAILABLE", message, { cause: error });
  }
}

function git(checkout: string, ...args: readonly string[]): Uint8Array {
  try {
    return execFileSync("git", ["-C", checkout, ...args], { maxBuffer: 64 * 1024 * 1024, stdio: "pipe" });
  } catch (error) {
    const message = `${checkout} is no repository of icp-js-core; set ATOLL_JS_CORE to a checkout of it.`;
    throw new EnvironmentError("NOT_AVAILABLE", message, { cause: error });
  }
}
