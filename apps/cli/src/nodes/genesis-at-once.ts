// The genesis of a subnet whose hosts have one operator: all steps on one machine, which has all keys for as long as that
// takes. The keys of the subnet are dealt all the same, as by hosts that trust nobody.
import { join } from "node:path";
import { lowThreshold } from "@atoll/consensus";
import { nodeClock, writeKeyFile } from "@atoll/host-node";
import type { SubnetType } from "@atoll/types";
import { type Genesis, genesisJson, writeJson } from "./genesis-files.ts";
import type { HostOptions, SubnetOptions } from "./genesis-options.ts";
import { assemble, dealFor, type GenesisPorts, newIdentity, proposalOf, settingsOf } from "./genesis-steps.ts";
import { GENESIS_FILE, makePrivateFolder, writeNodeFolder } from "./node-folder.ts";

export const REGISTRY_KEY_FILE = "registry-keys.json";
const REGISTRY_KEYS = "registry operator";

export interface GenesisOfAll {
  readonly out: string;
  readonly hosts: readonly HostOptions[];
  readonly passphrase: string | undefined;
  readonly subnet: SubnetOptions;
}

/** Writes everything into the folder `out`: `node-1`, `node-2`, ... in the order of `hosts`. */
export function makeGenesis(options: GenesisOfAll, ports: GenesisPorts): Genesis {
  const { genesis, write } = dealGenesis(options, ports);
  write(genesis);
  return genesis;
}

export interface DealtGenesis {
  readonly genesis: Genesis;
  /** Writes what is to be the genesis of all nodes, and their folders. */
  write(genesis: Genesis): void;
}

/** The keys of a subnet, before it is said which others there are. */
export function dealGenesis(
  { out, hosts, passphrase, subnet, subnetType }: GenesisOfAll & { readonly subnetType?: SubnetType },
  ports: GenesisPorts,
): DealtGenesis {
  const { crypto } = ports;
  makePrivateFolder(out);
  const registrySeed = newRegistryKeys(join(out, REGISTRY_KEY_FILE), passphrase, ports);
  const identities = hosts.map((host) => ({ host, ...newIdentity(host, ports) }));
  const registryKey = crypto.ed25519PublicKey(registrySeed);
  const nodes = identities.map(({ node }) => node);
  const facts = { registryKey, time: nodeClock.now(), settings: settingsOf(subnet), ...(subnetType && { subnetType }) };
  const proposal = proposalOf(nodes, facts, crypto);
  // More dealings than it takes would be made for nothing.
  const dealers = proposal.nodes.slice(0, lowThreshold(nodes.length)).map(({ nodeId }) => nodeId);
  const dealings = identities
    .filter(({ node }) => dealers.includes(node.nodeId))
    .map(({ keys }) => dealFor(proposal, keys, ports));
  return {
    genesis: assemble(proposal, dealings, registrySeed, ports),
    write(genesis) {
      writeJson(join(out, GENESIS_FILE), genesisJson(genesis));
      for (const [i, { host, keys, node }] of identities.entries()) {
        const path = join(out, `node-${i + 1}`);
        writeNodeFolder(path, { keys, node, host, passphrase });
        writeJson(join(path, GENESIS_FILE), genesisJson(genesis));
      }
    },
  };
}

/** Makes the operator's keys; gives the Ed25519 seed. */
export function newRegistryKeys(
  path: string,
  passphrase: string | undefined,
  { crypto, entropy }: GenesisPorts,
): Uint8Array {
  const seed = entropy.randomBytes(32);
  const name = `${REGISTRY_KEYS} ${Buffer.from(crypto.ed25519PublicKey(seed)).toString("hex")}`;
  writeKeyFile(path, { name, secret: seed }, passphrase);
  return seed;
}
