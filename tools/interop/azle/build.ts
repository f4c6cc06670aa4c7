// Installs Azle as npm gives it and builds the canister beside this file with Azle's own command. Azle is no dependency
// of the project: its install script writes into the folders of dfx, so it is installed here without scripts, from a
// lock file, once per lock file. Building needs no network: the interpreter comes prebuilt in the package.
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { npm } from "../npm.ts";

const SOURCE = fileURLToPath(new URL("canister/", import.meta.url));
const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/atoll/azle/", import.meta.url));
const run = promisify(execFile);

export interface AzleCanister {
  readonly wasm: Uint8Array;
  readonly candid: string;
}

export async function buildAzleCanister(): Promise<AzleCanister> {
  const folder = await installed();
  for (const file of ["index.ts", "dfx.json", "tsconfig.json"]) cpSync(join(SOURCE, file), join(folder, file));
  const candid = join(folder, "notes.did");
  const azle = join("node_modules", "azle", "src", "build.ts");
  const env = { ...process.env, CANISTER_CANDID_PATH: candid, AZLE_VERBOSE: "true" };
  await run(process.execPath, ["--import", "tsx", azle, "build", "notes"], { cwd: folder, env, timeout: 120_000 });
  return {
    wasm: new Uint8Array(readFileSync(join(folder, ".azle", "notes", "notes.wasm"))),
    candid: readFileSync(candid, "utf8"),
  };
}

/** The folder with Azle in it; it appears by a rename, so it is whole or not there. */
async function installed(): Promise<string> {
  const lock = readFileSync(join(SOURCE, "package-lock.json"));
  const folder = join(CACHE, createHash("sha256").update(lock).digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  const making = join(CACHE, randomUUID());
  mkdirSync(making, { recursive: true });
  try {
    for (const file of ["package.json", "package-lock.json"]) cpSync(join(SOURCE, file), join(making, file));
    await npm(["ci", "--ignore-scripts"], making);
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
