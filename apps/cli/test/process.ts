// Real processes for tests: the program as a user starts it (bin/atoll), waited for by its line of JSON, ended by pid.
// Whatever a test does, nothing is left behind: every process and every folder made here goes when the test file's
// own process ends, however it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ATOLL = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  /** Added to the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A started program, ready or not. */
export interface Launched {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** The line of JSON; rejects when the process ends before it. */
  readonly ready: Promise<Ready>;
  /** What it wrote so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

export interface Ready {
  readonly gatewayUrl: string;
  readonly rootKey: Uint8Array<ArrayBuffer>;
  readonly stateDir: string;
  readonly pid: number;
  readonly subnets: readonly { readonly id: string; readonly kind: string }[];
  /** Where each node is a process of its own; else there are none. */
  readonly nodes: readonly {
    readonly id: string;
    readonly pid: number;
    readonly url: string;
    readonly subnet?: string;
  }[];
}

/** A network that runs and serves. */
export interface Network extends Omit<Launched, "ready">, Ready {}

export interface NetworkOptions extends SpawnOptions {
  readonly stateDir: string;
  /** Beside `start --port 0 --state-dir ... --no-sample --json`. */
  readonly args?: readonly string[];
  readonly timeoutMs?: number;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();

export function launch(args: readonly string[], options: SpawnOptions = {}): Launched {
  const child = spawn(ATOLL, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.add(child);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const exited = new Promise<Exit>((resolve) => {
    child.on("close", (code, signal) => {
      running.delete(child);
      resolve({ code, signal, ...output });
    });
  });
  const ready = new Promise<Ready>((resolve, reject) => {
    child.stdout.on("data", () => {
      const [line, ...rest] = output.stdout.split("\n");
      if (line?.startsWith('{"gateway_url"') && rest.length > 0) resolve(readyOf(line));
    });
    child.on("error", reject);
    exited.then(({ code, signal, stderr }) =>
      reject(new Error(`atoll ended before it was ready (${code ?? signal}): ${stderr}`)),
    );
  });
  ready.catch(() => undefined);
  return {
    pid: child.pid as number,
    exited,
    ready,
    output: () => ({ ...output }),
    kill(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

/** Starts a network and waits until it serves. */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const args = [
    "start",
    "--port",
    "0",
    "--state-dir",
    options.stateDir,
    "--no-sample",
    "--json",
    ...(options.args ?? []),
  ];
  const launched = launch(args, options);
  const ready = await within(launched, launched.ready, options.timeoutMs ?? 20_000);
  const { exited, output, kill } = launched;
  return { exited, output, kill, ...ready };
}

/** Runs a command that is expected to end by itself. */
export function run(
  args: readonly string[],
  options: SpawnOptions & { readonly timeoutMs?: number } = {},
): Promise<Exit> {
  const launched = launch(args, options);
  return within(launched, launched.exited, options.timeoutMs ?? 20_000);
}

/** A fresh folder that is removed when the test file is through. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-test-"));
  folders.add(folder);
  return folder;
}

/** For `after`: a process that a failed test left would keep the test file from ending. */
export async function endAll(): Promise<void> {
  await Promise.all(
    [...running].map(
      (child) =>
        new Promise((resolve) => {
          child.once("close", resolve);
          child.kill("SIGKILL");
        }),
    ),
  );
}

async function within<T>(launched: Launched, result: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const { stderr } = launched.output();
      void launched.kill("SIGKILL");
      reject(new Error(`atoll took longer than ${timeoutMs} ms: ${stderr}`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

function readyOf(line: string): Ready {
  const json = JSON.parse(line) as {
    gateway_url: string;
    root_key: string;
    state_dir: string;
    pid: number;
    subnets: Ready["subnets"];
    nodes?: Ready["nodes"];
  };
  return {
    gatewayUrl: json.gateway_url,
    rootKey: new Uint8Array(Buffer.from(json.root_key, "hex")),
    stateDir: json.state_dir,
    pid: json.pid,
    subnets: json.subnets,
    nodes: json.nodes ?? [],
  };
}

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
