// `atoll start`: a network on this machine. Opens the state folder, brings up the network that is in it, serves HTTP,
// deploys the sample the first time, and says where everything is.
import { flushCompileCache } from "node:module";
import { createGateway } from "@atoll/gateway";
import {
  createNodeCrypto,
  inlineWasm,
  nodeClock,
  nodeEntropy,
  openStateFolder,
  requireRecordingsFolder,
  startHttpServer,
} from "@atoll/host-node";
import { type CanisterId, type LogPort, principalToText, toHex } from "@atoll/types";
import { openNetwork } from "./local-network.ts";
import type { StartOptions } from "./options.ts";
import { deploySample } from "./sample.ts";
import { canisterCalls } from "./sample-calls.ts";
import { createScreen } from "./screen.ts";
import { type Ending, fatal } from "./signals.ts";
import { startQueryThread } from "./threads/query-calls.ts";
import { nodeTimer } from "./timer.ts";

export async function start(options: StartOptions, version: string, ending: Ending): Promise<void> {
  inlineWasm();
  const screen = createScreen(options);
  const log: LogPort = screen.log;
  if (options.record !== undefined) requireRecordingsFolder(options.record);
  const folder = openStateFolder(options.stateDir, { clean: options.clean });
  // It begins to load while the curves do.
  const queries = startQueryThread(fatal);
  const crypto = await createNodeCrypto();
  const network = openNetwork(folder, options, {
    crypto,
    log,
    recordings: options.record,
    queries,
    onRound: (subnet, round) => screen.showRound(round, nameOf(subnet)),
    onQueryEvents: (subnet, events) => screen.showQueryEvents(events, nameOf(subnet)),
    http: { timer: nodeTimer, log, implementation: { version: `atoll ${version}` } },
  });
  // Where there is one subnet, nobody has to be told which.
  const nameOf = (subnet: string) => (network.subnets.length > 1 ? subnet : undefined);
  let samplePage: string | undefined;
  const gatewayHandler = createGateway({
    api: network.api,
    timer: nodeTimer,
    clock: nodeClock,
    entropy: nodeEntropy,
    crypto,
    frontPage: () => ({ links: samplePage === undefined ? [] : [["Sample page", samplePage]] }),
  });
  // A port that is taken is the more likely failure; a broken state folder is told all the same.
  const [server] = await Promise.all([
    startHttpServer({ ...options, apiHandler: network.api, gatewayHandler, log }),
    network.load(),
  ]);
  await network.run();
  const statusAfterMs = Math.round(process.uptime() * 1000);
  ending.by(async () => {
    await server.close();
    await network.stop();
    folder.close();
  });
  const calls = {
    ...canisterCalls(network.defaultReplica),
    exists: async (id: CanisterId) => network.replicaOf(id)?.backend.controllers(id) !== undefined,
  };
  const sampleId = options.sample ? await deploySample(calls, folder) : undefined;
  samplePage = sampleId && `http://${principalToText(sampleId)}.localhost:${server.port}/`;
  screen.showReady({
    url: server.url,
    rootKey: toHex(network.rootKey),
    subnets: network.subnets.map(({ id, kind }) => ({ id: principalToText(id), kind })),
    stateDir: folder.path,
    samplePage,
    statusAfterMs,
  });
  flushCompileCache();
}
