// State on disk: exact round trips, and damage is noticed or at least never crashes.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CborError } from "../src/cbor.ts";
import { InvariantViolation } from "../src/errors.ts";
import { decodeState, encodeState } from "../src/state-codec.ts";

const leaf = fc.oneof(
  fc.double(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.bigInt({ min: 0n, max: 1n << 64n }),
  fc.string({ unit: "grapheme" }),
  fc.uint8Array({ maxLength: 100 }),
  fc.boolean(),
  fc.constantFrom(null, undefined, 0, -0, 0n, -1n, Number.MAX_SAFE_INTEGER, 255n, 256n),
);
const { value: state } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string({ unit: "grapheme" }), fc.constant("__proto__")), tie("value"), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    fc
      .array(fc.tuple(fc.oneof(fc.string(), fc.bigInt(), fc.integer()), tie("value")), { maxLength: 4 })
      .map((entries) => new Map(entries)),
    fc.array(fc.oneof(fc.string(), fc.bigInt()), { maxLength: 4 }).map((members) => new Set(members)),
  ),
}));

test("what goes in comes out, types and order included", () => {
  fc.assert(
    fc.property(state, (value) => {
      const bytes = encodeState(value);
      assert.deepStrictEqual(decodeState(bytes), value);
      assert.deepEqual(encodeState(decodeState(bytes)), bytes);
    }),
    { numRuns: 500 },
  );
});

test("the order of maps, sets and fields is kept", () => {
  const map = new Map([
    ["b", 1n],
    ["a", 2n],
  ]);
  const decoded = decodeState(encodeState({ z: map, a: new Set([3, 1, 2]) })) as {
    z: Map<string, bigint>;
    a: Set<number>;
  };
  assert.deepEqual([...decoded.z.keys()], ["b", "a"]);
  assert.deepEqual([...decoded.a], [3, 1, 2]);
  assert.deepEqual(Object.keys(decoded), ["z", "a"]);
});

test("numbers and bigints differ, byte arrays are copies", () => {
  assert.strictEqual(decodeState(encodeState(5)), 5);
  assert.strictEqual(decodeState(encodeState(5n)), 5n);
  const encoded = encodeState(new Uint8Array(1000));
  const bytes = decodeState(encoded) as Uint8Array;
  assert.notEqual(bytes.buffer, encoded.buffer);
});

test("what is not plain data is a mistake of ours", () => {
  const bad = [() => {}, Symbol("x"), new Date(0), "\ud800", { "\udc00": 1 }, new (class Thing {})()];
  for (const value of bad) assert.throws(() => encodeState(value), InvariantViolation);
  let nested: unknown = [];
  for (let i = 0; i < 300; i++) nested = [nested];
  assert.throws(() => encodeState(nested), InvariantViolation);
});

test("damaged bytes give a value or CborError", () => {
  fc.assert(
    fc.property(state, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
      const bytes = encodeState(value);
      bytes[at % bytes.length] = byte;
      for (const damaged of [bytes, bytes.subarray(0, at % bytes.length)]) {
        try {
          decodeState(damaged);
        } catch (error) {
          assert.ok(error instanceof CborError, String(error));
        }
      }
    }),
    { numRuns: 1000 },
  );
});
