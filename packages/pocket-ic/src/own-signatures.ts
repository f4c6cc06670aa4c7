// Signatures of subnets that live in this process are not checked by pairings: a BLS signature is unique, so the one
// that this process made with a key's secret is the one that the key's verification accepts. All others go the long way.
// A subnet of a test network checks certificates of its neighbours at every round, which costs 7 ms each otherwise.
import { type BlsPort, toHex } from "@atoll/types";

/** Signatures kept; more than a network needs between two rounds. */
const MAX_KEPT = 1_000;

export function knowOwnSignatures(bls: BlsPort): BlsPort {
  const publicKeys = new Map<string, string>();
  /** Message, by public key and signature. */
  const made = new Map<string, string>();
  return {
    ...bls,
    publicKey(secret) {
      const publicKey = bls.publicKey(secret);
      publicKeys.set(toHex(secret), toHex(publicKey));
      return publicKey;
    },
    sign(secret, message) {
      const signature = bls.sign(secret, message);
      const publicKey = publicKeys.get(toHex(secret));
      if (publicKey !== undefined) {
        const [oldest] = made.keys();
        if (made.size >= MAX_KEPT && oldest !== undefined) made.delete(oldest);
        made.set(publicKey + toHex(signature), toHex(message));
      }
      return signature;
    },
    verify(publicKey, message, signature) {
      return (
        made.get(toHex(publicKey) + toHex(signature)) === toHex(message) || bls.verify(publicKey, message, signature)
      );
    },
  };
}
