// Which dealings a data block takes along: valid ones of this interval that its chain does not have yet, one of each dealer,
// as long as their key generation needs more, and only a few per block. Whoever checks a block applies the same rules.
// Section 12.3.
import { type PrincipalId, toHex } from "@atoll/types";
import type { DkgConfig, DkgDealingMessage } from "../dkg-types.ts";
import { checkDealing } from "./dealing-check.ts";
import { dkgKey } from "./dkg-keys.ts";
import type { IntervalChain } from "./interval-chain.ts";
import type { DkgContext } from "./summary.ts";

/** At most `max` from the validated pool. Remote keys first until one target has all, then those that lack least. */
export function selectDealings({ pool }: DkgContext, chain: IntervalChain, max: number): readonly DkgDealingMessage[] {
  const { summary } = chain.summary.payload;
  if (pool.validated.at("dkg-dealing", summary.height).length === 0) return [];
  const room = new Room(chain);
  const order = remoteOrder(chain);
  const candidates = pool.validated
    .at("dkg-dealing", summary.height)
    .map(({ artifact: { dkgId, dealer, content, signature } }) => ({ dkgId, dealer, content, signature }))
    .filter((dealing) => room.take(dealing));
  return candidates
    .map((dealing, place) => ({ dealing, place }))
    .sort((a, b) => order(a.dealing) - order(b.dealing) || a.place - b.place)
    .slice(0, max)
    .map(({ dealing }) => dealing);
}

/** "later": a version of the registry is not known here yet. */
export function validateDealings(
  { crypto, registry }: DkgContext,
  chain: IntervalChain,
  dealings: readonly DkgDealingMessage[],
  max: number,
): "valid" | "invalid" | "later" {
  if (dealings.length > max) return "invalid";
  if (dealings.length === 0) return "valid";
  const room = new Room(chain);
  if (!dealings.every((dealing) => room.take(dealing))) return "invalid";
  let answer: "valid" | "later" = "valid";
  for (const dealing of dealings) {
    const checked = checkDealing(crypto, registry, room.config(dealing) as DkgConfig, dealing);
    if (checked === "invalid") return "invalid";
    if (checked === "later") answer = "later";
  }
  return answer;
}

// What is left to be dealt on a chain.
class Room {
  readonly #configs: ReadonlyMap<string, DkgConfig>;
  readonly #dealers: ReadonlyMap<string, Set<PrincipalId>>;

  constructor({ summary, dealings, completed }: IntervalChain) {
    const open = summary.payload.summary.configs.filter(({ dkgId }) => !completed.has(dkgKey(dkgId)));
    this.#configs = new Map(open.map((config) => [dkgKey(config.dkgId), config]));
    this.#dealers = new Map(
      [...this.#configs.keys()].map((key) => [key, new Set((dealings.get(key) ?? []).map(({ dealer }) => dealer))]),
    );
  }

  config({ dkgId }: DkgDealingMessage): DkgConfig | undefined {
    return this.#configs.get(dkgKey(dkgId));
  }

  /** Whether the dealing is wanted; from then on it counts as there. */
  take(dealing: DkgDealingMessage): boolean {
    const config = this.config(dealing);
    const dealers = this.#dealers.get(dkgKey(dealing.dkgId));
    if (config === undefined || dealers === undefined || dealers.size >= config.collectionThreshold) return false;
    if (dealers.has(dealing.dealer)) return false;
    dealers.add(dealing.dealer);
    return true;
  }
}

// A new subnet waits for its keys; this subnet's own are due at the end of the interval only.
function remoteOrder({ summary, dealings }: IntervalChain): (dealing: DkgDealingMessage) => number {
  const lacking = new Map<string, number>();
  for (const { dkgId, collectionThreshold } of summary.payload.summary.configs) {
    if (dkgId.target === undefined) continue;
    const lacks = Math.max(0, collectionThreshold - (dealings.get(dkgKey(dkgId))?.length ?? 0));
    lacking.set(toHex(dkgId.target), (lacking.get(toHex(dkgId.target)) ?? 0) + lacks);
  }
  const isDone = [...lacking.values()].includes(0);
  return ({ dkgId: { target } }) => {
    if (target === undefined) return isDone ? 0 : Number.MAX_SAFE_INTEGER;
    const lacks = lacking.get(toHex(target)) ?? 0;
    return isDone ? lacks + 1 : lacks;
  };
}
