// Runs scripts one after the other on a thread of its own, each within a time limit; a thread that ran over it is
// ended and the next script gets a new one.

import { Worker } from "node:worker_threads";
import type { ScriptRun } from "./run-script.ts";
import type { ThreadAnswer } from "./run-thread.ts";

/** Our own depth counter decides how deep a canister may call; the engine's stack must be larger than that. */
const RESOURCE_LIMITS = { stackSizeMb: 64, maxOldGenerationSizeMb: 4096 };

export class ScriptRunner {
  #worker: Worker | undefined;

  async run(script: ScriptRun, limitMs: number): Promise<ThreadAnswer> {
    const worker =
      this.#worker ?? new Worker(new URL("run-thread.ts", import.meta.url), { resourceLimits: RESOURCE_LIMITS });
    this.#worker = worker;
    const { promise, resolve } = Promise.withResolvers<ThreadAnswer>();
    const onError = (error: unknown): void => resolve({ failure: String((error as Error).stack ?? error) });
    const timeout = setTimeout(() => resolve({ failure: `no end after ${limitMs / 1000} s` }), limitMs);
    worker.once("message", resolve);
    worker.once("error", onError);
    worker.postMessage(script);
    const answer = await promise;
    clearTimeout(timeout);
    worker.off("message", resolve);
    worker.off("error", onError);
    if ("failure" in answer) await this.stop();
    return answer;
  }

  async stop(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
  }
}
