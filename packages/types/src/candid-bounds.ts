// Says whether a Candid message is cheap to decode, without decoding it. A few bytes can stand for billions of empty
// values (`vec null`), for a tower of types or for a number of a million digits; decoders for browsers walk into all
// three. Whoever decodes an argument from a user or an answer from a canister asks here first.
// Candid specification, "Binary format"; the replica has the same guard as a quota on skipped values.

/** Nested values, deep enough for any real interface. */
const MAX_DEPTH = 100;
const MAX_TYPES = 2_000;
/** Digits (7 bits each) of a nat or int. */
const MAX_NUMBER_BYTES = 1_024;

const NAT = -3;
const INT = -4;
const TEXT = -15;
const PRINCIPAL = -24;
const OPT = -18;
const VEC = -19;
const RECORD = -20;
const VARIANT = -21;
const FUNC = -22;
const SERVICE = -23;

interface TypeEntry {
  readonly kind: number;
  /** Types inside: of the element, of the fields in order. Nothing for references. */
  readonly inner: readonly number[];
}

/** Sizes of the primitive types whose values all have the same length; index = -opcode. */
const FIXED_SIZES: readonly (number | undefined)[] = [
  ...[undefined, 0, 1, undefined, undefined, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 4, 8, undefined, 0],
];

class Refused extends Error {}

/** True when `bytes` is a whole Candid message with at most `maxValues` values in it (a blob counts as one). */
export function isCandidWithin(bytes: Uint8Array, maxValues: number): boolean {
  try {
    const scan = new CandidScan(bytes, maxValues);
    scan.message();
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

class CandidScan {
  readonly #bytes: Uint8Array;
  readonly #table: TypeEntry[] = [];
  #at = 0;
  #left: number;

  constructor(bytes: Uint8Array, maxValues: number) {
    this.#bytes = bytes;
    this.#left = maxValues;
  }

  message(): void {
    for (const char of "DIDL") if (this.#byte() !== char.charCodeAt(0)) throw new Refused();
    const types = this.#unsigned();
    if (types > MAX_TYPES) throw new Refused();
    for (let i = 0; i < types; i++) this.#table.push(this.#typeEntry());
    const args = this.#typeList(this.#unsigned());
    for (const type of args) this.#value(type, MAX_DEPTH);
    if (this.#at !== this.#bytes.length) throw new Refused();
  }

  #typeEntry(): TypeEntry {
    const kind = this.#signed();
    switch (kind) {
      case OPT:
      case VEC:
        return { kind, inner: [this.#signed()] };
      case RECORD:
      case VARIANT: {
        const inner: number[] = [];
        for (let count = this.#unsigned(); count > 0; count--) {
          this.#unsigned();
          inner.push(this.#signed());
        }
        return { kind, inner };
      }
      case FUNC:
        this.#typeList(this.#unsigned());
        this.#typeList(this.#unsigned());
        this.#skip(this.#unsigned());
        return { kind, inner: [] };
      case SERVICE:
        for (let count = this.#unsigned(); count > 0; count--) {
          this.#skip(this.#unsigned());
          this.#signed();
        }
        return { kind, inner: [] };
      default:
        throw new Refused();
    }
  }

  #typeList(count: number): number[] {
    const types: number[] = [];
    for (let i = 0; i < count; i++) types.push(this.#signed());
    return types;
  }

  #value(type: number, depth: number): void {
    if (--this.#left < 0 || depth === 0) throw new Refused();
    if (type < 0) this.#primitive(type);
    else this.#constructed(this.#table[type], depth);
  }

  #constructed(entry: TypeEntry | undefined, depth: number): void {
    switch (entry?.kind) {
      case OPT: {
        const some = this.#byte();
        if (some > 1) throw new Refused();
        if (some === 1) this.#value(entry.inner[0] as number, depth - 1);
        break;
      }
      case VEC:
        this.#vector(entry.inner[0] as number, depth);
        break;
      case RECORD:
        for (const field of entry.inner) this.#value(field, depth - 1);
        break;
      case VARIANT: {
        const chosen = entry.inner[this.#unsigned()];
        if (chosen === undefined) throw new Refused();
        this.#value(chosen, depth - 1);
        break;
      }
      case FUNC:
        if (this.#byte() !== 1) throw new Refused();
        this.#reference();
        this.#skip(this.#unsigned());
        break;
      case SERVICE:
        this.#reference();
        break;
      default:
        throw new Refused();
    }
  }

  #vector(element: number, depth: number): void {
    const count = this.#unsigned();
    const size = FIXED_SIZES[-element];
    if (size !== undefined && size > 0) this.#skip(count * size);
    else for (let i = 0; i < count; i++) this.#value(element, depth - 1);
  }

  #primitive(type: number): void {
    const size = FIXED_SIZES[-type];
    if (size !== undefined) this.#skip(size);
    else if (type === NAT || type === INT) this.#number();
    else if (type === TEXT) this.#skip(this.#unsigned());
    else if (type === PRINCIPAL) this.#reference();
    else throw new Refused();
  }

  /** A principal or service: a flag that says "transparent", and bytes. */
  #reference(): void {
    if (this.#byte() !== 1) throw new Refused();
    this.#skip(this.#unsigned());
  }

  #number(): void {
    for (let i = 0; i < MAX_NUMBER_BYTES; i++) if (this.#byte() < 0x80) return;
    throw new Refused();
  }

  #skip(count: number): void {
    if (count > this.#bytes.length - this.#at) throw new Refused();
    this.#at += count;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Refused();
    return byte;
  }

  #unsigned(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Refused();
  }

  #signed(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale * 128;
    }
    throw new Refused();
  }
}
