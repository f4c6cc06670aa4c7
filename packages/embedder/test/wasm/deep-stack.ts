// Runs f of a module in a thread with a large stack, in slices, until the stack overflows, and tells what that used:
// a test's worker.
import { parentPort, workerData } from "node:worker_threads";
import { run, StackOverflow } from "./running.ts";

const { wasm, slice } = workerData as { wasm: Uint8Array; slice: number };
let finished = 0;
const running = run(
  wasm,
  {},
  {
    outOfInstructions: () => {
      finished += running.used();
      running.reset(slice);
    },
  },
);
const used: number[] = [];
for (let round = 0; round < 40; round++) {
  finished = 0;
  running.reset(slice);
  try {
    running.exports.f(0);
  } catch (error) {
    if (!(error instanceof StackOverflow)) throw error;
  }
  used.push(finished + running.used());
}
parentPort?.postMessage(used);
