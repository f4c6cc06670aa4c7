// The files of a genesis, all but the key files public: who the nodes are (identity), what shall become of them (proposal),
// each node's part of the subnet's keys (dealing), and what a node begins with (genesis). JSON around the protocol's own
// bytes, so that people can look at them; every byte is checked again by whoever reads them.
import { writeFileSync } from "node:fs";
import type { GenesisDealings, SignedRegistryRecord } from "@atoll/consensus";
import { type DkgTranscript, dkgTranscript, genesisDealingsCodec, signedRegistryRecord } from "@atoll/consensus";
import {
  type CanisterRange,
  type ConsensusSettings,
  DEFAULT_CONSENSUS_SETTINGS,
  EnvironmentError,
  fromHex,
  type NetworkTopology,
  type NodeRecord,
  type PrincipalId,
  principalFromText,
  principalToText,
  type SubnetType,
  type Time,
  toHex,
} from "@atoll/types";
import { type Codec, decodeWire, encodeWire } from "@atoll/types/wire";
import { readTextFile } from "./text-file.ts";

/** What all nodes have to agree on before there is a subnet. */
export interface GenesisProposal {
  /** Of the first block. */
  readonly time: Time;
  /** Ed25519: signs registry records. */
  readonly registryKey: Uint8Array;
  readonly subnetType: SubnetType;
  /** Anybody may create canisters and cycles: so far there is no other source of cycles. */
  readonly provisional: boolean;
  readonly settings: ConsensusSettings;
  readonly protocolVersion: string;
  /** Sorted by id. */
  readonly nodes: readonly NodeRecord[];
}

export interface GenesisDealing {
  /** SHA-256 of the proposal that it is for. */
  readonly proposal: Uint8Array;
  readonly dealings: GenesisDealings;
}

/** What a subnet knows of the others, and what it is among them. */
interface GenesisNetwork {
  readonly topology: NetworkTopology;
  /** Of its canister ids, those that it gives out. */
  readonly allocationRanges: readonly CanisterRange[];
  /** Nodes that its fees are computed for. */
  readonly feeNodes: number;
}

export interface Genesis extends Pick<GenesisProposal, "time" | "registryKey" | "subnetType" | "provisional"> {
  /** Of a network of several subnets; undefined: this one is alone, and the root. */
  readonly network?: GenesisNetwork;
  /** Version 1. */
  readonly record: SignedRegistryRecord;
  readonly low: DkgTranscript;
  readonly high: DkgTranscript;
}

type Json = Readonly<Record<string, unknown>>;

const FORMATS = {
  identity: "Atoll node identity, version 1",
  proposal: "Atoll genesis proposal, version 1",
  dealing: "Atoll genesis dealing, version 1",
  genesis: "Atoll genesis, version 1",
} as const;

export function identityJson(node: NodeRecord): Json {
  return { format: FORMATS.identity, ...nodeJson(node) };
}

export function readIdentity(path: string): NodeRecord {
  return readJson(path, FORMATS.identity, nodeFrom);
}

export function proposalJson(proposal: GenesisProposal): Json {
  const { time, registryKey, subnetType, provisional, settings, protocolVersion, nodes } = proposal;
  return {
    format: FORMATS.proposal,
    time: String(time),
    registryKey: toHex(registryKey),
    subnetType,
    provisional,
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
    protocolVersion,
    nodes: nodes.map(nodeJson),
  };
}

export function readProposal(path: string): GenesisProposal {
  return readJson(path, FORMATS.proposal, (json) => ({
    ...headFrom(json),
    settings: settingsFrom(json.settings),
    protocolVersion: textFrom(json.protocolVersion),
    nodes: listFrom(json.nodes).map((node) => nodeFrom(objectFrom(node))),
  }));
}

/** The same for the same proposal, however its file is laid out. */
export function proposalHash(proposal: GenesisProposal, sha256: (data: Uint8Array) => Uint8Array): Uint8Array {
  return sha256(new TextEncoder().encode(JSON.stringify(proposalJson(proposal))));
}

export function dealingJson({ proposal, dealings }: GenesisDealing): Json {
  return {
    format: FORMATS.dealing,
    proposal: toHex(proposal),
    dealer: principalToText(dealings.low.dealer),
    dealings: wireJson(genesisDealingsCodec, dealings),
  };
}

export function readDealing(path: string): GenesisDealing {
  return readJson(path, FORMATS.dealing, (json) => ({
    proposal: bytesFrom(json.proposal),
    dealings: wireFrom(genesisDealingsCodec, json.dealings),
  }));
}

export function genesisJson(genesis: Genesis): Json {
  const { time, registryKey, subnetType, provisional, network, record, low, high } = genesis;
  return {
    format: FORMATS.genesis,
    subnet: principalToText(record.record.subnetId),
    time: String(time),
    registryKey: toHex(registryKey),
    subnetType,
    provisional,
    ...(network && { network: networkJson(network) }),
    record: wireJson(signedRegistryRecord, record),
    low: wireJson(dkgTranscript, low),
    high: wireJson(dkgTranscript, high),
  };
}

export function readGenesis(path: string): Genesis {
  return readJson(path, FORMATS.genesis, (json) => ({
    ...headFrom(json),
    ...(json.network !== undefined && { network: networkFrom(objectFrom(json.network)) }),
    record: wireFrom(signedRegistryRecord, json.record),
    low: wireFrom(dkgTranscript, json.low),
    high: wireFrom(dkgTranscript, json.high),
  }));
}

/** Never over an old file. */
export function writeJson(path: string, json: Json): void {
  try {
    writeFileSync(path, `${JSON.stringify(json, undefined, 2)}\n`, { flag: "wx", mode: 0o644 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "it exists already, and is not overwritten" : String(code);
    throw new EnvironmentError("GENESIS_FILE", `The file ${path} cannot be written: ${why}.`, { cause: error });
  }
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;

function readJson<T>(path: string, format: string, from: (json: Json) => T): T {
  const text = readTextFile(path, { what: "The file", code: "GENESIS_FILE" });
  try {
    if (text.length > MAX_FILE_BYTES) throw new RangeError("too long");
    const json = objectFrom(JSON.parse(text));
    if (json.format === format) return from(json);
  } catch {}
  throw new EnvironmentError("GENESIS_FILE", `The file ${path} is not what it should be ("${format}"), or is damaged.`);
}

const NODE_KEYS = ["signingKey", "committeeKey", "committeeKeyProof", "dealingKey", "dealingKeyProof"] as const;

function nodeJson(node: NodeRecord): Json {
  const keys = NODE_KEYS.map((name) => [name, toHex(node[name])] as const);
  return {
    nodeId: principalToText(node.nodeId),
    address: node.address,
    httpAddress: node.httpAddress,
    ...Object.fromEntries(keys),
  };
}

/** The keys are checked by those who take the node in (checkNodeRecord). */
function nodeFrom(json: Json): NodeRecord {
  return {
    nodeId: principalFrom(json.nodeId),
    address: textFrom(json.address),
    httpAddress: textFrom(json.httpAddress),
    signingKey: bytesFrom(json.signingKey),
    committeeKey: bytesFrom(json.committeeKey),
    committeeKeyProof: bytesFrom(json.committeeKeyProof),
    dealingKey: bytesFrom(json.dealingKey),
    dealingKeyProof: bytesFrom(json.dealingKeyProof),
  };
}

function networkJson({ topology, allocationRanges, feeNodes }: GenesisNetwork): Json {
  const rangesJson = (ranges: readonly CanisterRange[]) => ranges.map((range) => range.map(principalToText));
  return {
    root: principalToText(topology.rootSubnetId),
    subnets: topology.subnets.map(({ subnetId, type, publicKey, canisterRanges }) => ({
      ...{ id: principalToText(subnetId), type, publicKey: toHex(publicKey) },
      canisterRanges: rangesJson(canisterRanges),
    })),
    allocationRanges: rangesJson(allocationRanges),
    feeNodes,
  };
}

function networkFrom(json: Json): GenesisNetwork {
  const subnets = listFrom(json.subnets)
    .map(objectFrom)
    .map((subnet) => ({
      subnetId: principalFrom(subnet.id),
      type: typeFrom(subnet.type),
      publicKey: bytesFrom(subnet.publicKey),
      canisterRanges: rangesFrom(subnet.canisterRanges),
    }));
  if (typeof json.feeNodes !== "number") throw new RangeError("not a number");
  return {
    topology: { version: FIRST_TOPOLOGY, rootSubnetId: principalFrom(json.root), subnets },
    allocationRanges: rangesFrom(json.allocationRanges),
    feeNodes: json.feeNodes,
  };
}

export const FIRST_TOPOLOGY = 1;

function rangesFrom(value: unknown): CanisterRange[] {
  return listFrom(value).map((range) => {
    const [first, last] = listFrom(range).map(principalFrom);
    if (first === undefined || last === undefined) throw new RangeError("not a range");
    return [first, last];
  });
}

function typeFrom(value: unknown): SubnetType {
  const type = TYPES.find((known) => known === value);
  if (type === undefined) throw new RangeError("an unknown type of subnet");
  return type;
}

const TYPES: readonly SubnetType[] = ["application", "system", "verified_application"];

function headFrom(json: Json): Pick<GenesisProposal, "time" | "registryKey" | "subnetType" | "provisional"> {
  if (typeof json.provisional !== "boolean") throw new RangeError("not a flag");
  return {
    time: BigInt(textFrom(json.time)),
    registryKey: bytesFrom(json.registryKey),
    subnetType: typeFrom(json.subnetType),
    provisional: json.provisional,
  };
}

function settingsFrom(value: unknown): ConsensusSettings {
  const json = objectFrom(value);
  const names = Object.keys(DEFAULT_CONSENSUS_SETTINGS) as (keyof ConsensusSettings)[];
  const setting = (name: keyof ConsensusSettings) => {
    const text = textFrom(json[name]);
    if (!/^\d{1,18}$/.test(text)) throw new RangeError("not a number");
    return [name, typeof DEFAULT_CONSENSUS_SETTINGS[name] === "bigint" ? BigInt(text) : Number(text)] as const;
  };
  return Object.fromEntries(names.map(setting)) as unknown as ConsensusSettings;
}

function wireJson<T>(codec: Codec<T>, value: T): string {
  return Buffer.from(encodeWire(codec, value)).toString("base64");
}

function wireFrom<T>(codec: Codec<T>, value: unknown): T {
  return decodeWire(codec, new Uint8Array(Buffer.from(textFrom(value), "base64")));
}

function textFrom(value: unknown): string {
  if (typeof value !== "string") throw new RangeError("not a text");
  return value;
}

function bytesFrom(value: unknown): Uint8Array {
  const text = textFrom(value);
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new RangeError("not hex");
  return fromHex(text);
}

function principalFrom(value: unknown): PrincipalId {
  const id = principalFromText(textFrom(value));
  if (id === undefined) throw new RangeError("not an id");
  return id;
}

function objectFrom(value: unknown): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new RangeError("not an object");
  return value as Json;
}

function listFrom(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new RangeError("not a list");
  return value;
}
