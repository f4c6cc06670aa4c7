// What HTTP costs in front of a network of many node processes: CPU of the front for one update, from the client's bytes to
// the answer's, with many clients that wait for a round at the same time; and what a node pays to be reached by a front.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Role } from "./front-process.ts";
import { type Load, openLoad, postBytes } from "./load.ts";
import { cpuOf, ed25519Verification, median, type Row, spread } from "./measure.ts";

const PATH = "/api/v4/canister/rwlgt-iiaaa-aaaaa-aaaaa-cai/call";
/** About what a signed call without an argument takes. */
const BODY = new Uint8Array(450).fill(7);

/** Microseconds of CPU per request. */
interface Cost {
  readonly front: number;
  readonly nodes: number;
}

export async function benchFront({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const [windows, count, clients] = short ? [2, 500, 64] : [7, 12_000, 1_200];
  const nodes = await start<readonly string[]>({});
  const front = await start<number>({ nodes: nodes.told });
  const load = await openLoad(front.told, clients);
  try {
    const window = () => measure(load, [front.child, nodes.child], front.told, count);
    await window();
    const pairs: (Cost & { verification: number })[] = [];
    for (let i = 0; i < windows; i++) {
      pairs.push({ ...(await window()), verification: ed25519Verification(short ? 20 : 300) });
    }
    return [
      {
        name: "front",
        what: `CPU of the front of 4 nodes for one update, ${clients} clients that wait for rounds`,
        baseline: "one Ed25519 verification",
        ...spread(pairs.map((pair) => pair.front / pair.verification)),
        goal: 1.25,
        laterGoal: 0.6,
        notes: [
          `${median(pairs.map((pair) => pair.front)).toFixed(0)} us of CPU, and ` +
            `${median(pairs.map((pair) => pair.nodes)).toFixed(0)} us in a node that answers at once`,
        ],
      },
    ];
  } finally {
    load.close();
    front.child.disconnect();
    nodes.child.disconnect();
  }
}

async function measure(load: Load, children: readonly ChildProcess[], port: number, count: number): Promise<Cost> {
  const cpu = () => children.map(({ pid = 0 }) => cpuOf(pid));
  const before = cpu();
  await load.run(new Array<Uint8Array>(count).fill(postBytes(port, PATH, BODY)));
  // In a short run it may be less than is counted.
  const [front = 0, nodes = 0] = cpu().map((after, i) => Math.max(1, after - (before[i] ?? 0)) / count);
  return { front, nodes };
}

async function start<Told>(role: Role): Promise<{ child: ChildProcess; told: Told }> {
  const child = fork(fileURLToPath(new URL("front-process.ts", import.meta.url)));
  child.send(role);
  const [told] = (await once(child, "message")) as [Told];
  return { child, told };
}
