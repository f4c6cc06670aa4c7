// SHA-256 and SHA-224 without any host: for browsers, and for whoever has no crypto port at hand. A Node host
// brings faster ones in its port.
import { sha224 as nobleSha224, sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** SHA-256 of `data`: 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/** SHA-224 of `data`: 28 bytes. */
export function sha224(data: Uint8Array): Uint8Array {
  return nobleSha224(data);
}
