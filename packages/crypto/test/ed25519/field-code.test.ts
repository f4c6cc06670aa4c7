// The WebAssembly of edwards25519 against BigInt: on the edges of its limbs, with the largest factors that its formulas make.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type CurveCode,
  curveModule,
  FIELD_BYTES,
  FREE,
  LIMB_COUNT,
  limbBits,
  POINT_BYTES,
  TWICE_D,
} from "../../src/ed25519/field-code.ts";

const PRIME = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
const code = new WebAssembly.Instance(new WebAssembly.Module(curveModule(1)), { host: { memory } })
  .exports as unknown as CurveCode;
const limbs = new Int32Array(memory.buffer);
const [FIRST, SECOND, RESULT] = [FREE, FREE + FIELD_BYTES, FREE + 2 * FIELD_BYTES];
const POINT = FREE + 3 * FIELD_BYTES;
const [OTHER, PREPARED] = [POINT + POINT_BYTES, POINT + 2 * POINT_BYTES];

const modulo = (value: bigint) => ((value % PRIME) + PRIME) % PRIME;
const write = (at: number, values: readonly number[]) => limbs.set(values, at / 4);
const limbsAt = (at: number) => [...limbs.subarray(at / 4, at / 4 + LIMB_COUNT)];

function integerOf(values: readonly number[]): bigint {
  let [sum, bit] = [0n, 0n];
  for (const [i, limb] of values.entries()) {
    sum += BigInt(limb) << bit;
    bit += BigInt(limbBits(i));
  }
  return sum;
}

function limbsOf(value: bigint): number[] {
  let rest = value;
  return Array.from({ length: LIMB_COUNT }, (_, i) => {
    const limb = Number(BigInt.asUintN(limbBits(i), rest));
    rest >>= BigInt(limbBits(i));
    return limb;
  });
}

/** What a multiplication may leave: its bits, and a thousandth. */
function assertReduced(at: number): void {
  for (const [i, limb] of limbsAt(at).entries()) {
    assert.ok(limb > -(2 ** 16) && limb < 1.001 * 2 ** limbBits(i), `limb ${i} is ${limb}`);
  }
}

function check(a: readonly number[], b: readonly number[]): void {
  write(FIRST, a);
  write(SECOND, b);
  code.multiply(RESULT, FIRST, SECOND);
  assert.equal(modulo(integerOf(limbsAt(RESULT))), modulo(integerOf(a) * integerOf(b)));
  assertReduced(RESULT);
  code.square(RESULT, FIRST, 1);
  assert.equal(modulo(integerOf(limbsAt(RESULT))), modulo(integerOf(a) ** 2n));
  assertReduced(RESULT);
  code.multiply(FIRST, FIRST, SECOND);
  assert.equal(modulo(integerOf(limbsAt(FIRST))), modulo(integerOf(a) * integerOf(b)), "in place");
}

const full = (times: number) => Array.from({ length: LIMB_COUNT }, (_, i) => Math.floor(times * 2 ** limbBits(i)));
const EDGES = [0n, 1n, 2n, 18n, 19n, 20n, PRIME - 1n, PRIME, PRIME + 1n, 2n ** 255n - 1n, 2n ** 254n, D, PRIME - D];

test("products and squares of edge values, and of limbs as large as are allowed", () => {
  const edges = EDGES.map(limbsOf);
  for (const a of edges) for (const b of edges) check(a, b);
  const large = [2.83, -2.83, 1.001, -1.001].map(full);
  const mixed = full(2.83).map((limb, i) => (i % 2 === 0 ? limb : -limb));
  for (const a of [...large, mixed, mixed.map((limb) => -limb), ...edges])
    for (const b of [...large, mixed]) check(a, b);
});

test("products of any limbs", () => {
  const most = full(2.83);
  const limb = (i: number) => fc.integer({ min: -(most[i] as number), max: most[i] as number });
  const element = fc.tuple(...Array.from({ length: LIMB_COUNT }, (_, i) => limb(i)));
  fc.assert(
    fc.property(element, element, (a, b) => check(a, b)),
    { numRuns: 300 },
  );
});

test("squares of squares", () => {
  write(FIRST, limbsOf(D));
  code.square(RESULT, FIRST, 200);
  let value = D;
  for (let i = 0; i < 200; i++) value = (value * value) % PRIME;
  assert.equal(modulo(integerOf(limbsAt(RESULT))), value);
});

const inverse = (value: bigint) => power(modulo(value), PRIME - 2n);
function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % PRIME;
    square = (square * square) % PRIME;
  }
  return result;
}

type Affine = readonly [x: bigint, y: bigint];

function sumOf([x1, y1]: Affine, [x2, y2]: Affine): Affine {
  const product = modulo(D * x1 * x2 * y1 * y2);
  return [modulo((x1 * y2 + x2 * y1) * inverse(1n + product)), modulo((y1 * y2 + x1 * x2) * inverse(1n - product))];
}

/** With any Z. */
function writePoint(at: number, [x, y]: Affine, z: bigint): void {
  for (const [i, value] of [x * z, y * z, z, x * y * z].entries()) write(at + i * FIELD_BYTES, limbsOf(modulo(value)));
}

function readPoint(at: number): Affine {
  const [x, y, z, t] = [0, 1, 2, 3].map((i) => integerOf(limbsAt(at + i * FIELD_BYTES))) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  assert.equal(modulo(x * y), modulo(z * t));
  return [modulo(x * inverse(z)), modulo(y * inverse(z))];
}

test("sums, differences and doubles of points, also of the neutral one, of equal and of opposite ones", () => {
  const y = modulo(4n * inverse(5n));
  const x = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
  const base: Affine = [x, y];
  const points: Affine[] = [[0n, 1n], base, [modulo(-x), y], sumOf(base, base), [0n, PRIME - 1n]];
  write(TWICE_D, limbsOf((2n * D) % PRIME));
  for (const [i, one] of points.entries()) {
    for (const other of points) {
      writePoint(OTHER, other, BigInt(i + 7) ** 77n);
      code.prepare(PREPARED, OTHER);
      for (const [operation, second] of [
        ["add", other],
        ["subtract", [modulo(-other[0]), other[1]]],
      ] as const) {
        writePoint(POINT, one, BigInt(i + 2) ** 90n);
        code[operation](POINT, PREPARED);
        assert.deepEqual(readPoint(POINT), sumOf(one, second));
      }
    }
    writePoint(POINT, one, 3n);
    code.double(POINT);
    assert.deepEqual(readPoint(POINT), sumOf(one, one));
  }
});
