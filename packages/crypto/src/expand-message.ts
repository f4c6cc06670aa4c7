// Hashing to the curve, first half: bytes become uniform field elements (RFC 9380, sections 5.2 and 5.3.1). For BLS
// libraries that map to the curve but know only other domain separation tags than the Internet Computer's.
import type { CryptoPort } from "@atoll/types";
import { concatBytes } from "./domain.ts";

/** Tag of BLS signatures in G1, basic scheme. */
export const BLS_SIGNATURE_TAG: Uint8Array = new TextEncoder().encode("BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_");

/** `expand_message_xmd` with SHA-256: `length` bytes (at most 8160) that look random, from any message. */
export function expandMessage(
  message: Uint8Array,
  tag: Uint8Array,
  length: number,
  sha256: CryptoPort["sha256"],
): Uint8Array {
  const blocks = Math.ceil(length / 32);
  if (blocks > 255 || tag.length > 255) throw new RangeError("expand_message_xmd: too long");
  const tagPrime = concatBytes(tag, Uint8Array.of(tag.length));
  const head = new Uint8Array(64);
  const start = sha256(concatBytes(head, message, Uint8Array.of(length >> 8, length & 255, 0), tagPrime));
  const output = new Uint8Array(blocks * 32);
  let previous: Uint8Array = new Uint8Array(32);
  for (let i = 1; i <= blocks; i++) {
    const mixed = start.map((byte, at) => byte ^ (previous[at] as number));
    previous = sha256(concatBytes(mixed, Uint8Array.of(i), tagPrime));
    output.set(previous, 32 * (i - 1));
  }
  return output.subarray(0, length);
}
