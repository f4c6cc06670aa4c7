// Runs f of a module in a thread with a large stack and tells how deep it came: a test's worker.
import { parentPort, workerData } from "node:worker_threads";
import { run, StackOverflow } from "./running.ts";

const running = run(workerData as Uint8Array);
const used: number[] = [];
for (let round = 0; round < 40; round++) {
  running.reset();
  try {
    running.exports.f(0);
  } catch (error) {
    if (!(error instanceof StackOverflow)) throw error;
  }
  used.push(running.used());
}
parentPort?.postMessage(used);
