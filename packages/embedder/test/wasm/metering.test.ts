// Instruction counts against sums by hand from the cost table (instruction costs, sections 2 and 3). The comments
// give the sum; f is the 1 that each function entry costs.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { fromText, LIMIT, OutOfInstructions, run } from "./running.ts";

function cost(body: string, ...values: unknown[]): number {
  const running = run(fromText(`(module (memory 1 4) ${body})`));
  running.reset();
  running.exports.f(...values);
  return running.used();
}

test("an empty function costs 1", () => {
  assert.equal(cost('(func (export "f"))'), 1);
});

test("straight-line code", () => {
  // f 1, get 1, get 1, mul 1, const 1, div 10, drop 1
  assert.equal(
    cost('(func (export "f") (param i32) (drop (i32.div_s (i32.mul (local.get 0) (local.get 0)) (i32.const 7))))', 3),
    16,
  );
  // f 1, const 1, const 1, f64.div 5, sqrt 8, min with const 1 + 18, drop 1
  assert.equal(
    cost('(func (export "f") (drop (f64.min (f64.sqrt (f64.div (f64.const 2) (f64.const 3))) (f64.const 1))))'),
    1 + 1 + 1 + 5 + 8 + 1 + 18 + 1,
  );
  // memory.size 20 and drop 1; global.get 2, global.set 2
  assert.equal(
    cost(
      '(global $g (mut i32) (i32.const 0)) (func (export "f") (drop (memory.size)) (global.set $g (global.get $g)))',
    ),
    1 + 20 + 1 + 2 + 2,
  );
});

test("select costs 1, with and without its type", () => {
  // f 1, two operands, get, select, drop
  const integers = '(func (export "f") (param i32) (drop (select (i64.const 1) (i64.const 2) (local.get 0))))';
  assert.equal(cost(integers, 1), 1 + 3 + 1 + 1);
  const references = "(drop (select (result funcref) (ref.null func) (ref.null func) (local.get 0)))";
  assert.equal(cost(`(func (export "f") (param i32) ${references})`, 1), 1 + 3 + 1 + 1);
});

const IF_ELSE = `(func (export "f") (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (i32.const 2)))
    (else (i32.const 3))))`;

test("if and else: the condition's block, then one arm", () => {
  // f 1, get 1, if 2; then: const 1, const 1, add 1; else: const 1
  assert.equal(cost(IF_ELSE, 1), 4 + 3);
  assert.equal(cost(IF_ELSE, 0), 4 + 1);
});

const LOOP = `(func (export "f") (param $n i32) (local $i i32)
  (loop $l
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $l (i32.lt_u (local.get $i) (local.get $n)))))`;

test("a loop pays its body each time", () => {
  // f 1; body: get, const, add, set 4; get, get, lt 3; br_if 2
  for (const n of [1, 2, 10, 1000]) assert.equal(cost(LOOP, n), 1 + 9 * n);
});

const TABLE = `(func (export "f") (param i32) (result i32)
  (block $c (block $b (block $a
    (br_table $a $b $c (local.get 0)))
    (return (i32.const 10)))
    (return (i32.mul (i32.const 20) (i32.const 2))))
  (i32.const 30))`;

test("br_table", () => {
  // f 1, get 1, br_table 2; a: const 1, return 1; b: const, const, mul 3, return 1; c: const 1
  assert.equal(cost(TABLE, 0), 4 + 2);
  assert.equal(cost(TABLE, 1), 4 + 4);
  assert.equal(cost(TABLE, 2), 4 + 1);
  assert.equal(cost(TABLE, 99), 4 + 1);
});

test("calls do not end a block; what follows is paid before", () => {
  const seen: number[] = [];
  const ic0 = {
    msg_reply: () => {
      seen.push(running.used());
    },
  };
  const running = run(
    fromText(`(module (import "ic0" "msg_reply" (func $reply))
      (func $g (result i32) (call $reply) (i32.const 7))
      (func (export "f") (call $reply) (drop (i32.add (call $g) (i32.const 1))) (if (i32.const 0) (then (nop))) (call $reply)))`),
    ic0,
  );
  running.exports.f();
  // f: f 1, call 5, call 5, const 1, add 1, drop 1, const 1, if 2 = 17, all before the first call
  // g: f 1, call 5, const 1 = 7; after the if: call 5
  assert.deepEqual(seen, [17, 24, 29]);
  assert.equal(running.used(), 29);
});

test("bulk memory: 100 and one per byte, before it runs", () => {
  const fill = '(func (export "f") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))';
  // f 1, const, const, get 3, fill 100
  assert.equal(cost(fill, 0), 104);
  assert.equal(cost(fill, 1000), 1104);
  const copy = '(func (export "f") (param i32) (memory.copy (i32.const 0) (i32.const 100) (local.get 0)))';
  assert.equal(cost(copy, 4096), 104 + 4096);
  const init =
    '(data $d "hello") (func (export "f") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 5)) (data.drop $d))';
  // f 1, const 3, init 100, drop 300
  assert.equal(cost(init), 404 + 5);
});

test("a bulk size beyond what is left saturates and stops before the operation traps", () => {
  const running = run(
    fromText('(module (memory 1) (func (export "f") (memory.fill (i32.const 0) (i32.const 1) (i32.const -1))))'),
  );
  running.reset(1000);
  assert.throws(() => running.exports.f(), OutOfInstructions);
  assert.equal(running.exports["canister counter_instructions"].value, 1000n - 104n - 4294967295n);
});

test("memory accesses cost 2 in 64-bit modules", () => {
  const running = run(
    fromText('(module (memory i64 1 2) (func (export "f") (i32.store (i64.const 0) (i32.load (i64.const 8)))))'),
  );
  running.exports.f();
  // f 1, const, const 2, load 2, store 2
  assert.equal(running.used(), 7);
});

test("memory.grow costs 300, its own call nothing", () => {
  assert.equal(cost('(func (export "f") (drop (memory.grow (i32.const 1))))'), 1 + 1 + 300 + 1);
});

test("running out: at a function's entry and at a loop's head, not between", () => {
  const running = run(fromText(`(module ${LOOP})`));
  running.reset(1 + 9 * 5);
  running.exports.f(5);
  assert.equal(running.used(), 46);
  running.reset(1 + 9 * 5 - 1);
  assert.throws(() => running.exports.f(5), OutOfInstructions);
  assert.equal(running.used(), 46);
  running.reset(0);
  assert.throws(() => running.exports.f(5), OutOfInstructions);
  const end = run(fromText(`(module (func (export "f") (if (i32.const 1) (then (nop) (nop) (nop)))))`));
  end.reset(4);
  end.exports.f();
  // f 1, const 1, if 2, then 3: below zero in a block that is not tested
  assert.equal(end.used(), 7);
});

test("unreachable leaves the exact count, so does charge by the host", () => {
  const running = run(fromText('(module (func (export "f") (drop (i32.const 1)) (unreachable)))'));
  assert.throws(() => running.exports.f(), WebAssembly.RuntimeError);
  assert.equal(running.used(), 1 + 1 + 1 + 1);
  running.reset(100);
  assert.equal(running.exports["atoll charge"](30), 70);
  assert.equal(running.exports["atoll charge"](100), -30);
});

test("tail calls: 3 and 6, without growth of the stack", () => {
  const text = `(module (func $f (export "f") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 42))))
    (return_call $f (i32.sub (local.get 0) (i32.const 1)))))`;
  const running = run(fromText(text));
  assert.equal(running.exports.f(200_000), 42);
  // each: f 1, get, eqz 2, if 2, get, const, sub 3, return_call 3 = 11; the last: 5 + const 1, return 1
  assert.equal(running.used(), 200_000 * 11 + 7);
});

async function usedUntilOverflow(wasm: Uint8Array, slice: number): Promise<number[]> {
  const worker = new Worker(new URL("./deep-stack.ts", import.meta.url), {
    workerData: { wasm, slice },
    resourceLimits: { stackSizeMb: 64 },
  });
  return (await once(worker, "message"))[0];
}

test("the stack ends after 5 MiB, at the same depth in each of the engine's tiers and with any slices", async () => {
  const wasm = fromText(
    '(module (func $f (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0)))))',
  );
  // A frame is 12 bytes for each pair of the three values (parameter, operands) and 40: 119,156 of 44 bytes fit. Each
  // call costs f 1, const 1, get 1, call 5, add 1; the one that does not fit is charged too.
  const expected = 9 * (Math.floor((5 * 1024 * 1024) / 44) + 1);
  for (const slice of [LIMIT, 1000]) {
    assert.deepEqual(new Set(await usedUntilOverflow(wasm, slice)), new Set([expected]));
  }
});

// The engine keeps every value in the frame, ours counts less than that for each: the ones that take most of its stack
// are many vectors that are all alive across the call.
test("our stack ends before the engine's, whatever the functions hold", async () => {
  const many = (count: number, text: (index: number) => string): string => {
    return Array.from({ length: count }, (_, index) => text(index)).join("\n");
  };
  const locals = `(module (func $f (export "f") (param i32) (result i32) ${many(1500, () => "(local v128)")}
    ${many(1500, (i) => `(local.set ${i + 1} (i32x4.splat (i32.add (local.get 0) (i32.const ${i}))))`)}
    (drop (call $f (i32.add (local.get 0) (i32.const 1))))
    ${many(1499, (i) => `(local.set 1 (v128.xor (local.get 1) (local.get ${i + 2})))`)}
    (i32x4.extract_lane 0 (local.get 1))))`;
  const operands = `(module (memory 1) (func $f (export "f") (param i32) (result i32)
    ${many(400, () => "(i32.and (local.get 0) (i32.const 0xfff0)) (v128.load (local.get 0))")}
    (drop (call $f (i32.add (local.get 0) (i32.const 1))))
    ${many(400, () => "v128.store")}
    (i32.const 1)))`;
  for (const text of [locals, operands]) {
    for (const slice of [LIMIT, 1000]) {
      assert.equal(new Set(await usedUntilOverflow(fromText(text), slice)).size, 1);
    }
  }
});
