// Who takes part in a round: the nodes of the subnet at that height, the makers of its blocks with their ranks, and the
// committee that notarizes and finalizes them. Sections 1 and 4.
import type { ConsensusSettings, Height, NodeRecord, PrincipalId, RegistryPort, RegistryRecord } from "@atoll/types";
import { beaconHash } from "./artifact-hash.ts";
import type { RandomBeacon } from "./artifacts.ts";
import { registryVersionAt } from "./dkg/registry-version.ts";
import type { Pool } from "./pool.ts";
import { shuffle } from "./shuffle.ts";
import { committeeSize, faultsTolerated, highThreshold } from "./thresholds.ts";

export interface Membership {
  readonly registryVersion: number;
  readonly settings: ConsensusSettings;
  readonly nodes: ReadonlyMap<PrincipalId, NodeRecord>;
  /** By rank. */
  readonly blockMakers: readonly PrincipalId[];
  readonly notaries: ReadonlySet<PrincipalId>;
  /** Of notaries, for a notarization or a finalization. */
  readonly threshold: number;
}

interface MembershipContext {
  readonly pool: Pool;
  readonly registry: RegistryPort;
  readonly crypto: { sha256(data: Uint8Array): Uint8Array };
}

/** Undefined: the beacon of the height before or the version of the registry is not known here. */
export function membershipAt(context: MembershipContext, height: Height): Membership | undefined {
  const cache = cacheOf(context.pool);
  const known = cache.get(height);
  if (known !== undefined) return known;
  const beacon = beaconAt(context.pool, height - 1);
  const registryVersion = registryVersionAt(context.pool, height);
  const record = registryVersion === undefined ? undefined : context.registry.record(registryVersion);
  if (beacon === undefined || registryVersion === undefined || record === undefined) return undefined;
  const { ids, nodes, all } = nodesOf(record);
  const seed = beaconHash(beacon, context.crypto.sha256);
  const order = (purpose: "block-maker-ranking" | "notarization-committee", count: number) =>
    shuffle(ids, purpose, seed, context.crypto.sha256).slice(0, count);
  const committee = committeeSize(ids.length);
  const membership: Membership = {
    registryVersion,
    settings: record.settings,
    nodes,
    blockMakers: order("block-maker-ranking", faultsTolerated(ids.length) + 1),
    notaries: committee === ids.length ? all : new Set(order("notarization-committee", committee)),
    threshold: highThreshold(ids.length),
  };
  cache.set(height, membership);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value as Height);
  return membership;
}

interface SubnetNodes {
  /** Sorted. */
  readonly ids: readonly PrincipalId[];
  readonly nodes: ReadonlyMap<PrincipalId, NodeRecord>;
  readonly all: ReadonlySet<PrincipalId>;
}

const subnetNodes = new WeakMap<RegistryRecord, SubnetNodes>();

/** The same in all rounds of a record. */
function nodesOf(record: RegistryRecord): SubnetNodes {
  let known = subnetNodes.get(record);
  if (known === undefined) {
    const ids = record.nodes.map(({ nodeId }) => nodeId).sort();
    known = { ids, nodes: new Map(record.nodes.map((node) => [node.nodeId, node])), all: new Set(ids) };
    subnetNodes.set(record, known);
  }
  return known;
}

/** The one beacon of a height; that of a catch-up package counts too. */
export function beaconAt(pool: Pool, height: Height): RandomBeacon | undefined {
  return (
    pool.validated.at("random-beacon", height)[0]?.artifact ??
    pool.validated.at("catch-up-package", height)[0]?.artifact.beacon
  );
}

// What is known of a height never changes: both the beacon and the version of the registry are agreed. The caches belong
// to the pools that they were read from.
const KEPT = 300;
const caches = new WeakMap<Pool, Map<Height, Membership>>();

function cacheOf(pool: Pool): Map<Height, Membership> {
  let cache = caches.get(pool);
  if (cache === undefined) {
    cache = new Map();
    caches.set(pool, cache);
  }
  return cache;
}
