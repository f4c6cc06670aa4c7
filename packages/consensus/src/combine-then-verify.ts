// Shares of a threshold signature cost as much to check as the signature that they make together: so they are combined first,
// and only if the result is wrong each one is checked, and its sender blamed. Which shares are taken makes no difference
// to the result. Section 5.6.
import type { PrincipalId } from "@atoll/types";
import type { ArtifactId, Share } from "./artifacts.ts";
import type { ConsensusCrypto } from "./consensus-crypto.ts";
import type { DkgTranscript } from "./dkg-types.ts";

export interface ShareEntry extends Share {
  readonly id: ArtifactId;
  /** This node vouches for it already: it was made or checked here. */
  readonly isChecked: boolean;
}

export interface Combined {
  /** Undefined: there are not enough right shares yet. */
  readonly signature: Uint8Array | undefined;
  /** Shares that were checked because the first attempt failed. */
  readonly right: readonly ArtifactId[];
  readonly wrong: readonly ArtifactId[];
}

/** Nothing can be told of the shares yet. */
const NOT_YET: Combined = { signature: undefined, right: [], wrong: [] };

/** For a signature that is not needed yet: what is verified next is verified together with it. */
export function combineForLater(
  crypto: ConsensusCrypto,
  transcript: DkgTranscript,
  message: Uint8Array,
  shares: readonly ShareEntry[],
): Combined {
  const combined = unverified(crypto, transcript, [...onePerSigner(transcript, shares).values()]);
  if (combined !== undefined) crypto.expectThreshold(combined.publicKey, message, combined.signature);
  return NOT_YET;
}

/** All `shares` are on `message`. Shares of others than the transcript's receivers are left out: check that before. */
export function combineThenVerify(
  crypto: ConsensusCrypto,
  transcript: DkgTranscript,
  message: Uint8Array,
  shares: readonly ShareEntry[],
): Combined {
  const chosen = [...onePerSigner(transcript, shares).values()];
  const first = combine(crypto, transcript, message, chosen);
  if (first !== undefined || chosen.length < transcript.threshold) return { signature: first, right: [], wrong: [] };
  const isRight = (share: ShareEntry) =>
    share.isChecked ||
    crypto.verifyThresholdShare(transcript, transcript.receivers.indexOf(share.signer), message, share.signature);
  const right = chosen.filter(isRight);
  return {
    signature: combine(crypto, transcript, message, right),
    right: right.filter(({ isChecked }) => !isChecked).map(({ id }) => id),
    wrong: chosen.filter((share) => !right.includes(share)).map(({ id }) => id),
  };
}

function combine(
  crypto: ConsensusCrypto,
  transcript: DkgTranscript,
  message: Uint8Array,
  shares: readonly ShareEntry[],
): Uint8Array | undefined {
  const combined = unverified(crypto, transcript, shares);
  if (combined === undefined) return undefined;
  const { publicKey, signature } = combined;
  return crypto.verifyThreshold(publicKey, message, signature) ? signature : undefined;
}

function unverified(
  crypto: ConsensusCrypto,
  transcript: DkgTranscript,
  shares: readonly ShareEntry[],
): { readonly publicKey: Uint8Array; readonly signature: Uint8Array } | undefined {
  const { threshold, receivers, coefficients } = transcript;
  const publicKey = coefficients[0];
  if (shares.length < threshold || publicKey === undefined) return undefined;
  const indexed = shares
    .slice(0, threshold)
    .map(({ signer, signature }) => ({ index: receivers.indexOf(signer), signature }));
  const signature = combinedOnce(transcript, indexed, () => crypto.combineThreshold(transcript, indexed));
  return signature && { publicKey, signature };
}

interface Combination {
  readonly transcript: DkgTranscript;
  readonly signatures: readonly Uint8Array[];
  readonly combined: Uint8Array | undefined;
}

// What waited to be needed is combined a second time when it is, mostly of the same shares: by the first one's signature.
const combinations = new WeakMap<Uint8Array, Combination>();

function combinedOnce(
  transcript: DkgTranscript,
  shares: readonly { readonly signature: Uint8Array }[],
  combine: () => Uint8Array | undefined,
): Uint8Array | undefined {
  const [first] = shares;
  const known = first && combinations.get(first.signature);
  const isSame = known?.transcript === transcript && known.signatures.every((each, i) => each === shares[i]?.signature);
  if (isSame && known.signatures.length === shares.length) return known.combined;
  const signatures = shares.map(({ signature }) => signature);
  const combined = combine();
  if (first !== undefined) combinations.set(first.signature, { transcript, signatures, combined });
  return combined;
}

// Somebody can send a wrong share in another node's name: one that was checked stands first.
function onePerSigner(
  { receivers }: DkgTranscript,
  shares: readonly ShareEntry[],
): ReadonlyMap<PrincipalId, ShareEntry> {
  const bySigner = new Map<PrincipalId, ShareEntry>();
  for (const share of shares) {
    if (!receivers.includes(share.signer)) continue;
    if (share.isChecked || !bySigner.has(share.signer)) bySigner.set(share.signer, share);
  }
  return bySigner;
}
