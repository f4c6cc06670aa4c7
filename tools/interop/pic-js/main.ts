// `npm run interop:pic-js`: the tests of PocketIC's JavaScript client (github.com/dfinity/pic-js, packages/pic),
// unmodified and with their own test runner, with bin/pocket-ic as the binary. docs/interop/pic-js.md says what it proves.
// ATOLL_PIC_JS names a checkout or bare repository; without it the repository is cloned. Arguments go to jest.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "@atoll/types";
import { CACHE, type Checkout, openCheckout } from "../checkout.ts";
import { npm } from "../npm.ts";

const REPOSITORY = "https://github.com/dfinity/pic-js";
const BINARY = fileURLToPath(new URL("../../../bin/pocket-ic", import.meta.url));
/** What their tests run with, of all that their repository is built with. */
const TOOLS = ["jest", "@swc/core", "@swc/jest"];

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

async function main(args: readonly string[]): Promise<number> {
  const checkout = openCheckout(REPOSITORY, "ATOLL_PIC_JS");
  const { commit } = checkout;
  const root = join(CACHE, `pic-js-${commit.slice(0, 12)}`);
  if (!existsSync(root)) await make(checkout, root);
  const client = join(root, "packages", "pic");
  // Where their client looks for the binary. It changes the mode of what it finds, so that is a file of its own.
  writeFileSync(join(client, "pocket-ic"), `#!/bin/sh\nexec '${BINARY}' "$@"\n`, { mode: 0o700 });
  const { version } = manifest(readFileSync(join(client, "package.json")));
  process.stdout.write(`pic-js ${commit.slice(0, 12)}, @dfinity/pic ${version}, binary ${BINARY}\n`);
  return jest(root, ["--config", join(client, "jest.config.ts"), ...args]);
}

async function make(checkout: Checkout, root: string): Promise<void> {
  const making = `${root}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    checkout.extract(["packages/pic", "tsconfig.json"], making);
    const [repository, client] = ["package.json", "packages/pic/package.json"].map((path) =>
      manifest(checkout.file(path)),
    ) as [Manifest, Manifest];
    const tools = Object.entries(repository.devDependencies ?? {}).filter(([name]) => TOOLS.includes(name));
    const dependencies = { ...client.dependencies, ...Object.fromEntries(tools) };
    writeFileSync(join(making, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
    await npm(["install", "--ignore-scripts"], making);
    renameSync(making, root);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function jest(folder: string, args: readonly string[]): Promise<number> {
  const script = join(createRequire(join(folder, "package.json")).resolve("jest/package.json"), "..", "bin", "jest.js");
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], { cwd: folder, stdio: "inherit" });
    child.on("error", () => resolve(1));
    child.on("close", (code) => resolve(code ?? 1));
  });
}

function manifest(text: Uint8Array): Manifest {
  return JSON.parse(new TextDecoder().decode(text)) as Manifest;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof EnvironmentError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
