// The nodes of a network on this machine: their folders inside the state folder, made by a genesis the first time. They
// are there whole or not at all. At each start every node is told the ports of all, which may be others than last time.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeEntropy, type StateFolder } from "@atoll/host-node";
import { NODES_FOLDER, NODES_MAKING } from "@atoll/host-node/nodes-folder";
import type { SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import { type CryptoPort, EnvironmentError, type PrincipalId, principalToText } from "@atoll/types";
import type { StartOptions } from "../options.ts";
import { hasSoloSecrets, wantSample } from "../secrets.ts";
import { makeGenesis } from "./genesis-at-once.ts";
import { readGenesis, readIdentity } from "./genesis-files.ts";
import { type GenesisFacts, genesisFacts } from "./genesis-steps.ts";
import { freePorts } from "./local-ports.ts";
import { makeNetwork, namedSubnets, readSubnets, requireKinds } from "./local-subnets.ts";
import { addressText, parseNodeConfig } from "./node-config.ts";
import { CONFIG_FILE, GENESIS_FILE, IDENTITY_FILE, KEY_FILE } from "./node-folder.ts";

export interface LocalSubnet {
  readonly id: PrincipalId;
  readonly kind: SubnetKind;
  readonly facts: GenesisFacts;
}

export interface LocalNodes {
  readonly rootKey: Uint8Array;
  /** The root subnet first. */
  readonly subnets: readonly LocalSubnet[];
  readonly nodes: readonly {
    readonly id: PrincipalId;
    /** Of its own HTTP interface. */
    readonly url: string;
    /** Place of its subnet. */
    readonly subnet: number;
    /** That starts it. */
    readonly command: readonly string[];
  }[];
}

/**
 * So fast that a few nodes on one machine answer an update within half a second, and slow enough that they have time left
 * for work. Facts on consensus, section 23. Keys take about a second of each node in every interval; a node that starts
 * executes up to an interval of blocks again.
 */
const LOCAL_SUBNET = { unitDelayMs: 200, notaryDelayMs: 60, dkgInterval: 199 };
const PROGRAM = fileURLToPath(new URL("../main.ts", import.meta.url));
/** Many nodes share the processors: helping threads of each one's garbage collector only get in the others' way. */
const ENGINE_FLAGS = ["--no-parallel-scavenge"];

type Asked = Pick<StartOptions, "nodes" | "subnets" | "sample">;

export async function openLocalNodes(folder: StateFolder, options: Asked, crypto: CryptoPort): Promise<LocalNodes> {
  const path = join(folder.path, NODES_FOLDER);
  if (!existsSync(path)) await makeNodes(folder, options, crypto);
  const named = readSubnets(path);
  requireKinds(folder.path, named, options.subnets);
  const subnets = named.map(({ name, kind }): LocalSubnet => {
    const facts = genesisFacts(readGenesis(join(path, name, GENESIS_FILE)), crypto);
    return { id: facts.config.subnetId, kind, facts };
  });
  const places = named.flatMap(({ name }, subnet) => {
    const count = subnets[subnet]?.facts.record.record.nodes.length ?? 0;
    return Array.from({ length: count }, (_, i) => ({ subnet, path: join(path, name, `node-${i + 1}`) }));
  });
  const count = places.length / subnets.length;
  if (options.nodes !== undefined && options.nodes !== count) {
    throw new EnvironmentError(
      "OTHER_NETWORK",
      `The network in ${folder.path} has ${count} nodes${named.length > 1 ? " for each subnet" : ""}, not ` +
        `${options.nodes}: leave --nodes away, choose another state folder, or start again with --clean, which deletes ` +
        "the state of this network.",
    );
  }
  const listeners = await chooseListeners(places, subnets);
  return {
    rootKey: (subnets[0] as LocalSubnet).facts.rootKey,
    subnets,
    nodes: listeners.map(({ id, http }, i) => ({
      id,
      url: `http://${addressText(http)}`,
      subnet: places[i]?.subnet ?? 0,
      command: [
        process.execPath,
        ...ENGINE_FLAGS,
        PROGRAM,
        "node",
        "--config",
        join(places[i]?.path ?? "", CONFIG_FILE),
      ],
    })),
  };
}

async function makeNodes(
  folder: StateFolder,
  { nodes: count = 1, subnets: kinds, sample }: Asked,
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
  const named = namedSubnets(kinds);
  const ports = await freePorts(Array.from({ length: 2 * count * named.length }, () => 0));
  const at = (place: number) => ({ host: "127.0.0.1", port: ports[place] ?? 0 });
  const hostsOf = (subnet: number) =>
    Array.from({ length: count }, (_, i) => {
      const first = 2 * (subnet * count + i);
      return { address: at(first), http: at(first + 1), listen: undefined, dataDir: undefined };
    });
  const genesisPorts = { crypto, entropy: nodeEntropy };
  if (kinds.length > 0) makeNetwork(making, named, hostsOf, LOCAL_SUBNET, genesisPorts);
  else makeGenesis({ out: making, hosts: hostsOf(0), passphrase: undefined, subnet: LOCAL_SUBNET }, genesisPorts);
  // Before the network is there: a first start that is killed leaves the sample to be deployed by the next one.
  if (sample) wantSample(folder);
  renameSync(making, join(folder.path, NODES_FOLDER));
}

/** Writes the ports of all nodes into the configuration of each. */
async function chooseListeners(
  places: readonly { readonly subnet: number; readonly path: string }[],
  subnets: readonly LocalSubnet[],
) {
  const files = places.map(({ path }) => join(path, CONFIG_FILE));
  const configs = files.map((file) => parseNodeConfig(readFileSync(file, "utf8"), file));
  const ids = places.map(({ path }) => readIdentity(join(path, IDENTITY_FILE)).nodeId);
  const ports = await freePorts(configs.flatMap(({ p2p, http }) => [p2p.port, http.port]));
  const chosen = configs.map(({ p2p, http }, i) => ({
    id: ids[i] as PrincipalId,
    p2p: { ...p2p, port: ports[2 * i] ?? p2p.port },
    http: { ...http, port: ports[2 * i + 1] ?? http.port },
  }));
  const addresses = Object.fromEntries(chosen.map(({ id, p2p }) => [principalToText(id), addressText(p2p)]));
  const serving = subnets.map(({ id }, subnet) => {
    const own = chosen.filter((_, i) => places[i]?.subnet === subnet);
    return [principalToText(id), own.map(({ http }) => addressText(http)).join(" ")] as const;
  });
  for (const [i, { p2p, http }] of chosen.entries()) {
    const others = Object.fromEntries(serving.filter((_, subnet) => subnet !== places[i]?.subnet));
    const config = {
      ...{ keyFile: KEY_FILE, genesisFile: GENESIS_FILE, p2p, http, addresses, log: { level: "warning" } },
      ...(serving.length > 1 && { subnets: others }),
    };
    writeFileSync(files[i] ?? "", `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  }
  return chosen;
}
