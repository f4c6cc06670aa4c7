// The dirty map: which 4 KiB pages the canister wrote. A store over a page border marks its first page only (the host
// looks at the first 16 bytes of the next); bulk operations mark all that they write, and nothing when they trap.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromText, OutOfInstructions, run } from "./running.ts";

function dirtyAfter(body: string, memory = "(memory 2 2)"): number[] {
  const running = run(fromText(`(module ${memory} (data $d "0123456789") (func (export "f") ${body}))`));
  running.reset(1e15);
  try {
    running.exports.f();
  } catch (error) {
    assert.ok(error instanceof WebAssembly.RuntimeError || error instanceof OutOfInstructions);
  }
  return Array.from(running.dirty.entries()).flatMap(([page, mark]) => (mark === 1 ? [page] : []));
}

test("stores of every width", () => {
  assert.deepEqual(dirtyAfter("(i32.store (i32.const 4095) (i32.const -1))"), [0]);
  assert.deepEqual(dirtyAfter("(i32.store8 offset=8192 (i32.const 5) (i32.const 1))"), [2]);
  assert.deepEqual(dirtyAfter("(v128.store offset=4096 (i32.const 4080) (v128.const i64x2 1 1))"), [1]);
  assert.deepEqual(dirtyAfter("(v128.store16_lane offset=4096 3 (i32.const 0) (v128.const i64x2 1 1))"), [1]);
  assert.deepEqual(dirtyAfter("(i64.store (i32.add (i32.const 4000) (i32.const 20000)) (i64.const 1))"), [5]);
});

test("the address may be any expression", () => {
  const nested = `(i32.store (i32.add (i32.const 4096) (i32.const 0))
    (block (result i32) (i32.store (i32.add (i32.const 8192) (i32.const 0)) (i32.const 1)) (i32.const 2)))`;
  assert.deepEqual(dirtyAfter(nested), [1, 2]);
  assert.deepEqual(dirtyAfter("(local $x i32) (i32.store (local.get $x) (local.tee $x (i32.const 50000)))"), [0]);
  const parameter = "(i32.const 12288) (block (param i32) (i32.const 7) (i32.store offset=4))";
  assert.deepEqual(dirtyAfter(parameter), [3]);
  const fromCall = "(i32.store (call $two) (i32.const 1))";
  assert.deepEqual(dirtyAfter(fromCall, "(memory 2 2) (func $two (result i32) (i32.const 16384))"), [4]);
});

test("bulk operations mark their range", () => {
  assert.deepEqual(dirtyAfter("(memory.fill (i32.const 4095) (i32.const 1) (i32.const 1))"), [0]);
  assert.deepEqual(dirtyAfter("(memory.fill (i32.const 4095) (i32.const 1) (i32.const 2))"), [0, 1]);
  assert.deepEqual(dirtyAfter("(memory.copy (i32.const 8192) (i32.const 0) (i32.const 12288))"), [2, 3, 4]);
  assert.deepEqual(dirtyAfter("(memory.init $d (i32.const 4090) (i32.const 0) (i32.const 10))"), [0, 1]);
});

test("an empty range marks nothing, nor does one that traps", () => {
  assert.deepEqual(dirtyAfter("(memory.fill (i32.const 4095) (i32.const 1) (i32.const 0))"), []);
  assert.deepEqual(dirtyAfter("(memory.copy (i32.const 131072) (i32.const 0) (i32.const 0))"), []);
  assert.deepEqual(dirtyAfter("(memory.fill (i32.const 131072) (i32.const 1) (i32.const 1))"), []);
  assert.deepEqual(dirtyAfter("(memory.fill (i32.const 0) (i32.const 1) (i32.const -1))"), []);
});

test("64-bit memories, also with addresses and offsets beyond any memory", () => {
  const memory = "(memory i64 2 2)";
  assert.deepEqual(dirtyAfter("(i32.store offset=4096 (i64.const 4096) (i32.const 1))", memory), [2]);
  assert.deepEqual(dirtyAfter("(i32.store (i64.add (i64.const 9000) (i64.const 0)) (i32.const 1))", memory), [2]);
  assert.deepEqual(dirtyAfter("(memory.fill (i64.const 4095) (i32.const 1) (i64.const 2))", memory), [0, 1]);
  assert.deepEqual(dirtyAfter("(memory.fill (i64.const 4095) (i32.const 1) (i64.const -1))", memory), []);
  assert.deepEqual(dirtyAfter("(i32.store offset=0xffffffffffff (i64.const -1) (i32.const 1))", memory), []);
});

test("memory.grow asks the host first, and only for what the maximum allows", () => {
  const text = '(module (memory 1 4) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))';
  let answer = 1;
  const running = run(fromText(text), {}, { mayGrow: () => answer });
  const grow = running.exports.f as (pages: number) => number;
  assert.equal(grow(2), 1);
  assert.equal(grow(2), -1);
  assert.equal(grow(-1), -1);
  answer = 0;
  assert.equal(grow(1), -1);
  assert.equal(grow(0), -1);
  answer = 1;
  assert.equal(grow(0), 3);
  assert.deepEqual(running.growths, [
    [1, 2],
    [3, 1],
    [3, 0],
    [3, 0],
  ]);
  const wide = run(fromText(text.replace("(memory 1", "(memory i64 1").replaceAll("i32", "i64")));
  assert.equal((wide.exports.f as (pages: bigint) => bigint)(3n), 1n);
  assert.equal((wide.exports.f as (pages: bigint) => bigint)(2n ** 63n), -1n);
  assert.deepEqual(wide.growths, [[1, 3]]);
});

test("dropped segments are told to the host", () => {
  const running = run(fromText('(module (memory 1) (data $d "x") (func (export "f") (data.drop $d)))'));
  assert.equal(running.instrumented.dropsSegments, true);
  assert.equal(running.exports["atoll dropped"].value, 0);
  running.exports.f();
  assert.equal(running.exports["atoll dropped"].value, 1);
});
