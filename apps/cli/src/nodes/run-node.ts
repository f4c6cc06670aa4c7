// `atoll node`: one node of a subnet of many, as a process. Reads its files, opens its sockets, and hands over to the loop
// that moves it on (drive-node.ts). Whatever it needs to know of others it finds in the registry.
import { flushCompileCache } from "node:module";
import { nodePublicKeys } from "@atoll/consensus";
import { createNodeCrypto, inlineWasm, openStateFolder, startHttpServer } from "@atoll/host-node";
import { NodeStorage } from "@atoll/host-node/storage-node";
import { setStateAside } from "@atoll/state";
import { EnvironmentError, type LogPort, principalToText, toHex } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import type { NodeOptions } from "../options.ts";
import type { Ending } from "../signals.ts";
import { createFrontDoor, type FrontDoor } from "./front-door.ts";
import { LINK_PROTOCOL } from "./front-link.ts";
import { readGenesis } from "./genesis-files.ts";
import { genesisFacts } from "./genesis-steps.ts";
import { addressText, isLoopback, type NodeConfig, readNodeConfig } from "./node-config.ts";
import { readNodeKeys } from "./node-folder.ts";
import { createNodeLog } from "./node-log.ts";
import { NodeProcess } from "./node-process.ts";
import { isOperatorTarget } from "./operator-api.ts";
import { openSubnetState } from "./own-state.ts";
import { passphraseOf } from "./passphrase.ts";
import { isSupervised, tellSupervisor } from "./supervised.ts";

export async function runNode({ config: path }: NodeOptions, version: string, ending: Ending): Promise<void> {
  inlineWasm();
  const config = readNodeConfig(path);
  const log = createNodeLog(config.log);
  const { keys } = readNodeKeys(config.keyFile, await passphraseOf(config.keyFile, config.passphrase));
  const crypto = await createNodeCrypto();
  const genesis = genesisFacts(readGenesis(config.genesisFile), crypto);
  const { nodeId } = nodePublicKeys(keys, crypto);
  const folder = openStateFolder(config.dataDir);
  const node = await startedNode({ config, keys, nodeId, genesis, version }, { crypto, folder, log });
  const door = createFrontDoor(node.api, log);
  const servers = await listen(config, node, door, log);
  ending.by(async () => {
    door.close();
    for (const server of servers) await server.close();
    await node.stop();
    folder.close();
    log.log("info", "the node has ended");
  });
  const [{ url } = { url: "" }] = servers;
  const id = principalToText(nodeId);
  const subnet = principalToText(genesis.config.subnetId);
  log.log("info", "the node serves", {
    node: id,
    subnet,
    http: url,
    p2p: addressText({ ...config.p2p, port: node.p2pPort }),
  });
  tellSupervisor({ kind: "ready", id, url, rootKey: toHex(genesis.rootKey) });
  flushCompileCache();
}

/** What the disk has damaged the other nodes have whole: then it begins anew, and fetches the state of the others. */
async function startedNode(...[parts, places]: ConstructorParameters<typeof NodeProcess>): Promise<NodeProcess> {
  const node = new NodeProcess(parts, places);
  try {
    await node.start();
    return node;
  } catch (error) {
    if (!(error instanceof EnvironmentError) || error.code !== "STATE_CORRUPT") throw error;
    const what = "The state on the disk is damaged: it is set aside, and that of the other nodes is fetched.";
    places.log.log("error", what, { why: error.message });
  }
  await node.stop();
  setStateAside(new NodeStorage(openSubnetState(places.folder)));
  const anew = new NodeProcess(parts, places);
  await anew.start();
  return anew;
}

/** Clients first. The operator's paths are on a listener of their own where others than this machine can reach that. */
async function listen(
  { http, operator }: NodeConfig,
  node: { readonly api: HttpHandler; readonly operatorApi: HttpHandler },
  door: FrontDoor,
  log: LogPort,
) {
  const isOwn = operator === undefined && isLoopback(http.host);
  const forClients: HttpHandler = async (request) => {
    if (isOwn && isOperatorTarget(request.target)) return node.operatorApi(request);
    return node.api(request);
  };
  // A front is on this machine, as what supervises the node is.
  const upgrade = isSupervised() && isLoopback(http.host) && { protocol: LINK_PROTOCOL, take: door.take };
  const servers = [await startHttpServer({ ...http, apiHandler: forClients, log, ...(upgrade && { upgrade }) })];
  if (operator !== undefined) servers.push(await startHttpServer({ ...operator, apiHandler: node.operatorApi, log }));
  return servers;
}
