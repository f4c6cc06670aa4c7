// Azle's own end-to-end tests, made ready to run: the examples out of a checkout, Azle and what its tests need from
// npm, and a command `dfx` that does what they ask of it on our network. Kept for the next run of the same commit.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CACHE, openCheckout } from "../../checkout.ts";
import { npm } from "../../npm.ts";

const REPOSITORY = "https://github.com/demergent-labs/azle";
const EXAMPLES = "examples/stable/test/end_to_end/candid_rpc";

/** What the tests import; Azle brings the rest. The generator makes what `dfx generate` would. */
const NEEDED = {
  "@dfinity/auth-client": "^3.4.3",
  "@dfinity/identity": "^3.4.3",
  "@icp-sdk/bindgen": "0.3.0",
  "@icp-sdk/core": "^4.2.3",
  cuzz: "^0.0.22",
  "fast-check": "^4.10.2",
  jest: "^30.5.2",
  "jest-mock": "^30.5.2",
  semver: "^7.8.6",
  "ts-jest": "^29.4.15",
  typescript: "~5.9.3",
};

export interface AzleSuite {
  readonly commit: string;
  readonly version: string;
  /** Where node_modules is. */
  readonly root: string;
  /** The folder of an example. */
  readonly example: (name: string) => string;
  /** The folder with the command `dfx` in it. */
  readonly commands: string;
}

export async function prepareAzleSuite(): Promise<AzleSuite> {
  const checkout = openCheckout(REPOSITORY, "ATOLL_AZLE");
  const root = join(CACHE, `azle-${checkout.commit.slice(0, 12)}`);
  const { version } = JSON.parse(new TextDecoder().decode(checkout.file("package.json"))) as { version: string };
  if (!existsSync(root)) {
    const making = `${root}.${process.pid}`;
    mkdirSync(making, { recursive: true });
    try {
      checkout.extract([EXAMPLES, "jest.config.dev.js"], making);
      const tests = { type: "module", private: true, dependencies: { azle: version, ...NEEDED } };
      writeFileSync(join(making, "package.json"), JSON.stringify(tests));
      writeFileSync(join(making, "tsconfig.dev.json"), JSON.stringify({ compilerOptions: OPTIONS }));
      await npm(["install", "--ignore-scripts"], making);
      renameSync(making, root);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  const { commit } = checkout;
  return { commit, version, root, example: (name) => join(root, EXAMPLES, name), commands: writeDfx(root) };
}

/** As in Azle's own file of this name, and so that the tests' imports of this folder's packages resolve. */
const OPTIONS = {
  strict: true,
  target: "ES2024",
  module: "ES2022",
  moduleResolution: "bundler",
  allowJs: true,
  noEmit: true,
  esModuleInterop: true,
  skipLibCheck: true,
};

function writeDfx(root: string): string {
  const folder = join(root, "commands");
  mkdirSync(folder, { recursive: true });
  const script = fileURLToPath(new URL("dfx.ts", import.meta.url));
  writeFileSync(join(folder, "dfx"), `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`);
  chmodSync(join(folder, "dfx"), 0o755);
  return folder;
}
