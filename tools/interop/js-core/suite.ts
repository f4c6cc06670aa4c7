// The end-to-end tests of the official JavaScript agent, made ready to run: their files out of a checkout, their
// dependencies from npm, in a folder of its own that is kept for the next run of the same commit. The agent under test
// is the one npm has in the version that the checkout names.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, type Checkout, openCheckout } from "../checkout.ts";
import { npm } from "../npm.ts";

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
  const checkout = openCheckout(REPOSITORY, "ATOLL_JS_CORE");
  const { commit } = checkout;
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

async function make(checkout: Checkout, root: string): Promise<void> {
  const making = `${root}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    checkout.extract(["e2e", "tsconfig.base.json"], making);
    const read = (path: string) => manifest(checkout.file(path));
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
