// Names and keys of a key generation: ids as text, to look things up by, and the registry's keys of those who take part in
// it. Sections 3 and 12.2.
import { equalBytes } from "@atoll/crypto/domain";
import { type NodeRecord, type PrincipalId, type RegistryPort, type RegistryRecord, toHex } from "@atoll/types";
import type { KeysOf } from "../consensus-crypto.ts";
import type { DkgConfig, DkgId } from "../dkg-types.ts";

/** The id as text: equal texts, equal ids. */
export function dkgKey(id: DkgId): string {
  return `${id.startHeight}/${generationKey(id)}`;
}

export function isSameDkg(a: DkgId, b: DkgId): boolean {
  if (a === b) return true;
  if (a.startHeight !== b.startHeight || a.dealerSubnet !== b.dealerSubnet || a.tag !== b.tag) return false;
  if (a.target === undefined || b.target === undefined) return a.target === b.target;
  return equalBytes(a.target, b.target);
}

/** The id but for where it started: what is asked for again and again until it succeeds. */
export function generationKey({ dealerSubnet, tag, target }: DkgId): string {
  return `${dealerSubnet}/${tag}/${target === undefined ? "" : toHex(target)}`;
}

/**
 * The keys of dealers and receivers at the registry version of `config`; a dealer that has been removed since it got its
 * share is looked up in earlier versions, where it has the same keys. Undefined: that version is not known here yet.
 */
export function keysOf(registry: RegistryPort, config: DkgConfig): KeysOf | undefined {
  const { registryVersion } = config;
  if (registry.record(registryVersion) === undefined) return undefined;
  return (node) => {
    for (let version = registryVersion; version > 0; version--) {
      const found = nodeRecord(registry.record(version), node);
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

const nodesById = new WeakMap<RegistryRecord, ReadonlyMap<PrincipalId, NodeRecord>>();

/** A node of the subnet, or one that belongs to none. */
export function nodeRecord(record: RegistryRecord | undefined, node: PrincipalId): NodeRecord | undefined {
  if (record === undefined) return undefined;
  let nodes = nodesById.get(record);
  if (nodes === undefined) {
    nodes = new Map([...(record.unassigned ?? []), ...record.nodes].map((entry) => [entry.nodeId, entry]));
    nodesById.set(record, nodes);
  }
  return nodes.get(node);
}
