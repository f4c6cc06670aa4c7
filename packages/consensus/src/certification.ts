// Certification: the nodes of a subnet sign the root hash of each state with their shares of the subnet's key, and
// enough shares make one signature that the subnet's public key verifies. A subnet of one node is the case of one
// share out of one. Specification, "Certification"; consensus-and-chain-key section on certification.
import { combineShares, type SignatureShare, stateRootMessage } from "@atoll/crypto";
import type { BlsPort, Height } from "@atoll/types";

/** What a node contributes to the certification of one height. */
export interface RootShare {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  readonly share: SignatureShare;
}

export interface CertifiedRoot {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  /** 48 bytes: the subnet's signature on the root hash. */
  readonly signature: Uint8Array;
}

export interface NodeShare {
  /** Position of the node in the sorted list of nodes, from 0. */
  readonly nodeIndex: number;
  readonly secret: Uint8Array;
}

export function signShare(node: NodeShare, height: Height, rootHash: Uint8Array, bls: BlsPort): RootShare {
  const signature = bls.sign(node.secret, stateRootMessage(rootHash));
  return { height, rootHash, share: { nodeIndex: node.nodeIndex, signature } };
}

/** The certification, once `threshold` shares on the same root hash are there. */
export function certify(shares: readonly RootShare[], threshold: number, bls: BlsPort): CertifiedRoot | undefined {
  const first = shares[0];
  if (first === undefined || shares.length < threshold) return undefined;
  const signature = combineShares(
    shares.map(({ share }) => share),
    threshold,
    bls,
  );
  return { height: first.height, rootHash: first.rootHash, signature };
}
