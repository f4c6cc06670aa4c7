// A network in a process of its own, started as a user would, so that its CPU can be told from the client's.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { fromHex } from "@atoll/types";

export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly rootKey: Uint8Array;
  stop(): Promise<void>;
}

/** A network of node processes behind one address. */
export interface RunningNodes extends RunningServer {
  readonly nodes: readonly { readonly pid: number; readonly url: string }[];
}

/** `nodeOptions` are for profiles. */
export async function startServer(nodeOptions: readonly string[] = []): Promise<RunningServer> {
  return start(nodeOptions, []);
}

export async function startNodes(count: number): Promise<RunningNodes> {
  return start([], ["--nodes", String(count)]);
}

async function start(nodeOptions: readonly string[], more: readonly string[]): Promise<RunningNodes> {
  const stateDir = mkdtempSync(join(tmpdir(), "atoll-bench-"));
  const main = fileURLToPath(new URL("../apps/cli/src/main.ts", import.meta.url));
  const args = ["start", "--port", "0", "--state-dir", stateDir, "--no-sample", "--json", ...more];
  const child = spawn(process.execPath, [...nodeOptions, main, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const facts = await firstLine(child);
  return {
    pid: child.pid as number,
    port: Number(new URL(facts.gateway_url).port),
    rootKey: fromHex(facts.root_key),
    nodes: facts.nodes ?? [],
    async stop() {
      child.kill("SIGTERM");
      await exited;
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

interface Facts {
  readonly gateway_url: string;
  readonly root_key: string;
  readonly nodes?: RunningNodes["nodes"];
}

function firstLine(child: ChildProcess): Promise<Facts> {
  return new Promise((resolve, reject) => {
    if (child.stdout === null) return reject(new Error("the server has no output"));
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line)));
    child.once("exit", (code) => reject(new Error(`the server ended with ${code} before it was ready`)));
  });
}
