// The thread on which a script runs: a canister that does not come to an end keeps the thread busy, and only from
// outside can it be ended.

import { parentPort } from "node:worker_threads";
import { runScript, type ScriptRun } from "./run-script.ts";

export type ThreadAnswer = { readonly output: readonly string[] } | { readonly failure: string };

parentPort?.on("message", async (run: ScriptRun) => {
  let answer: ThreadAnswer;
  try {
    answer = { output: await runScript(run) };
  } catch (error) {
    answer = { failure: (error as Error).stack ?? String(error) };
  }
  parentPort?.postMessage(answer);
});
