// The real signatures of consensus: Ed25519, BLS with the sums of signatures and of keys, threshold BLS with keys that the
// nodes deal to each other. Sections 2, 13 and 14. Shares are combined first and verified as one (section 5.6), and what
// has been verified once is not verified again: the same artifact comes from several peers.
import { SignatureCache } from "@atoll/crypto/certificate";
import { ed25519KeyToDer } from "@atoll/crypto/public-key";
import { selfAuthenticatingId } from "@atoll/crypto/subnet-key";
import { type CryptoPort, type EntropyPort, InvariantViolation, type NodeRecord, toHex } from "@atoll/types";
import type { ConsensusCrypto } from "./consensus-crypto.ts";
import { createDkgCrypto } from "./dkg-crypto.ts";
import { ExpectedSignatures, verifyingOnce } from "./expected-signatures.ts";
import type { NodeKeys } from "./node-keys.ts";
import { createThresholdKeys, dropOldest } from "./threshold-keys.ts";

export interface ChainKeyPorts {
  readonly crypto: CryptoPort;
  readonly entropy: EntropyPort;
  /** What is known to be good. Several nodes in one process may have it in common: the answer is the same for all. */
  readonly verified?: SignatureCache;
}

/** Signatures that are remembered as good: those of a few hundred heights. */
const MAX_VERIFIED = 2048;

/** For `ChainKeyPorts.verified`. */
export function verifiedSignatures(): SignatureCache {
  return new SignatureCache(MAX_VERIFIED);
}

/** What the node with these keys signs and checks with. */
export function createChainKeyCrypto(keys: NodeKeys, ports: ChainKeyPorts): ConsensusCrypto {
  const { crypto, verified = verifiedSignatures() } = ports;
  const { bls } = crypto;
  const self = selfAuthenticatingId(ed25519KeyToDer(crypto.ed25519PublicKey(keys.signingSeed)), crypto.sha224);
  const threshold = createThresholdKeys(self, keys.dealingSecret, crypto);
  const once = verifyingOnce(verified, crypto);
  const expected = new ExpectedSignatures(verified, crypto);
  const combinedBefore = new Map<string, Uint8Array | undefined>();
  return {
    sha256: crypto.sha256,
    signBasic: (message) => crypto.signEd25519(keys.signingSeed, message),
    verifyBasic: (node, message, signature) =>
      node.signingKey.length === 32 && crypto.verify("ed25519", ed25519KeyToDer(node.signingKey), message, signature),

    signMulti: (message) => bls.sign(keys.committeeSecret, message),
    combineMulti: (signatures) => orUndefined(() => bls.aggregate(signatures)),
    verifyMulti: (signers, message, signature) => verifyMulti(signers, message, signature, expected),

    loadTranscript: threshold.load,
    retainTranscripts: threshold.retain,
    signThreshold(dkgId, message) {
      const secret = threshold.secretOf(dkgId);
      return secret && bls.sign(secret, message);
    },
    verifyThresholdShare(transcript, index, message, signature) {
      const publicKey = threshold.sharePublicKey(transcript, index);
      if (publicKey === undefined) return false;
      return once("bls", [publicKey, signature, message], () => bls.verifyAggregate([publicKey], message, signature));
    },
    combineThreshold(transcript, shares) {
      const places = new Map(shares.map((share) => [share.index, share.signature]));
      const proper = [...places].filter(([index]) => index >= 0 && index < transcript.receivers.length);
      if (proper.length < transcript.threshold) return undefined;
      const enough = proper.sort(([a], [b]) => a - b).slice(0, transcript.threshold);
      const name = enough.map(([index, signature]) => `${index}/${toHex(signature)}`).join();
      if (combinedBefore.has(name)) return combinedBefore.get(name);
      const signature = orUndefined(() =>
        bls.combine(enough.map(([index, share]) => ({ index: index + 1, signature: share }))),
      );
      dropOldest(combinedBefore, MAX_COMBINED);
      combinedBefore.set(name, signature);
      return signature;
    },
    verifyThreshold: (publicKey, message, signature) =>
      expected.verify({ publicKeys: [publicKey], message, signature }),
    expectThreshold: (publicKey, message, signature) =>
      expected.expect({ publicKeys: [publicKey], message, signature }),

    ...createDkgCrypto(self, threshold, ports, once),
  };
}

/** Combined signatures that are kept: a role that waits combines the same shares each time it is asked. */
const MAX_COMBINED = 8;

function verifyMulti(
  signers: readonly NodeRecord[],
  message: Uint8Array,
  signature: Uint8Array,
  expected: ExpectedSignatures,
): boolean {
  // Twice the same signer would let one signature count for two.
  if (new Set(signers.map(({ nodeId }) => nodeId)).size !== signers.length) return false;
  const publicKeys = signers.map(({ committeeKey }) => committeeKey);
  return expected.verify({ publicKeys, message, signature });
}

/** What the curve library throws about bytes that are no signatures is no error here. */
function orUndefined<T>(combine: () => T): T | undefined {
  try {
    return combine();
  } catch (error) {
    if (error instanceof InvariantViolation) throw error;
    return undefined;
  }
}
