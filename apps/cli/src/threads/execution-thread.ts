// The thread that executes: it owns the state and its files. One message in, one round out, in order.
// Started by thread-executor.ts; the replica on the main thread decides what it executes.
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { crc32 } from "node:zlib";
import { sha256 } from "@atoll/host-node/crypto-node";
import { NodeStorage } from "@atoll/host-node/storage-node";
import type { ExecutedRound } from "@atoll/replica";
import { AppendingRecorder } from "@atoll/replica/appending-recorder";
import { DurableState } from "@atoll/replica/durable-state";
import { PageStore } from "@atoll/state";
import { EnvironmentError, invariant } from "@atoll/types";
import type { ExecutionThreadData, FromExecution, ToExecution, ToReader } from "./thread-messages.ts";

const { config, rootKey, storagePath, recording, checkpointBatches, agreedCheckpoints, instances, deltas } =
  workerData as ExecutionThreadData;
const main = parentPort;
if (main === null) throw new Error("execution-thread.ts runs as a worker thread only");
const answer = (message: FromExecution): void => main.postMessage(message);
const tellReader = (message: ToReader): void => deltas.postMessage(message);

// A trap is an exception that nobody looks at: collecting its stack would cost more than the rest of the message.
Error.stackTraceLimit = 0;
const storage = new NodeStorage(storagePath);
let durable: DurableState | undefined;

let served = Promise.resolve();
main.on("message", (message: ToExecution) => {
  served = served.then(async () => {
    try {
      await serve(message);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      answer({ kind: "failed", code: error.code, message: error.message });
    }
  });
});

async function serve(message: ToExecution): Promise<void> {
  switch (message.kind) {
    case "start": {
      answer({ kind: "round", round: await begin() });
      // Each thread keeps what it compiled: the next start finds the types stripped already.
      setImmediate(flushCompileCache);
      break;
    }
    case "execute":
      if (durable === undefined) break;
      answer({ kind: "round", round: tellDelta(await durable.execute(message.batch)) });
      // Not awaited: the next message may come in between, and waits for the slice itself.
      void durable.runAhead();
      hashBetween();
      break;
    case "serve-state":
      answer({ kind: "state-served", answer: durable?.agreed?.serve(message.question) });
      break;
    case "fetch-state": {
      const reply = durable?.agreed?.fetch(message.step);
      invariant(reply !== undefined, "a state is fetched where checkpoints are agreed");
      answer({ kind: "state-fetched", reply });
      break;
    }
    case "install-state":
      answer({
        kind: "state-installed",
        round: durable?.installFetched(message.height) === true ? await begin() : undefined,
      });
      break;
    case "stop":
      durable?.close();
      answer({ kind: "stopped" });
      break;
  }
}

/** Goes on from what the disk holds: at the start, and when a state of other nodes was put there. */
async function begin(): Promise<ExecutedRound> {
  const pages = new PageStore({ shared: true });
  pages.onNewSlab = (slab) => tellReader({ kind: "slab", slab });
  tellReader({ kind: "heights", heights: pages.heights });
  durable = openState(pages);
  const { agreed } = durable;
  if (agreed !== undefined) agreed.onStateHash = (height, hash) => answer({ kind: "state-hash", height, hash });
  const whole = await durable.start();
  // From here on a reader is expected, even if its thread is not up yet: no page that it may look at is reused.
  Atomics.store(pages.heights, 0, whole.height);
  hashBetween();
  return tellDelta(whole);
}

let isHashing = false;

/** Hashes a checkpoint chunk by chunk, between what else there is to do. */
function hashBetween(): void {
  if (isHashing) return;
  isHashing = true;
  const next = (): void => {
    isHashing = durable?.agreed?.hashSome() === true;
    if (isHashing) setImmediate(next);
  };
  setImmediate(next);
}

function openState(pages: PageStore): DurableState {
  return new DurableState(
    {
      config,
      rootKey,
      pages,
      instances,
      agreedCheckpoints,
      ...(checkpointBatches === undefined ? {} : { checkpointBatches }),
      ...(recording && { recorder: openRecorder(recording) }),
    },
    {
      storage,
      crypto: { sha256 },
      log: { log: (level, text) => answer({ kind: "log", level, message: text }) },
      crc32,
    },
  );
}

function openRecorder({ folder, file }: NonNullable<ExecutionThreadData["recording"]>): AppendingRecorder {
  return new AppendingRecorder(file, { storage: new NodeStorage(folder), crypto: { sha256 }, crc32 });
}

function tellDelta({ delta, ...round }: Awaited<ReturnType<DurableState["start"]>>): ExecutedRound {
  tellReader({ kind: "delta", delta });
  return round;
}
