// The transcript of a key generation from the dealings that the blocks of its interval carry: exactly as many as it takes,
// of the dealers with the lowest indices, so that everybody gets the same one. Section 12.3.
import type { ConsensusCrypto } from "../consensus-crypto.ts";
import type { DkgConfig, DkgDealing, DkgTranscript } from "../dkg-types.ts";
import { dkgKey } from "./dkg-keys.ts";
import type { IntervalChain } from "./interval-chain.ts";

// Making one takes a while, and the same chain is asked about by the maker of a summary and by each that checks it.
const made = new WeakMap<IntervalChain, Map<string, DkgTranscript | undefined>>();

/** Undefined: there are too few dealings on that chain, or they do not fit together. */
export function transcriptOnChain(
  crypto: ConsensusCrypto,
  chain: IntervalChain,
  config: DkgConfig,
): DkgTranscript | undefined {
  const key = dkgKey(config.dkgId);
  const known = made.get(chain) ?? new Map<string, DkgTranscript | undefined>();
  made.set(chain, known);
  if (!known.has(key)) known.set(key, makeTranscript(crypto, config, chain.dealings.get(key) ?? []));
  return known.get(key);
}

function makeTranscript(
  crypto: ConsensusCrypto,
  config: DkgConfig,
  dealings: readonly DkgDealing[],
): DkgTranscript | undefined {
  const sorted = dealings
    .filter(({ dealer }) => config.dealers.includes(dealer))
    .sort((a, b) => config.dealers.indexOf(a.dealer) - config.dealers.indexOf(b.dealer));
  if (sorted.length < config.collectionThreshold) return undefined;
  return crypto.createTranscript(config, sorted.slice(0, config.collectionThreshold));
}
