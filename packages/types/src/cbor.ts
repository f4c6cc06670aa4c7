// CBOR as the protocol's clients and replicas speak it: the subset of RFC 8949 that the interface specification
// uses (integers, byte and text strings, arrays, maps, booleans, null). Strict where two readings could differ:
// no floats, no duplicate keys, no trailing bytes, no tags but the self-describing one and bignums.
// As liberal as the replica in what does not matter: lengths in any width, and indefinite lengths.
import { CborError, CborReader } from "./cbor-reader.ts";
import { CborWriter, MAJOR, TAG_BIG_NEGATIVE, TAG_BIG_UNSIGNED, TAG_SELF_DESCRIBED } from "./cbor-writer.ts";

export { CborError } from "./cbor-reader.ts";

export type CborKey = string | number | bigint;
export type CborMap = Map<CborKey, CborValue>;
/** What decoding gives: maps are always `Map`, in the order of the input; `undefined` reads as null. */
export type CborValue = null | boolean | number | bigint | string | Uint8Array | CborValue[] | CborMap;

/** What can be encoded. Undefined fields of objects are left out; elsewhere undefined is written as null. */
export type CborInput =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborInput[]
  | ReadonlyMap<CborKey, CborInput>
  | { readonly [field: string]: CborInput };

export interface CborLimits {
  /** Arrays, maps and tags inside each other; 64 when not given. */
  readonly maxDepth?: number;
  /** Heads of items (and chunks) in all; 262,144 when not given. Small items cost far more memory than bytes. */
  readonly maxItems?: number;
  /** Every integer comes back as bigint, not only those beyond 2^53 - 1. */
  readonly bigints?: boolean;
}

const DEFAULT_DEPTH = 64;
const DEFAULT_ITEMS = 1 << 18;

/**
 * Decodes one item that fills `bytes`. Integers are numbers within +-(2^53 - 1) and bigints beyond. Byte strings
 * above 64 bytes share the memory of `bytes`: treat both as immutable. Throws CborError, and nothing else.
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits = {}): CborValue {
  const reader = new CborReader(bytes, limits.maxItems ?? DEFAULT_ITEMS);
  if (startsSelfDescribed(reader.bytes)) reader.at = 3;
  const value = readItem(reader, limits.maxDepth ?? DEFAULT_DEPTH, limits.bigints === true);
  if (reader.at !== reader.bytes.length) reader.fail("bytes after the end");
  return value;
}

/** Whether the bytes begin with tag 55799. */
export function startsSelfDescribed(bytes: Uint8Array): boolean {
  return bytes[0] === 0xd9 && bytes[1] === 0xd9 && bytes[2] === 0xf7;
}

/** Encodes plain data: definite lengths, shortest heads, fields in the order given. Integers only. */
export function encodeCbor(value: CborInput, options: { readonly selfDescribed?: boolean } = {}): Uint8Array {
  const writer = new CborWriter();
  if (options.selfDescribed === true) writer.head(MAJOR.tag, TAG_SELF_DESCRIBED);
  writeItem(writer, value);
  return writer.take();
}

const BREAK = Symbol("break");

function readItem(reader: CborReader, depth: number, bigints: boolean): CborValue {
  const value = readItemOrBreak(reader, depth, bigints);
  return value === BREAK ? reader.fail("unexpected break") : value;
}

function readItemOrBreak(reader: CborReader, depth: number, bigints: boolean): CborValue | typeof BREAK {
  const argument = reader.head();
  const { major, info } = reader;
  if (info === 31 && (major < 2 || major === MAJOR.tag)) reader.fail("indefinite length where there is none");
  switch (major) {
    case MAJOR.unsigned:
      return bigints ? BigInt(argument) : argument;
    case MAJOR.negative:
      return readNegative(argument, bigints);
    case MAJOR.bytes:
      return info === 31 ? readByteChunks(reader) : reader.byteString(argument);
    case MAJOR.text:
      return info === 31 ? readTextChunks(reader) : reader.text(argument);
    case MAJOR.simple:
      return readSimple(reader);
  }
  if (depth === 0) reader.fail("nested too deeply");
  if (major === MAJOR.array) return readArray(reader, info === 31 ? undefined : argument, depth - 1, bigints);
  if (major === MAJOR.map) return readMap(reader, info === 31 ? undefined : argument, depth - 1, bigints);
  return readBignum(reader, argument, bigints);
}

function readNegative(argument: number | bigint, bigints: boolean): number | bigint {
  if (!bigints && typeof argument === "number" && argument < Number.MAX_SAFE_INTEGER) return -1 - argument;
  return -1n - BigInt(argument);
}

function readSimple(reader: CborReader): null | boolean | typeof BREAK {
  switch (reader.info) {
    case 20:
      return false;
    case 21:
      return true;
    case 22:
    case 23:
      return null;
    case 31:
      return BREAK;
    case 25:
    case 26:
    case 27:
      return reader.fail("floating-point number");
    default:
      return reader.fail("unknown simple value");
  }
}

function readArray(reader: CborReader, length: number | bigint | undefined, depth: number, bigints: boolean) {
  const items: CborValue[] = [];
  if (length === undefined) {
    for (;;) {
      const item = readItemOrBreak(reader, depth, bigints);
      if (item === BREAK) return items;
      items.push(item);
    }
  }
  const count = reader.count(length);
  for (let i = 0; i < count; i++) items.push(readItem(reader, depth, bigints));
  return items;
}

function readMap(reader: CborReader, length: number | bigint | undefined, depth: number, bigints: boolean): CborMap {
  const map: CborMap = new Map();
  const count = length === undefined ? Number.POSITIVE_INFINITY : reader.count(length);
  for (let i = 0; i < count; i++) {
    const key = readItemOrBreak(reader, depth, bigints);
    if (key === BREAK) {
      if (length === undefined) break;
      return reader.fail("unexpected break");
    }
    if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") {
      return reader.fail("map key that is neither text nor integer");
    }
    if (map.has(key)) return reader.fail("duplicate map key");
    map.set(key, readItem(reader, depth, bigints));
  }
  return map;
}

// A bignum may be as long as the input; above 1 KiB it is no number of ours, and converting costs quadratic time.
const MAX_BIGNUM_BYTES = 1024;

function readBignum(reader: CborReader, tag: number | bigint, bigints: boolean): number | bigint {
  if (tag !== TAG_BIG_UNSIGNED && tag !== TAG_BIG_NEGATIVE) return reader.fail(`unexpected tag ${tag}`);
  const length = reader.head();
  if (reader.major !== MAJOR.bytes) return reader.fail("bignum that is not a byte string");
  const bytes = reader.info === 31 ? readByteChunks(reader) : reader.byteString(length);
  if (bytes.length > MAX_BIGNUM_BYTES) return reader.fail("bignum too long");
  let argument = 0n;
  for (const byte of bytes) argument = (argument << 8n) | BigInt(byte);
  const value = tag === TAG_BIG_UNSIGNED ? argument : -1n - argument;
  const safe = value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER);
  return safe && !bigints ? Number(value) : value;
}

function readByteChunks(reader: CborReader): Uint8Array {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let next = chunkLength(reader, MAJOR.bytes); next !== undefined; next = chunkLength(reader, MAJOR.bytes)) {
    const chunk = reader.byteString(next);
    chunks.push(chunk);
    length += chunk.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function readTextChunks(reader: CborReader): string {
  let text = "";
  for (let next = chunkLength(reader, MAJOR.text); next !== undefined; next = chunkLength(reader, MAJOR.text)) {
    text += reader.text(next);
  }
  return text;
}

/** Length of the next chunk of an indefinite string; undefined at its end. */
function chunkLength(reader: CborReader, major: number): number | bigint | undefined {
  const length = reader.head();
  if (reader.major === MAJOR.simple && reader.info === 31) return undefined;
  if (reader.major !== major || reader.info === 31) reader.fail("chunk of another type");
  return length;
}

function writeItem(writer: CborWriter, value: CborInput): void {
  if (typeof value === "string") writer.text(value);
  else if (value instanceof Uint8Array) writer.bytes(value);
  else if (typeof value === "bigint") writer.bigint(value);
  else if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not a safe integer: ${value}`);
    writer.integer(value);
  } else if (typeof value === "boolean") writer.byte(value ? 0xf5 : 0xf4);
  else if (value === null || value === undefined) writer.byte(0xf6);
  else if (Array.isArray(value)) {
    writer.head(MAJOR.array, value.length);
    for (const item of value as readonly CborInput[]) writeItem(writer, item);
  } else if (value instanceof Map) writeMap(writer, value);
  else writeFields(writer, value as { readonly [field: string]: CborInput });
}

function writeMap(writer: CborWriter, map: ReadonlyMap<CborKey, CborInput>): void {
  writer.head(MAJOR.map, map.size);
  for (const [key, item] of map) {
    writeItem(writer, key);
    writeItem(writer, item);
  }
}

function writeFields(writer: CborWriter, fields: { readonly [field: string]: CborInput }): void {
  const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
  writer.head(MAJOR.map, names.length);
  for (const name of names) {
    writer.text(name);
    writeItem(writer, fields[name]);
  }
}

/** Shorthand for optional parsing: the value, or the error's text. */
export function tryDecodeCbor(
  bytes: Uint8Array,
  limits?: CborLimits,
): { readonly ok: true; readonly value: CborValue } | { readonly ok: false; readonly error: string } {
  try {
    return { ok: true, value: decodeCbor(bytes, limits) };
  } catch (error) {
    if (error instanceof CborError) return { ok: false, error: error.message };
    throw error;
  }
}
