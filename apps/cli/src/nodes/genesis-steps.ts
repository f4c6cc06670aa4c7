// The steps of a genesis as functions: keys of a node, proposal, dealing, assembly. Nobody ever has the subnet's key: each
// node deals a part of it to all, and enough parts make it. The genesis file follows from the public files alone but for
// the operator's signature, so that every host can check it. Consensus and chain-key facts, sections 12.6 and 14.
import {
  type CatchUpPackage,
  checkNodeRecord,
  createChainKeyCrypto,
  createGenesisDealings,
  createNodeKeys,
  type GenesisKeys,
  genesisCatchUpPackage,
  genesisKeys,
  isSignedBy,
  type NodeKeys,
  nodePublicKeys,
  type SignedRegistryRecord,
  signRegistryRecord,
} from "@atoll/consensus";
import { ed25519KeyToDer, subnetKeyToDer } from "@atoll/crypto";
import type { SubnetConfig } from "@atoll/state";
import {
  type ConsensusSettings,
  type CryptoPort,
  canisterIdFromIndex,
  compareBytes,
  DEFAULT_CONSENSUS_SETTINGS,
  type EntropyPort,
  EnvironmentError,
  type NodeRecord,
  type PrincipalId,
  principalToText,
  type RegistryRecord,
  toHex,
} from "@atoll/types";
import { type Genesis, type GenesisDealing, type GenesisProposal, proposalHash } from "./genesis-files.ts";
import type { HostOptions, SubnetOptions } from "./genesis-options.ts";
import { addressText } from "./node-config.ts";

export interface GenesisPorts {
  readonly crypto: CryptoPort;
  readonly entropy: EntropyPort;
}

/** Other versions neither talk to each other nor read each other's states. */
export const PROTOCOL_VERSION = "atoll-1";

export function newIdentity(
  { address, http }: Pick<HostOptions, "address" | "http">,
  { crypto, entropy }: GenesisPorts,
): { readonly keys: NodeKeys; readonly node: NodeRecord } {
  const keys = createNodeKeys(entropy);
  const addresses = { address: addressText(address), httpAddress: `http://${addressText(http)}` };
  return { keys, node: { ...nodePublicKeys(keys, crypto), ...addresses } };
}

export function settingsOf({ unitDelayMs, notaryDelayMs, dkgInterval }: SubnetOptions): ConsensusSettings {
  const unitDelay = BigInt(unitDelayMs) * NS_PER_MS;
  const { backlogDelay, cupHoldBack, registryStableAge } = DEFAULT_CONSENSUS_SETTINGS;
  // What the public network has for blocks of a second.
  const scaled = (duration: bigint) => (duration * unitDelay) / DEFAULT_CONSENSUS_SETTINGS.unitDelay;
  return {
    ...DEFAULT_CONSENSUS_SETTINGS,
    unitDelay,
    initialNotaryDelay: BigInt(notaryDelayMs) * NS_PER_MS,
    dkgIntervalLength: dkgInterval,
    dkgDealingsPerBlock: dkgInterval < 50 ? 4 : DEFAULT_CONSENSUS_SETTINGS.dkgDealingsPerBlock,
    backlogDelay: scaled(backlogDelay),
    cupHoldBack: scaled(cupHoldBack),
    registryStableAge: scaled(registryStableAge),
  };
}

const NS_PER_MS = 1_000_000n;

/** Throws EnvironmentError when a node does not prove its keys, or is there twice. */
export function proposalOf(
  nodes: readonly NodeRecord[],
  more: Pick<GenesisProposal, "registryKey" | "time" | "settings"> & Partial<Pick<GenesisProposal, "subnetType">>,
  crypto: CryptoPort,
): GenesisProposal {
  const sorted = [...nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  for (const [i, node] of sorted.entries()) {
    const error = sorted[i - 1]?.nodeId === node.nodeId ? "it is there twice" : checkNodeRecord(node, crypto);
    if (error !== undefined) throw badGenesis(`node ${principalToText(node.nodeId)}: ${error}`);
  }
  return { subnetType: "application", ...more, provisional: true, protocolVersion: PROTOCOL_VERSION, nodes: sorted };
}

/** Not the same each time: the first one counts. */
export function dealFor(proposal: GenesisProposal, keys: NodeKeys, { crypto, entropy }: GenesisPorts): GenesisDealing {
  const { nodeId } = nodePublicKeys(keys, crypto);
  if (!proposal.nodes.some((node) => node.nodeId === nodeId))
    throw badGenesis(`the node ${principalToText(nodeId)} with these keys is not in the proposal`);
  const consensusCrypto = createChainKeyCrypto(keys, { crypto, entropy });
  const dealings = createGenesisDealings(nodeId, proposal.nodes, FIRST_VERSION, consensusCrypto);
  if (dealings === undefined) throw badGenesis("this node has nothing to deal");
  return { proposal: proposalHash(proposal, crypto.sha256), dealings };
}

const FIRST_VERSION = 1;

/** Throws EnvironmentError that says whose dealing is wrong, or that there are too few. */
export function assemble(
  proposal: GenesisProposal,
  dealings: readonly GenesisDealing[],
  registrySeed: Uint8Array,
  ports: GenesisPorts,
): Genesis {
  const { crypto } = ports;
  const keys = keysFrom(proposal, dealings, ports);
  const record = signRegistryRecord(crypto, registrySeed, firstRecord(proposal, keys));
  const { time, registryKey, subnetType, provisional } = proposal;
  return { time, registryKey, subnetType, provisional, record, low: keys.low, high: keys.high };
}

/** Undefined: the genesis is what follows from the proposal and the dealings. */
export function whyNotGenesis(
  genesis: Genesis,
  proposal: GenesisProposal,
  dealings: readonly GenesisDealing[],
  ports: GenesisPorts,
): string | undefined {
  const keys = keysFrom(proposal, dealings, ports);
  const record = firstRecord(proposal, keys);
  if (genesis.network !== undefined) return "it names other subnets, which no proposal does";
  const { time, registryKey, subnetType, provisional } = proposal;
  const expected = { time, registryKey, subnetType, provisional, low: keys.low, high: keys.high, record };
  const { record: signed, ...rest } = genesis;
  const given = { ...rest, record: signed.record };
  const differing = (Object.keys(expected) as (keyof typeof expected)[]).find(
    (part) => fingerprint(expected[part]) !== fingerprint(given[part]),
  );
  if (differing !== undefined) return `its "${differing}" is another one`;
  return isSignedBy(ports.crypto, registryKey, signed) ? undefined : "its record is not signed by the operator";
}

/** Values that are equal have the same. */
function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    if (part instanceof Uint8Array) return toHex(part);
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function keysFrom(
  proposal: GenesisProposal,
  dealings: readonly GenesisDealing[],
  { crypto, entropy }: GenesisPorts,
): GenesisKeys {
  const hash = fingerprint(proposalHash(proposal, crypto.sha256));
  const other = dealings.find((dealing) => fingerprint(dealing.proposal) !== hash);
  if (other !== undefined)
    throw badGenesis(`node ${principalToText(other.dealings.low.dealer)} dealt for another proposal`);
  // Verifying takes no secret: whoever assembles need not be a node.
  const consensusCrypto = createChainKeyCrypto(createNodeKeys(entropy), { crypto, entropy });
  const parts = dealings.map((dealing) => dealing.dealings);
  const result = genesisKeys(proposal.nodes, FIRST_VERSION, parts, { crypto, consensusCrypto });
  if (!result.ok) throw badGenesis(result.error.replace(/\.$/, ""));
  return result.keys;
}

function firstRecord({ nodes, settings, protocolVersion }: GenesisProposal, { subnetId }: GenesisKeys): RegistryRecord {
  const state = { haltAtCupHeight: false, isHalted: false };
  return { version: FIRST_VERSION, subnetId, nodes, unassigned: [], settings, protocolVersion, ...state };
}

/** Prices are those of the public network, however many nodes there are. */
const FEE_NODES = 13;

/** What a node of the subnet begins with. */
export interface GenesisFacts {
  readonly config: SubnetConfig;
  /** DER. */
  readonly rootKey: Uint8Array;
  readonly record: SignedRegistryRecord;
  readonly registryKey: Uint8Array;
  readonly catchUpPackage: CatchUpPackage;
}

/** Throws EnvironmentError when the parts of the file do not belong together. */
export function genesisFacts(genesis: Genesis, crypto: CryptoPort): GenesisFacts {
  const { record: signed, registryKey, time, low, high, subnetType, provisional } = genesis;
  const { record } = signed;
  if (!isSignedBy(crypto, registryKey, signed))
    throw badGenesis("the registry record in the genesis file is not signed by its operator");
  const [publicKey] = high.coefficients;
  if (publicKey === undefined) throw badGenesis("the genesis file has no key for the subnet");
  const ownKey = subnetKeyToDer(publicKey);
  const { rootKey, ...among } = amongOthers(genesis, ownKey);
  const config: SubnetConfig = {
    subnetId: record.subnetId,
    type: subnetType,
    publicKey: ownKey,
    nodes: record.nodes.map(({ nodeId, signingKey }) => ({ nodeId, publicKey: ed25519KeyToDer(signingKey) })),
    canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(0xffff_ffff_ffff_ffffn)]],
    feeNodes: FEE_NODES,
    provisional,
    ...among,
  };
  return {
    config,
    rootKey,
    record: signed,
    registryKey,
    catchUpPackage: genesisCatchUpPackage({ record, time, low, high }),
  };
}

function amongOthers({ network, record }: Genesis, ownKey: Uint8Array) {
  if (network === undefined) return { rootKey: ownKey };
  const { topology, allocationRanges, feeNodes } = network;
  const of = (id: PrincipalId) => topology.subnets.find(({ subnetId }) => subnetId === id);
  const [own, root] = [of(record.record.subnetId), of(topology.rootSubnetId)];
  if (own === undefined || root === undefined || compareBytes(own.publicKey, ownKey) !== 0)
    throw badGenesis("the genesis file names a network that this subnet is not in");
  const { canisterRanges } = own;
  return { rootKey: root.publicKey, topology, canisterRanges, allocationRanges, feeNodes };
}

function badGenesis(what: string): EnvironmentError {
  return new EnvironmentError("BAD_GENESIS", `The subnet cannot begin like this: ${what}.`);
}
