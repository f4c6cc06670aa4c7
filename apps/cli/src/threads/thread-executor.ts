// The main thread's end of the two others: an Executor whose rounds and queries run elsewhere. Queries that arrive
// in the same turn of the event loop travel in one message.
import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { MessageChannel, Worker } from "node:worker_threads";
import type { QueryOutcome } from "@atoll/execution";
import type { ExecutedRound, Executor } from "@atoll/replica";
import type { SubnetConfig } from "@atoll/state";
import { type CanisterQueryStats, EnvironmentError, type LogPort, type UserError } from "@atoll/types";
import type {
  ExecutionThreadData,
  FromExecution,
  FromQuery,
  QueryThreadData,
  ToExecution,
  ToQuery,
} from "./thread-messages.ts";

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

export interface ThreadExecutorOptions {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  readonly storagePath: string;
  /** See DurableStateOptions. */
  readonly checkpointBatches: number | undefined;
  readonly log: LogPort;
  /** A thread ended by itself: nothing can be done but to end the process. */
  readonly onCrash: (error: Error) => void;
}

export function createThreadExecutor(options: ThreadExecutorOptions): Executor {
  enlargeSuspendableStacks();
  const { port1, port2 } = new MessageChannel();
  const { config, rootKey, storagePath, checkpointBatches } = options;
  const instances = { maxBytes: instanceBytes() };
  const data: ExecutionThreadData = { config, rootKey, storagePath, checkpointBatches, instances, deltas: port1 };
  const execution = startThread("execution-thread.ts", data, port1);
  const queryData: QueryThreadData = { config, rootKey, instances, deltas: port2 };
  const query = startThread("query-thread.ts", queryData, port2);
  for (const thread of [execution, query]) thread.on("error", options.onCrash);
  const rounds = roundCalls(execution, options.log);
  const queries = queryCalls(query);
  return {
    start: () => rounds({ kind: "start" }) as Promise<ExecutedRound>,
    execute: (batch) => rounds({ kind: "execute", batch }) as Promise<ExecutedRound>,
    advance: (height) => queries.tell({ kind: "advance", height }),
    query: (call) => queries.ask((id) => ({ kind: "query", id, call })) as Promise<QueryOutcome>,
    filter: (message) => queries.ask((id) => ({ kind: "filter", id, message })) as Promise<UserError | undefined>,
    takeQueryStats: () => queries.ask((id) => ({ kind: "take-stats", id })) as Promise<readonly CanisterQueryStats[]>,
    async stop() {
      await rounds({ kind: "stop" });
      await Promise.all([execution.terminate(), query.terminate()]);
    },
  };
}

/** What either thread may hold in live instances: an eighth of the memory that there is, 8 GiB at most. */
function instanceBytes(): number {
  const memory = process.constrainedMemory() || totalmem();
  return Math.floor(Math.min(totalmem(), memory, 64 * 1024 ** 3) / 8);
}

function startThread(file: string, workerData: object, port: ReturnType<typeof Object>): Worker {
  return new Worker(new URL(file, import.meta.url), {
    workerData,
    transferList: [port as never],
    resourceLimits: RESOURCE_LIMITS,
    stdout: false,
    stderr: false,
  });
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

type Answer = QueryOutcome | UserError | readonly CanisterQueryStats[] | undefined;

interface QueryCalls {
  tell(message: ToQuery): void;
  ask(message: (id: number) => ToQuery): Promise<Answer>;
}

function queryCalls(thread: Worker): QueryCalls {
  const waiting = new Map<number, (answer: Answer) => void>();
  let outgoing: ToQuery[] = [];
  let nextId = 0;
  thread.on("message", (answers: readonly FromQuery[]) => {
    for (const answer of answers) {
      waiting.get(answer.id)?.(contentOf(answer));
      waiting.delete(answer.id);
    }
  });
  const tell = (message: ToQuery): void => {
    if (outgoing.length === 0) {
      setImmediate(() => {
        thread.postMessage(outgoing);
        outgoing = [];
      });
    }
    outgoing.push(message);
  };
  return {
    tell,
    ask: (message) =>
      new Promise((resolve) => {
        const id = nextId++;
        waiting.set(id, resolve);
        tell(message(id));
      }),
  };
}

function contentOf(answer: FromQuery): Answer {
  switch (answer.kind) {
    case "result":
      return answer.result;
    case "filtered":
      return answer.error;
    case "stats":
      return answer.stats;
  }
}
