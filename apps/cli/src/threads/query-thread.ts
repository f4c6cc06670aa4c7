// The thread that answers queries and inspects messages, for each subnet always on its last certified state. Deltas
// wait in their port until the main thread says that their height is certified; so a query and the data certificate
// that came with it belong to the same state.
import { flushCompileCache } from "node:module";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { InstanceBudget } from "@atoll/embedder";
import { executeQuery, FeeSchedule, filterIngress, newQueryState, QueryExecutor } from "@atoll/execution";
import { type Height, invariant } from "@atoll/types";
import type { FromQuery, QueryThreadData, ReaderData, ToQuery, ToReader } from "./thread-messages.ts";

/** The state of one subnet as queries see it. */
interface Reader {
  readonly data: ReaderData;
  pages: { slabs: Uint8Array[]; heights: Int32Array };
  queries: QueryExecutor;
}

const main = parentPort;
if (main === null) throw new Error("query-thread.ts runs as a worker thread only");

Error.stackTraceLimit = 0;
/** The place of this thread's height in the array of those who look at a subnet's pages. */
const READER = 0;
const readers = new Map<number, Reader>();
const budget = new InstanceBudget((workerData as QueryThreadData).instances);

// Each thread keeps what it compiled: the next start finds the types stripped already.
setImmediate(flushCompileCache);

main.on("message", (messages: readonly ToQuery[]) => {
  const answers: FromQuery[] = [];
  for (const message of messages) {
    const answer = serve(message);
    if (answer !== undefined) answers.push(answer);
  }
  if (answers.length > 0) main.postMessage(answers);
});

function serve(message: ToQuery): FromQuery | undefined {
  if (message.kind === "open") {
    readers.set(message.reader, openReader(message.data));
    return undefined;
  }
  const reader = readers.get(message.reader);
  invariant(reader !== undefined, "a subnet is opened before it is asked");
  const { queries } = reader;
  switch (message.kind) {
    case "advance":
      advance(reader, message.height);
      return undefined;
    case "query":
      return { kind: "result", id: message.id, result: executeQuery(queries, message.call) };
    case "filter":
      return { kind: "filtered", id: message.id, error: filterIngress(queries, message.message) };
    case "take-stats":
      return { kind: "stats", id: message.id, stats: queries.stats.take() };
  }
}

function openReader(data: ReaderData, heights: Int32Array = new Int32Array(1)): Reader {
  const { config, rootKey } = data;
  const pages: Reader["pages"] = { slabs: [], heights };
  const queries = new QueryExecutor(newQueryState(config, rootKey, pages), new FeeSchedule(config), { budget });
  return { data, pages, queries };
}

/** Applies all deltas up to `height`; they were posted before the main thread heard of the round. */
function advance(reader: Reader, height: Height): void {
  while (reader.queries.state.height < height) {
    const received = receiveMessageOnPort(reader.data.deltas) as { message: ToReader } | undefined;
    if (received === undefined) continue;
    const { message } = received;
    if (message.kind === "slab") reader.pages.slabs.push(message.slab);
    else if (message.kind === "heights") beginAnew(reader, message.heights);
    else reader.queries.apply(message.delta);
  }
  Atomics.store(reader.pages.heights, READER, height);
}

/** Another state takes the place of the one that was there, with pages of its own. */
function beginAnew(reader: Reader, heights: Int32Array): void {
  reader.queries.close();
  Object.assign(reader, openReader(reader.data, heights));
}
