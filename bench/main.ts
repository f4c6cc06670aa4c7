// `npm run bench`: every figure as a ratio to a baseline of the same run, as a table. Each part runs in a process of
// its own, so that none inherits the heap or the compiled code of another.
//   npm run bench -- --short            proves that everything runs; its figures mean little
//   npm run bench -- --only=update,query
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Row } from "./measure.ts";
import { formatTable } from "./table.ts";

export interface BenchOptions {
  readonly short: boolean;
}

type Part = (options: BenchOptions) => Promise<readonly Row[]>;

const PARTS: Readonly<Record<string, { readonly rows: readonly string[]; load(): Promise<Part> }>> = {
  wasm: { rows: ["wasm", "rewriter"], load: async () => (await import("./wasm-rows.ts")).wasmRows },
  install: { rows: ["install"], load: async () => (await import("./install.ts")).benchInstall },
  systemCalls: { rows: ["system-calls"], load: async () => (await import("./system-calls.ts")).benchSystemCalls },
  counter: { rows: ["update", "query"], load: async () => (await import("./counter.ts")).benchCounter },
  rollback: { rows: ["rollback"], load: async () => (await import("./rollback.ts")).benchRollback },
  snapshots: { rows: ["snapshots"], load: async () => (await import("./snapshots.ts")).benchSnapshots },
  slices: { rows: ["slices"], load: async () => (await import("./slices.ts")).benchSlices },
  tasks: { rows: ["heartbeats", "timers"], load: async () => (await import("./tasks.ts")).benchTasks },
  networks: {
    rows: ["first-instance", "further-instance", "rest-call", "library-call", "cross-subnet", "ticks", "fork"],
    load: async () => (await import("./networks.ts")).benchNetworks,
  },
  p2p: { rows: ["p2p"], load: async () => (await import("./p2p.ts")).benchP2p },
  round: { rows: ["round"], load: async () => (await import("./round.ts")).benchRound },
  stateSync: { rows: ["state-sync"], load: async () => (await import("./state-sync.ts")).benchStateSync },
  chainKey: {
    rows: ["chain-key", "dealing-4", "dealing-13"],
    load: async () => (await import("./chain-key.ts")).benchChainKey,
  },
  signatures: { rows: ["signatures"], load: async () => (await import("./signatures.ts")).benchSignatures },
  simulator: {
    rows: ["simulator", "simulator-counting"],
    load: async () => (await import("./simulator.ts")).benchSimulator,
  },
  front: { rows: ["front"], load: async () => (await import("./front.ts")).benchFront },
  nodes: {
    rows: ["nodes", "nodes-4", "nodes-update", "nodes-updates", "nodes-return", "nodes-13"],
    load: async () => (await import("./nodes.ts")).benchNodes,
  },
};

async function main(args: readonly string[]): Promise<void> {
  const short = args.includes("--short");
  const only = args
    .find((arg) => arg.startsWith("--only="))
    ?.slice("--only=".length)
    .split(",");
  const rows: Row[] = [];
  for (const [name, part] of Object.entries(PARTS)) {
    if (only !== undefined && !part.rows.some((row) => only.includes(row))) continue;
    if (process.stderr.isTTY) process.stderr.write(`measuring: ${part.rows.join(", ")} ...\n`);
    rows.push(...(await runApart(name, short)));
  }
  process.stdout.write(args.includes("--json") ? `${JSON.stringify(rows)}\n` : `${formatTable(rows, short)}\n`);
}

/** Runs a part in a process of its own. */
function runApart(part: string, short: boolean): Promise<readonly Row[]> {
  const child = fork(fileURLToPath(import.meta.url), [`--part=${part}`, ...(short ? ["--short"] : [])]);
  return new Promise((resolve, reject) => {
    let rows: readonly Row[] | undefined;
    child.on("message", (message) => {
      rows = message as readonly Row[];
    });
    child.on("exit", (code) => {
      if (code === 0 && rows !== undefined) resolve(rows);
      else reject(new Error(`the benchmark "${part}" ended with ${code}`));
    });
  });
}

async function runPart(name: string, short: boolean): Promise<void> {
  const run = await PARTS[name]?.load();
  if (run === undefined) throw new Error(`there is no benchmark "${name}"`);
  const rows = await run({ short });
  process.send?.(rows);
  process.disconnect?.();
}

const part = process.argv.find((arg) => arg.startsWith("--part="))?.slice("--part=".length);
if (part !== undefined && process.send !== undefined) await runPart(part, process.argv.includes("--short"));
else await main(process.argv.slice(2));
