// The main thread's end of the query thread, which all subnets of the process share: what is asked in the same turn of
// the event loop travels in one message.
import type { Transferable } from "node:worker_threads";
import type { QueryOutcome } from "@atoll/execution";
import type { Executor } from "@atoll/replica";
import type { CanisterQueryStats, UserError } from "@atoll/types";
import type { FromQuery, QueryThreadData, ReaderData, ToQuery } from "./thread-messages.ts";
import { maxInstanceBytes, startThread } from "./worker.ts";

/** The reading half of an executor. */
type SubnetQueries = Pick<Executor, "advance" | "query" | "filter" | "takeQueryStats">;

export interface QueryThread {
  /** One more subnet to answer for. */
  open(data: ReaderData): SubnetQueries;
  stop(): Promise<void>;
}

type Answer = QueryOutcome | UserError | readonly CanisterQueryStats[] | undefined;

export function startQueryThread(onCrash: (error: Error) => void): QueryThread {
  const data: QueryThreadData = { instances: { maxBytes: maxInstanceBytes() } };
  const thread = startThread("query-thread.ts", { data, onCrash });
  const waiting = new Map<number, (answer: Answer) => void>();
  let outgoing: ToQuery[] = [];
  let ports: Transferable[] = [];
  let nextId = 0;
  let nextReader = 0;
  thread.on("message", (answers: readonly FromQuery[]) => {
    for (const answer of answers) {
      waiting.get(answer.id)?.(contentOf(answer));
      waiting.delete(answer.id);
    }
  });
  const tell = (message: ToQuery, ...transfer: Transferable[]): void => {
    if (outgoing.length === 0) {
      setImmediate(() => {
        thread.postMessage(outgoing, ports);
        outgoing = [];
        ports = [];
      });
    }
    outgoing.push(message);
    ports.push(...transfer);
  };
  const ask = (message: (id: number) => ToQuery): Promise<Answer> =>
    new Promise((resolve) => {
      const id = nextId++;
      waiting.set(id, resolve);
      tell(message(id));
    });
  return {
    open(data) {
      const reader = nextReader++;
      tell({ kind: "open", reader, data }, data.deltas);
      return {
        advance: (height) => tell({ kind: "advance", reader, height }),
        query: (call) => ask((id) => ({ kind: "query", reader, id, call })) as Promise<QueryOutcome>,
        filter: (message) => ask((id) => ({ kind: "filter", reader, id, message })) as Promise<UserError | undefined>,
        takeQueryStats: () =>
          ask((id) => ({ kind: "take-stats", reader, id })) as Promise<readonly CanisterQueryStats[]>,
      };
    },
    async stop() {
      await thread.terminate();
    },
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
