// A growing byte buffer that knows how CBOR items begin (RFC 8949, section 3). Shared by the wire encoder
// (cbor.ts), the hash tree codec and the codec of state on disk, so that all three write lengths and integers in
// the same, shortest form.

const encoder = new TextEncoder();

/** Major types of CBOR. */
export const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
export const TAG_BIG_UNSIGNED = 2;
export const TAG_BIG_NEGATIVE = 3;
export const TAG_SELF_DESCRIBED = 55_799;

const U32 = 0x1_0000_0000;
const U64 = 1n << 64n;

/** A buffer that no writer uses now: making a new one costs more than writing an envelope. */
let spare: Uint8Array<ArrayBuffer> | undefined = new Uint8Array(4096);
const MAX_SHORT_TEXT = 100;
const MAX_SPARE_BYTES = 1 << 20;

export class CborWriter {
  #buffer: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor() {
    this.#buffer = spare ?? new Uint8Array(1024);
    this.#view = new DataView(this.#buffer.buffer);
    spare = undefined;
  }

  /** What was written, in a buffer of its own. The writer must not be used after that. */
  take(): Uint8Array {
    const bytes = this.#buffer.slice(0, this.#length);
    if (this.#buffer.length <= MAX_SPARE_BYTES) spare = this.#buffer;
    return bytes;
  }

  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return at;
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
  }

  /** The head of an item: major type and argument (0 to 2^53 - 1) in the fewest bytes. */
  head(major: number, argument: number): void {
    const type = major << 5;
    if (argument < 24) {
      this.byte(type | argument);
    } else if (argument < 0x100) {
      const at = this.#reserve(2);
      this.#buffer[at] = type | 24;
      this.#buffer[at + 1] = argument;
    } else if (argument < 0x1_0000) {
      const at = this.#reserve(3);
      this.#buffer[at] = type | 25;
      this.#view.setUint16(at + 1, argument);
    } else if (argument < U32) {
      const at = this.#reserve(5);
      this.#buffer[at] = type | 26;
      this.#view.setUint32(at + 1, argument);
    } else {
      const at = this.#reserve(9);
      this.#buffer[at] = type | 27;
      this.#view.setUint32(at + 1, Math.floor(argument / U32));
      this.#view.setUint32(at + 5, argument >>> 0);
    }
  }

  bytes(value: Uint8Array): void {
    this.head(MAJOR.bytes, value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }

  text(value: string): void {
    if (value.length <= MAX_SHORT_TEXT && this.#shortAscii(value)) return;
    const utf8 = encoder.encode(value);
    this.head(MAJOR.text, utf8.length);
    this.raw(utf8);
  }

  // Field names, ids and hashes: copying them here is faster than a call of the encoder.
  #shortAscii(value: string): boolean {
    const { length } = value;
    const start = this.#length;
    this.head(MAJOR.text, length);
    const at = this.#reserve(length);
    const buffer = this.#buffer;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = start;
        return false;
      }
      buffer[at + i] = code;
    }
    return true;
  }

  /** A safe integer. */
  integer(value: number): void {
    if (value >= 0) this.head(MAJOR.unsigned, value);
    else this.head(MAJOR.negative, -1 - value);
  }

  /** Any integer: majors 0 and 1 within 64 bits, tags 2 and 3 beyond. */
  bigint(value: bigint): void {
    const argument = value >= 0n ? value : -1n - value;
    const major = value >= 0n ? MAJOR.unsigned : MAJOR.negative;
    if (argument >= U64) this.bignum(value);
    else if (argument < BigInt(U32)) this.head(major, Number(argument));
    else {
      const at = this.#reserve(9);
      this.#buffer[at] = (major << 5) | 27;
      this.#view.setBigUint64(at + 1, argument);
    }
  }

  /** The bignum form (tag 2 or 3), whatever the size. Zero has no bytes. */
  bignum(value: bigint): void {
    const argument = value >= 0n ? value : -1n - value;
    this.head(MAJOR.tag, value >= 0n ? TAG_BIG_UNSIGNED : TAG_BIG_NEGATIVE);
    if (argument >= U64) this.#bigBytes(argument);
    else {
      const head = this.#reserve(9);
      this.#view.setBigUint64(head + 1, argument);
      let start = head + 1;
      while (start < head + 9 && this.#buffer[start] === 0) start++;
      const count = head + 9 - start;
      this.#buffer[head] = (MAJOR.bytes << 5) | count;
      this.#buffer.copyWithin(head + 1, start, head + 9);
      this.#length = head + 1 + count;
    }
  }

  #bigBytes(argument: bigint): void {
    let hex = argument.toString(16);
    if (hex.length % 2 === 1) hex = `0${hex}`;
    const count = hex.length / 2;
    this.head(MAJOR.bytes, count);
    const at = this.#reserve(count);
    for (let i = 0; i < count; i++) this.#buffer[at + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }

  /** A double, always in 8 bytes. */
  float64(value: number): void {
    const at = this.#reserve(9);
    this.#buffer[at] = 0xfb;
    this.#view.setFloat64(at + 1, value);
  }
}
