// The server as a process: takes the port file, listens, and ends in order however it is asked to: by a signal, by its
// time to live, by a failure of its own.
import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { createOutcallClient, inlineWasm, nodeClock, requireRecordingsFolder, startHttpServer } from "@atoll/host-node";
import type { CryptoPort } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";
import { BlobStore } from "./blob-store.ts";
import type { ServerFlags } from "./flags.ts";
import { Gateways } from "./gateways.ts";
import { Instances } from "./instances.ts";
import { startLifetime } from "./lifetime.ts";
import { OperationGraph } from "./operations.ts";
import { takePortFile } from "./port-file.ts";
import { createRouter, instanceHandler, LONGEST_TIMEOUT_MS } from "./router.ts";
import { openServerLog, type ServerLog } from "./server-log.ts";

/** As long as a client may wait, and some more to be told. */
const ANSWER_TIMEOUT_MS = LONGEST_TIMEOUT_MS + 60_000;
/** State of a test may be large, and it comes in one body. */
const MAX_BODY_BYTES = 4 * 1024 ** 3 - 1;
const HARD_TTL_EXIT_CODE = 124;

/** Serves until the process ends. Throws EnvironmentError when it cannot listen. */
export async function runServer(flags: ServerFlags, cryptoLoading: Promise<CryptoPort>): Promise<void> {
  const portFile = flags.portFile === undefined ? undefined : takePortFile(flags.portFile);
  if (flags.portFile !== undefined && portFile === undefined) return;
  // Whatever ends the process, nobody may find a port that nobody listens on.
  process.on("exit", () => portFile?.remove());
  const log = openServerLog(flags.logLevels, process.env);
  const ending = endOnce(log);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => ending.now());
  // One instance that fails where nobody waits must not take the others with it.
  process.on("unhandledRejection", (error) => log.log("error", `failed: ${String((error as Error)?.stack ?? error)}`));
  inlineWasm();
  const recordings = flags.record ?? (process.env.ATOLL_RECORDINGS || undefined);
  if (recordings !== undefined) requireRecordingsFolder(recordings);
  const crypto = await cryptoLoading;
  const lifetime = startLifetime({
    ...flags,
    onTtl: () => ending.now(),
    onHardTtl: () => process.exit(HARD_TTL_EXIT_CODE),
  });
  const graph = new OperationGraph();
  const outcalls = createOutcallClient({ plainHttp: "loopback" });
  const instances = new Instances({ crypto, clock: nodeClock, timer, log, outcalls }, graph, log, recordings);
  const instance = (id: number) => instanceHandler(instances.get(id));
  const gateways = new Gateways({ crypto, timer, lifetime, instance });
  const router = createRouter({ blobs: new BlobStore(), graph, instances, gateways, crypto, log });
  const server = await startHttpServer({
    host: flags.ipAddr,
    port: flags.port,
    async apiHandler(request) {
      const end = lifetime.begin();
      try {
        return await router(request);
      } finally {
        end();
      }
    },
    limits: { maxBodyBytes: MAX_BODY_BYTES, answerTimeoutMs: ANSWER_TIMEOUT_MS },
    log,
  });
  ending.by(async () => {
    await gateways.stopAll();
    await instances.closeAll();
    portFile?.remove();
    await server.close();
  });
  portFile?.announce(server.port);
  log.log("info", `The PocketIC server is listening on port ${server.port}`);
  flushCompileCache();
  // Instances come and go; what they leave is collected before it has piled up. (Not earlier: a start would collect often.)
  setFlagsFromString("--heap-growing-percent=20");
}

/** The first call ends the process in order; a second one, for whoever does not want to wait, at once. */
function endOnce(log: ServerLog) {
  let isEnding = false;
  let inOrder = async (): Promise<void> => undefined;
  return {
    now(): void {
      if (isEnding) process.exit(1);
      isEnding = true;
      log.log("debug", "The PocketIC server will terminate");
      inOrder().then(
        () => process.exit(0),
        (error: unknown) => {
          log.log("error", `The server could not end in order: ${String((error as Error)?.stack)}`);
          process.exit(70);
        },
      );
    },
    by(end: () => Promise<void>): void {
      inOrder = end;
    },
  };
}

const timer: TimerPort = {
  after(milliseconds, callback) {
    const handle = setTimeout(callback, milliseconds);
    return () => clearTimeout(handle);
  },
};
