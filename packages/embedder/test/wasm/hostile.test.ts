// Hostile bytes: a refusal or an honest acceptance within a second, whatever they are. What is accepted must also
// rewrite to a valid module.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { instrument, validateModule } from "../../src/wasm/index.ts";
import { Writer } from "../../src/wasm/writer.ts";
import { generate } from "../fuzz/generator.ts";
import { motokoCounter } from "./motoko-module.ts";

const SECOND_MS = 1000;

function survives(bytes: Uint8Array): boolean {
  const start = performance.now();
  const result = validateModule(bytes);
  if (result.ok) {
    const { wasm } = instrument(bytes, result.info, { isSuspendable: true });
    assert.ok(WebAssembly.validate(wasm as Uint8Array<ArrayBuffer>), "rewritten into an invalid module");
  } else {
    assert.ok(result.refusal.text.length > 0 && result.refusal.text.length < 2000);
  }
  assert.ok(performance.now() - start < 10 * SECOND_MS, "took too long");
  return result.ok;
}

const PROGRAM = generate(4711, { memory64: true, floats: true, vectors: true, allAddresses: false });

function raw(...bytes: (number | number[])[]): Uint8Array {
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...bytes.flat()]);
}

test("cut at every byte", () => {
  for (let length = 0; length < PROGRAM.length; length++) survives(PROGRAM.subarray(0, length));
  assert.ok(survives(PROGRAM));
});

test("random changes of some bytes", async () => {
  const canister = await motokoCounter(true);
  const change = (bytes: Uint8Array, numRuns: number): void => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (changes) => {
          const copy = bytes.slice();
          for (const [at, value] of changes) copy[at] = value;
          survives(copy);
        },
      ),
      { numRuns },
    );
  };
  change(PROGRAM, 1500);
  change(canister, 25);
});

test("random bytes after the header", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void survives(raw([...bytes]))),
    { numRuns: 1000 },
  );
});

test("numbers that are too long or too large, counts that promise what is not there", () => {
  const long = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0];
  const huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
  for (let id = 0; id < 16; id++) {
    assert.equal(survives(raw(id, long)), false);
    assert.equal(survives(raw(id, huge)), false);
    assert.equal(survives(raw(id, 5, huge)), false);
    assert.equal(survives(raw(id, long.length, long)), false);
  }
  // A type with four billion parameters; a function with as many locals; a br_table with as many labels.
  assert.equal(survives(raw(1, 7, 1, 0x60, huge)), false);
  const types = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
  assert.equal(survives(raw(types, 10, 10, 1, 8, 1, huge, 0x7f, 0x0b)), false);
  assert.equal(survives(raw(types, 10, 11, 1, 9, 0, 0x0e, huge, 0, 0x0b)), false);
  // Two groups of locals that wrap around 2^32 together.
  assert.equal(survives(raw(types, 10, 16, 1, 14, 2, huge, 0x7f, 2, 0x7f, 0x0b, 0, 0, 0)), false);
});

function oneFunction(body: (code: Writer) => void): Uint8Array {
  const out = new Writer(1000);
  out.raw(raw(1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0));
  out.section(10, () => {
    out.byte(1);
    const length = out.openLength();
    out.byte(0);
    body(out);
    out.closeLength(length);
  });
  return out.finish();
}

test("deep nesting", () => {
  const nested = (depth: number): Uint8Array =>
    oneFunction((code) => {
      for (let i = 0; i < depth; i++) code.raw([0x02, 0x40]);
      for (let i = 0; i <= depth; i++) code.byte(0x0b);
    });
  assert.ok(survives(nested(19_000)));
  assert.equal(survives(nested(400_000)), false);
  // Never closed, and closed too often.
  assert.equal(survives(oneFunction((code) => code.raw(new Array<number>(100_000).fill(3)))), false);
  assert.equal(survives(oneFunction((code) => code.raw(new Array<number>(100_000).fill(0x0b)))), false);
});

test("a tall operand stack whose addresses are all used at the end", () => {
  const count = 100_000;
  const out = new Writer(count * 8);
  out.raw(raw(1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1));
  out.section(10, () => {
    out.byte(1);
    const length = out.openLength();
    out.byte(0);
    for (let i = 0; i < count; i++) out.raw([0x3f, 0, 0x41, 7]);
    for (let i = 0; i < count; i++) out.raw([0x36, 0, 0]);
    out.byte(0x0b);
    out.closeLength(length);
  });
  assert.ok(survives(out.finish()));
});

function manyFunctions(count: number, body: readonly number[], type: readonly number[]): Uint8Array {
  const out = new Writer(count * (body.length + 2));
  const vector = new Writer(count + 8);
  vector.u32(count);
  for (let i = 0; i < count; i++) vector.byte(0);
  out.raw(raw());
  out.section(1, () => out.raw(type));
  out.section(3, () => out.raw(vector.finish()));
  out.section(10, () => {
    out.u32(count);
    for (let i = 0; i < count; i++) {
      const length = out.openLength();
      out.raw(body);
      out.closeLength(length);
    }
  });
  return out.finish();
}

test("small modules that would be much work: locals, and calls with a thousand values", () => {
  const locals = [1, 0xb0, 0xea, 0x01, 0x7c, 0x0b];
  assert.ok(survives(manyFunctions(600, locals, [1, 0x60, 0, 0])));
  assert.equal(survives(manyFunctions(20_000, locals, [1, 0x60, 0, 0])), false);
  const wide = [1, 0x60, 0, 0xe8, 0x07, ...new Array<number>(1000).fill(0x7f)];
  const calls = [0, ...new Array<number[]>(10_000).fill([0x10, 0]).flat(), 0x00, 0x0b];
  assert.ok(survives(manyFunctions(1, calls, wide)));
  assert.equal(survives(manyFunctions(100, calls, wide)), false);
});
