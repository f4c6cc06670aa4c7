// The main thread's end of the others: an Executor whose rounds run on a thread of the subnet's own, and whose queries
// on the one that answers those of all subnets.
import { MessageChannel, type Worker } from "node:worker_threads";
import type { InstanceLimits } from "@atoll/embedder";
import type { ExecutedRound, Executor, StateFetchReply } from "@atoll/replica";
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
  /** See DurableStateOptions. */
  readonly agreedCheckpoints?: boolean;
  readonly log: LogPort;
  readonly queries: QueryThread;
  /** A thread ended by itself: nothing can be done but to end the process. */
  readonly onCrash: (error: Error) => void;
}

export function createThreadExecutor(options: ThreadExecutorOptions): Executor {
  const { port1, port2 } = new MessageChannel();
  const { config, rootKey, storagePath, recording, checkpointBatches, onCrash } = options;
  const instances = instanceLimits(options.subnetCount);
  const { agreedCheckpoints = false } = options;
  const own = { config, rootKey, storagePath, recording, checkpointBatches, agreedCheckpoints };
  const data: ExecutionThreadData = { ...own, instances, deltas: port1 };
  const execution = startThread("execution-thread.ts", { data, transfer: [port1], onCrash });
  const ask = stateCalls(execution, options.log, (height, hash) => executor.onStateHash?.(height, hash));
  const executor: Executor = {
    start: () => ask({ kind: "start" }) as Promise<ExecutedRound>,
    execute: (batch) => ask({ kind: "execute", batch }) as Promise<ExecutedRound>,
    ...options.queries.open({ config, rootKey, deltas: port2 }),
    onStateHash: undefined,
    serveState: (question) => ask({ kind: "serve-state", question }) as Promise<Uint8Array | undefined>,
    fetchState: (step) => ask({ kind: "fetch-state", step }) as Promise<StateFetchReply>,
    installState: (height) => ask({ kind: "install-state", height }) as Promise<ExecutedRound | undefined>,
    async stop() {
      await ask({ kind: "stop" });
      await execution.terminate();
    },
  };
  return executor;
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

type Answer = ExecutedRound | StateFetchReply | Uint8Array | undefined;

/** Calls are answered in order. */
function stateCalls(
  thread: Worker,
  log: LogPort,
  onStateHash: NonNullable<Executor["onStateHash"]>,
): (message: ToExecution) => Promise<Answer> {
  const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  thread.on("message", (message: FromExecution) => {
    switch (message.kind) {
      case "log":
        log.log(message.level, message.message);
        break;
      case "round":
      case "state-installed":
        waiting.shift()?.resolve(message.round);
        break;
      case "state-served":
        waiting.shift()?.resolve(message.answer);
        break;
      case "state-fetched":
        waiting.shift()?.resolve(message.reply);
        break;
      case "state-hash":
        onStateHash(message.height, message.hash);
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
