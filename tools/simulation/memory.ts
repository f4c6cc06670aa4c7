// Whether memory stays flat however long a run is: heights and the size of the heap after a collection, again and again. By hand:
//   node --expose-gc tools/simulation/memory.ts --rounds 100000 --fleet counting
import { parseArgs } from "node:util";
import { drawPlan, runPlan, SECOND } from "@atoll/simulator";
import { nodeHost } from "./host.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100000" },
    members: { type: "string", default: "4" },
    fleet: { type: "string", default: "counting" },
  },
});

/** Lines of the log between two looks. */
const LINES = 200_000;

const plan = drawPlan("memory", { members: Number(values.members), hasFaults: false });
let [lines, height] = [0, 0];
const tell = (line: string): void => {
  const finalized = /node 0 finalized (\d+)/.exec(line);
  if (finalized !== null) height = Number(finalized[1]);
  if (++lines % LINES !== 0) return;
  globalThis.gc?.();
  console.log(`height ${height}: ${(process.memoryUsage().heapUsed / 1e6).toFixed(1)} MB`);
};
// Ten rounds in a virtual second, about.
const safetyNs = (Number(values.rounds) / 10 / Number(values.members)) * SECOND;
const result = await runPlan({ ...plan, safetyNs }, await nodeHost(values.fleet === "whole" ? "whole" : "counting"), {
  tell,
  heals: false,
});
console.log(`${result.nodeRounds} node-rounds, ${result.failure?.message ?? "all well"}`);
