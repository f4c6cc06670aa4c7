// The official command line `icp` as a process: the binary that npm brings for this platform, with a home folder of
// its own, so that identities of whoever runs the tests are never touched.
import { execFile } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const PACKAGE = "@icp-sdk/icp-cli-linux-x64";

/** Why there is no binary here, or undefined when there is one for this platform. */
export const unsupported: string | undefined =
  process.platform === "linux" && process.arch === "x64"
    ? undefined
    : `npm has the official command line for Linux on x64 only, this is ${process.platform} on ${process.arch}`;

/** What stands before the 32 bytes of the seed (RFC 8410). */
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");

/** Seeds of the identities in these tests. Alice's is the one that the agent of the tests signs with. */
export const ALICE = new Uint8Array(32).fill(1);
export const BOB = new Uint8Array(32).fill(2);

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Icp {
  readonly #folder: string;
  readonly #binary: string;
  readonly #network: readonly string[];

  /** `folder` holds the home folder and is where commands run. */
  constructor(folder: string, gatewayUrl: string) {
    this.#folder = folder;
    this.#binary = binaryPath();
    this.#network = ["--network", gatewayUrl, "--root-key", "fetch"];
    mkdirSync(join(folder, "home"), { recursive: true });
  }

  /** Adds the identity of an Ed25519 seed (32 bytes); gives its principal. */
  async addIdentity(name: string, seed: Uint8Array): Promise<string> {
    const pem = join(this.#folder, `${name}.pem`);
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
    writeFileSync(pem, key.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    await this.expect(["identity", "import", name, "--storage", "plaintext", "--from-pem", pem]);
    return (await this.expect(["identity", "principal", "--identity", name])).trim();
  }

  /** Runs a command as it is. */
  run(args: readonly string[]): Promise<Outcome> {
    const env = {
      ...process.env,
      HOME: this.#folder,
      ICP_HOME: join(this.#folder, "home"),
      ICP_TELEMETRY_DISABLED: "1",
      DO_NOT_TRACK: "1",
      NO_COLOR: "1",
    };
    return new Promise((resolve) => {
      const options = { cwd: this.#folder, env, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 };
      const child = execFile(this.#binary, args, options, (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr });
      });
      child.stdin?.end();
    });
  }

  /** Runs a command that must succeed; gives its standard output. */
  async expect(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`icp ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** `icp canister <what>` on this network as `identity`: `args` begin with the canister. */
  canister(what: string, identity: string, args: readonly string[]): Promise<Outcome> {
    return this.run(["canister", ...what.split(" "), ...this.#network, "--identity", identity, ...args]);
  }

  /** The same for a command that must succeed. */
  on(what: string, identity: string, args: readonly string[]): Promise<string> {
    return this.expect(["canister", ...what.split(" "), ...this.#network, "--identity", identity, ...args]);
  }
}

function binaryPath(): string {
  try {
    return (createRequire(import.meta.url)(PACKAGE) as { binaryPath: string }).binaryPath;
  } catch (error) {
    throw new Error(`The package ${PACKAGE} is not installed; run npm ci without --omit=optional.`, { cause: error });
  }
}
