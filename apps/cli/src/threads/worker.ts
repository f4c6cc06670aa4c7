// A worker thread of this program, with the stacks that running canisters takes, and what threads may hold of the memory
// that all of them share. thread-executor.ts and query-calls.ts start them.
import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { type Transferable, Worker } from "node:worker_threads";

/** Our own depth counter decides how deep a canister may call; the engine's stack must be larger than that. */
const STACK_MB = 64;
const RESOURCE_LIMITS = { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: 8192 };

/**
 * Suspended executions have stacks of their own (JSPI), as large as these flags say, of which only what is touched takes
 * memory. Threads that are running already keep the stack that they have.
 */
function enlargeSuspendableStacks(): void {
  const kib = STACK_MB * 1000;
  setFlagsFromString(`--stack-size=${kib}`);
  setFlagsFromString(`--wasm-stack-switching-stack-size=${kib}`);
}

/** `onCrash`: it ended by itself, and nothing can be done but to end the process. */
export function startThread(
  file: string,
  { data, transfer, onCrash }: { data?: object; transfer?: Transferable[]; onCrash: (error: Error) => void },
): Worker {
  enlargeSuspendableStacks();
  const thread = new Worker(new URL(file, import.meta.url), {
    workerData: data,
    transferList: transfer ?? [],
    resourceLimits: RESOURCE_LIMITS,
    stdout: false,
    stderr: false,
  });
  thread.on("error", onCrash);
  return thread;
}

/** What the executions of all subnets, and their queries, may each hold in live instances: an eighth of the memory, 8 GiB at most. */
export function maxInstanceBytes(): number {
  const memory = process.constrainedMemory() || totalmem();
  return Math.floor(Math.min(totalmem(), memory, 64 * 1024 ** 3) / 8);
}
