// `atoll start`: a network on this machine. Opens the state folder, brings up the threads and the replica, serves
// HTTP, deploys the sample the first time, and says where everything is.
import { flushCompileCache } from "node:module";
import { join } from "node:path";
import { createGateway } from "@atoll/gateway";
import {
  createNodeCrypto,
  inlineWasm,
  nodeClock,
  nodeEntropy,
  openStateFolder,
  startHttpServer,
} from "@atoll/host-node";
import { createHttpHandler, Replica, soloReplicaOptions } from "@atoll/replica";
import { type LogPort, principalToText, toHex } from "@atoll/types";
import type { TimerPort } from "@atoll/types/http";
import { drive } from "./drive.ts";
import type { StartOptions } from "./options.ts";
import { deploySample } from "./sample.ts";
import { createScreen } from "./screen.ts";
import { noteBegun, readOrMakeSecrets, SUBNET } from "./secrets.ts";
import { type Ending, fatal } from "./signals.ts";
import { createThreadExecutor } from "./threads/thread-executor.ts";

export async function start(options: StartOptions, version: string, ending: Ending): Promise<void> {
  inlineWasm();
  const screen = createScreen(options);
  const log: LogPort = screen.log;
  const folder = openStateFolder(options.stateDir, { clean: options.clean });
  const crypto = await createNodeCrypto();
  const secrets = readOrMakeSecrets(folder, crypto, options);
  const replicaOptions = soloReplicaOptions(secrets, crypto);
  folder.storage(SUBNET);
  const executor = createThreadExecutor({
    config: replicaOptions.config,
    rootKey: replicaOptions.rootKey,
    storagePath: join(folder.path, `subnet-${SUBNET}`),
    checkpointBatches: testSetting("ATOLL_TEST_CHECKPOINT_BATCHES"),
    log,
    onCrash: fatal,
  });
  const ports = { clock: nodeClock, entropy: nodeEntropy, crypto, log };
  const replica = new Replica(
    { ...replicaOptions, onRound: screen.showRound, onQueryEvents: screen.showQueryEvents },
    ports,
    executor,
  );
  const apiHandler = createHttpHandler(replica.backend, {
    timer,
    log,
    implementation: { version: `atoll ${version}` },
    topology: true,
  });
  let samplePage: string | undefined;
  const gatewayHandler = createGateway({
    api: apiHandler,
    timer,
    ...ports,
    frontPage: () => ({ links: samplePage === undefined ? [] : [["Sample page", samplePage]] }),
  });
  const loaded = replica.start().then(() => noteBegun(folder));
  // A port that is taken is the more likely failure; a broken state folder is told all the same.
  const [server] = await Promise.all([startHttpServer({ ...options, apiHandler, gatewayHandler, log }), loaded]);
  const driver = drive(replica, nodeClock, fatal);
  await replica.firstCertified;
  const statusAfterMs = Math.round(process.uptime() * 1000);
  ending.by(async () => {
    await server.close();
    await driver.stop();
    await replica.stop();
    folder.close();
  });
  const sampleId = options.sample ? await deploySample(replica, folder) : undefined;
  samplePage = sampleId && `http://${principalToText(sampleId)}.localhost:${server.port}/`;
  screen.showReady({
    url: server.url,
    rootKey: toHex(replicaOptions.rootKey),
    stateDir: folder.path,
    samplePage,
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

/** A number that a test sets in the environment; it belongs to no interface. */
function testSetting(name: string): number | undefined {
  const value = Number(process.env[name]);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
