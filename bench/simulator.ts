// What a node of a simulated subnet costs for a round, everything that drives and checks it included: with light signatures, four
// nodes and nothing that goes wrong. Against one Ed25519 verification; the notes say how many it makes in a second of a core.
import { drawPlan, runPlan, SECOND } from "@atoll/simulator";
import { type Fleet, nodeHost } from "../tools/simulation/host.ts";
import { ed25519Verification, median, ownCpu, type Row, spread } from "./measure.ts";

const MEMBERS = 4;
/** Node-rounds in a second of a core. */
const GOAL = 500;
/** Virtual seconds of a run that is hardly more than its start. */
const START_SECONDS = 1;

export async function benchSimulator({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const fleet of ["whole", "counting"] as const) {
    const ratios: number[] = [];
    const costs: number[] = [];
    const later: number[] = [];
    for (let window = -1; window < (short ? 1 : 7); window++) {
      const verification = ed25519Verification(short ? 20 : 200);
      const begun = await run(fleet, START_SECONDS);
      const whole = await run(fleet, short ? 2 : 30);
      const cost = whole.us / whole.nodeRounds;
      if (window < 0) continue;
      ratios.push(cost / verification);
      costs.push(cost);
      later.push((whole.us - begun.us) / Math.max(1, whole.nodeRounds - begun.nodeRounds));
    }
    rows.push({
      name: fleet === "whole" ? "simulator" : "simulator-counting",
      what: `a round of one of ${MEMBERS} simulated nodes: ${fleet === "whole" ? "replicas with real state" : "consensus alone"}`,
      baseline: "one Ed25519 verification",
      ...spread(ratios),
      goal: 20,
      laterGoal: 10,
      notes: [
        `${(1e6 / median(costs)).toFixed(0)} node-rounds in a second of a core (goal: ${GOAL}), ${median(costs).toFixed(0)} us of CPU each`,
        `${(1e6 / median(later)).toFixed(0)} in a second without the start of the run`,
      ],
    });
  }
  return rows;
}

/** `us`: of CPU, its start included. */
async function run(fleet: Fleet, seconds: number): Promise<{ readonly us: number; readonly nodeRounds: number }> {
  const begun = ownCpu();
  const host = await nodeHost(fleet);
  const plan = drawPlan("bench", { members: MEMBERS, safetyNs: seconds * SECOND, hasFaults: false });
  const { nodeRounds, failure } = await runPlan(plan, host, { heals: false });
  if (failure !== undefined) throw new Error(failure.message);
  return { us: ownCpu() - begun, nodeRounds };
}
