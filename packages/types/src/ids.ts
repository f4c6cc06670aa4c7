// Principals as the core uses them. Inside the deterministic packages a principal is the lower-case hex of
// its bytes: an immutable string that compares bytewise, works as a map key and survives any codec.
// The textual form (`aaaaa-aa`) exists only at the edges. Interface specification, "Principals".

declare const principalBrand: unique symbol;
/** A principal: lower-case hex of 0 to 29 bytes. Sorting these strings sorts the principals bytewise. */
export type PrincipalId = string & { readonly [principalBrand]: true };
/** A principal that names a canister. */
export type CanisterId = PrincipalId;

export const MAX_PRINCIPAL_BYTES = 29;
/** The management canister, `aaaaa-aa`: no bytes. */
export const MANAGEMENT_CANISTER = "" as CanisterId;
/** The anonymous principal, `2vxsx-fae`: the byte 4. */
export const ANONYMOUS = "04" as PrincipalId;

/** Throws RangeError when `bytes` is longer than 29. */
export function principalFromBytes(bytes: Uint8Array): PrincipalId {
  if (bytes.length > MAX_PRINCIPAL_BYTES) throw new RangeError("a principal has at most 29 bytes");
  return toHex(bytes) as PrincipalId;
}

export function principalToBytes(id: PrincipalId): Uint8Array {
  return fromHex(id);
}

/** The id of the `index`-th canister that a subnet gave out: 8 bytes big-endian, 0x01, 0x01. */
export function canisterIdFromIndex(index: bigint): CanisterId {
  return `${index.toString(16).padStart(16, "0")}0101` as CanisterId;
}

/** The counter inside a canister id made by `canisterIdFromIndex`, or undefined for any other principal. */
export function canisterIndex(id: PrincipalId): bigint | undefined {
  return id.length === 20 && id.endsWith("0101") ? BigInt(`0x${id.slice(0, 16)}`) : undefined;
}

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** The textual form: base32 of CRC-32 and bytes, a dash after each five characters. */
export function principalToText(id: PrincipalId): string {
  const bytes = fromHex(id);
  const data = new Uint8Array(4 + bytes.length);
  new DataView(data.buffer).setUint32(0, crc32(bytes));
  data.set(bytes, 4);
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of data) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(value >> bits) & 31];
    }
  }
  if (bits > 0) text += BASE32[(value << (5 - bits)) & 31];
  return text.match(/.{1,5}/g)?.join("-") ?? "";
}

/** Parses the textual form, in any case; undefined when it is not the canonical text of a principal. */
export function principalFromText(text: string): PrincipalId | undefined {
  if (text.length > 63) return undefined;
  const lower = text.toLowerCase();
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const char of lower.replaceAll("-", "")) {
    const digit = BASE32.indexOf(char);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 255);
    }
  }
  if (bytes.length < 4 || bytes.length > 4 + MAX_PRINCIPAL_BYTES) return undefined;
  const id = toHex(Uint8Array.from(bytes.slice(4))) as PrincipalId;
  return principalToText(id) === lower ? id : undefined;
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

// Hosts of today bring it along, many times faster.
const hasNativeHex = "toHex" in Uint8Array.prototype;

export function toHex(bytes: Uint8Array): string {
  if (hasNativeHex) return (bytes as Uint8Array & { toHex(): string }).toHex();
  let hex = "";
  for (let i = 0; i < bytes.length; i++) hex += HEX[bytes[i] as number];
  return hex;
}

/** Value of a hex digit by its character code; 255 for every other character. */
const HEX_VALUE = new Uint8Array(128).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX_VALUE[digit.toString(16).charCodeAt(0)] = digit;
  HEX_VALUE[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Throws RangeError on anything but an even number of hex digits. */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 !== 0) throw new RangeError("not hex");
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = HEX_VALUE[hex.charCodeAt(2 * i)] ?? 255;
    const low = HEX_VALUE[hex.charCodeAt(2 * i + 1)] ?? 255;
    if (high > 15 || low > 15) throw new RangeError("not hex");
    bytes[i] = high * 16 + low;
  }
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** CRC-32 (ISO 3309) of `bytes`, continuing from `seed` (the CRC of what came before). */
export function crc32(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (let i = 0; i < bytes.length; i++) {
    crc = (CRC_TABLE[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
