// Whether memory stays flat however long a run is: exit code 1 when the heap after a collection is larger in the last third of the
// run than in the middle one, or when the run fails.
import { parseArgs } from "node:util";
import { heapVerdict, measureHeap } from "./heap-growth.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100000" },
    members: { type: "string", default: "4" },
    fleet: { type: "string", default: "counting" },
  },
});

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const { nodeRounds, samples, failure } = await measureHeap({
  rounds: Number(values.rounds),
  members: Number(values.members),
  fleet: values.fleet === "whole" ? "whole" : "counting",
  onSample: ({ height, bytes }) => console.log(`height ${height}: ${megabytes(bytes)}`),
});
const { middle, last, grows } = heapVerdict(samples);
console.log(`${nodeRounds} node-rounds: ${failure ?? (grows ? "memory grows" : "memory stays flat")}`);
console.log(
  `after a collection, median of the middle third ${megabytes(middle)}, of the last third ${megabytes(last)}`,
);
process.exitCode = failure !== undefined || grows ? 1 : 0;
