// Reads the heads and strings of CBOR (RFC 8949) out of bytes that nobody has checked yet. Every length is compared
// with what is left before anything is made, so reading costs time and memory in proportion to the input.

/** The bytes are not CBOR, or not the part of CBOR that is allowed. `offset` is where the trouble was met. */
export class CborError extends Error {
  override name = "CborError";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.offset = offset;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const U32 = 0x1_0000_0000;
/** Byte strings up to this size are copied; longer ones share the memory of the input. */
const COPIED_BYTES = 64;

export class CborReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  /** Major type of the head that was read last. */
  major = 0;
  /** Low five bits of that head: 24 to 27 say how long the argument was, 31 an indefinite length. */
  info = 0;

  #itemsLeft: number;

  constructor(input: Uint8Array, maxItems = Number.POSITIVE_INFINITY) {
    this.#itemsLeft = maxItems;
    // Buffer.slice and Buffer.subarray mean other things than those of Uint8Array.
    const plain = input.constructor === Uint8Array;
    this.bytes = plain ? input : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  }

  fail(message: string): never {
    throw new CborError(message, this.at);
  }

  /** Reads a head; the argument comes back, as bigint only above 2^53 - 1. */
  head(): number | bigint {
    const bytes = this.bytes;
    if (this.at >= bytes.length) this.fail("unexpected end");
    if (--this.#itemsLeft < 0) this.fail("too many items");
    const first = bytes[this.at++] as number;
    this.major = first >> 5;
    const info = first & 31;
    this.info = info;
    if (info < 24 || info === 31) return info;
    if (info > 27) this.fail("reserved length");
    const size = 1 << (info - 24);
    const at = this.at;
    if (bytes.length - at < size) this.fail("unexpected end");
    this.at = at + size;
    if (size === 1) return bytes[at] as number;
    if (size === 2) return this.#view.getUint16(at);
    if (size === 4) return this.#view.getUint32(at);
    const high = this.#view.getUint32(at);
    return high < 0x20_0000 ? high * U32 + this.#view.getUint32(at + 4) : this.#view.getBigUint64(at);
  }

  /** Checks that `count` items of at least one byte each can follow. */
  count(count: number | bigint): number {
    if (count > this.bytes.length - this.at) this.fail("length beyond the end");
    return Number(count);
  }

  byteString(length: number | bigint): Uint8Array {
    const end = this.at + this.count(length);
    const bytes = end - this.at > COPIED_BYTES ? this.bytes.subarray(this.at, end) : this.bytes.slice(this.at, end);
    this.at = end;
    return bytes;
  }

  text(length: number | bigint): string {
    const start = this.at;
    const end = start + this.count(length);
    const text = end - start <= MAX_KNOWN ? this.#knownText(start, end) : this.#decode(start, end);
    this.at = end;
    return text;
  }

  #decode(start: number, end: number): string {
    try {
      return decoder.decode(this.bytes.subarray(start, end));
    } catch {
      return this.fail("text that is not UTF-8");
    }
  }

  // Field names come again and again. A small table of texts met before spares a call of the decoder, which costs
  // more than everything else in a short envelope. What is in the table never changes what is answered.
  #knownText(start: number, end: number): string {
    const bytes = this.bytes;
    let hash = end - start;
    for (let i = start; i < end; i++) hash = (hash * 31 + (bytes[i] as number)) & 0x3ff;
    const known = KNOWN[hash];
    if (known !== undefined && known.bytes.length === end - start) {
      let i = 0;
      while (start + i < end && known.bytes[i] === bytes[start + i]) i++;
      if (start + i === end) return known.text;
    }
    const text = this.#decode(start, end);
    KNOWN[hash] = { bytes: bytes.slice(start, end), text };
    return text;
  }
}

const MAX_KNOWN = 24;
const KNOWN: ({ readonly bytes: Uint8Array; readonly text: string } | undefined)[] = new Array(1024);
KNOWN.fill(undefined);
