// The guard in front of the Candid decoder. Arguments of the management canister come from anybody, and a few bytes
// of Candid can stand for billions of values, for types that a decoder walks again and again, or for a value that it
// tries and drops at each of many nested `opt`s. This reads the message once, strictly, and refuses whatever is not
// cheap; the replica's counterpart is its quota of 10,000 skipped values (checklist 4.1). Blobs (modules, chunks) are
// taken out on the way and stand as four-byte numbers in what the decoder gets: it never copies megabytes.

/** Values that may be read or skipped. */
const MAX_VALUES = 10_000;
/** Bytes beside blobs: type table, numbers, texts, principals. Some methods take more text. */
const MAX_PLAIN_BYTES = 32_768;
/** Types in the table, and places that name one: the decoder copies what is left of the message for each. */
const MAX_TYPE_NUMBERS = 500;
const MAX_DEPTH = 32;
const MAX_NUMBER_BYTES = 64;
const MAX_PRINCIPAL_BYTES = 29;
/** Functions and services: the decoder compares whole types for each. */
const MAX_REFERENCES = 8;

const TYPE = { nat: -3, int: -4, nat8: -5, bool: -2, text: -15, principal: -24 } as const;
const CONSTRUCTED = { opt: -18, vec: -19, record: -20, variant: -21, func: -22, service: -23 } as const;
/** Bytes of the primitive types whose values all have the same length; index = -opcode. */
const FIXED_BYTES = [undefined, 0, undefined, undefined, undefined, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, undefined, 0];

interface TypeEntry {
  readonly kind: number;
  readonly inner: readonly number[];
}

/** A message with its blobs set aside. */
export interface LiftedMessage {
  /** The message, each blob replaced by the four bytes (little-endian) of its index in `blobs`. */
  readonly message: Uint8Array;
  /** Views of the original. */
  readonly blobs: readonly Uint8Array[];
}

class Refused extends Error {}

/** The message without its blobs, or a sentence why the bytes are not a Candid message that may be decoded. */
export function liftBlobs(bytes: Uint8Array, plainBytes = MAX_PLAIN_BYTES): LiftedMessage | string {
  try {
    return new Scan(bytes, plainBytes).message();
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

class Scan {
  readonly #bytes: Uint8Array;
  readonly #plainBytes: number;
  readonly #types: TypeEntry[] = [];
  readonly #blobs: Uint8Array[] = [];
  /** What the decoder gets, in pieces. */
  readonly #pieces: Uint8Array[] = [];
  readonly #text = new TextDecoder("utf-8", { fatal: true });
  #pieceStart = 0;
  #at = 0;
  #blobBytes = 0;
  #valuesLeft = MAX_VALUES;
  #typeNumbersLeft = MAX_TYPE_NUMBERS;
  #referencesLeft = MAX_REFERENCES;

  constructor(bytes: Uint8Array, plainBytes: number) {
    this.#bytes = bytes;
    this.#plainBytes = plainBytes;
  }

  message(): LiftedMessage {
    for (const char of "DIDL") {
      if (this.#byte() !== char.charCodeAt(0)) throw new Refused("the bytes do not begin with the magic bytes 'DIDL'");
    }
    for (let left = this.#unsigned(); left > 0; left--) this.#types.push(this.#typeEntry());
    for (const { inner } of this.#types) for (const type of inner) this.#checkType(type);
    const args = this.#typeNumbers(this.#unsigned());
    for (const type of args) this.#checkType(type);
    for (const type of args) this.#value(type, MAX_DEPTH);
    if (this.#at !== this.#bytes.length) throw new Refused("bytes are left after the last value");
    this.#endPiece();
    return { message: concatenate(this.#pieces), blobs: this.#blobs };
  }

  #typeEntry(): TypeEntry {
    const [kind] = this.#typeNumbers(1) as [number];
    switch (kind) {
      case CONSTRUCTED.opt:
      case CONSTRUCTED.vec:
        return { kind, inner: this.#typeNumbers(1) };
      case CONSTRUCTED.record:
      case CONSTRUCTED.variant: {
        const inner: number[] = [];
        for (let left = this.#unsigned(); left > 0; left--) {
          this.#unsigned();
          inner.push(...this.#typeNumbers(1));
        }
        return { kind, inner };
      }
      case CONSTRUCTED.func: {
        const inner = [...this.#typeNumbers(this.#unsigned()), ...this.#typeNumbers(this.#unsigned())];
        this.#skip(this.#unsigned());
        return { kind, inner };
      }
      case CONSTRUCTED.service: {
        const inner: number[] = [];
        for (let left = this.#unsigned(); left > 0; left--) {
          this.#utf8();
          inner.push(...this.#typeNumbers(1));
        }
        return { kind, inner };
      }
      default:
        throw new Refused(`type constructor ${kind} is unknown`);
    }
  }

  #typeNumbers(count: number): number[] {
    this.#typeNumbersLeft -= count;
    if (this.#typeNumbersLeft < 0) throw new Refused("the types are too large");
    return Array.from({ length: count }, () => this.#signed());
  }

  #checkType(type: number): void {
    const isKnown = type >= 0 ? type < this.#types.length : type >= -17 || type === TYPE.principal;
    if (!isKnown) throw new Refused(`type ${type} does not exist`);
  }

  #value(type: number, depth: number): void {
    this.#spend(1);
    if (depth === 0) throw new Refused("values are nested too deeply");
    if (type >= 0) this.#constructed(this.#types[type] as TypeEntry, depth - 1);
    else this.#primitive(type);
  }

  #constructed({ kind, inner }: TypeEntry, depth: number): void {
    switch (kind) {
      case CONSTRUCTED.opt:
        if (this.#flag()) this.#value(inner[0] as number, depth);
        break;
      case CONSTRUCTED.vec:
        this.#vector(inner[0] as number, depth);
        break;
      case CONSTRUCTED.record:
        for (const field of inner) this.#value(field, depth);
        break;
      case CONSTRUCTED.variant: {
        // The decoder compares the chosen field with one after the other.
        this.#spend(inner.length);
        const chosen = inner[this.#unsigned()];
        if (chosen === undefined) throw new Refused("a variant has no such field");
        this.#value(chosen, depth);
        break;
      }
      case CONSTRUCTED.func:
        this.#reference();
        this.#principal();
        this.#utf8();
        break;
      case CONSTRUCTED.service:
        this.#reference();
        this.#principal();
        break;
    }
  }

  #vector(element: number, depth: number): void {
    if (element === TYPE.nat8) {
      this.#blob();
      return;
    }
    // A decoder may read these as the bytes of a blob: no method takes them, so nobody is missing them.
    if (element <= -6 && element >= -12) throw new Refused("vectors of numbers other than nat8 are not accepted");
    for (let left = this.#unsigned(); left > 0; left--) this.#value(element, depth);
  }

  #blob(): void {
    this.#endPiece();
    const length = this.#unsigned();
    if (length > this.#bytes.length - this.#at) throw new Refused("the message is cut short");
    const index = this.#blobs.push(this.#bytes.subarray(this.#at, this.#at + length)) - 1;
    this.#at += length;
    this.#blobBytes += this.#at - this.#pieceStart;
    this.#pieceStart = this.#at;
    this.#pieces.push(Uint8Array.of(4, index & 255, (index >> 8) & 255, 0, 0));
  }

  #primitive(type: number): void {
    const size = FIXED_BYTES[-type];
    if (size !== undefined) this.#skip(size);
    else if (type === TYPE.bool) this.#flag();
    else if (type === TYPE.nat || type === TYPE.int) this.#number();
    else if (type === TYPE.text) this.#utf8();
    else if (type === TYPE.principal) this.#principal();
    else throw new Refused("a value of type empty cannot exist");
  }

  #reference(): void {
    if (--this.#referencesLeft < 0) throw new Refused("there are too many references");
    if (!this.#flag()) throw new Refused("opaque references are not accepted");
  }

  #principal(): void {
    if (!this.#flag()) throw new Refused("opaque references are not accepted");
    const length = this.#unsigned();
    if (length > MAX_PRINCIPAL_BYTES) throw new Refused("a principal has at most 29 bytes");
    this.#skip(length);
  }

  #utf8(): void {
    const start = this.#at;
    const length = this.#unsigned();
    const from = this.#at;
    this.#skip(length);
    try {
      this.#text.decode(this.#bytes.subarray(from, this.#at));
    } catch {
      throw new Refused(`the text at byte ${start} is not UTF-8`);
    }
  }

  #number(): void {
    for (let i = 0; i < MAX_NUMBER_BYTES; i++) if (this.#byte() < 0x80) return;
    throw new Refused("a number is too long");
  }

  #flag(): boolean {
    const byte = this.#byte();
    if (byte > 1) throw new Refused(`expected 0 or 1, found ${byte}`);
    return byte === 1;
  }

  #spend(values: number): void {
    this.#valuesLeft -= values;
    if (this.#valuesLeft < 0) throw new Refused("there are too many values");
  }

  #skip(count: number): void {
    if (count > this.#bytes.length - this.#at) throw new Refused("the message is cut short");
    this.#at += count;
    if (this.#at - this.#blobBytes > this.#plainBytes) throw new Refused("the message is too large");
  }

  #byte(): number {
    this.#skip(1);
    return this.#bytes[this.#at - 1] as number;
  }

  #unsigned(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Refused("a length or index is too large");
  }

  #signed(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale * 128;
    }
    throw new Refused("a type is out of range");
  }

  #endPiece(): void {
    this.#pieces.push(this.#bytes.subarray(this.#pieceStart, this.#at));
    this.#pieceStart = this.#at;
  }
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
