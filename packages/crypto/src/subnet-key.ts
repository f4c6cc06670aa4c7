// The public key of a subnet as it is published (interface specification, "Certificate"): 96 bytes of G2 in a DER
// wrapping of its own. The subnet's id is made from it, so the id of the root subnet follows from the root key.
import { type PrincipalId, principalFromBytes } from "@atoll/types";
import { concatBytes, equalBytes } from "./domain.ts";

// SEQUENCE { SEQUENCE { 1.3.6.1.4.1.44668.5.3.1.2.1, 1.3.6.1.4.1.44668.5.3.2.1 }, BIT STRING of 96 bytes }
const PREFIX = Uint8Array.of(
  ...[0x30, 0x81, 0x82, 0x30, 0x1d],
  ...[0x06, 0x0d, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x01, 0x02, 0x01],
  ...[0x06, 0x0c, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xdc, 0x7c, 0x05, 0x03, 0x02, 0x01],
  ...[0x03, 0x61, 0x00],
);
const KEY_BYTES = 96;

/** DER of a subnet's key: 133 bytes. */
export function subnetKeyToDer(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== KEY_BYTES) throw new RangeError("a BLS public key has 96 bytes");
  return concatBytes(PREFIX, publicKey);
}

/** The 96 bytes of a key; undefined when `der` is anything else. Whether they are a point is for the BLS port. */
export function subnetKeyFromDer(der: Uint8Array): Uint8Array | undefined {
  if (der.length !== PREFIX.length + KEY_BYTES) return undefined;
  return equalBytes(der.subarray(0, PREFIX.length), PREFIX) ? der.subarray(PREFIX.length) : undefined;
}

/** Self-authenticating id: SHA-224 of the DER key, then 0x02. Users, nodes and subnets are named this way. */
export function selfAuthenticatingId(publicKeyDer: Uint8Array, sha224: (data: Uint8Array) => Uint8Array): PrincipalId {
  return principalFromBytes(concatBytes(sha224(publicKeyDer), Uint8Array.of(2)));
}
