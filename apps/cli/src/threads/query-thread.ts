// The thread that answers queries and inspects messages, always on the last certified state. Deltas wait in their
// port until the main thread says that their height is certified; so a query and the data certificate that came
// with it belong to the same state.
import { flushCompileCache } from "node:module";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { executeQuery, FeeSchedule, filterIngress, newQueryState, QueryExecutor } from "@atoll/execution";
import type { Height } from "@atoll/types";
import type { FromQuery, QueryThreadData, ToQuery, ToReader } from "./thread-messages.ts";

const { config, rootKey, instances, deltas } = workerData as QueryThreadData;
const main = parentPort;
if (main === null) throw new Error("query-thread.ts runs as a worker thread only");

Error.stackTraceLimit = 0;
const READER = 0;
const pages: { slabs: Uint8Array[]; heights: Int32Array } = { slabs: [], heights: new Int32Array(1) };
const queries = new QueryExecutor(newQueryState(config, rootKey, pages), new FeeSchedule(config), instances);

// Each thread keeps what it compiled: the next start finds the types stripped already.
setImmediate(flushCompileCache);

main.on("message", (messages: readonly ToQuery[]) => {
  const answers: FromQuery[] = [];
  for (const message of messages) {
    if (message.kind === "advance") advance(message.height);
    else if (message.kind === "query")
      answers.push({ kind: "result", id: message.id, result: executeQuery(queries, message.call) });
    else if (message.kind === "take-stats")
      answers.push({ kind: "stats", id: message.id, stats: queries.stats.take() });
    else answers.push({ kind: "filtered", id: message.id, error: filterIngress(queries, message.message) });
  }
  if (answers.length > 0) main.postMessage(answers);
});

/** Applies all deltas up to `height`; they were posted before the main thread heard of the round. */
function advance(height: Height): void {
  while (queries.state.height < height) {
    const received = receiveMessageOnPort(deltas) as { message: ToReader } | undefined;
    if (received === undefined) continue;
    const { message } = received;
    if (message.kind === "slab") pages.slabs.push(message.slab);
    else if (message.kind === "heights") pages.heights = message.heights;
    else {
      queries.apply(message.delta);
      if (queries.state.height >= height) break;
    }
  }
  Atomics.store(pages.heights, READER, height);
}
