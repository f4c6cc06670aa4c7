// `atoll start --nodes N`: subnets of N nodes on this machine, each a process of its own, and in this process what keeps
// them running and one address in front of all. Looks to a client as a network in one process does.
import { flushCompileCache } from "node:module";
import { createGateway } from "@atoll/gateway";
import { createNodeCrypto, nodeClock, nodeEntropy, openStateFolder, startHttpServer } from "@atoll/host-node";
import { defaultSubnetOf } from "@atoll/pocket-ic/subnet-kinds";
import { type CryptoPort, type LogPort, principalToBytes, principalToText, toHex } from "@atoll/types";
import { Principal } from "@icp-sdk/core/principal";
import type { StartOptions } from "../options.ts";
import { deploySample } from "../sample.ts";
import { createScreen, type Screen } from "../screen.ts";
import type { Ending } from "../signals.ts";
import { nodeTimer } from "../timer.ts";
import { remoteCalls } from "./api-calls.ts";
import { createFront } from "./front.ts";
import { type LocalNodes, type LocalSubnet, openLocalNodes } from "./local-nodes.ts";
import { networkFront } from "./network-front.ts";
import type { FromNode } from "./supervised.ts";
import { createSupervisor } from "./supervisor.ts";

export async function startNodes(options: StartOptions, ending: Ending): Promise<void> {
  const screen = createScreen(options);
  const { log } = screen;
  const folder = openStateFolder(options.stateDir, { clean: options.clean });
  const crypto = await createNodeCrypto();
  const local = await openLocalNodes(folder, options, crypto);
  const { api, defaultSubnet, fronts, frontOf } = frontsOf(local, crypto, log);
  const showLines = linesShown(local, screen);
  const supervisor = createSupervisor({
    commands: local.nodes.map(({ command }) => command),
    log,
    onMessage(place, message) {
      if (message.kind === "ready") frontOf(place).setNode(place, message.url);
      else showLines(place, message);
    },
    onEnded: (place) => frontOf(place).setNode(place, undefined),
  });
  let samplePage: string | undefined;
  const gatewayHandler = createGateway({
    api,
    timer: nodeTimer,
    clock: nodeClock,
    entropy: nodeEntropy,
    crypto,
    frontPage: () => ({ links: samplePage === undefined ? [] : [["Sample page", samplePage]] }),
  });
  const server = await startHttpServer({ ...options, apiHandler: api, gatewayHandler, log });
  ending.by(async () => {
    await server.close();
    await supervisor.stop();
    for (const front of fronts) front.stop();
    folder.close();
  });
  await supervisor.start();
  await Promise.all(fronts.map((front) => front.firstHealthy()));
  const statusAfterMs = Math.round(process.uptime() * 1000);
  const sampleId = options.sample
    ? await deploySample(remoteCalls(server.url, local.rootKey, nearOf(defaultSubnet, local)), folder)
    : undefined;
  samplePage = sampleId && `http://${principalToText(sampleId)}.localhost:${server.port}/`;
  screen.showReady({
    url: server.url,
    rootKey: toHex(local.rootKey),
    subnets: local.subnets.map(({ id, kind }) => ({ id: principalToText(id), kind })),
    nodes: local.nodes.map(({ id, url, subnet }, place) => ({
      ...{ id: principalToText(id), pid: supervisor.pid(place) ?? 0, url },
      ...(local.subnets.length > 1 && { subnet: principalToText(local.subnets[subnet]?.id ?? id) }),
    })),
    stateDir: folder.path,
    samplePage,
    statusAfterMs,
  });
  flushCompileCache();
}

/** One for the nodes of each subnet, and where there are several, one in front of these. */
function frontsOf({ subnets, nodes }: LocalNodes, crypto: CryptoPort, log: LogPort) {
  const all = subnets.map((subnet, place) => {
    const front = createFront(nodes.filter((node) => node.subnet === place).length, log);
    const { publicKey, canisterRanges } = subnet.facts.config;
    return { ...subnet, front, canisterRanges, seed: crypto.sha256(publicKey) };
  });
  const defaultSubnet = defaultSubnetOf(all);
  const { topology } = all[0]?.facts.config ?? {};
  if (defaultSubnet === undefined) throw new TypeError("a network has a subnet");
  return {
    fronts: all.map(({ front }) => front),
    frontOf: (node: number) => (all[nodes[node]?.subnet ?? 0] ?? defaultSubnet).front,
    defaultSubnet,
    api: topology === undefined ? defaultSubnet.front.api : networkFront(topology, all, defaultSubnet.id),
  };
}

/** Calls that create a canister name an id of the subnet that gets it; where there is one subnet, that is not needed. */
function nearOf({ facts: { config } }: LocalSubnet, { subnets }: LocalNodes): Principal | undefined {
  const [[first] = []] = config.allocationRanges ?? [];
  return subnets.length < 2 || first === undefined ? undefined : Principal.fromUint8Array(principalToBytes(first));
}

/** All nodes of a subnet execute a round; it is shown once. */
function linesShown({ nodes }: LocalNodes, screen: Screen) {
  const shownHeights = new Map<number, number>();
  return (place: number, message: Exclude<FromNode, { kind: "ready" }>): void => {
    const subnet = nodes[place]?.subnet ?? 0;
    if (message.kind === "round") {
      if (message.height <= (shownHeights.get(subnet) ?? 0)) return;
      shownHeights.set(subnet, message.height);
    }
    screen.showLines(message.lines);
  };
}
