// Candid as people read it: a message is shown by the types that it brings along, with the names of fields where their
// hashes are known. Only for showing: what cannot be read is shown as bytes, and nothing is read beyond the length that
// is shown, so that no message, however made, takes long. Candid specification, "Binary format", "Text format".
import { type PrincipalId, principalToText, toHex } from "@atoll/types";

export interface CandidNames {
  /** The name behind the hash of a field, a case or a method. */
  field(hash: number): string | undefined;
  /** How a principal is called in this test. */
  principal(id: PrincipalId): string | undefined;
}

/** Characters; what is longer ends with "…". */
const MAX_TEXT = 300;
const MAX_DEPTH = 32;
const MAX_TYPES = 2_000;
const SHOWN_BLOB_BYTES = 24;

const OPT = -18;
const VEC = -19;
const RECORD = -20;
const VARIANT = -21;
const FUNC = -22;
const SERVICE = -23;
const PRINCIPAL = -24;
const NAT8 = -5;

interface WireType {
  readonly kind: number;
  /** Hash and type of each field; of opt and vec one. */
  readonly fields: readonly (readonly [hash: number, type: number])[];
}

class Unreadable extends Error {}
class LongEnough extends Error {}

/** `(1, "text", record { name = "x" })`; bytes that are not Candid as text or hex. */
export function candidText(bytes: Uint8Array, names: CandidNames): string {
  return messageText(bytes, names, 1);
}

/** `nested`: how many messages may be in blobs of each other. */
function messageText(bytes: Uint8Array, names: CandidNames, nested: number): string {
  const show = new CandidShow(bytes, names, nested);
  try {
    return show.message();
  } catch (error) {
    if (error instanceof LongEnough) return `${show.text.slice(0, MAX_TEXT)}…`;
    if (error instanceof Unreadable) return blobText(bytes);
    throw error;
  }
}

/** Text where it is text, else hex; of a long one the beginning. */
export function blobText(bytes: Uint8Array, shownBytes = SHOWN_BLOB_BYTES): string {
  const part = bytes.subarray(0, shownBytes);
  const dots = part.length < bytes.length ? `… (${bytes.length} bytes)` : "";
  const text = decodeUtf8(part);
  const isText = text !== undefined && bytes.length > 0 && /^[\p{L}\p{N}\p{P}\p{S} \n\t]*$/u.test(text);
  return isText ? `blob ${JSON.stringify(text)}${dots}` : `0x${toHex(part)}${dots}`;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

class CandidShow {
  text = "";
  readonly #bytes: Uint8Array;
  readonly #names: CandidNames;
  readonly #nested: number;
  readonly #types: WireType[] = [];
  #at = 0;

  constructor(bytes: Uint8Array, names: CandidNames, nested: number) {
    this.#bytes = bytes;
    this.#names = names;
    this.#nested = nested;
  }

  message(): string {
    for (const char of "DIDL") if (this.#byte() !== char.charCodeAt(0)) throw new Unreadable();
    for (let left = this.#count(MAX_TYPES); left > 0; left--) this.#types.push(this.#typeEntry());
    const types = Array.from({ length: this.#count(MAX_TYPES) }, () => this.#signed());
    this.#write("(");
    this.#list(types, (type) => this.#value(type, MAX_DEPTH), ", ");
    this.#write(")");
    return this.text;
  }

  #typeEntry(): WireType {
    const kind = this.#signed();
    if (kind === OPT || kind === VEC) return { kind, fields: [[0, this.#signed()]] };
    if (kind === RECORD || kind === VARIANT) {
      const fields = Array.from({ length: this.#count(MAX_TYPES) }, () => [this.#unsigned(), this.#signed()] as const);
      return { kind, fields };
    }
    if (kind === FUNC) {
      for (let list = 0; list < 2; list++) for (let left = this.#count(MAX_TYPES); left > 0; left--) this.#signed();
      for (let left = this.#count(MAX_TYPES); left > 0; left--) this.#byte();
      return { kind, fields: [] };
    }
    if (kind !== SERVICE) throw new Unreadable();
    for (let left = this.#count(MAX_TYPES); left > 0; left--) {
      this.#take(this.#unsigned());
      this.#signed();
    }
    return { kind, fields: [] };
  }

  #value(type: number, depth: number): void {
    if (depth === 0) throw new LongEnough();
    if (type < 0) {
      this.#primitive(type);
      return;
    }
    const wire = this.#types[type];
    if (wire === undefined) throw new Unreadable();
    const { kind, fields } = wire;
    if (kind === RECORD) this.#record(fields, depth - 1);
    else if (kind === VARIANT) this.#variant(fields, depth - 1);
    else if (kind === FUNC) this.#reference("func ", () => this.#write(`.${this.#utf8()}`));
    else if (kind === SERVICE) this.#reference("service ", () => undefined);
    else {
      const [, inner] = fields[0] as readonly [number, number];
      if (kind === OPT) this.#option(inner, depth - 1);
      else this.#vector(inner, depth - 1);
    }
  }

  #option(inner: number, depth: number): void {
    if (this.#byte() === 0) {
      this.#write("null");
      return;
    }
    this.#write("opt ");
    this.#value(inner, depth);
  }

  #vector(inner: number, depth: number): void {
    const length = this.#unsigned();
    if (inner === NAT8) {
      this.#blob(this.#take(length));
      return;
    }
    this.#write("vec {");
    for (let i = 0; i < length; i++) {
      this.#write(i === 0 ? " " : "; ");
      this.#value(inner, depth);
    }
    this.#write(length === 0 ? "}" : " }");
  }

  /** Arguments and replies are often passed on in blobs: those are shown as what they are. */
  #blob(bytes: Uint8Array): void {
    const text = this.#nested > 0 ? messageText(bytes, this.#names, this.#nested - 1) : blobText(bytes);
    this.#write(text.startsWith("(") ? `candid${text}` : text);
  }

  #record(fields: WireType["fields"], depth: number): void {
    const isTuple = fields.length > 0 && fields.every(([hash], i) => hash === i);
    this.#write(fields.length === 0 ? "record {" : "record { ");
    const field = ([hash, type]: readonly [number, number]): void => {
      if (!isTuple) this.#write(`${this.#nameOf(hash)} = `);
      this.#value(type, depth);
    };
    this.#list(fields, field, "; ");
    this.#write(fields.length === 0 ? "}" : " }");
  }

  #variant(fields: WireType["fields"], depth: number): void {
    const chosen = fields[this.#unsigned()];
    if (chosen === undefined) throw new Unreadable();
    const [hash, type] = chosen;
    this.#write(`variant { ${this.#nameOf(hash)}`);
    if (type !== -1) {
      this.#write(" = ");
      this.#value(type, depth);
    }
    this.#write(" }");
  }

  #primitive(type: number): void {
    if (type === -1) this.#write("null");
    else if (type === -2) this.#write(this.#byte() === 0 ? "false" : "true");
    else if (type === -3) this.#write(grouped(this.#big(false)));
    else if (type === -4) this.#write(grouped(this.#big(true)));
    else if (type >= -8) this.#write(grouped(this.#fixed(2 ** (-type - 5), false)));
    else if (type >= -12) this.#write(grouped(this.#fixed(2 ** (-type - 9), true)));
    else if (type === -13 || type === -14) this.#write(this.#float(type === -13 ? 4 : 8));
    else if (type === -15) this.#write(JSON.stringify(this.#utf8()));
    else if (type === -16) this.#write("reserved");
    else if (type === PRINCIPAL) this.#reference("principal ", () => undefined);
    else throw new Unreadable();
  }

  /** A principal, or what begins with one. */
  #reference(word: string, rest: () => void): void {
    if (word === "func " && this.#byte() === 0) throw new Unreadable();
    if (this.#byte() === 0) throw new Unreadable();
    const bytes = this.#take(this.#unsigned());
    if (bytes.length > 29) throw new Unreadable();
    const id = toHex(bytes) as PrincipalId;
    this.#write(word + (this.#names.principal(id) ?? JSON.stringify(principalToText(id))));
    rest();
  }

  #nameOf(hash: number): string {
    const name = this.#names.field(hash) ?? String(hash);
    return /^\w+$/.test(name) ? name : JSON.stringify(name);
  }

  #list<Item>(items: readonly Item[], show: (item: Item) => void, between: string): void {
    items.forEach((item, i) => {
      if (i > 0) this.#write(between);
      show(item);
    });
  }

  #write(text: string): void {
    this.text += text;
    if (this.text.length > MAX_TEXT) throw new LongEnough();
  }

  #big(isSigned: boolean): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 1_000n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return isSigned && (byte & 64) !== 0 ? value - (1n << (shift + 7n)) : value;
    }
    throw new LongEnough();
  }

  #fixed(bytes: number, isSigned: boolean): bigint {
    let value = 0n;
    this.#take(bytes).forEach((byte, i) => {
      value |= BigInt(byte) << BigInt(8 * i);
    });
    return isSigned ? BigInt.asIntN(8 * bytes, value) : value;
  }

  #float(bytes: number): string {
    const part = this.#take(bytes);
    const view = new DataView(part.buffer, part.byteOffset, bytes);
    return String(bytes === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true));
  }

  #utf8(): string {
    const text = decodeUtf8(this.#take(this.#unsigned()));
    if (text === undefined) throw new Unreadable();
    return text;
  }

  #signed(): number {
    return Number(this.#big(true));
  }

  #unsigned(): number {
    return Number(this.#big(false));
  }

  #count(most: number): number {
    const count = this.#unsigned();
    if (count > most) throw new Unreadable();
    return count;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw new Unreadable();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #byte(): number {
    return this.#take(1)[0] as number;
  }
}

/** `1_234_567`. */
export function grouped(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "_");
}
