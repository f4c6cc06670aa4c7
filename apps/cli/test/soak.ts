// `npm run soak -- --heights 10000 [--nodes 4]`: a network of node processes that runs for so many heights under a steady
// load, and must not grow: memory and disk of each node are looked at every few hundred heights, and what they are in the
// last third must be what they were in the middle one. Prints a line for each look; exit code 1 when something grew.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { endAll, type Network, startNetwork, temporaryFolder } from "./process.ts";
import { agentOf, deploy, recorderActor, recorderWasm } from "./recorder.ts";

interface Look {
  readonly height: number;
  /** Of the node that has most, in MiB. */
  readonly memory: number;
  readonly disk: number;
}

const LOOKS = 30;
/** Between the thirds: garbage is collected when there is time for it. */
const MOST_GROWTH = 1.25;
const SLACK_MIB = 30;

const { values } = parseArgs({ options: { heights: { type: "string" }, nodes: { type: "string" } } });
const heights = Number(values.heights ?? 10_000);
const stateDir = temporaryFolder();
const network = await startNetwork({ stateDir, args: ["--nodes", values.nodes ?? "4"], timeoutMs: 300_000 });
const looks = await soak(network);
const { code, stderr } = await network.kill("SIGTERM");
await endAll();
const grown = (["memory", "disk"] as const).filter((what) => hasGrown(looks.map((look) => look[what])));
process.stdout.write(
  grown.length === 0 && code === 0 ? "Nothing grew.\n" : `Grown: ${grown.join(", ")}; ended with ${code}: ${stderr}\n`,
);
process.exit(grown.length === 0 && code === 0 ? 0 : 1);

async function soak(running: Network): Promise<Look[]> {
  const canister = await deploy(agentOf(running), await recorderWasm());
  const actor = recorderActor(agentOf(running), canister);
  const every = Math.max(1, Math.floor(heights / LOOKS));
  const seen: Look[] = [];
  const first = (await lookAt(running)).height;
  for (let call = 0; ; call++) {
    await actor.record(1n, BigInt(call % 1_000));
    const look = await lookAt(running);
    if (look.height >= first + (seen.length + 1) * every) {
      seen.push(look);
      const { height, memory, disk } = look;
      process.stdout.write(`height ${height}: ${memory.toFixed(0)} MiB of memory, ${disk.toFixed(1)} MiB of disk\n`);
    }
    if (look.height >= first + heights) return seen;
    await pause(200);
  }
}

async function lookAt({ nodes }: Network): Promise<Look> {
  const all = await Promise.all(
    nodes.map(async ({ url }, i) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      const value = (name: string) =>
        Number(
          text
            .split("\n")
            .find((line) => line.startsWith(`${name} `))
            ?.split(" ")[1],
        );
      return {
        height: value('atoll_height{step="finalized"}'),
        memory: value("process_resident_memory_bytes") / 2 ** 20,
        disk: sizeOf(join(stateDir, "nodes", `node-${i + 1}`, "data")) / 2 ** 20,
      };
    }),
  );
  const most = (of: (look: Look) => number) => Math.max(...all.map(of));
  return { height: most(({ height }) => height), memory: most(({ memory }) => memory), disk: most(({ disk }) => disk) };
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).reduce((sum, entry) => {
    try {
      return sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).size : 0);
    } catch {
      // Gone meanwhile.
      return sum;
    }
  }, 0);
}

function hasGrown(values: readonly number[]): boolean {
  const third = Math.floor(values.length / 3);
  const most = (part: readonly number[]) => Math.max(...part);
  return most(values.slice(2 * third)) > most(values.slice(third, 2 * third)) * MOST_GROWTH + SLACK_MIB;
}
