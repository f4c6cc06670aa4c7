// What nodes say to each other, as bytes: one canonical form that is hashed, signed, kept and sent alike. A codec is
// built from parts, field by field in the order in which they are named, so that the description of a type is also its
// decoder. Decoding is for untrusted bytes: every length has a bound, every value one encoding, and nothing may follow.
import { MAX_PRINCIPAL_BYTES, type PrincipalId, principalFromBytes } from "./ids.ts";

/** What is wrong with bytes that somebody sent. */
export class WireError extends Error {
  override name = "WireError";
}

export interface Codec<T> {
  write(writer: WireWriter, value: T): void;
  /** Throws WireError. */
  read(reader: WireReader): T;
}

export function encodeWire<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new WireWriter();
  codec.write(writer, value);
  return writer.take();
}

/** Throws WireError unless `bytes` are exactly what `encodeWire` gives for some value. */
export function decodeWire<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = new WireReader(bytes);
  const value = codec.read(reader);
  if (reader.left !== 0) throw new WireError(`${reader.left} bytes after the end`);
  return value;
}

// The buffer of the last writer that is done, for the next one.
const SPARE_BYTES = 64 * 1024;
let spare: Uint8Array | undefined;

const NOTHING = new Uint8Array();

export class WireWriter {
  #buffer: Uint8Array;
  #length = 0;

  constructor() {
    this.#buffer = spare ?? new Uint8Array(1024);
    spare = undefined;
  }

  /** What was written. Nothing can be written after that. */
  take(): Uint8Array {
    const taken = this.#buffer.slice(0, this.#length);
    this.#release();
    return taken;
  }

  /** What `use` makes of what was written, which it must not keep. Nothing can be written after that. */
  finish<T>(use: (written: Uint8Array) => T): T {
    const result = use(this.#buffer.subarray(0, this.#length));
    this.#release();
    return result;
  }

  #release(): void {
    if (this.#buffer.length <= SPARE_BYTES) spare = this.#buffer;
    this.#buffer = NOTHING;
    this.#length = 0;
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** The bytes that an even number of hex digits stands for. */
  hex(digits: string): void {
    let at = this.#reserve(digits.length >>> 1);
    for (let i = 0; i < digits.length; i += 2)
      this.#buffer[at++] = hexValue(digits.charCodeAt(i)) * 16 + hexValue(digits.charCodeAt(i + 1));
  }

  u64(value: bigint): void {
    const at = this.#reserve(8);
    const high = Number(value >> 32n);
    const low = Number(value & 0xffffffffn);
    for (let i = 0; i < 4; i++) {
      this.#buffer[at + i] = high >>> (24 - 8 * i);
      this.#buffer[at + 4 + i] = low >>> (24 - 8 * i);
    }
  }

  /** Seven bits at a time, the lowest first. */
  uint(value: number): void {
    if (value < 0x80) {
      this.byte(value);
      return;
    }
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    return at;
  }
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  throw new RangeError("not hex");
}

export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new WireError("the bytes end too early");
    this.#at++;
    return value;
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Uint8Array {
    if (length > this.left) throw new WireError("the bytes end too early");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A copy of the next `length` bytes. */
  copy(length: number): Uint8Array {
    if (length > this.left) throw new WireError("the bytes end too early");
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  uint(): number {
    let value = 0;
    let weight = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * weight;
      if (value > Number.MAX_SAFE_INTEGER) throw new WireError("a number is too large");
      if (byte < 0x80) {
        if (byte === 0 && weight > 1) throw new WireError("a number is longer than it must be");
        return value;
      }
      weight *= 0x80;
      if (weight > Number.MAX_SAFE_INTEGER) throw new WireError("a number is too large");
    }
  }
}

/** A whole number from 0 to `max`. */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Codec<number> {
  return {
    write: (writer, value) => writer.uint(inRange(value, max)),
    read: (reader) => atMost(reader.uint(), max, "a number"),
  };
}

const U64 = 1n << 64n;

/** A bigint from 0 to 2^64 - 1: eight bytes, big-endian. */
export const u64: Codec<bigint> = {
  write(writer, value) {
    if (value < 0n || value >= U64) throw new RangeError(`${value} has no 64-bit form`);
    writer.u64(value);
  },
  read(reader) {
    const bytes = reader.raw(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  },
};

export const flag: Codec<boolean> = {
  write: (writer, value) => writer.byte(value ? 1 : 0),
  read: (reader) => atMost(reader.byte(), 1, "a flag") === 1,
};

/** Exactly `length` bytes. What is read is a copy. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length !== length) throw new RangeError(`${value.length} bytes instead of ${length}`);
      writer.raw(value);
    },
    read: (reader) => reader.copy(length),
  };
}

/** At most `max` bytes. What is read is a copy. */
export function bytes(max: number): Codec<Uint8Array> {
  return {
    write(writer, value) {
      writer.uint(inRange(value.length, max));
      writer.raw(value);
    },
    read: (reader) => reader.copy(atMost(reader.uint(), max, "a length")),
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of at most `max` bytes in UTF-8. */
export function text(max: number): Codec<string> {
  const raw = bytes(max);
  return {
    write(writer, value) {
      if (value.length <= SHORT_TEXT && isAscii(value)) {
        writer.uint(inRange(value.length, max));
        for (let i = 0; i < value.length; i++) writer.byte(value.charCodeAt(i));
        return;
      }
      if (!value.isWellFormed()) throw new RangeError("text with a lone surrogate");
      raw.write(writer, encoder.encode(value));
    },
    read(reader) {
      const content = reader.raw(atMost(reader.uint(), max, "a length"));
      const plain = content.length <= SHORT_TEXT ? shortAscii(content) : undefined;
      if (plain !== undefined) return plain;
      try {
        return decoder.decode(content);
      } catch (cause) {
        throw new WireError("text that is not UTF-8", { cause });
      }
    },
  };
}

/** Up to here it is quicker to look at the characters than to ask a decoder. */
const SHORT_TEXT = 16;

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) >= 0x80) return false;
  return true;
}

function shortAscii(content: Uint8Array): string | undefined {
  let plain = "";
  for (const byte of content) {
    if (byte >= 0x80) return undefined;
    plain += String.fromCharCode(byte);
  }
  return plain;
}

export const principal: Codec<PrincipalId> = {
  write(writer, value) {
    writer.uint(inRange(value.length / 2, MAX_PRINCIPAL_BYTES));
    writer.hex(value);
  },
  read: (reader) => principalFromBytes(reader.raw(atMost(reader.uint(), MAX_PRINCIPAL_BYTES, "a length"))),
};

/** At most `max` items. */
export function list<T>(item: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    write(writer, values) {
      writer.uint(inRange(values.length, max));
      for (const value of values) item.write(writer, value);
    },
    read(reader) {
      const count = atMost(reader.uint(), max, "a number of items");
      // Each item takes at least a byte, so that a short message cannot ask for a long list.
      if (count > reader.left) throw new WireError("the bytes end too early");
      const values: T[] = [];
      for (let i = 0; i < count; i++) values.push(item.read(reader));
      return values;
    },
  };
}

export function optional<T>(item: Codec<T>): Codec<T | undefined> {
  return {
    write(writer, value) {
      flag.write(writer, value !== undefined);
      if (value !== undefined) item.write(writer, value);
    },
    read: (reader) => (flag.read(reader) ? item.read(reader) : undefined),
  };
}

/** The fields in the order in which `fields` names them. */
export function record<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): RecordCodec<T> {
  const names = Object.keys(fields) as (keyof T)[];
  const codecs = names.map((name) => fields[name] as Codec<T[keyof T]>);
  return {
    write(writer, value) {
      for (let i = 0; i < names.length; i++) (codecs[i] as Codec<T[keyof T]>).write(writer, value[names[i] as keyof T]);
    },
    read(reader) {
      const value: Partial<T> = {};
      this.fill(reader, value);
      return value as T;
    },
    fill(reader, value) {
      for (let i = 0; i < names.length; i++) value[names[i] as keyof T] = (codecs[i] as Codec<T[keyof T]>).read(reader);
    },
  };
}

export interface RecordCodec<T> extends Codec<T> {
  /** Reads into an object that has other fields too. */
  fill(reader: WireReader, value: Partial<T>): void;
}

/** One of several records, told apart by their `kind`: one byte, in the order in which `kinds` names them. */
export function union<T extends { readonly kind: string }>(
  kinds: { readonly [K in T["kind"]]: RecordCodec<Omit<Extract<T, { kind: K }>, "kind">> },
): Codec<T> {
  const entries = Object.entries(kinds) as [string, RecordCodec<object>][];
  const places = new Map(entries.map(([kind], place) => [kind, place]));
  return {
    write(writer, value) {
      const place = places.get(value.kind);
      const codec = place === undefined ? undefined : entries[place]?.[1];
      if (place === undefined || codec === undefined) throw new RangeError(`there is no kind ${value.kind}`);
      writer.byte(place);
      codec.write(writer, value);
    },
    read(reader) {
      const entry = entries[reader.byte()];
      if (entry === undefined) throw new WireError("an unknown kind");
      const [kind, codec] = entry;
      const value = { kind };
      codec.fill(reader, value);
      return value as unknown as T;
    },
  };
}

/** One of a few words. */
export function word<T extends string>(...words: readonly T[]): Codec<T> {
  return {
    write(writer, value) {
      const place = words.indexOf(value);
      if (place < 0) throw new RangeError(`there is no word ${value}`);
      writer.byte(place);
    },
    read(reader) {
      const value = words[reader.byte()];
      if (value === undefined) throw new WireError("an unknown word");
      return value;
    },
  };
}

function inRange(value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max)
    throw new RangeError(`${value} is not within 0 to ${max}`);
  return value;
}

function atMost(value: number, max: number, what: string): number {
  if (value > max) throw new WireError(`${what} is too large: ${value}, at most ${max}`);
  return value;
}
