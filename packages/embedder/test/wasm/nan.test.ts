// Canonical NaN where bits can be observed, untouched payloads where they are only moved (instruction costs, section
// 9). On x86 the engine's own NaN of 0/0 has its sign bit set, so a missed case shows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromText, type Running, run } from "./running.ts";

const F64 = 0x7ff8000000000000n;
const F32 = 0x7fc00000;
const PAYLOAD = 0x7ff0000000000123n;

function load(text: string): Running {
  return run(
    fromText(`(module (memory 1) (data (i32.const 1000) "\\23\\01\\00\\00\\00\\00\\f0\\7f\\05\\00\\a0\\ff") ${text})`),
  );
}

function word(running: Running, at: number): bigint {
  return new DataView((running.memory as WebAssembly.Memory).buffer).getBigUint64(at, true);
}

function bits(body: string): bigint {
  const running = load(`(func (export "f") (result i64) ${body})`);
  return BigInt.asUintN(64, running.exports.f());
}

const ZERO_BY_ZERO = "(f64.div (f64.const 0) (f64.const 0))";

test("results of arithmetic are canonical when their bits are looked at", () => {
  assert.equal(bits(`(i64.reinterpret_f64 ${ZERO_BY_ZERO})`), F64);
  assert.equal(bits("(i64.reinterpret_f64 (f64.sqrt (f64.const -1)))"), F64);
  assert.equal(bits("(i64.reinterpret_f64 (f64.add (f64.load (i32.const 1000)) (f64.const 1)))"), F64);
  assert.equal(bits("(i64.reinterpret_f64 (f64.max (f64.const 1) (f64.load (i32.const 1000))))"), F64);
  assert.equal(bits("(i64.reinterpret_f64 (f64.nearest (f64.load (i32.const 1000))))"), F64);
  assert.equal(bits("(i64.reinterpret_f64 (f64.promote_f32 (f32.load (i32.const 1008))))"), F64);
  const f32 = "(f32.mul (f32.load (i32.const 1008)) (f32.const 2))";
  assert.equal(bits(`(i64.extend_i32_u (i32.reinterpret_f32 ${f32}))`), BigInt(F32));
  assert.equal(
    bits("(i64.extend_i32_u (i32.reinterpret_f32 (f32.demote_f64 (f64.load (i32.const 1000)))))"),
    BigInt(F32),
  );
});

test("sign operations act on the canonical NaN", () => {
  assert.equal(bits(`(i64.reinterpret_f64 (f64.neg ${ZERO_BY_ZERO}))`), F64 | (1n << 63n));
  assert.equal(bits(`(i64.reinterpret_f64 (f64.abs (f64.neg ${ZERO_BY_ZERO})))`), F64);
  assert.equal(bits(`(i64.reinterpret_f64 (f64.copysign (f64.const 1) ${ZERO_BY_ZERO}))`), 0x3ff0000000000000n);
});

test("payloads are kept by everything that only moves bits", () => {
  const payload = "(f64.load (i32.const 1000))";
  assert.equal(bits(`(i64.reinterpret_f64 ${payload})`), PAYLOAD);
  assert.equal(bits(`(i64.reinterpret_f64 (f64.neg ${payload}))`), PAYLOAD | (1n << 63n));
  assert.equal(
    bits(
      `(local $x f64) (local.set $x ${payload}) (i64.reinterpret_f64 (select (local.get $x) ${ZERO_BY_ZERO} (i32.const 1)))`,
    ),
    PAYLOAD,
  );
  assert.equal(
    bits(
      `(local $x f64) (local.set $x ${payload}) (i64.reinterpret_f64 (select (local.get $x) ${ZERO_BY_ZERO} (i32.const 0)))`,
    ),
    F64,
  );
  const running = load(`(func (export "f") (f64.store (i32.const 8) ${payload}) (drop ${ZERO_BY_ZERO}))`);
  running.exports.f();
  assert.equal(word(running, 8), PAYLOAD);
});

test("a local that holds results first and payloads later keeps both right, whatever comes first in the text", () => {
  // First round stores 0/0, second the payload that the first round loaded after it.
  const running = load(`(func (export "f") (local $x f64) (local $i i32)
    (local.set $x ${ZERO_BY_ZERO})
    (loop $l
      (f64.store (i32.mul (local.get $i) (i32.const 8)) (local.get $x))
      (local.set $x (f64.load (i32.const 1000)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2)))))`);
  running.exports.f();
  assert.deepEqual([word(running, 0), word(running, 8)], [F64, PAYLOAD]);
});

test("a local that is read before the loop writes it", () => {
  // Round 1 stores 0, round 2 what y got from x, which is 0/0 by then through two locals.
  const running = load(`(func (export "f") (local $x f64) (local $y f64) (local $i i32)
    (loop $l
      (f64.store (i32.mul (local.get $i) (i32.const 8)) (local.get $y))
      (local.set $y (local.get $x))
      (local.set $x ${ZERO_BY_ZERO})
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3)))))`);
  running.exports.f();
  assert.deepEqual([word(running, 0), word(running, 8), word(running, 16)], [0n, 0n, F64]);
});

test("across calls, blocks, branches and globals", () => {
  const running = load(`(global $g (mut f64) (f64.const 0))
    (func $same (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
    (func $nan (result f64) ${ZERO_BY_ZERO})
    (func (export "call") (result i64) (call $same ${ZERO_BY_ZERO}))
    (func (export "result") (result i64) (i64.reinterpret_f64 (call $nan)))
    (func (export "block") (result i64) (i64.reinterpret_f64 (block $b (result f64) (br $b ${ZERO_BY_ZERO}))))
    (func (export "global") (result i64) (global.set $g ${ZERO_BY_ZERO}) (i64.reinterpret_f64 (global.get $g)))`);
  for (const name of ["call", "result", "block", "global"]) {
    assert.equal(BigInt.asUintN(64, running.exports[name]()), F64, name);
  }
  assert.equal(BigInt.asUintN(64, running.exports["atoll get 0"]()), F64);
});

test("vectors, lane by lane", () => {
  const running = load(`(func (export "f")
    (v128.store (i32.const 0) (f32x4.div (v128.const f32x4 0 1 nan:0x200001 -4) (v128.const f32x4 0 2 1 2)))
    (v128.store (i32.const 16) (f64x2.sqrt (v128.const f64x2 -1 4)))
    (v128.store (i32.const 32) (f32x4.add (f64x2.add (v128.const f64x2 1 nan) (v128.const f64x2 1 1)) (v128.const f32x4 0 0 0 0)))
    (v128.store (i32.const 48) (f32x4.pmin (v128.load (i32.const 1000)) (v128.load (i32.const 1000)))))`);
  running.exports.f();
  const view = new DataView((running.memory as WebAssembly.Memory).buffer);
  const lanes = (at: number): number[] => [0, 4, 8, 12].map((lane) => view.getUint32(at + lane, true));
  assert.deepEqual(lanes(0), [F32, 0x3f000000, F32, 0xc0000000]);
  assert.deepEqual([word(running, 16), word(running, 24)], [F64, 0x4000000000000000n]);
  assert.deepEqual(lanes(32), [0, 0x40000000, 0, F32]);
  assert.deepEqual(lanes(48), lanes(1000));
});

test("float and vector globals pass the host as integers", () => {
  const running =
    load(`(global $s (mut f32) (f32.const 1)) (global $d (mut f64) (f64.const 2)) (global $v (mut v128) (v128.const i64x2 5 6))
    (func (export "f") (result i64) (i64.add (i64.extend_i32_u (i32.reinterpret_f32 (global.get $s))) (i64.reinterpret_f64 (global.get $d))))`);
  const { exports, instrumented } = running;
  assert.deepEqual(
    instrumented.globals.map(({ index, type }) => [index, type]),
    [
      [0, "f32"],
      [1, "f64"],
      [2, "v128"],
    ],
  );
  exports["atoll set 0"](0x7fa00001);
  exports["atoll set 1"](PAYLOAD);
  exports["atoll set 2"](7n, -8n);
  assert.equal(exports["atoll get 0"](), 0x7fa00001);
  assert.equal(exports["atoll get 1"](), PAYLOAD);
  assert.deepEqual(exports["atoll get 2"](), [7n, -8n]);
  assert.equal(exports.f(), PAYLOAD + 0x7fa00001n);
});
