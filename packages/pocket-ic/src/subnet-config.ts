// The first facts of a subnet of a network on one machine: its key and its nodes' keys, its id, the canister ids that it
// hosts. The same for networks of tests, whose keys come from a seed, and for the local network, whose keys are secret.
import { ed25519KeyToDer, scalarToBytes, selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto";
import { randomScalar } from "@atoll/crypto/scalar-field";
import type { SubnetConfig } from "@atoll/state";
import type { CanisterRange, CryptoPort, EntropyPort, NetworkTopology, SubnetRecord } from "@atoll/types";
import { freshRange, publicRanges, publicSubnetId, SUBNET_KINDS, type SubnetKind } from "./subnet-kinds.ts";

export interface SubnetKeys {
  /** Scalar of the subnet's key, 32 bytes: one node has it whole. */
  readonly secret: Uint8Array;
  /** Ed25519 seeds of the nodes that the tree lists; the first is the one that there is. */
  readonly nodeSecrets: readonly Uint8Array[];
}

export function drawKeys(nodes: number, entropy: EntropyPort): SubnetKeys {
  const secret = scalarToBytes(randomScalar(entropy));
  return { secret, nodeSecrets: Array.from({ length: nodes }, () => entropy.randomBytes(32)) };
}

export interface SubnetIdentity {
  readonly kind: SubnetKind;
  readonly keys: SubnetKeys;
  /** How many ranges of ids the network had given out before this one. */
  readonly place: number;
  /** Give the root subnet the id that it has on the public network, which is not that of its key. */
  readonly publicId?: boolean;
}

export function subnetConfig({ kind, keys, place, publicId }: SubnetIdentity, crypto: CryptoPort): SubnetConfig {
  const { type, nodes, named } = SUBNET_KINDS[kind];
  const publicKey = subnetKeyToDer(crypto.bls.publicKey(keys.secret));
  const hasPublicId = kind === "nns" ? publicId === true : named !== undefined;
  const range = freshRange(place);
  return {
    subnetId: (hasPublicId ? publicSubnetId(kind) : undefined) ?? selfAuthenticatingId(publicKey, crypto.sha224),
    type,
    publicKey,
    nodes: keys.nodeSecrets.map((node) => {
      const key = ed25519KeyToDer(crypto.ed25519PublicKey(node));
      return { nodeId: selfAuthenticatingId(key, crypto.sha224), publicKey: key };
    }),
    canisterRanges: sorted([...publicRanges(kind), range]),
    allocationRanges: [range],
    feeNodes: nodes,
    provisional: true,
  };
}

interface Configured {
  readonly config: SubnetConfig;
}

export function topologyOf(version: number, root: Configured, subnets: Iterable<Configured>): NetworkTopology {
  const records = [...subnets].map(
    ({ config: { subnetId, type, publicKey, canisterRanges } }): SubnetRecord => ({
      subnetId,
      type,
      publicKey,
      canisterRanges,
    }),
  );
  records.sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1));
  return { version, rootSubnetId: root.config.subnetId, subnets: records };
}

function sorted(ranges: readonly CanisterRange[]): CanisterRange[] {
  return [...ranges].sort(([a], [b]) => (a < b ? -1 : 1));
}
