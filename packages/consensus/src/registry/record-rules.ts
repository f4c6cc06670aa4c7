// What the next version of the registry must be like, whoever signed it: operators make mistakes, and a subnet that takes
// over a wrong record together cannot take it back. Sections 4, 12 and 23.
import { equalBytes } from "@atoll/crypto/domain";
import type { ConsensusSettings, NodeRecord, PrincipalId, RegistryRecord } from "@atoll/types";
import { MAX_NODES, MAX_PAYLOAD_BYTES } from "../bounds.ts";

export interface RecordRules {
  readonly subnetId: PrincipalId;
  /** Whether the id is that of the signing key and the proofs of possession are right. Asked once per node. */
  readonly checkNode: (node: NodeRecord) => boolean;
}

/** Undefined: `next` can follow `previous` (undefined: is the first). Else why it cannot, as the end of a sentence. */
export function recordFault(
  { subnetId, checkNode }: RecordRules,
  previous: RegistryRecord | undefined,
  next: RegistryRecord,
): string | undefined {
  const expected = (previous?.version ?? 0) + 1;
  if (next.version !== expected) return `it is version ${next.version}, and version ${expected} is next`;
  if (next.subnetId !== subnetId) return "it is about another subnet";
  if (next.nodes.length === 0) return "it has no nodes";
  if (next.protocolVersion === "") return "it names no version of the protocol";
  const unassigned = next.unassigned ?? [];
  if (!isSorted(next.nodes) || !isSorted(unassigned)) return "its nodes are not in order, or one is there twice";
  const known = byId(previous === undefined ? [] : [...previous.nodes, ...(previous.unassigned ?? [])]);
  const assigned = byId(next.nodes);
  if (unassigned.some(({ nodeId }) => assigned.has(nodeId))) return "a node is both of the subnet and of none";
  for (const node of [...next.nodes, ...unassigned]) {
    const before = known.get(node.nodeId);
    if (before !== undefined && !hasSameKeys(before, node)) return "a node has other keys than before";
    if (before === undefined && !checkNode(node)) return "the keys of a node are not proven to be its own";
  }
  return settingsFault(next.settings);
}

const SECOND = 1_000_000_000n;
const HOUR = 3600n * SECOND;

/** The least and the most that each setting can be. */
const LIMITS: { readonly [K in keyof ConsensusSettings]: readonly [ConsensusSettings[K], ConsensusSettings[K]] } = {
  unitDelay: [1_000_000n, HOUR],
  initialNotaryDelay: [0n, HOUR],
  dkgIntervalLength: [1, 100_000],
  dkgDealingsPerBlock: [1, MAX_NODES],
  maxIngressPerBlock: [0, 1_000_000],
  maxBlockPayload: [1024, MAX_PAYLOAD_BYTES / 2],
  minimumChainLength: [0, 100_000],
  backlogDelay: [0n, HOUR],
  cupHoldBack: [0n, HOUR],
  registryStableAge: [0n, HOUR],
};

function settingsFault(settings: ConsensusSettings): string | undefined {
  for (const name of Object.keys(LIMITS) as (keyof ConsensusSettings)[]) {
    const [least, most] = LIMITS[name];
    if (settings[name] < least || settings[name] > most) return `its ${name} is not between ${least} and ${most}`;
  }
  return undefined;
}

function isSorted(nodes: readonly NodeRecord[]): boolean {
  return nodes.every(({ nodeId }, i) => i === 0 || (nodes[i - 1] as NodeRecord).nodeId < nodeId);
}

function byId(nodes: readonly NodeRecord[]): ReadonlyMap<PrincipalId, NodeRecord> {
  return new Map(nodes.map((node) => [node.nodeId, node]));
}

function hasSameKeys(a: NodeRecord, b: NodeRecord): boolean {
  return (
    equalBytes(a.signingKey, b.signingKey) &&
    equalBytes(a.committeeKey, b.committeeKey) &&
    equalBytes(a.committeeKeyProof, b.committeeKeyProof) &&
    equalBytes(a.dealingKey, b.dealingKey) &&
    equalBytes(a.dealingKeyProof, b.dealingKeyProof)
  );
}
