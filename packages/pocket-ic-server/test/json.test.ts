// The JSON of cycles and nanoseconds: bare numbers of any size, both ways, and nothing that ends the process.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readJson, writeJson } from "../src/json.ts";

test("integers beyond 2^53 come and go without loss", () => {
  for (const text of ["340282366920938463463374607431768211455", "18446744073709551615", "-9007199254740993"]) {
    assert.equal(
      readJson(`{"amount":${text}}`) !== null && writeJson(readJson(`{"amount":${text}}`)),
      `{"amount":${text}}`,
    );
    assert.deepEqual(readJson(text), BigInt(text));
  }
  assert.equal(readJson("9007199254740991"), 9_007_199_254_740_991);
  assert.equal(readJson("1620328630000000000"), 1_620_328_630_000_000_000n);
});

test("what is not an integer stays a double, and long digits in a text are a text", () => {
  assert.deepEqual(readJson('[1.5e300, "12345678901234567890", 0.12345678901234567]'), [
    1.5e300,
    "12345678901234567890",
    Number("0.12345678901234567"),
  ]);
});

test("everything that is written is read again", () => {
  const value = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constant(null),
      fc.boolean(),
      fc.bigInt(-(1n << 128n), 1n << 128n),
      fc.string({ unit: "binary" }),
      fc.array(tie("json"), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie("json"), { maxKeys: 4 }),
    ),
  })).json;
  fc.assert(
    fc.property(value, (json) => {
      const text = writeJson(json as never);
      assert.equal(writeJson(readJson(text)), text);
      JSON.parse(text);
    }),
    { numRuns: 30 },
  );
});

test("hostile texts are refused, each at once", () => {
  const begin = performance.now();
  const deep = `${"[".repeat(200_000)}1234567890123456789${"]".repeat(200_000)}`;
  for (const text of ["", "{", "[1,]", "nul", "1".repeat(1_000_000), deep, '{"a":1}x', "\u0000"]) {
    assert.throws(
      () => readJson(text),
      (error) => error instanceof SyntaxError || error instanceof RangeError,
    );
  }
  assert.ok(performance.now() - begin < 5_000);
  assert.deepEqual(Object.keys(readJson('{"__proto__":{"polluted":1}}') as object), ["__proto__"]);
});
