// The real binary for tests: bin/pocket-ic as a client starts it, found through its port file, ended by pid. Whatever a
// test does, nothing is left behind when its file ends.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const BINARY = fileURLToPath(
  new URL(`../../../bin/pocket-ic${process.platform === "win32" ? ".cmd" : ""}`, import.meta.url),
);

interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly output: { stdout: string; stderr: string };
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

export interface Server extends Started {
  readonly url: string;
  readonly portFile: string;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();

export function start(args: readonly string[], binary = BINARY, env: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  running.add(child);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const exited = new Promise<Exit>((resolve) => {
    child.on("close", (code) => {
      running.delete(child);
      resolve({ code, ...output });
    });
  });
  return {
    pid: child.pid as number,
    exited,
    output,
    kill(signal) {
      child.kill(signal);
      return exited;
    },
  };
}

/** Starts the server and waits for its port file, as the clients do. */
export async function startServer(
  options: { readonly args?: readonly string[]; readonly binary?: string; readonly env?: Record<string, string> } = {},
): Promise<Server> {
  const portFile = join(temporaryFolder(), "pocket_ic.port");
  const started = start(["--port-file", portFile, ...(options.args ?? [])], options.binary, options.env);
  let ended: Exit | undefined;
  void started.exited.then((exit) => {
    ended = exit;
  });
  for (let waited = 0; waited < 20_000; waited += 20) {
    const text = existsSync(portFile) ? readFileSync(portFile, "utf8") : "";
    if (text.includes("\n")) return { ...started, portFile, url: `http://127.0.0.1:${text.trim()}` };
    if (ended !== undefined) throw new Error(`the server ended with ${ended.code}: ${ended.stderr}`);
    await pause(20);
  }
  throw new Error("the server did not announce its port in time");
}

/** A fresh folder that is removed when the test file is through. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-pic-"));
  folders.add(folder);
  return folder;
}

/** For `after`: a process that a failed test left would keep the test file from ending. */
export async function endAll(): Promise<void> {
  await Promise.all(
    [...running].map((child) => {
      const closed = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      return closed;
    }),
  );
}

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
