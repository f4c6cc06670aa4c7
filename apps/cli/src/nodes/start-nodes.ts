// `atoll start --nodes N`: one subnet of N nodes on this machine, each a process of its own, and in this process what keeps
// them running and one address in front of all. Looks to a client as a network in one process does.
import { flushCompileCache } from "node:module";
import { createGateway } from "@atoll/gateway";
import { createNodeCrypto, nodeClock, nodeEntropy, openStateFolder, startHttpServer } from "@atoll/host-node";
import { principalToText, toHex } from "@atoll/types";
import type { StartOptions } from "../options.ts";
import { deploySample } from "../sample.ts";
import { createScreen } from "../screen.ts";
import type { Ending } from "../signals.ts";
import { nodeTimer } from "../timer.ts";
import { remoteCalls } from "./api-calls.ts";
import { createFront } from "./front.ts";
import { openLocalNodes } from "./local-nodes.ts";
import type { FromNode } from "./supervised.ts";
import { createSupervisor } from "./supervisor.ts";

export async function startNodes(options: StartOptions, ending: Ending): Promise<void> {
  const screen = createScreen(options);
  const { log } = screen;
  const folder = openStateFolder(options.stateDir, { clean: options.clean });
  const crypto = await createNodeCrypto();
  const local = await openLocalNodes(folder, options, crypto);
  const front = createFront(local.nodes.length, log);
  let shownHeight = 0;
  const showLines = (message: FromNode): void => {
    if (message.kind === "ready") return;
    // All nodes execute a round; it is shown once.
    if (message.kind === "round" && message.height <= shownHeight) return;
    if (message.kind === "round") shownHeight = message.height;
    screen.showLines(message.lines);
  };
  const supervisor = createSupervisor({
    commands: local.nodes.map(({ command }) => command),
    log,
    onMessage(place, message) {
      if (message.kind === "ready") front.setNode(place, message.url);
      else showLines(message);
    },
    onEnded: (place) => front.setNode(place, undefined),
  });
  let samplePage: string | undefined;
  const gatewayHandler = createGateway({
    api: front.api,
    timer: nodeTimer,
    clock: nodeClock,
    entropy: nodeEntropy,
    crypto,
    frontPage: () => ({ links: samplePage === undefined ? [] : [["Sample page", samplePage]] }),
  });
  const server = await startHttpServer({ ...options, apiHandler: front.api, gatewayHandler, log });
  ending.by(async () => {
    await server.close();
    await supervisor.stop();
    front.stop();
    folder.close();
  });
  await supervisor.start();
  await front.firstHealthy();
  const statusAfterMs = Math.round(process.uptime() * 1000);
  const sampleId = options.sample ? await deploySample(remoteCalls(server.url, local.rootKey), folder) : undefined;
  samplePage = sampleId && `http://${principalToText(sampleId)}.localhost:${server.port}/`;
  screen.showReady({
    url: server.url,
    rootKey: toHex(local.rootKey),
    subnets: [{ id: principalToText(local.subnetId), kind: "application" }],
    nodes: local.nodes.map(({ id, url }, place) => ({ id: principalToText(id), pid: supervisor.pid(place) ?? 0, url })),
    stateDir: folder.path,
    samplePage,
    statusAfterMs,
  });
  flushCompileCache();
}
