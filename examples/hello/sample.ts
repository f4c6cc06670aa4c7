// The sample canister as a network installs it at its first start: read from `.build/`, which `npm ci` fills; built
// on the spot if it is missing or older than its sources. Checking and reading take a few milliseconds, the compiler
// and the bundler are loaded only when there is something to build.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Sample {
  readonly wasm: Uint8Array;
  readonly candid: string;
  /** Candid of no arguments. */
  readonly initArg: Uint8Array;
}

const HERE = fileURLToPath(new URL(".", import.meta.url));
const MODULES = fileURLToPath(new URL("../../node_modules/", import.meta.url));
export const BUILD_FOLDER = fileURLToPath(new URL(".build/", import.meta.url));

const EMPTY_CANDID = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0); // "DIDL", no types, no values
const SOURCES = ["main.mo", "build.ts", "certified-assets.ts"];
const PACKAGES = ["motoko", "@icp-sdk/core"];

/** `onBuild` is called before a build, which takes some seconds. */
export async function loadSample(onBuild: () => void = () => {}): Promise<Sample> {
  const ready = readSample();
  if (ready !== null) return ready;
  onBuild();
  const { buildSample } = await import("./build.ts");
  await buildSample();
  const built = readSample();
  if (built === null) throw new Error("the sample's sources changed while it was being built: start again");
  return built;
}

/** The sample as built before, or null if that was from other sources. */
export function readSample(): Sample | null {
  try {
    if (readFileSync(`${BUILD_FOLDER}key`, "utf8") !== sourcesKey()) return null;
    const wasm = new Uint8Array(readFileSync(`${BUILD_FOLDER}hello.wasm`));
    return { wasm, candid: readFileSync(`${BUILD_FOLDER}hello.did`, "utf8"), initArg: EMPTY_CANDID };
  } catch {
    return null; // not built yet
  }
}

/** Changes with every source of the sample and with the versions of what builds it. */
export function sourcesKey(): string {
  const hash = createHash("sha256");
  const web = readdirSync(`${HERE}web`).sort();
  for (const file of [...SOURCES, ...web.map((name) => `web/${name}`)]) {
    hash
      .update(`${file}\n`)
      .update(readFileSync(`${HERE}${file}`))
      .update("\n");
  }
  for (const name of PACKAGES) {
    const { version } = JSON.parse(readFileSync(`${MODULES}${name}/package.json`, "utf8")) as { version: string };
    hash.update(`${name} ${version}\n`);
  }
  return hash.digest("hex");
}
