// Executions in slices: when the hook `out_of_instructions` refills the counter and returns, or suspends and continues
// later, the execution goes on as if nothing had been: same result, memory, dirty pages, readings of the counter, total.
// Random programs in random slices: see the fuzzer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { generate } from "../fuzz/generator.ts";
import { Random } from "../fuzz/random.ts";
import { fromText, LIMIT, type Running, run, type SystemImports } from "./running.ts";

/** The host's side: sums up what the slices used, and gives the next one. */
class Slices {
  finished = 0;
  refills = 0;
  /** What was left, below zero, when each slice ended. */
  readonly rests: number[] = [];
  running: Running | undefined;
  private current: number;
  private readonly next: () => number;

  constructor(next: () => number) {
    this.next = next;
    this.current = next();
  }

  begin(running: Running): void {
    this.running = running;
    running.reset(this.current);
  }

  refill(): void {
    const running = this.running as Running;
    const rest = running.exports["atoll counter"]();
    assert.ok(rest < 0, "the hook was called while instructions were left");
    this.rests.push(rest);
    this.finished += this.current - rest;
    this.refills++;
    this.current = this.next();
    running.exports["atoll reset"](this.current);
  }

  used(): number {
    return this.finished + this.current - this.running?.exports["atoll counter"]();
  }
}

interface Outcome {
  readonly result: unknown;
  readonly trap: string | undefined;
  readonly readings: readonly number[];
  readonly used: number;
  readonly heap: Uint8Array;
  readonly dirty: Uint8Array;
}

function execute(bytes: Uint8Array, slices: Slices, args: readonly unknown[]): Outcome {
  const readings: number[] = [];
  const read = (): bigint => {
    readings.push(slices.used());
    return 7n;
  };
  const api: SystemImports = { time: read, performance_counter: read };
  const running = run(bytes, api, { outOfInstructions: () => slices.refill() });
  slices.begin(running);
  let result: unknown;
  let trap: string | undefined;
  try {
    result = running.exports.f(...args);
  } catch (error) {
    assert.ok(error instanceof WebAssembly.RuntimeError, String(error));
    trap = error.message;
  }
  const heap = new Uint8Array(running.memory?.buffer ?? new ArrayBuffer(0)).slice();
  return { result, trap, readings, used: slices.used(), heap, dirty: running.dirty.slice(0, heap.length / 4096) };
}

const BULK = `(module (memory 2 5) (data $d "0123456789")
  (func (export "f") (param $n i32) (result i32)
    (memory.fill (i32.const 4000) (i32.const 7) (local.get $n))
    (memory.copy (i32.const 70000) (i32.const 3990) (local.get $n))
    (memory.init $d (i32.const 9000) (i32.const 2) (i32.const 8))
    (i32.add (memory.grow (i32.const 1)) (i32.load (i32.const 70010)))))`;

test("bulk operations: the hook sees what is missing, then the operation is done", () => {
  const slices = new Slices(() => 1000);
  const { used, heap } = execute(fromText(BULK), slices, [5000]);
  // f 1, const 2, get 1, fill 100; const 2, get, copy 100; const 3, init 100; const, grow 300, const, load, add
  const code = 1 + 103 + 103 + 103 + 304;
  assert.equal(used, code + 5000 + 5000 + 8);
  assert.deepEqual(slices.rests, [1000 - code - 5000, 1000 - 5000]);
  assert.deepEqual([heap[70_009], heap[70_010], heap[74_999], heap[75_000]], [0, 7, 7, 0]);
});

test("the hook at a bulk operation may throw: nothing of it is done", () => {
  const running: Running = run(
    fromText(BULK),
    {},
    {
      outOfInstructions: () => {
        throw new Error("slice overrun");
      },
    },
  );
  running.reset(3000);
  assert.throws(() => running.exports.f(5000), /slice overrun/);
  assert.equal(new Uint8Array(running.memory?.buffer as ArrayBuffer)[4000], 0);
  assert.ok(running.dirty.every((mark) => mark === 0));
});

test("a loop head with parameters and a function that calls nothing keep their values", () => {
  const text = `(module (memory 1 1) (global $g (mut i32) (i32.const 0))
    (func $leaf (param i32 f64) (result f64) (local i32)
      (local.set 2 (i32.const 3))
      (loop $l (local.set 2 (i32.sub (local.get 2) (i32.const 1))) (br_if $l (local.get 2)))
      (f64.mul (local.get 1) (f64.convert_i32_s (local.get 0))))
    (func (export "f") (param $n i32) (result i64) (local $s f64)
      (i64.const 1) (i64.const 2)
      (loop $l (param i64 i64) (result i64)
        (i64.mul) (i64.const 3) (i64.add) (i64.const 5)
        (local.set $s (f64.add (local.get $s) (call $leaf (local.get $n) (f64.const 1.5))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $l (local.get $n))
        (i64.add))
      (i64.trunc_f64_s (local.get $s)) (i64.xor)))`;
  for (const slice of [0, 1, 7, 30]) {
    const whole = execute(fromText(text), new Slices(() => LIMIT), [50]);
    assert.deepEqual(execute(fromText(text), new Slices(() => slice), [50]), whole);
  }
});

/** Not in the type declarations yet: an import that suspends its caller, an export that gives a promise. */
interface StackSwitching {
  readonly Suspending: new (act: () => Promise<void>) => () => void;
  readonly promising: (exported: unknown) => (...args: readonly unknown[]) => Promise<unknown>;
}

test("the hook may suspend; other instances run meanwhile", async () => {
  const { Suspending, promising } = WebAssembly as unknown as StackSwitching;
  const bytes = generate(4250, { memory64: true, floats: true, vectors: true, allAddresses: false });
  const api: SystemImports = { time: () => 7n, performance_counter: () => 7n };
  const whole = run(bytes, api);
  const expected = whole.exports.f(3, 4n);
  const random = new Random(77);
  const executions = Array.from({ length: 5 }, async () => {
    const slices = new Slices(() => random.below(10));
    const hook = new Suspending(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      slices.refill();
    });
    const running = run(bytes, api, { outOfInstructions: hook });
    slices.begin(running);
    assert.equal(await promising(running.exports.f)(3, 4n), expected);
    assert.equal(slices.used(), whole.used());
    assert.ok(
      Buffer.from(running.memory?.buffer as ArrayBuffer).equals(Buffer.from(whole.memory?.buffer as ArrayBuffer)),
    );
    return slices.refills;
  });
  for (const count of await Promise.all(executions)) assert.ok(count > 3, `only ${count} slices`);
});
