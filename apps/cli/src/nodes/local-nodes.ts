// The nodes of a network on this machine: their folders inside the state folder, made by a genesis the first time. They
// are there whole or not at all. At each start every node is told the ports of all, which may be others than last time.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeEntropy, type StateFolder } from "@atoll/host-node";
import { NODES_FOLDER, NODES_MAKING } from "@atoll/host-node/nodes-folder";
import { type CryptoPort, EnvironmentError, type PrincipalId, principalToText } from "@atoll/types";
import type { StartOptions } from "../options.ts";
import { hasSoloSecrets, wantSample } from "../secrets.ts";
import { makeGenesis } from "./genesis-at-once.ts";
import { readGenesis, readIdentity } from "./genesis-files.ts";
import { genesisFacts } from "./genesis-steps.ts";
import { freePorts } from "./local-ports.ts";
import { addressText, parseNodeConfig } from "./node-config.ts";
import { CONFIG_FILE, GENESIS_FILE, IDENTITY_FILE, KEY_FILE } from "./node-folder.ts";

export interface LocalNodes {
  readonly rootKey: Uint8Array;
  readonly subnetId: PrincipalId;
  readonly nodes: readonly {
    readonly id: PrincipalId;
    /** Of its own HTTP interface. */
    readonly url: string;
    /** That starts it. */
    readonly command: readonly string[];
  }[];
}

/**
 * So fast that a few nodes on one machine answer an update within half a second, and slow enough that they have time left
 * for work. Facts on consensus, section 23.
 */
const LOCAL_SUBNET = { unitDelayMs: 200, notaryDelayMs: 60, dkgInterval: 99 };
const PROGRAM = fileURLToPath(new URL("../main.ts", import.meta.url));

export async function openLocalNodes(
  folder: StateFolder,
  options: Pick<StartOptions, "nodes" | "sample">,
  crypto: CryptoPort,
): Promise<LocalNodes> {
  const path = join(folder.path, NODES_FOLDER);
  if (!existsSync(path)) await makeNodes(folder, options, crypto);
  const { rootKey, record, config } = genesisFacts(readGenesis(join(path, GENESIS_FILE)), crypto);
  const count = record.record.nodes.length;
  if (options.nodes !== undefined && options.nodes !== count) {
    throw new EnvironmentError(
      "OTHER_NETWORK",
      `The network in ${folder.path} has ${count} nodes, not ${options.nodes}: leave --nodes away, choose another state ` +
        "folder, or start again with --clean, which deletes the state of this network.",
    );
  }
  const places = Array.from({ length: count }, (_, i) => join(path, `node-${i + 1}`));
  const listeners = await chooseListeners(places);
  return {
    rootKey,
    subnetId: config.subnetId,
    nodes: listeners.map(({ id, http }, i) => ({
      id,
      url: `http://${addressText(http)}`,
      command: [process.execPath, PROGRAM, "node", "--config", join(places[i] ?? "", CONFIG_FILE)],
    })),
  };
}

async function makeNodes(
  folder: StateFolder,
  { nodes: count, sample }: Pick<StartOptions, "nodes" | "sample">,
  crypto: CryptoPort,
): Promise<void> {
  if (hasSoloSecrets(folder) || folder.subnets().length > 0) {
    throw new EnvironmentError(
      "OTHER_NETWORK",
      `The network in ${folder.path} runs in one process: choose another state folder for --nodes, or start again with ` +
        "--clean, which deletes the state of this network.",
    );
  }
  const making = join(folder.path, NODES_MAKING);
  // Of a start that was killed.
  rmSync(making, { recursive: true, force: true });
  const ports = await freePorts(Array.from({ length: 2 * (count ?? 1) }, () => 0));
  const at = (place: number) => ({ host: "127.0.0.1", port: ports[place] ?? 0 });
  const hosts = Array.from({ length: count ?? 1 }, (_, i) => ({
    address: at(2 * i),
    http: at(2 * i + 1),
    listen: undefined,
    dataDir: undefined,
  }));
  makeGenesis({ out: making, hosts, passphrase: undefined, subnet: LOCAL_SUBNET }, { crypto, entropy: nodeEntropy });
  // Before the network is there: a first start that is killed leaves the sample to be deployed by the next one.
  if (sample) wantSample(folder);
  renameSync(making, join(folder.path, NODES_FOLDER));
}

/** Writes the ports of all nodes into the configuration of each. */
async function chooseListeners(places: readonly string[]) {
  const files = places.map((place) => join(place, CONFIG_FILE));
  const configs = files.map((file) => parseNodeConfig(readFileSync(file, "utf8"), file));
  const ids = places.map((place) => readIdentity(join(place, IDENTITY_FILE)).nodeId);
  const ports = await freePorts(configs.flatMap(({ p2p, http }) => [p2p.port, http.port]));
  const chosen = configs.map(({ p2p, http }, i) => ({
    id: ids[i] as PrincipalId,
    p2p: { ...p2p, port: ports[2 * i] ?? p2p.port },
    http: { ...http, port: ports[2 * i + 1] ?? http.port },
  }));
  const addresses = Object.fromEntries(chosen.map(({ id, p2p }) => [principalToText(id), addressText(p2p)]));
  for (const [i, { p2p, http }] of chosen.entries()) {
    const config = { keyFile: KEY_FILE, genesisFile: GENESIS_FILE, p2p, http, addresses, log: { level: "warning" } };
    writeFileSync(files[i] ?? "", `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  }
  return chosen;
}
