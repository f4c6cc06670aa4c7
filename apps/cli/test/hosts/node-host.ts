// A node on a host: the program as its operator starts it, with its files in a folder of its own. It can be killed, stopped
// for a while, and started again; what it ever wrote to its log is kept for the checkers.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Cbor } from "@icp-sdk/core/agent";
import type { Host } from "./namespaces.ts";
import { type LogLine, parseLog } from "./node-logs.ts";

const ATOLL = fileURLToPath(new URL("../../../../bin/atoll", import.meta.url));

export interface NodeStatus {
  readonly health: string;
  readonly certifiedHeight: number;
  readonly rootKey: Uint8Array<ArrayBuffer>;
}

const HERE: Host = {
  address: "127.0.0.1",
  command: [],
  pullOut: () => undefined,
  plugIn: () => undefined,
  slowDown: () => undefined,
  fullSpeed: () => undefined,
};

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class NodeHost {
  readonly host: Host;
  readonly url: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #log = "";

  /** `host`: where it runs; this machine itself when not given. */
  constructor(folder: string, host: Host = HERE) {
    this.host = host;
    this.#folder = folder;
    const { http } = JSON.parse(readFileSync(this.#configFile, "utf8")) as { http: { host: string; port: number } };
    this.url = `http://${http.host}:${http.port}`;
  }

  get #configFile(): string {
    return join(this.#folder, "node.json");
  }

  /** Everything that can be told goes into its log. */
  logEverything(): void {
    const config = JSON.parse(readFileSync(this.#configFile, "utf8"));
    writeFileSync(this.#configFile, JSON.stringify({ ...config, log: { format: "json", level: "debug" } }));
  }

  start(): void {
    const [program = "", ...args] = [...this.host.command, ATOLL, "node", "--config", this.#configFile];
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#log += text;
    });
    child.on("close", () => {
      running.delete(child);
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = child;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    child.kill(signal);
    return ended;
  }

  /** All but the keys, the configuration and the genesis file is lost. Of a node that does not run. */
  loseDisk(): void {
    rmSync(join(this.#folder, "data"), { recursive: true });
  }

  lines(): LogLine[] {
    return parseLog(this.#log);
  }

  /** What is not a line of the log: errors of a start, crashes. */
  complaints(): string {
    return this.#log
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("{"))
      .join("\n");
  }

  /** Undefined: it does not answer. */
  async status(timeoutMs = 3_000): Promise<NodeStatus | undefined> {
    try {
      const answer = await fetch(`${this.url}/api/v2/status`, { signal: AbortSignal.timeout(timeoutMs) });
      const status = Cbor.decode<Record<string, unknown>>(new Uint8Array(await answer.arrayBuffer()));
      return {
        health: String(status.replica_health_status),
        certifiedHeight: Number(status.certified_height ?? 0),
        rootKey: new Uint8Array(status.root_key as Uint8Array),
      };
    } catch {
      return undefined;
    }
  }
}
