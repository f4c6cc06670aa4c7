// What tests of key generation start from: nodes with real keys, and whole key generations among them.
import {
  type ConsensusCrypto,
  createChainKeyCrypto,
  createNodeKeys,
  type DkgConfig,
  type DkgTranscript,
  type NodeKeys,
  nodePublicKeys,
} from "@atoll/consensus";
import type { CryptoPort, EntropyPort, NodeRecord, PrincipalId } from "@atoll/types";

export const entropy: EntropyPort = { randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)) };

export interface TestNode {
  readonly id: PrincipalId;
  readonly record: NodeRecord;
  readonly keys: NodeKeys;
  readonly crypto: ConsensusCrypto;
}

/** Sorted by id. */
export function makeNodes(count: number, port: CryptoPort): TestNode[] {
  return Array.from({ length: count }, () => {
    const keys = createNodeKeys(entropy);
    const record = { ...nodePublicKeys(keys, port), address: "", httpAddress: "" };
    return { id: record.nodeId, record, keys, crypto: createChainKeyCrypto(keys, { crypto: port, entropy }) };
  }).sort((a, b) => (a.id < b.id ? -1 : 1));
}

export function idsOf(nodes: readonly TestNode[]): PrincipalId[] {
  return nodes.map(({ id }) => id);
}

export function keysOf(nodes: readonly TestNode[]): (id: PrincipalId) => NodeRecord | undefined {
  return (id) => nodes.find((node) => node.id === id)?.record;
}

/** Dealings of the first dealers that it takes, and the transcript. Throws when one of them cannot deal. */
export function generate(config: DkgConfig, nodes: readonly TestNode[]): DkgTranscript {
  const dealings = config.dealers.slice(0, config.collectionThreshold).map((dealer) => {
    const content = (nodes.find(({ id }) => id === dealer) as TestNode).crypto.createDealing(config, keysOf(nodes));
    if (content === undefined) throw new Error(`${dealer} cannot deal`);
    return { dealer, content };
  });
  const transcript = (nodes[0] as TestNode).crypto.createTranscript(config, dealings);
  if (transcript === undefined) throw new Error("no transcript");
  return transcript;
}

/** The combined signature of these nodes. Undefined: not enough of them hold shares. */
export function signTogether(
  transcript: DkgTranscript,
  nodes: readonly TestNode[],
  message: Uint8Array,
): Uint8Array | undefined {
  const shares = nodes.flatMap(({ id, crypto }) => {
    const signature = crypto.signThreshold(transcript.dkgId, message);
    return signature ? [{ index: transcript.receivers.indexOf(id), signature }] : [];
  });
  return (nodes[0] as TestNode).crypto.combineThreshold(transcript, shares);
}
