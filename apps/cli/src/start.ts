// `atoll start`: a network on this machine. Opens the state folder, brings up the threads and the replica, serves
// HTTP, deploys the sample the first time, and says where everything is.
import { flushCompileCache } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { createGateway } from "@atoll/gateway";
import { createNodeCrypto, nodeClock, nodeEntropy, openStateFolder, type StateFolder, startHttpServer } from "@atoll/host-node";
import { createHttpHandler, makeSecrets, type NodeSecrets, Replica, soloReplicaOptions } from "@atoll/replica";
import { type CryptoPort, decodeState, encodeState, type LogPort, toHex } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";
import { drive } from "./drive.ts";
import type { StartOptions } from "./options.ts";
import { deploySample } from "./sample.ts";
import { createScreen } from "./screen.ts";
import { createThreadExecutor } from "./threads/thread-executor.ts";

const SUBNET = "root";
/** Instrumented code is larger: without more room V8 silently stops inlining it. */
const V8_FLAGS = [
  "--wasm-inlining-factor=12",
  "--wasm-inlining-min-budget=500",
  "--wasm-inlining-max-size=2000",
  "--wasm-inlining-budget=20000",
];

export async function start(options: StartOptions, version: string): Promise<void> {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
  const screen = createScreen(options);
  const log: LogPort = screen.log;
  const folder = openStateFolder(options.stateDir, { clean: options.clean });
  const crypto = await createNodeCrypto();
  const { secrets, isNew } = readOrMakeSecrets(folder, crypto);
  const replicaOptions = soloReplicaOptions(secrets, crypto);
  folder.storage(SUBNET);
  const executor = createThreadExecutor({
    config: replicaOptions.config,
    rootKey: replicaOptions.rootKey,
    storagePath: join(folder.path, `subnet-${SUBNET}`),
    log,
    onCrash: fatal,
  });
  const ports = { clock: nodeClock, entropy: nodeEntropy, crypto, log };
  const replica = new Replica({ ...replicaOptions, onRound: screen.showRound }, ports, executor);
  const apiHandler = createHttpHandler(replica.backend, {
    timer,
    log,
    implementation: { version: `atoll ${version}` },
  });
  const gatewayHandler = createGateway({ api: apiHandler, timer, ...ports });
  const loaded = replica.start();
  // A port that is taken is the more likely failure; a broken state folder is told all the same.
  const [server] = await Promise.all([startHttpServer({ ...options, apiHandler, gatewayHandler, log }), loaded]);
  const driver = drive(replica, nodeClock, fatal);
  await replica.firstCertified;
  const statusAfterMs = Math.round(process.uptime() * 1000);
  const end = async (): Promise<void> => {
    await server.close();
    await driver.stop();
    await replica.stop();
    folder.close();
  };
  endOnSignals(end);
  const sampleId = options.sample ? await deploySample(replica, folder, isNew) : undefined;
  screen.showReady({
    url: server.url,
    rootKey: toHex(replicaOptions.rootKey),
    stateDir: folder.path,
    sampleId,
    statusAfterMs,
  });
  flushCompileCache();
}

const timer: TimerPort = {
  after(milliseconds, callback) {
    const handle = setTimeout(callback, milliseconds);
    return () => clearTimeout(handle);
  },
};

/** The keys of the network: what makes it the same network after a restart. */
function readOrMakeSecrets(folder: StateFolder, crypto: CryptoPort): { secrets: NodeSecrets; isNew: boolean } {
  const saved = folder.readSecret("node");
  if (saved !== undefined) return { secrets: decodeState(saved) as NodeSecrets, isNew: false };
  const secrets = makeSecrets(nodeEntropy, crypto);
  folder.writeSecret("node", encodeState(secrets));
  return { secrets, isNew: true };
}

function endOnSignals(end: () => Promise<void>): void {
  let isEnding = false;
  const onSignal = (): void => {
    if (isEnding) return;
    isEnding = true;
    end().then(() => process.exit(0), fatal);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
}

/** Something that must not happen: say it and stop, the state folder is safe. */
function fatal(error: unknown): never {
  process.stderr.write(`atoll: stopped by an error of its own, the state folder is not damaged: ${(error as Error)?.stack ?? error}\n`);
  process.exit(70);
}
