// The two random orders of the nodes in each round: who may make blocks, and who notarizes. They come from the beacon of the
// height before, so that nobody knows them early and everybody gets the same. Byte for byte fixed: Fisher-Yates from the
// end, numbers from ChaCha20, seed = SHA-256(length of purpose, purpose, hash of the beacon). Section 4.
import { concatBytes } from "@atoll/crypto/domain";
import type { PrincipalId } from "@atoll/types";
import type { Hash } from "./artifacts.ts";
import { chacha20Draw } from "./chacha20.ts";

/** The two orders are independent of each other. */
export type ShufflePurpose = "block-maker-ranking" | "notarization-committee";

const PURPOSES: Readonly<Record<ShufflePurpose, Uint8Array>> = {
  "block-maker-ranking": prefixOf("block-maker-ranking"),
  "notarization-committee": prefixOf("notarization-committee"),
};

function prefixOf(purpose: ShufflePurpose): Uint8Array {
  const name = new TextEncoder().encode(purpose);
  return Uint8Array.of(name.length, ...name);
}

/** `nodes`: in any order; they are sorted first. */
export function shuffle(
  nodes: readonly PrincipalId[],
  purpose: ShufflePurpose,
  beaconHash: Hash,
  sha256: (data: Uint8Array) => Uint8Array,
): PrincipalId[] {
  const draw = chacha20Draw(sha256(concatBytes(PURPOSES[purpose], beaconHash)));
  const order = [...nodes].sort();
  for (let i = order.length - 1; i > 0; i--) {
    const j = draw.below(i + 1);
    const other = order[j] as PrincipalId;
    order[j] = order[i] as PrincipalId;
    order[i] = other;
  }
  return order;
}
