// A growing buffer for the binary format.
// Lengths that are known only later get a fixed-width LEB128 that is filled in afterwards.

export class Writer {
  bytes: Uint8Array;
  pos = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `count` more bytes; the methods below that say so rely on it. */
  reserve(count: number): void {
    const needed = this.pos + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.pos));
    this.bytes = grown;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.pos++] = value;
  }

  raw(source: ArrayLike<number>): void {
    this.reserve(source.length);
    this.bytes.set(source, this.pos);
    this.pos += source.length;
  }

  u32(value: number): void {
    this.reserve(5);
    this.u32Reserved(value);
  }

  /** Needs 5 reserved bytes. */
  u32Reserved(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.bytes[this.pos++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.pos++] = rest;
  }

  /** Signed LEB128 of a 32-bit integer, as for i32.const and i64.const. Needs 5 reserved bytes. */
  s32Reserved(value: number): void {
    let rest = value | 0;
    while (rest > 63 || rest < -64) {
      this.bytes[this.pos++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.bytes[this.pos++] = rest & 0x7f;
  }

  u64(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  s64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    while (rest > 63n || rest < -64n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest & 0x7fn));
  }

  /** Copies source[from, to); short runs byte by byte, which is faster than a view. */
  copy(source: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.reserve(length);
    if (length > 48) {
      this.bytes.set(source.subarray(from, to), this.pos);
    } else {
      const { bytes, pos } = this;
      for (let i = 0; i < length; i++) bytes[pos + i] = source[from + i] as number;
    }
    this.pos += length;
  }

  name(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u32(utf8.length);
    this.raw(utf8);
  }

  /** Leaves five bytes for a length that `closeLength` fills in. */
  openLength(): number {
    this.reserve(5);
    this.pos += 5;
    return this.pos;
  }

  /** Writes the number of bytes since `start` as a five-byte LEB128 before `start`. */
  closeLength(start: number): void {
    let length = this.pos - start;
    for (let i = 5; i > 1; i--) {
      this.bytes[start - i] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    this.bytes[start - 1] = length;
  }

  section(id: number, write: () => void): void {
    this.byte(id);
    const start = this.openLength();
    write();
    this.closeLength(start);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.pos);
  }
}
