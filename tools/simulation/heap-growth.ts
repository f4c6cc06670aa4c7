// How much memory a long run holds: the heap after a collection, again and again while its heights grow, and whether it goes on
// growing. What is remembered for a while has come to its full size in the first third.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { drawPlan, runPlan, SECOND } from "@atoll/simulator";
import { type Fleet, nodeHost } from "./host.ts";

export interface HeapSample {
  readonly height: number;
  readonly bytes: number;
}

export interface HeapRun {
  readonly nodeRounds: number;
  readonly samples: readonly HeapSample[];
  /** Why the run itself is none. */
  readonly failure: string | undefined;
}

interface LongRun {
  /** Of the subnet, about. */
  readonly rounds: number;
  readonly members: number;
  readonly fleet: Fleet;
  /** So many rounds without one, at least. Default: a sixtieth of the run. */
  readonly every?: number;
  readonly onSample?: (sample: HeapSample) => void;
}

const SAMPLES = 60;
/** Virtual time of the run that says how long a round is. */
const PACE_NS = 10 * SECOND;
/** Of the heap: what one collection of a long run leaves more than another. */
const NOISE = 0.05;

export async function measureHeap({ rounds, members, fleet, every: given, onSample }: LongRun): Promise<HeapRun> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const samples: HeapSample[] = [];
  const every = given ?? Math.max(1, Math.floor(rounds / SAMPLES));
  let next = every;
  const tell = (line: string): void => {
    if (!line.includes(" node 0 finalized ")) return;
    const height = Number(/ finalized (\d+)/.exec(line)?.[1]);
    if (height < next) return;
    next = height + every;
    collect();
    const sample = { height, bytes: process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers };
    samples.push(sample);
    onSample?.(sample);
  };
  const host = await nodeHost(fleet);
  const planFor = (safetyNs: number) => drawPlan("memory", { members, hasFaults: false, safetyNs });
  const { finalizedHeight } = await runPlan(planFor(PACE_NS), host, { heals: false });
  const safetyNs = Math.ceil((rounds * PACE_NS) / Math.max(1, finalizedHeight));
  const { nodeRounds, failure } = await runPlan(planFor(safetyNs), host, { tell, heals: false });
  return { nodeRounds, samples, failure: failure?.message };
}

export interface HeapVerdict {
  /** Medians, in bytes. */
  readonly middle: number;
  readonly last: number;
  readonly grows: boolean;
}

/** Throws when there is too little to tell. */
export function heapVerdict(samples: readonly HeapSample[], noise: number = NOISE): HeapVerdict {
  const third = Math.floor(samples.length / 3);
  if (third < 3) throw new RangeError("too short a run to tell whether memory grows");
  const middle = median(samples.slice(-2 * third, -third));
  const last = median(samples.slice(-third));
  return { middle, last, grows: last > middle * (1 + noise) };
}

function median(samples: readonly HeapSample[]): number {
  const sorted = samples.map(({ bytes }) => bytes).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}
