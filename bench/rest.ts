// REST servers in processes of their own and a client with kept connections: the PocketIC server as its clients start
// it, and the bare echo that it is measured against.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface RestServer {
  readonly pid: number;
  /** The status, and the body as JSON. */
  send(method: string, path: string, body?: string): Promise<{ readonly status: number; readonly body: string }>;
  stop(): Promise<void>;
}

const rootFolder = fileURLToPath(new URL("..", import.meta.url));
const POLL_MS = 2;
const START_MS = 60_000;

/** `bin/pocket-ic`, ready to be asked. */
export async function startPocketIc(): Promise<RestServer> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
  const portFile = join(folder, "pocket-ic.port");
  const child = spawn(join(rootFolder, "bin/pocket-ic"), ["--port-file", portFile, "--ttl", "600"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const port = await portIn(portFile, child);
  return restServer(child, port, () => rmSync(folder, { recursive: true, force: true }));
}

export async function startEcho(): Promise<RestServer> {
  const child = spawn(process.execPath, [join(rootFolder, "bench/echo.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(Number(line)));
    child.once("exit", (code) => reject(new Error(`the echo ended with ${code}`)));
  });
  return restServer(child, port, () => undefined);
}

async function portIn(file: string, child: ChildProcess): Promise<number> {
  const end = Date.now() + START_MS;
  while (Date.now() < end && child.exitCode === null) {
    try {
      const text = readFileSync(file, "utf8");
      if (text.endsWith("\n")) return Number(text);
    } catch {
      // Not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error("the PocketIC server did not become ready");
}

function restServer(child: ChildProcess, port: number, clean: () => void): RestServer {
  const agent = new Agent({ keepAlive: true });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pid: child.pid as number,
    send: (method, path, body) =>
      new Promise((resolve, reject) => {
        const headers = body === undefined ? {} : { "content-type": "application/json" };
        const sent = request({ agent, host: "127.0.0.1", port, method, path, headers }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
          );
          response.on("error", reject);
        });
        sent.on("error", reject);
        sent.end(body);
      }),
    async stop() {
      agent.destroy();
      child.kill("SIGTERM");
      await exited;
      clean();
    },
  };
}
