// The representation-independent hash (interface specification, "Request ids"): however a client wrote a request
// down, its fields hash to the same 32 bytes. Signatures of requests, delegations and query answers cover this hash.

export type HashableValue =
  | Uint8Array
  | string
  | number
  | bigint
  | readonly HashableValue[]
  | { readonly [field: string]: HashableValue | undefined };

/** The fields of a map; undefined ones count as absent. */
export type HashableFields = { readonly [field: string]: HashableValue | undefined };

export type Hash = (data: Uint8Array) => Uint8Array;

/**
 * The request id of a request's content, and the hash of any other map: each present field gives hash(name) and
 * hash(value), these 64 bytes are sorted, joined and hashed. Numbers are naturals. Throws RangeError on a negative
 * or fractional number.
 */
export function requestIdOf(content: HashableFields, sha256: Hash): Uint8Array {
  return sha256(joinedPairs(content, sha256));
}

/** Hash of one value; for a map the same as `requestIdOf`. */
export function hashOfValue(value: HashableValue, sha256: Hash): Uint8Array {
  if (value instanceof Uint8Array) return sha256(value);
  if (typeof value === "string") return hashOfText(value, sha256);
  if (typeof value === "number" || typeof value === "bigint") return sha256(encodeLeb128(value));
  if (isArray(value)) {
    const joined = new Uint8Array(32 * value.length);
    for (let i = 0; i < value.length; i++) joined.set(hashOfValue(value[i] as HashableValue, sha256), 32 * i);
    return sha256(joined);
  }
  return requestIdOf(value, sha256);
}

/** Shortest unsigned LEB128. */
export function encodeLeb128(value: number | bigint): Uint8Array {
  if (value < 0 || (typeof value === "number" && !Number.isSafeInteger(value))) {
    throw new RangeError(`not a natural number: ${value}`);
  }
  // Four groups of seven bits at a time: what a bigint does is slow, whatever it does.
  const bytes: number[] = [];
  let rest = BigInt(value);
  while (rest > 0xfffffffn) {
    const low = Number(rest & 0xfffffffn);
    for (let shift = 0; shift < 28; shift += 7) bytes.push(((low >> shift) & 0x7f) | 0x80);
    rest >>= 28n;
  }
  let last = Number(rest);
  for (; last > 0x7f; last >>= 7) bytes.push((last & 0x7f) | 0x80);
  bytes.push(last);
  return new Uint8Array(bytes);
}

/** Reads an unsigned LEB128 that fills `bytes`; undefined when it is cut short, too long (above 64 bits) or padded. */
export function decodeLeb128(bytes: Uint8Array): bigint | undefined {
  let value = 0n;
  if (bytes.length === 0 || bytes.length > 10) return undefined;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte > 0x7f !== i < bytes.length - 1) return undefined;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
  }
  if (value >= 1n << 64n || (bytes.length > 1 && bytes.at(-1) === 0)) return undefined;
  return value;
}

const encoder = new TextEncoder();

function isArray(value: readonly HashableValue[] | HashableFields): value is readonly HashableValue[] {
  return Array.isArray(value);
}

/** Used by one map at a time: what is inside of it is hashed before. A new buffer takes as long as a hash. */
const scratch = new Uint8Array(1024);

/** Valid until the next call. */
function joinedPairs(fields: HashableFields, sha256: Hash): Uint8Array {
  const pairs: { readonly name: Uint8Array; readonly value: Uint8Array }[] = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value !== undefined) pairs.push({ name: hashOfText(name, sha256), value: hashOfValue(value, sha256) });
  }
  // Names differ, so their hashes alone decide.
  pairs.sort((a, b) => compareBytes(a.name, b.name));
  const joined =
    64 * pairs.length <= scratch.length ? scratch.subarray(0, 64 * pairs.length) : new Uint8Array(64 * pairs.length);
  let at = 0;
  for (const { name, value } of pairs) {
    joined.set(name, at);
    joined.set(value, at + 32);
    at += 64;
  }
  return joined;
}

// Names of fields and of methods are few and come again with each request; their hashes are nearly half of all the hashing.
const HASHED_TEXTS = new Map<string, Uint8Array>();
const MAX_HASHED_TEXTS = 256;
const MAX_TEXT_LENGTH = 32;

function hashOfText(text: string, sha256: Hash): Uint8Array {
  const known = HASHED_TEXTS.get(text);
  if (known !== undefined) return known;
  const hash = sha256(encoder.encode(text));
  if (text.length > MAX_TEXT_LENGTH) return hash;
  if (HASHED_TEXTS.size >= MAX_HASHED_TEXTS) HASHED_TEXTS.clear();
  HASHED_TEXTS.set(text, hash);
  return hash;
}

/** Order of byte strings: bytewise, a prefix before what it begins. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
