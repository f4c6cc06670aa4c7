// Ed25519 signatures verified, many as one. The rule is ZIP-215, as in the replica: [8][s]B = [8]R + [8][k]A with s below
// the order, and R and A any encoding of a point. Only with the cofactor does a sum of equations, each times a factor, say
// the same as each of them alone, whoever adds up which; and nodes must not disagree on blocks. The factors are hashed from
// all keys, messages and signatures: the chance that wrong ones cancel is 2^-128, and trying costs a batch each time.
import { Curve, type Term } from "./curve.ts";

export interface RawSignature {
  /** 32 bytes, as they were sent. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const BASE = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x58 : 0x66));
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const HASH_BYTES = 64;
const FACTOR_BYTES = 16;
/** Of one signature: the hash that gives k, and s. They stand for all of it. */
const DIGEST_BYTES = HASH_BYTES + 32;
const DOMAIN_BYTES = new TextEncoder().encode("atoll-ed25519-batch");

/** Of more, the doublings that they share cost next to nothing already. */
const MAX_TOGETHER = 128;
/** Keys whose multiples are kept: 2.5 MiB. */
const KEPT_KEYS = 2048;
/** Tables: of each R, of the base point, of keys. */
const BASE_TABLE = MAX_TOGETHER;
const FIRST_KEY = BASE_TABLE + 1;

export class Ed25519Verifier {
  readonly #sha512: (data: Uint8Array) => Uint8Array;
  readonly #curve: Curve;
  readonly #keptKeys: number;
  /** By the bytes of the key. */
  readonly #tables = new Map<string, number>();

  /** `keptKeys`: at least 128. */
  constructor(sha512: (data: Uint8Array) => Uint8Array, keptKeys = KEPT_KEYS) {
    this.#sha512 = sha512;
    this.#keptKeys = keptKeys;
    this.#curve = new Curve(FIRST_KEY + keptKeys);
    this.#curve.load(BASE_TABLE, BASE);
  }

  /** Whether every one is good. Wrong lengths are not. */
  verifyAll(signatures: readonly RawSignature[]): boolean {
    for (let i = 0; i < signatures.length; i += MAX_TOGETHER) {
      if (!this.#verifyTogether(signatures.slice(i, i + MAX_TOGETHER))) return false;
    }
    return true;
  }

  #verifyTogether(signatures: readonly RawSignature[]): boolean {
    const digests = this.#digests(signatures);
    if (digests === undefined) return false;
    if (this.#tables.size + signatures.length > this.#keptKeys) this.#tables.clear();
    const factors = this.#factors(digests, signatures.length);
    const terms: Term[] = [];
    const ofKeys = new Map<number, bigint>();
    let ofBase = 0n;
    for (const [i, { publicKey, signature }] of signatures.entries()) {
      const table = this.#tableOf(publicKey);
      if (table === undefined || !this.#curve.load(i, signature)) return false;
      const factor = factors[i] as bigint;
      const at = i * DIGEST_BYTES;
      const k = littleEndian(digests, at, HASH_BYTES);
      terms.push({ table: i, scalar: factor });
      ofKeys.set(table, (ofKeys.get(table) ?? 0n) + factor * k);
      ofBase += factor * littleEndian(digests, at + HASH_BYTES, 32);
    }
    for (const [table, sum] of ofKeys) terms.push({ table, scalar: sum % ORDER });
    terms.push({ table: BASE_TABLE, scalar: ORDER - (ofBase % ORDER) });
    return this.#curve.isSumSmall(terms);
  }

  /** One after the other; undefined: one has a wrong length, or an s that is too large. */
  #digests(signatures: readonly RawSignature[]): Uint8Array | undefined {
    const digests = new Uint8Array(signatures.length * DIGEST_BYTES);
    for (const [i, { publicKey, message, signature }] of signatures.entries()) {
      if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return undefined;
      if (littleEndian(signature, 32, 32) >= ORDER) return undefined;
      // Parts so short are copied faster by hand.
      const signed = new Uint8Array(32 + KEY_BYTES + message.length);
      for (let j = 0; j < 32; j++) signed[j] = signature[j] as number;
      for (let j = 0; j < KEY_BYTES; j++) signed[32 + j] = publicKey[j] as number;
      signed.set(message, 32 + KEY_BYTES);
      digests.set(this.#sha512(signed), i * DIGEST_BYTES);
      for (let j = 0; j < 32; j++) digests[i * DIGEST_BYTES + HASH_BYTES + j] = signature[32 + j] as number;
    }
    return digests;
  }

  /** One of 128 bits for each but the first, whose is 1. */
  #factors(digests: Uint8Array, count: number): bigint[] {
    const factors = [1n];
    if (count === 1) return factors;
    const seed = new Uint8Array(DOMAIN_BYTES.length + HASH_BYTES + 1);
    seed.set(DOMAIN_BYTES);
    seed.set(this.#sha512(digests), DOMAIN_BYTES.length);
    for (let block = 0; factors.length < count; block++) {
      seed[seed.length - 1] = block;
      const bytes = this.#sha512(seed);
      for (let at = 0; at < HASH_BYTES; at += FACTOR_BYTES) factors.push(littleEndian(bytes, at, FACTOR_BYTES));
    }
    return factors;
  }

  /** Undefined: it is no point. */
  #tableOf(publicKey: Uint8Array): number | undefined {
    const name = String.fromCharCode.apply(null, publicKey as unknown as number[]);
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table = FIRST_KEY + this.#tables.size;
    if (!this.#curve.load(table, publicKey)) return undefined;
    this.#tables.set(name, table);
    return table;
  }
}

/** `length`: 16, 32 or 64. */
function littleEndian(bytes: Uint8Array, at: number, length: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
  const two = (i: number): bigint => (view.getBigUint64(i + 8, true) << 64n) | view.getBigUint64(i, true);
  const four = (i: number): bigint => (two(i + 16) << 128n) | two(i);
  return length === 16 ? two(0) : length === 32 ? four(0) : (four(32) << 256n) | four(0);
}
