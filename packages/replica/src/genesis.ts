// The first state of a network on one machine: a root subnet of one node with fresh keys. It hosts every canister
// id, so that ids are given out from 0 and any other one can be asked for by name.
import { dealThresholdKey, ed25519KeyToDer, selfAuthenticatingId, subnetKeyToDer } from "@atoll/crypto";
import type { SubnetConfig } from "@atoll/state";
import { type CryptoPort, canisterIdFromIndex, type EntropyPort } from "@atoll/types";
import type { ReplicaOptions } from "./replica.ts";

/** What must be kept secret and never lost: with it the network is the same network again. */
export interface NodeSecrets {
  /** Scalar of this node's share of the subnet key, 32 bytes. */
  readonly share: Uint8Array;
  /** Ed25519 seed of the node, 32 bytes. */
  readonly node: Uint8Array;
  /** Public key of the subnet, 96 bytes. */
  readonly subnetPublicKey: Uint8Array;
}

export function makeSecrets(entropy: EntropyPort, crypto: CryptoPort): NodeSecrets {
  const key = dealThresholdKey(1, 1, entropy, crypto.bls);
  const share = key.shares[0];
  if (share === undefined) throw new RangeError("a key for one node has one share");
  return { share: share.secret, node: entropy.randomBytes(32), subnetPublicKey: key.publicKey };
}

/** Options of the only replica of a network that consists of a root subnet with one node. */
export function soloReplicaOptions(secrets: NodeSecrets, crypto: CryptoPort): ReplicaOptions {
  const rootKey = subnetKeyToDer(secrets.subnetPublicKey);
  const subnetId = selfAuthenticatingId(rootKey, crypto.sha224);
  const nodeKey = ed25519KeyToDer(crypto.ed25519PublicKey(secrets.node));
  const nodeId = selfAuthenticatingId(nodeKey, crypto.sha224);
  const config: SubnetConfig = {
    subnetId,
    type: "application",
    publicKey: rootKey,
    nodes: [{ nodeId, publicKey: nodeKey }],
    canisterRanges: [[canisterIdFromIndex(0n), canisterIdFromIndex(0xffff_ffff_ffff_ffffn)]],
    feeNodes: 13,
    provisional: true,
  };
  return {
    config,
    rootKey,
    rootSubnetId: subnetId,
    nodeId,
    nodeSecret: secrets.node,
    share: { nodeIndex: 0, secret: secrets.share },
    threshold: 1,
  };
}
