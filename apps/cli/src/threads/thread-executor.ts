// The main thread's end of the others: an Executor whose rounds run on a thread of the subnet's own, and whose queries
// on the one that answers those of all subnets.
import { MessageChannel, type Worker } from "node:worker_threads";
import type { InstanceLimits } from "@atoll/embedder";
import type { ExecutedRound, Executor } from "@atoll/replica";
import type { SubnetConfig } from "@atoll/state";
import { EnvironmentError, type LogPort } from "@atoll/types";
import type { QueryThread } from "./query-calls.ts";
import type { ExecutionThreadData, FromExecution, ToExecution } from "./thread-messages.ts";
import { maxInstanceBytes, startThread } from "./worker.ts";

export interface ThreadExecutorOptions {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  readonly storagePath: string;
  readonly recording: ExecutionThreadData["recording"];
  /** How many subnets share the memory and the address space of this process. */
  readonly subnetCount: number;
  /** See DurableStateOptions. */
  readonly checkpointBatches: number | undefined;
  readonly log: LogPort;
  readonly queries: QueryThread;
  /** A thread ended by itself: nothing can be done but to end the process. */
  readonly onCrash: (error: Error) => void;
}

export function createThreadExecutor(options: ThreadExecutorOptions): Executor {
  const { port1, port2 } = new MessageChannel();
  const { config, rootKey, storagePath, recording, checkpointBatches, onCrash } = options;
  const instances = instanceLimits(options.subnetCount);
  const own = { config, rootKey, storagePath, recording, checkpointBatches };
  const data: ExecutionThreadData = { ...own, instances, deltas: port1 };
  const execution = startThread("execution-thread.ts", { data, transfer: [port1], onCrash });
  const rounds = roundCalls(execution, options.log);
  return {
    start: () => rounds({ kind: "start" }) as Promise<ExecutedRound>,
    execute: (batch) => rounds({ kind: "execute", batch }) as Promise<ExecutedRound>,
    ...options.queries.open({ config, rootKey, deltas: port2 }),
    onStateHash: undefined,
    serveState: async () => undefined,
    fetchState: async () => ({ questions: [], chunks: 0, of: 0, isComplete: false }),
    installState: async () => undefined,
    async stop() {
      await rounds({ kind: "stop" });
      await execution.terminate();
    },
  };
}

/** Live instances reserve address space, of which a process has enough for twice so many; queries have the other half. */
const MAX_INSTANCES = 4_000;
/** So many subnets can be there before they have to share more narrowly: subnets come while others are running. */
const SHARES = 8;

function instanceLimits(subnetCount: number): InstanceLimits {
  const maxBytes = Math.floor(maxInstanceBytes() / subnetCount);
  if (subnetCount === 1) return { maxBytes };
  return { maxBytes, maxInstances: Math.floor(MAX_INSTANCES / Math.max(SHARES, subnetCount)) };
}

/** One call at a time, answered in order. */
function roundCalls(thread: Worker, log: LogPort): (message: ToExecution) => Promise<ExecutedRound | undefined> {
  const waiting: { resolve(round: ExecutedRound | undefined): void; reject(error: Error): void }[] = [];
  thread.on("message", (message: FromExecution) => {
    switch (message.kind) {
      case "log":
        log.log(message.level, message.message);
        break;
      case "round":
        waiting.shift()?.resolve(message.round);
        break;
      case "stopped":
        waiting.shift()?.resolve(undefined);
        break;
      case "failed":
        waiting.shift()?.reject(new EnvironmentError(message.code, message.message));
        break;
    }
  });
  return (message) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      thread.postMessage(message);
    });
}
