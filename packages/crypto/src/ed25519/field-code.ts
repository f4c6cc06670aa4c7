// Arithmetic modulo 2^255 - 19, and with points of edwards25519, as WebAssembly that is made here: it has no product of 128
// bits, so an element has ten limbs of 26 and 25 bits in turn, kept as signed numbers of 32 bits. What a multiplication
// gives has limbs within these bits (or above them by less than a thousandth); sums and differences are not carried. A
// product is right while the limbs of its factors are at most a and b times as large, with a * b <= 8: no sum of products
// reaches 2^63. See docs/decisions/0018.
import {
  add,
  and,
  assemble,
  type Code,
  call,
  constant,
  type FunctionCode,
  get,
  load,
  multiply,
  offsetBy,
  pointer,
  repeat,
  set,
  shiftRight,
  store,
  subtract,
} from "./assembler.ts";

const LIMBS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
export const LIMB_COUNT = LIMBS.length;
export const limbBits = (limb: number): number => 26 - (limb & 1);
export const FIELD_BYTES = 4 * LIMB_COUNT;
/** X, Y, Z and T of a point (x = X/Z, y = Y/Z, xy = T/Z), or Y + X, Y - X, 2dT and 2Z of one that is to be added. */
export const POINT_BYTES = 4 * FIELD_BYTES;
/** Where the memory has to hold 2d. Intermediate results follow it. */
export const TWICE_D = 0;
const SCRATCH = FIELD_BYTES;
/** Memory from here on is the caller's. */
export const FREE = 16 * FIELD_BYTES;

/** Results may lie where factors do. */
export interface CurveCode {
  multiply(to: number, a: number, b: number): void;
  /** a^(2^n), n >= 1. */
  square(to: number, a: number, n: number): void;
  /** In place. */
  double(point: number): void;
  /** In place; `other` as `prepare` made it. */
  add(point: number, other: number): void;
  subtract(point: number, other: number): void;
  prepare(to: number, point: number): void;
}

/** `pages`: of the memory that it imports. */
export function curveModule(pages: number): Uint8Array<ArrayBuffer> {
  return assemble([product(), repeatedSquare(), double(), addition("add"), addition("subtract"), prepare()], pages);
}

/** Locals in which an element is kept, one after the other. */
const loadLimbs = (first: number, from: Code): Code => LIMBS.map((i) => set(first + i, load(from, 4 * i)));
const storeLimbs = (to: Code, first: number): Code => LIMBS.map((i) => store(to, 4 * i, get(first + i)));

const FIVE = [0, 1, 2, 3, 4] as const;
const twice = (a: Code): Code => multiply(a, constant(2));
const times19 = (a: Code): Code => multiply(a, constant(19));

/**
 * The product of two polynomials of degree 4 in t, where t^5 = 19, into the five locals from `to` on. The coefficients are
 * the locals from f and g on, `step` apart; `f` = `g`: a square. Four locals from `free` on.
 */
function polynomialProduct(to: number, f: number, g: number, step: number, free: number): Code {
  const isSquare = f === g;
  const over = (j: number): number => free + j - 1;
  const overflows = (isSquare ? [3, 4] : [1, 2, 3, 4]).map((j) => set(over(j), times19(get(g + step * j))));
  const sums = FIVE.map((k) => {
    const factorAt = (i: number): number => (k - i + 5) % 5;
    const term = (i: number): Code => {
      const j = factorAt(i);
      return multiply(get(f + step * i), get(i + j === k ? g + step * j : over(j)));
    };
    if (!isSquare) return set(to + k, FIVE.map(term).reduce(add));
    const pairs = FIVE.filter((i) => i < factorAt(i)).map(term);
    const squares = FIVE.filter((i) => i === factorAt(i)).map(term);
    return set(to + k, [twice(pairs.reduce(add)), ...squares].reduce(add));
  });
  return [overflows, sums];
}

/**
 * With t = 2^51, even limbs are one polynomial and odd ones another, 26 bits above it. Their mixed products are the product
 * of both sums without the pure ones (Karatsuba): 75 multiplications of limbs, not 100. Odd limbs times odd ones are 52
 * bits up, which is 2t. Locals from `free` on.
 */
function elementProduct(f: number, g: number, free: number): { code: Code; result: number; end: number } {
  const isSquare = f === g;
  const [sumOfF, sumOfG] = [free, isSquare ? free : free + 5];
  const rest = sumOfG + 5;
  const [even, odd, both, result, spare] = [rest, rest + 5, rest + 10, rest + 15, rest + 25] as const;
  const sum = (to: number, of: number): Code => FIVE.map((k) => set(to + k, add(get(of + 2 * k), get(of + 2 * k + 1))));
  const code: Code = [
    sum(sumOfF, f),
    isSquare ? [] : sum(sumOfG, g),
    polynomialProduct(even, f, g, 2, spare),
    polynomialProduct(odd, f + 1, g + 1, 2, spare),
    polynomialProduct(both, sumOfF, sumOfG, 1, spare),
    FIVE.map((k) => [
      set(result + 2 * k, add(get(even + k), twice(k === 0 ? times19(get(odd + 4)) : get(odd + k - 1)))),
      set(result + 2 * k + 1, subtract(subtract(get(both + k), get(even + k)), get(odd + k))),
    ]),
    // Two chains, from limb 0 and from limb 4 on, which do not wait for each other.
    [0, 4, 1, 5, 2, 6, 3, 7, 4, 8, 9, 0].map((from) => carry(result, from, spare)),
  ];
  return { code, result, end: spare + 4 };
}

function carry(limbs: number, from: number, spare: number): Code {
  const to = limbs + ((from + 1) % LIMB_COUNT);
  return [
    set(spare, shiftRight(get(limbs + from), limbBits(from))),
    set(to, add(get(to), from === LIMB_COUNT - 1 ? times19(get(spare)) : get(spare))),
    set(limbs + from, and(get(limbs + from), constant(2 ** limbBits(from) - 1))),
  ];
}

function product(): FunctionCode {
  const [f, g] = [3, 13] as const;
  const { code, result, end } = elementProduct(f, g, 23);
  const body = [loadLimbs(f, get(1)), loadLimbs(g, get(2)), code, storeLimbs(get(0), result)];
  return { name: "multiply", parameters: 3, locals: end - 3, body };
}

function repeatedSquare(): FunctionCode {
  const f = 3;
  const { code, result, end } = elementProduct(f, f, 13);
  const again = LIMBS.map((i) => set(f + i, get(result + i)));
  const body = [loadLimbs(f, get(1)), repeat(2, [code, again]), storeLimbs(get(0), f)];
  return { name: "square", parameters: 3, locals: end - 3, body };
}

/** By their places among the functions. */
const multiplied = (to: Code, a: Code, b: Code): Code => call(0, to, a, b);
const squared = (to: Code, a: Code): Code => call(1, to, a, pointer(1));

type LimbWise = (a: Code, b: Code) => Code;
const twiceMinus: LimbWise = (a, b) => subtract(add(a, a), b);

/** Limb by limb, of a and b, into each of `results`; two locals from `free` on. */
function limbWise(free: number, a: Code, b: Code, ...results: readonly (readonly [to: Code, of: LimbWise])[]): Code {
  return LIMBS.map((i) => [
    set(free, load(a, 4 * i)),
    set(free + 1, load(b, 4 * i)),
    results.map(([to, of]) => store(to, 4 * i, of(get(free), get(free + 1)))),
  ]);
}

type Four = [Code, Code, Code, Code];
const coordinates = (point: number): Four => [0, 1, 2, 3].map((i) => offsetBy(get(point), i * FIELD_BYTES)) as Four;
const [A, B, C, D, E, F, G, H] = LIMBS.map((i) => pointer(SCRATCH + i * FIELD_BYTES)) as [...Four, ...Four];
/** How all formulas here end. */
const combined = ([x, y, z, t]: Four): Code => [
  [multiplied(x, E, F), multiplied(y, G, H)],
  [multiplied(z, F, G), multiplied(t, E, H)],
];

/** "dbl-2008-hwcd" of the Explicit-Formulas Database, with F and H of the other sign. */
function double(): FunctionCode {
  const point = coordinates(0);
  const [x, y, z] = point;
  const body = [
    limbWise(1, x, y, [D, add]),
    [squared(A, x), squared(B, y), squared(C, z), squared(D, D)],
    limbWise(1, B, A, [H, add], [G, subtract]),
    limbWise(1, D, H, [E, subtract]),
    limbWise(1, C, G, [F, twiceMinus]),
    combined(point),
  ];
  return { name: "double", parameters: 1, locals: 2, body };
}

/** "add-2008-hwcd-3" of the same. */
function addition(name: "add" | "subtract"): FunctionCode {
  const point = coordinates(0);
  const [x, y, z, t] = point;
  const [sum, difference, other2dT, other2Z] = coordinates(1);
  const isAdd = name === "add";
  const body = [
    limbWise(2, y, x, [A, subtract], [B, add]),
    [multiplied(A, A, isAdd ? difference : sum), multiplied(B, B, isAdd ? sum : difference)],
    [multiplied(C, t, other2dT), multiplied(D, z, other2Z)],
    limbWise(2, B, A, [E, subtract], [H, add]),
    limbWise(2, D, C, [isAdd ? F : G, subtract], [isAdd ? G : F, add]),
    combined(point),
  ];
  return { name, parameters: 2, locals: 2, body };
}

/** Parameter 1 is a point, parameter 0 where it goes. */
function prepare(): FunctionCode {
  const [x, y, z, t] = coordinates(1);
  const [sum, difference, twiceDT, twiceZ] = coordinates(0);
  const body = [
    multiplied(twiceDT, t, pointer(TWICE_D)),
    limbWise(2, z, z, [twiceZ, add]),
    limbWise(2, y, x, [sum, add], [difference, subtract]),
  ];
  return { name: "prepare", parameters: 2, locals: 2, body };
}
