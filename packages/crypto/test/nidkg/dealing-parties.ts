// Receivers of dealings with keys of their own, for tests of key generation on either curve library.
import type { BlsPort } from "@atoll/types";
import {
  type ChunkSearch,
  createChunkSearch,
  createDealing,
  type DealingCrypto,
  type DealingTerms,
  dealingPublicKey,
  decryptShare,
} from "../../src/nidkg/index.ts";
import { randomScalar, scalarToBytes } from "../../src/scalar-field.ts";

export const entropy = { randomBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };
export const associatedData = new TextEncoder().encode("key generation 7, dealer 2");

export interface Parties {
  readonly secrets: readonly Uint8Array[];
  readonly terms: DealingTerms;
}

export function parties(receivers: number, threshold: number, crypto: DealingCrypto): Parties {
  const secrets = Array.from({ length: receivers }, () => scalarToBytes(randomScalar(entropy)));
  const keys = secrets.map((secret) => dealingPublicKey(secret, crypto));
  return { secrets, terms: { receivers: keys, threshold, associatedData } };
}

export function deal(terms: DealingTerms, secret: bigint | undefined, crypto: DealingCrypto): Uint8Array {
  return createDealing(terms, secret, crypto, entropy);
}

const searches = new WeakMap<BlsPort, ChunkSearch>();

/** One for each library: its tables take a while. */
export function searchOf(bls: BlsPort): ChunkSearch {
  const search = searches.get(bls) ?? createChunkSearch(bls);
  searches.set(bls, search);
  return search;
}

/** What receiver `index` gets; `steps`: of search for chunks that are not honest. */
export function openShare(
  content: Uint8Array,
  { secrets, terms }: Parties,
  index: number,
  { bls }: DealingCrypto,
  steps = 0,
): bigint | undefined {
  const receiver = { receivers: terms.receivers.length, threshold: terms.threshold, index };
  return decryptShare(content, receiver, secrets[index] as Uint8Array, bls, searchOf(bls), { steps });
}
