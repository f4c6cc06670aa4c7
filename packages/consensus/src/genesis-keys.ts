// The first keys of a subnet, without anybody who ever knows them: its nodes-to-be make a dealing each for the low and the
// high key, before there are blocks, and from enough of these the initial transcripts come out. The subnet is named by its
// key, so that the dealings cannot name the subnet yet: they name a place that no subnet has. Sections 12.6 and 14.
import { selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto/subnet-key";
import { type CryptoPort, type NodeRecord, type PrincipalId, principalFromBytes } from "@atoll/types";
import { type Codec, record } from "@atoll/types/wire";
import type { ConsensusCrypto } from "./consensus-crypto.ts";
import { freshConfig } from "./dkg/local-configs.ts";
import {
  type DkgConfig,
  type DkgDealingMessage,
  type DkgTag,
  type DkgTranscript,
  dkgDealingMessage,
} from "./dkg-types.ts";
import { checkNodeRecord } from "./node-keys.ts";
import { dealingBytes } from "./signed-bytes.ts";

/** In place of the subnet in the ids of the first key generations. */
export const GENESIS_DEALERS: PrincipalId = principalFromBytes(new TextEncoder().encode("genesis dealers"));

/** What one node contributes. */
export interface GenesisDealings {
  readonly low: DkgDealingMessage;
  readonly high: DkgDealingMessage;
}

export const genesisDealingsCodec: Codec<GenesisDealings> = record<GenesisDealings>({
  low: dkgDealingMessage,
  high: dkgDealingMessage,
});

export interface GenesisKeys {
  readonly low: DkgTranscript;
  readonly high: DkgTranscript;
  /** 96 bytes: what clients verify certificates with, for as long as the subnet lives. */
  readonly publicKey: Uint8Array;
  /** Self-authenticating id of the key's DER form. */
  readonly subnetId: PrincipalId;
}

export type GenesisResult =
  | { readonly ok: true; readonly keys: GenesisKeys }
  /** `error`: a sentence that names the node whose part is wrong, or says how many dealings there are too few. */
  | { readonly ok: false; readonly error: string };

/** The key generations of genesis: all nodes deal, all nodes receive. */
export function genesisConfigs(nodes: readonly NodeRecord[], registryVersion: number): Record<DkgTag, DkgConfig> {
  const ids = nodes.map(({ nodeId }) => nodeId).sort();
  const config = (tag: DkgTag) =>
    freshConfig({ startHeight: 0, dealerSubnet: GENESIS_DEALERS, tag, target: undefined }, ids, ids, registryVersion);
  return { low: config("low"), high: config("high") };
}

/**
 * The part of node `self`, whose `consensusCrypto` it is; the only secrets it takes are that node's. Undefined: `self` is none
 * of the nodes. Not the same each time: all must use the one that was given out first.
 */
export function createGenesisDealings(
  self: PrincipalId,
  nodes: readonly NodeRecord[],
  registryVersion: number,
  consensusCrypto: ConsensusCrypto,
): GenesisDealings | undefined {
  const deal = (config: DkgConfig): DkgDealingMessage | undefined => {
    const content = consensusCrypto.createDealing(config, keysOf(nodes));
    if (content === undefined) return undefined;
    const unsigned = { dkgId: config.dkgId, dealer: self, content, signature: new Uint8Array() };
    return { ...unsigned, signature: consensusCrypto.signBasic(dealingBytes(unsigned)) };
  };
  const configs = genesisConfigs(nodes, registryVersion);
  const [low, high] = [deal(configs.low), deal(configs.high)];
  return low && high && { low, high };
}

/**
 * The keys that the nodes' dealings make: the same wherever the same dealings are given, in any order. A wrong part of one node
 * is an error and is not passed over, because all hosts have to agree on who takes part.
 */
export function genesisKeys(
  nodes: readonly NodeRecord[],
  registryVersion: number,
  dealings: readonly GenesisDealings[],
  ports: { readonly crypto: CryptoPort; readonly consensusCrypto: ConsensusCrypto },
): GenesisResult {
  const nodesError = checkNodes(nodes, ports.crypto);
  if (nodesError !== undefined) return { ok: false, error: nodesError };
  const configs = genesisConfigs(nodes, registryVersion);
  const low = collect(configs.low, nodes, dealings, ports.consensusCrypto);
  const high = collect(configs.high, nodes, dealings, ports.consensusCrypto);
  if (typeof low === "string") return { ok: false, error: low };
  if (typeof high === "string") return { ok: false, error: high };
  const publicKey = high.coefficients[0] as Uint8Array;
  const subnetId = selfAuthenticatingId(subnetKeyToDer(publicKey), ports.crypto.sha224);
  return { ok: true, keys: { low, high, publicKey, subnetId } };
}

function checkNodes(nodes: readonly NodeRecord[], crypto: CryptoPort): string | undefined {
  if (nodes.length === 0) return "There are no nodes.";
  if (new Set(nodes.map(({ nodeId }) => nodeId)).size !== nodes.length) return "A node is there twice.";
  for (const node of nodes) {
    const error = checkNodeRecord(node, crypto);
    if (error !== undefined) return `Node ${node.nodeId}: ${error}.`;
  }
  return undefined;
}

/** The transcript of the dealings with the lowest dealer indices, or what is wrong. */
function collect(
  config: DkgConfig,
  nodes: readonly NodeRecord[],
  all: readonly GenesisDealings[],
  crypto: ConsensusCrypto,
): DkgTranscript | string {
  const { tag } = config.dkgId;
  const byDealer = new Map<PrincipalId, Uint8Array>();
  for (const { [tag]: message } of all) {
    const { dealer, content } = message;
    if (byDealer.has(dealer)) return `Node ${dealer} dealt twice.`;
    const node = keysOf(nodes)(dealer);
    if (node === undefined) return `Node ${dealer} is none of the nodes.`;
    // The id is taken from here: a message about another key generation has another signature.
    const expected = dealingBytes({ ...message, dkgId: config.dkgId });
    if (!crypto.verifyBasic(node, expected, message.signature))
      return `Node ${dealer} did not sign its ${tag} dealing.`;
    if (!crypto.verifyDealing(config, keysOf(nodes), dealer, content))
      return `The ${tag} dealing of node ${dealer} is wrong.`;
    byDealer.set(dealer, content);
  }
  const chosen = [...byDealer].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, config.collectionThreshold);
  if (chosen.length < config.collectionThreshold) {
    return `There are dealings of ${chosen.length} nodes, and it takes ${config.collectionThreshold}.`;
  }
  const transcript = crypto.createTranscript(
    config,
    chosen.map(([dealer, content]) => ({ dealer, content })),
  );
  return transcript ?? `The ${tag} dealings do not fit together.`;
}

function keysOf(nodes: readonly NodeRecord[]): (id: PrincipalId) => NodeRecord | undefined {
  return (id) => nodes.find(({ nodeId }) => nodeId === id);
}
