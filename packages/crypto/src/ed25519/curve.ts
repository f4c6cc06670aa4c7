// Points of edwards25519 in the memory of the WebAssembly that computes with them, and sums of multiples of many by
// Straus's method: all share the doublings, and the digits of a multiple are odd, at most 15, and at least 5 bits apart.
// What happens a few times in a signature is JavaScript. The time depends on the numbers, all of which are public.
import {
  type CurveCode,
  curveModule,
  FIELD_BYTES,
  FREE,
  LIMB_COUNT,
  limbBits,
  POINT_BYTES,
  TWICE_D,
} from "./field-code.ts";

const PRIME = 2n ** 255n - 19n;
/** RFC 8032, section 5.1. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const ROOT_OF_MINUS_ONE = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;

const DIGIT_BITS = 5;
/** The odd multiples up to the largest digit. */
const MULTIPLES = 2 ** (DIGIT_BITS - 2);
const TABLE_BYTES = MULTIPLES * POINT_BYTES;
const SCALAR_BITS = 256;
const PAGE_BYTES = 65_536;

const field = (i: number): number => FREE + i * FIELD_BYTES;
const [ONE, COEFFICIENT, ROOT] = [field(0), field(1), field(2)];
/** Intermediate results. */
const [U, V, V3, POWER, X, CHECK] = [field(3), field(4), field(5), field(6), field(7), field(8)];
const [P, Q, R] = [field(9), field(10), field(11)];
/** From POWER to P, to the power (p - 5) / 8 = 2^252 - 3 by way of 2^n - 1, n = 2, 4, 5, 10, 20, 40, 50, 100, 200, 250. */
const TO_THE_POWER: readonly (readonly [to: number, from: number, squares: number, by: number])[] = [
  [P, POWER, 1, POWER],
  [Q, P, 2, P],
  [P, Q, 1, POWER],
  [Q, P, 5, P],
  [P, Q, 10, Q],
  [R, P, 20, P],
  [P, R, 10, Q],
  [Q, P, 50, P],
  [R, Q, 100, Q],
  [Q, R, 50, P],
  [P, Q, 2, POWER],
];
const POINT = field(12);
const [POINT_Y, POINT_Z, POINT_T] = [field(13), field(14), field(15)];
const TWICE = POINT + POINT_BYTES;
const SUM = TWICE + POINT_BYTES;
const ZERO = SUM + POINT_BYTES;
const TABLES = ZERO + FIELD_BYTES;

/** A multiple of the point of a table, from 0 to 2^255. */
export interface Term {
  readonly table: number;
  readonly scalar: bigint;
}

export class Curve {
  readonly #code: CurveCode;
  readonly #limbs: Int32Array;
  /** The place of the first digit at each bit, or -1. */
  readonly #firstOf = new Int32Array(SCALAR_BITS);
  /** In twos: the point to add, negative to subtract, and the place of the next digit at the same bit. */
  #digits = new Int32Array(0);
  readonly #reduced = new Int32Array(LIMB_COUNT);
  readonly #scalar = new DataView(new ArrayBuffer(SCALAR_BITS / 8 + 4));

  /** With tables for so many points. */
  constructor(tables: number) {
    const pages = Math.ceil((TABLES + tables * TABLE_BYTES) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(curveModule(pages));
    this.#code = new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as CurveCode;
    this.#limbs = new Int32Array(memory.buffer);
    for (const [at, value] of [
      [ONE, 1n],
      [COEFFICIENT, D],
      [ROOT, ROOT_OF_MINUS_ONE],
      [TWICE_D, (2n * D) % PRIME],
    ] as const) {
      this.#read(at, littleEndian(value));
    }
  }

  /** Puts the point of the first 32 bytes into a table, as ZIP-215 reads them. False: they are none. */
  load(table: number, bytes: Uint8Array): boolean {
    if (!this.#decompress(bytes)) return false;
    const { double, add, prepare } = this.#code;
    const first = TABLES + table * TABLE_BYTES;
    prepare(first, POINT);
    this.#limbs.copyWithin(SUM / 4, POINT / 4, (POINT + POINT_BYTES) / 4);
    double(SUM);
    prepare(TWICE, SUM);
    for (let i = 1; i < MULTIPLES; i++) {
      add(POINT, TWICE);
      prepare(first + i * POINT_BYTES, POINT);
    }
    return true;
  }

  /** Whether eight times the sum is the neutral point. */
  isSumSmall(terms: readonly Term[]): boolean {
    const { double, add, subtract } = this.#code;
    let next = Math.ceil(SCALAR_BITS / DIGIT_BITS) * terms.length;
    if (this.#digits.length < 2 * next) this.#digits = new Int32Array(2 * next);
    next = 0;
    this.#firstOf.fill(-1);
    for (const term of terms) next = this.#split(term, next);
    const digits = this.#digits;
    this.#setNeutral(SUM);
    for (let bit = SCALAR_BITS - 1; bit >= 0; bit--) {
      double(SUM);
      for (let i = this.#firstOf[bit] as number; i >= 0; i = digits[i + 1] as number) {
        const point = digits[i] as number;
        if (point > 0) add(SUM, point);
        else subtract(SUM, -point);
      }
    }
    for (let i = 0; i < 3; i++) double(SUM);
    return this.#isSame(SUM, ZERO) && this.#isSame(SUM + FIELD_BYTES, SUM + 2 * FIELD_BYTES);
  }

  /** Notes the digits of a scalar from place `next` on; gives the place after them. */
  #split({ table, scalar }: Term, next: number): number {
    const first = TABLES + table * TABLE_BYTES;
    const words = this.#scalar;
    writeLittleEndian(words, scalar);
    let place = next;
    let carry = 0;
    for (let bit = 0; bit < SCALAR_BITS; ) {
      // 17 bits or more; there is room after the scalar.
      const rest = (words.getUint32(bit >> 3, true) >>> (bit & 7)) + carry;
      const zeros = 31 - Math.clz32(rest & -rest);
      if (zeros !== 0) {
        bit += zeros < 0 || zeros > 16 ? 16 : zeros;
        continue;
      }
      const digit = rest & (2 ** DIGIT_BITS - 1);
      carry = digit >> (DIGIT_BITS - 1);
      const multiple = carry === 0 ? digit : 2 ** DIGIT_BITS - digit;
      const point = first + (multiple >> 1) * POINT_BYTES;
      this.#digits[place] = carry === 0 ? point : -point;
      this.#digits[place + 1] = this.#firstOf[bit] as number;
      this.#firstOf[bit] = place;
      place += 2;
      bit += DIGIT_BITS;
    }
    return place;
  }

  /** x is a root of (y^2 - 1) / (dy^2 + 1). RFC 8032, section 5.1.3, without the refusals that ZIP-215 takes back. */
  #decompress(bytes: Uint8Array): boolean {
    const { multiply, square } = this.#code;
    const limbs = this.#limbs;
    this.#read(POINT_Y, bytes);
    square(U, POINT_Y, 1);
    multiply(V, U, COEFFICIENT);
    limbs[U / 4] = (limbs[U / 4] as number) - 1;
    limbs[V / 4] = (limbs[V / 4] as number) + 1;
    // u v^3 (u v^7)^((p - 5) / 8)
    square(V3, V, 1);
    multiply(V3, V3, V);
    square(POWER, V3, 1);
    multiply(POWER, POWER, V);
    multiply(POWER, POWER, U);
    for (const [to, from, times, by] of TO_THE_POWER) {
      square(to, from, times);
      multiply(to, to, by);
    }
    multiply(X, P, V3);
    multiply(X, X, U);
    if (!this.#isRoot()) {
      multiply(X, X, ROOT);
      if (!this.#isRoot()) return false;
    }
    const isOdd = ((this.#canonical(X)[0] as number) & 1) === 1;
    const isNegative = isOdd !== (bytes[31] as number) > 127;
    for (let i = 0; i < LIMB_COUNT; i++) {
      const limb = limbs[X / 4 + i] as number;
      limbs[POINT / 4 + i] = isNegative ? -limb : limb;
    }
    this.#copy(POINT_Z, ONE);
    multiply(POINT_T, POINT, POINT_Y);
    return true;
  }

  /** Whether v x^2 = u. */
  #isRoot(): boolean {
    this.#code.square(CHECK, X, 1);
    this.#code.multiply(CHECK, CHECK, V);
    return this.#isSame(CHECK, U);
  }

  #setNeutral(point: number): void {
    this.#limbs.fill(0, point / 4, (point + POINT_BYTES) / 4);
    this.#copy(point + FIELD_BYTES, ONE);
    this.#copy(point + 2 * FIELD_BYTES, ONE);
  }

  #copy(to: number, from: number): void {
    this.#limbs.copyWithin(to / 4, from / 4, from / 4 + LIMB_COUNT);
  }

  #isSame(a: number, b: number): boolean {
    for (let i = 0; i < LIMB_COUNT; i++) {
      this.#limbs[P / 4 + i] = (this.#limbs[a / 4 + i] as number) - (this.#limbs[b / 4 + i] as number);
    }
    this.#code.multiply(P, P, ONE);
    const limbs = this.#canonical(P);
    for (let i = 0; i < LIMB_COUNT; i++) if (limbs[i] !== 0) return false;
    return true;
  }

  /** The limbs from 0 to the prime of what a multiplication gave, which is from -prime to twice the prime; until the next call. */
  #canonical(at: number): Int32Array {
    const from = this.#limbs;
    const limbs = this.#reduced;
    const carry = (start: number): number => {
      let over = start;
      for (let i = 0; i < LIMB_COUNT; i++) over = ((from[at / 4 + i] as number) + over) >> limbBits(i);
      return over;
    };
    // Below zero a prime is missing; else one is too many as soon as 19 more fill all bits.
    let over = 19 * (carry(0) < 0 ? -1 : carry(19));
    for (let i = 0; i < LIMB_COUNT; i++) {
      const sum = (from[at / 4 + i] as number) + over;
      limbs[i] = sum & (2 ** limbBits(i) - 1);
      over = sum >> limbBits(i);
    }
    return limbs;
  }

  /** An element of 255 bits; the bit above them is not looked at. */
  #read(at: number, bytes: Uint8Array): void {
    for (let i = 0, bit = 0; i < LIMB_COUNT; i++) {
      const from = bit >> 3;
      const four =
        ((bytes[from] as number) |
          ((bytes[from + 1] as number) << 8) |
          ((bytes[from + 2] as number) << 16) |
          ((bytes[from + 3] as number) << 24)) >>>
        (bit & 7);
      this.#limbs[at / 4 + i] = four & (2 ** limbBits(i) - 1);
      bit += limbBits(i);
    }
  }
}

/** Little-endian. */
function littleEndian(scalar: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  writeLittleEndian(new DataView(bytes.buffer), scalar);
  return bytes;
}

function writeLittleEndian(view: DataView, scalar: bigint): void {
  for (let i = 0; i < 4; i++) view.setBigUint64(8 * i, BigInt.asUintN(64, scalar >> BigInt(64 * i)), true);
}
