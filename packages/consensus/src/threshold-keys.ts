// The shares of threshold keys that this node holds, and what is known of the keys of all shares. Sections 12.7 and 13.
// A transcript is known here by the hash of its public polynomial beside its id: nobody finds two with the same hash.

import { concatBytes, equalBytes } from "@atoll/crypto/domain";
import { createChunkSearch, decryptShare, sharePublicKeys } from "@atoll/crypto/nidkg/index";
import { lagrangeWeights, modulo, scalarToBytes } from "@atoll/crypto/scalar-field";
import { type CryptoPort, type PrincipalId, toHex } from "@atoll/types";
import { encodeWire } from "@atoll/types/wire";
import { type DkgId, type DkgTranscript, dkgId as dkgIdCodec } from "./dkg-types.ts";

export interface ThresholdKeys {
  load(transcript: DkgTranscript): boolean;
  retain(dkgIds: readonly DkgId[]): void;
  /** This node's share: 32 bytes. Undefined: not loaded. */
  secretOf(dkgId: DkgId): Uint8Array | undefined;
  /** Undefined: there is no such share. */
  sharePublicKey(transcript: DkgTranscript, index: number): Uint8Array | undefined;
}

/** Transcripts whose shares' keys are kept: those in use and some that come and go. */
const KEPT_POLYNOMIALS = 16;
/** More than can be in use; `retain` is what keeps them few. */
const MAX_SHARES = 64;
/** Steps of the search for the chunks of dealers that cheated: some seconds in all, once in the life of a transcript. */
const SEARCH_STEPS = 1 << 20;

export function createThresholdKeys(
  self: PrincipalId,
  dealingSecret: Uint8Array,
  { bls, sha256 }: CryptoPort,
): ThresholdKeys {
  const search = createChunkSearch(bls);
  const loaded = new Map<string, { readonly transcript: string; readonly secret: Uint8Array }>();
  const failed = new Set<string>();
  const polynomials = new Map<string, (index: number) => Uint8Array | undefined>();
  const sharePublicKey = (transcript: DkgTranscript, index: number) => {
    if (!Number.isInteger(index) || index < 0 || index >= transcript.receivers.length) return undefined;
    const name = nameOf(transcript, sha256);
    let keys = polynomials.get(name);
    if (keys === undefined) {
      keys = keep(sharePublicKeys(transcript.coefficients, bls) ?? (() => undefined));
      dropOldest(polynomials, KEPT_POLYNOMIALS);
      polynomials.set(name, keys);
    }
    return keys(index);
  };
  return {
    sharePublicKey,
    load(transcript) {
      const name = nameOf(transcript, sha256);
      const key = keyOf(transcript.dkgId);
      if (loaded.get(key)?.transcript === name) return true;
      // The answer would be no again, after as long a search.
      if (failed.has(name)) return false;
      const index = transcript.receivers.indexOf(self);
      if (index < 0) return false;
      const secret = shareOf(transcript, index, { dealingSecret, bls, search });
      const publicKey = sharePublicKey(transcript, index);
      if (secret === undefined || publicKey === undefined || !equalBytes(bls.publicKey(secret), publicKey)) {
        dropOldest(failed, MAX_SHARES);
        failed.add(name);
        return false;
      }
      dropOldest(loaded, MAX_SHARES);
      loaded.set(key, { transcript: name, secret });
      return true;
    },
    retain(dkgIds) {
      const kept = new Set(dkgIds.map(keyOf));
      for (const [key, { secret }] of loaded) {
        if (kept.has(key)) continue;
        secret.fill(0);
        loaded.delete(key);
      }
    },
    secretOf: (dkgId) => loaded.get(keyOf(dkgId))?.secret,
  };
}

interface ShareSource {
  readonly dealingSecret: Uint8Array;
  readonly bls: CryptoPort["bls"];
  readonly search: ReturnType<typeof createChunkSearch>;
}

/** The weighted sum of what the dealings hold for this receiver. */
function shareOf(transcript: DkgTranscript, index: number, source: ShareSource): Uint8Array | undefined {
  const { dealings, receivers, threshold } = transcript;
  const places = dealings.map(({ dealerIndex }) => dealerIndex + 1);
  if (places.length === 0 || new Set(places).size !== places.length) return undefined;
  const receiver = { receivers: receivers.length, threshold, index };
  const decrypt = (content: Uint8Array, budget: { steps: number }) =>
    decryptShare(content, receiver, source.dealingSecret, source.bls, source.search, budget);
  const shares = dealings.map(({ content }) => decrypt(content, { steps: 0 }));
  // One dealer at least is honest. If nothing can be read, it is because the key is another, and no search would help.
  if (shares.every((share) => share === undefined)) return undefined;
  const budget = { steps: SEARCH_STEPS };
  const weights = lagrangeWeights(places);
  let sum = 0n;
  for (const [j, { content }] of dealings.entries()) {
    const share = shares[j] ?? decrypt(content, budget);
    if (share === undefined) return undefined;
    sum += share * (weights[j] as bigint);
  }
  const secret = modulo(sum);
  return secret === 0n ? undefined : scalarToBytes(secret);
}

function keyOf(id: DkgId): string {
  return toHex(encodeWire(dkgIdCodec, id));
}

function nameOf(transcript: DkgTranscript, sha256: CryptoPort["sha256"]): string {
  return `${keyOf(transcript.dkgId)}/${toHex(sha256(concatBytes(...transcript.coefficients)))}`;
}

function keep<T>(answer: (index: number) => T): (index: number) => T {
  const known = new Map<number, T>();
  return (index) => {
    if (!known.has(index)) known.set(index, answer(index));
    return known.get(index) as T;
  };
}

/** Room for one more. */
export function dropOldest(kept: Map<string, unknown> | Set<string>, capacity: number): void {
  const [oldest] = kept.keys();
  if (kept.size >= capacity && oldest !== undefined) kept.delete(oldest);
}
