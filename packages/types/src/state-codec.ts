// Plain data on disk: blocks, checkpoints, tables. What goes in comes out exactly, types included, because a restart
// must lead to the same bytes as no restart. The bytes are CBOR that any tool can read: bigints are always bignums
// (tags 2 and 3), so they differ from numbers; maps are tag 259, sets tag 258, insertion order kept.
// Map keys and set members are found by identity, so they should be strings, numbers or bigints.
import { CborReader } from "./cbor-reader.ts";
import { CborWriter, MAJOR, TAG_BIG_NEGATIVE, TAG_BIG_UNSIGNED } from "./cbor-writer.ts";
import { InvariantViolation } from "./errors.ts";

const TAG_SET = 258;
const TAG_MAP = 259;
const MAX_DEPTH = 256;

/**
 * Encodes null, undefined, booleans, numbers, bigints, well-formed strings, Uint8Arrays, arrays, plain objects (own
 * enumerable string fields), Maps and Sets of these. Anything else (class instances, functions, holes in arrays,
 * more than 256 levels) throws InvariantViolation: it is a mistake of ours.
 */
export function encodeState(value: unknown): Uint8Array {
  const writer = new CborWriter();
  write(writer, value, MAX_DEPTH, fieldsAsTheyAre);
  return writer.take();
}

/**
 * As `encodeState`, but with the fields of objects in the order of their names, whatever order they were made in. The
 * order of lists, Maps and Sets is a part of the value. For what nodes compare by its hash.
 */
export function encodeCanonicalState(value: unknown): Uint8Array {
  const writer = new CborWriter();
  write(writer, value, MAX_DEPTH, fieldsInOrder);
  return writer.take();
}

type Fields = (value: object) => [string, unknown][];

const fieldsAsTheyAre: Fields = (value) => Object.entries(value);

const fieldsInOrder: Fields = (value) => {
  return Object.keys(value)
    .sort()
    .map((name) => [name, (value as Record<string, unknown>)[name]]);
};

/** Decodes what `encodeState` made. Throws CborError when the bytes are damaged. Arrays and objects are fresh. */
export function decodeState(bytes: Uint8Array): unknown {
  const reader = new CborReader(bytes);
  const value = read(reader, MAX_DEPTH);
  if (reader.at !== reader.bytes.length) reader.fail("bytes after the end");
  return value;
}

function write(writer: CborWriter, value: unknown, depth: number, fieldsOf: Fields): void {
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new InvariantViolation("state holds text with a lone surrogate");
    writer.text(value);
  } else if (typeof value === "number") {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) writer.integer(value);
    else writer.float64(value);
  } else if (typeof value === "bigint") writer.bignum(value);
  else if (typeof value === "boolean") writer.byte(value ? 0xf5 : 0xf4);
  else if (value === undefined) writer.byte(0xf7);
  else if (value === null) writer.byte(0xf6);
  else if (value instanceof Uint8Array) writer.bytes(value);
  else if (typeof value === "object") writeContainer(writer, value, depth - 1, fieldsOf);
  else throw new InvariantViolation(`state holds a ${typeof value}`);
}

function writeContainer(writer: CborWriter, value: object, depth: number, fieldsOf: Fields): void {
  if (depth < 0) throw new InvariantViolation("state is nested too deeply");
  if (Array.isArray(value)) {
    writer.head(MAJOR.array, value.length);
    for (const item of value) write(writer, item, depth, fieldsOf);
  } else if (value instanceof Map) {
    writer.head(MAJOR.tag, TAG_MAP);
    writer.head(MAJOR.map, value.size);
    for (const [key, item] of value) {
      write(writer, key, depth, fieldsOf);
      write(writer, item, depth, fieldsOf);
    }
  } else if (value instanceof Set) {
    writer.head(MAJOR.tag, TAG_SET);
    writer.head(MAJOR.array, value.size);
    for (const item of value) write(writer, item, depth, fieldsOf);
  } else writeObject(writer, value, depth, fieldsOf);
}

function writeObject(writer: CborWriter, value: object, depth: number, fieldsOf: Fields): void {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new InvariantViolation(`state holds an instance of ${value.constructor?.name ?? "a class"}`);
  }
  const fields = fieldsOf(value);
  writer.head(MAJOR.map, fields.length);
  for (const [name, item] of fields) {
    if (!name.isWellFormed()) throw new InvariantViolation("state holds a field name with a lone surrogate");
    writer.text(name);
    write(writer, item, depth, fieldsOf);
  }
}

function read(reader: CborReader, depth: number): unknown {
  const argument = reader.head();
  const { major, info } = reader;
  if (info === 31) return reader.fail("indefinite length");
  switch (major) {
    case MAJOR.unsigned:
      return typeof argument === "number" ? argument : reader.fail("number out of range");
    case MAJOR.negative:
      return typeof argument === "number" ? -1 - argument : reader.fail("number out of range");
    case MAJOR.bytes:
      return reader.byteString(argument).slice();
    case MAJOR.text:
      return reader.text(argument);
    case MAJOR.simple:
      return readSimple(reader);
  }
  if (depth === 0) return reader.fail("nested too deeply");
  if (major === MAJOR.array) return readItems(reader, argument, depth - 1);
  if (major === MAJOR.map) return readObject(reader, argument, depth - 1);
  return readTagged(reader, argument, depth - 1);
}

function readSimple(reader: CborReader): unknown {
  switch (reader.info) {
    case 20:
      return false;
    case 21:
      return true;
    case 22:
      return null;
    case 23:
      return undefined;
    case 27: {
      const view = new DataView(reader.bytes.buffer, reader.bytes.byteOffset + reader.at - 8, 8);
      return view.getFloat64(0);
    }
    default:
      return reader.fail("unknown simple value");
  }
}

function readItems(reader: CborReader, length: number | bigint, depth: number): unknown[] {
  const count = reader.count(length);
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) items.push(read(reader, depth));
  return items;
}

function readObject(reader: CborReader, length: number | bigint, depth: number): object {
  const count = reader.count(length);
  const object: Record<string, unknown> = {};
  for (let i = 0; i < count; i++) {
    const name = read(reader, depth);
    if (typeof name !== "string") return reader.fail("field name that is not text");
    const value = read(reader, depth);
    if (name !== "__proto__") object[name] = value;
    // An assignment to this name would replace the prototype.
    else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

function readTagged(reader: CborReader, tag: number | bigint, depth: number): unknown {
  const argument = reader.head();
  if (reader.info === 31) return reader.fail("indefinite length");
  if ((tag === TAG_BIG_UNSIGNED || tag === TAG_BIG_NEGATIVE) && reader.major === MAJOR.bytes) {
    const magnitude = toBigint(reader.byteString(argument));
    return tag === TAG_BIG_UNSIGNED ? magnitude : -1n - magnitude;
  }
  if (tag === TAG_SET && reader.major === MAJOR.array) return new Set(readItems(reader, argument, depth));
  if (tag === TAG_MAP && reader.major === MAJOR.map) {
    const count = reader.count(argument);
    const map = new Map<unknown, unknown>();
    for (let i = 0; i < count; i++) {
      const key = read(reader, depth);
      map.set(key, read(reader, depth));
    }
    return map;
  }
  return reader.fail(`unexpected tag ${tag}`);
}

function toBigint(bytes: Uint8Array): bigint {
  if (bytes.length <= 6) {
    let value = 0;
    for (const byte of bytes) value = value * 256 + byte;
    return BigInt(value);
  }
  let hex = "0x";
  for (const byte of bytes) hex += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  return BigInt(hex);
}
