// The genesis of a network of several subnets of many nodes on this machine: the NNS and the kinds that were asked for, all
// at once, because each begins with the keys and canister ranges of all. Which subnets there are is chosen then and stays.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { subnetKeyToDer } from "@atoll/crypto";
import { freshRange, publicRanges, SUBNET_KINDS, type SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import { EnvironmentError, type NetworkTopology, type SubnetRecord } from "@atoll/types";
import { LOCAL_KINDS } from "../options.ts";
import { type DealtGenesis, dealGenesis } from "./genesis-at-once.ts";
import { FIRST_TOPOLOGY, writeJson } from "./genesis-files.ts";
import type { HostOptions, SubnetOptions } from "./genesis-options.ts";
import type { GenesisPorts } from "./genesis-steps.ts";

/** A subnet and its folder; without a name it is alone, and the folder is that of the network. */
export interface NamedSubnet {
  readonly name: string;
  readonly kind: SubnetKind;
}

const NETWORK_FILE = "network.json";
const FORMAT = "Atoll network, version 1";
const ALONE: NamedSubnet = { name: "", kind: "application" };

/** The subnets of a network with these kinds: the root subnet first. */
export function namedSubnets(kinds: readonly SubnetKind[]): NamedSubnet[] {
  if (kinds.length === 0) return [ALONE];
  const named: NamedSubnet[] = [];
  for (const kind of ["nns" as const, ...kinds.filter((each) => each !== "nns")]) {
    const number = named.filter((each) => each.kind === kind).length + 1;
    // Of a kind with a place on the public network there is one.
    named.push({ kind, name: SUBNET_KINDS[kind].named === undefined ? `${kind}-${number}` : kind });
  }
  return named;
}

/** What the folder of nodes holds. */
export function readSubnets(path: string): readonly NamedSubnet[] {
  const file = join(path, NETWORK_FILE);
  if (!existsSync(file)) return [ALONE];
  try {
    const { format, kinds } = JSON.parse(readFileSync(file, "utf8")) as { format?: unknown; kinds?: unknown };
    const known = (kinds as readonly unknown[]).map((kind) => LOCAL_KINDS.find((each) => each === kind));
    if (format === FORMAT && !known.includes(undefined)) return namedSubnets(known as SubnetKind[]);
  } catch {}
  throw new EnvironmentError("STATE_CORRUPT", `The file ${file} is damaged: restore a copy of the whole state folder.`);
}

/** Writes the genesis of all into their folders in `out`. `hostsOf`: of the nodes of the subnet at a place. */
export function makeNetwork(
  out: string,
  subnets: readonly NamedSubnet[],
  hostsOf: (place: number) => readonly HostOptions[],
  settings: SubnetOptions,
  ports: GenesisPorts,
): void {
  const dealt = subnets.map(({ name, kind }, place): DealtGenesis => {
    const { type: subnetType } = SUBNET_KINDS[kind];
    const hosts = hostsOf(place);
    return dealGenesis({ out: join(out, name), hosts, passphrase: undefined, subnet: settings, subnetType }, ports);
  });
  const records = dealt.map(({ genesis: { record, high } }, place): SubnetRecord => {
    const { kind } = subnets[place] ?? ALONE;
    const [publicKey = new Uint8Array()] = high.coefficients;
    const canisterRanges = [...publicRanges(kind), freshRange(place)].sort(([a], [b]) => (a < b ? -1 : 1));
    const { type } = SUBNET_KINDS[kind];
    return { subnetId: record.record.subnetId, type, publicKey: subnetKeyToDer(publicKey), canisterRanges };
  });
  const [root] = records;
  if (root === undefined) throw new TypeError("a network has a root subnet");
  const sorted = [...records].sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1));
  const topology: NetworkTopology = { version: FIRST_TOPOLOGY, rootSubnetId: root.subnetId, subnets: sorted };
  for (const [place, { genesis, write }] of dealt.entries()) {
    const feeNodes = SUBNET_KINDS[subnets[place]?.kind ?? ALONE.kind].nodes;
    write({ ...genesis, network: { topology, allocationRanges: [freshRange(place)], feeNodes } });
  }
  mkdirSync(out, { recursive: true });
  writeJson(join(out, NETWORK_FILE), { format: FORMAT, kinds: subnets.map(({ kind }) => kind) });
}

/** Throws EnvironmentError when the network that there is lacks a subnet that is asked for. */
export function requireKinds(path: string, present: readonly NamedSubnet[], wanted: readonly SubnetKind[]): void {
  const missing = [...present.map(({ kind }) => kind)];
  for (const kind of wanted) {
    const at = present === undefined || present[0] === ALONE ? -1 : missing.indexOf(kind);
    if (at < 0) {
      throw new EnvironmentError(
        "OTHER_NETWORK",
        `The network in ${path} has no ${kind} subnet beside those that it began with, and where each node is a process of ` +
          "its own none is added later: leave --subnet away, choose another state folder, or start again with --clean, " +
          "which deletes the state of this network.",
      );
    }
    missing.splice(at, 1);
  }
}
