// The keys of a node and how it is known by them: Ed25519 for what it says alone, a BLS key for what the nodes sign
// together, a key to which shares of the subnet's keys are encrypted. The last two come with proofs that the node has their
// secrets, bound to its signing key: without them a key could be made up from those of others, or copied from another node
// whose signatures would then count twice. Consensus and chain-key facts, section 2.
import { concatBytes } from "@atoll/crypto/domain";
import { dealingPublicKey, proveDealingKey, verifyDealingKey } from "@atoll/crypto/nidkg/index";
import { ed25519KeyToDer } from "@atoll/crypto/public-key";
import { randomScalar, scalarToBytes } from "@atoll/crypto/scalar-field";
import { selfAuthenticatingId } from "@atoll/crypto/subnet-key";
import type { CryptoPort, EntropyPort, NodeRecord } from "@atoll/types";
import { type Codec, fixedBytes, record } from "@atoll/types/wire";

/** The secrets of a node, 32 bytes each. Nothing else of a node's keys has to be kept. */
export interface NodeKeys {
  readonly signingSeed: Uint8Array;
  readonly committeeSecret: Uint8Array;
  readonly dealingSecret: Uint8Array;
}

export type NodePublicKeys = Omit<NodeRecord, "address" | "httpAddress">;

/** How they are kept: whoever writes this to a disk encrypts it or guards the file. */
export const nodeKeysCodec: Codec<NodeKeys> = record({
  signingSeed: fixedBytes(32),
  committeeSecret: fixedBytes(32),
  dealingSecret: fixedBytes(32),
});

export function createNodeKeys(entropy: EntropyPort): NodeKeys {
  return {
    signingSeed: entropy.randomBytes(32),
    committeeSecret: scalarToBytes(randomScalar(entropy)),
    dealingSecret: scalarToBytes(randomScalar(entropy)),
  };
}

/** What the registry says of the node, but for its addresses. The same bytes each time. */
export function nodePublicKeys(keys: NodeKeys, crypto: CryptoPort): NodePublicKeys {
  const signingKey = crypto.ed25519PublicKey(keys.signingSeed);
  const committeeKey = crypto.bls.publicKey(keys.committeeSecret);
  return {
    nodeId: selfAuthenticatingId(ed25519KeyToDer(signingKey), crypto.sha224),
    signingKey,
    committeeKey,
    committeeKeyProof: crypto.bls.sign(keys.committeeSecret, possessionMessage(committeeKey, signingKey)),
    dealingKey: dealingPublicKey(keys.dealingSecret, crypto),
    dealingKeyProof: proveDealingKey(keys.dealingSecret, signingKey, crypto),
  };
}

/** Undefined: the record may be taken in. Else what is wrong with its keys. Costs three to four pairings. */
export function checkNodeRecord(node: NodePublicKeys, crypto: CryptoPort): string | undefined {
  const { nodeId, signingKey, committeeKey, committeeKeyProof, dealingKey, dealingKeyProof } = node;
  if (signingKey.length !== 32) return "the signing key is not 32 bytes long";
  if (nodeId !== selfAuthenticatingId(ed25519KeyToDer(signingKey), crypto.sha224)) {
    return "the node's id is not that of its signing key";
  }
  const message = possessionMessage(committeeKey, signingKey);
  if (!crypto.bls.verifyAggregate([committeeKey], message, committeeKeyProof)) {
    return "the node does not prove that it has its committee key";
  }
  if (!verifyDealingKey(dealingKey, dealingKeyProof, signingKey, crypto)) {
    return "the node does not prove that it has its dealing key";
  }
  return undefined;
}

const POSSESSION_DOMAIN = new TextEncoder().encode("committee_key_possession_domain");

function possessionMessage(committeeKey: Uint8Array, signingKey: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(POSSESSION_DOMAIN.length), POSSESSION_DOMAIN, committeeKey, signingKey);
}
