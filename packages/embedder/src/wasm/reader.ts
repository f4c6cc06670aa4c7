// Bounded reading of the Wasm binary format. Whatever the bytes are, a reader either gives a value or throws
// MalformedModule; it never reads outside its range and never allocates what a count merely promises.

/** The bytes are not a module of the binary format as the Internet Computer accepts it. Caught in `validate.ts`. */
export class MalformedModule extends Error {
  override name = "MalformedModule";
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Reader {
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  fail(what: string): never {
    throw new MalformedModule(`${what} (at offset 0x${this.pos.toString(16)})`);
  }

  byte(): number {
    if (this.pos >= this.end) this.fail("unexpected end");
    return this.bytes[this.pos++] as number;
  }

  skip(count: number): void {
    if (count > this.end - this.pos) this.fail("unexpected end");
    this.pos += count;
  }

  u32(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) this.fail("invalid var_u32: integer too large");
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.fail("invalid var_u32: integer representation too long");
  }

  /** An unsigned 64-bit number, exact: limits and memory offsets. */
  u64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      if (shift === 63n && byte > 1) this.fail("invalid var_u64: integer too large");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.fail("invalid var_u64: integer representation too long");
  }

  s32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return shift < 28 && byte & 0x40 ? value | (-1 << (shift + 7)) : value;
    }
    this.fail("invalid var_i32: integer representation too long");
  }

  s64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, byte & 0x40 ? value | (-1n << (shift + 7n)) : value);
    }
    this.fail("invalid var_i64: integer representation too long");
  }

  /** Skips a LEB128 of at most `maxBytes` bytes. */
  skipLeb(maxBytes: number): void {
    for (let i = 0; i < maxBytes; i++) if (this.byte() < 0x80) return;
    this.fail("integer representation too long");
  }

  /** A count of items that take at least one byte each, so a count beyond the bytes left is refused at once. */
  count(): number {
    const count = this.u32();
    if (count > this.end - this.pos) this.fail("unexpected end");
    return count;
  }

  name(): string {
    const length = this.u32();
    const start = this.pos;
    this.skip(length);
    try {
      return UTF8.decode(this.bytes.subarray(start, this.pos));
    } catch {
      this.fail("malformed UTF-8 encoding");
    }
  }
}
