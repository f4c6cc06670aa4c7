// CBOR against RFC 8949, appendix A, against the agent's codec, and against hostile bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cbor } from "@icp-sdk/core/agent";
import fc from "fast-check";
import { CborError, type CborInput, type CborValue, decodeCbor, encodeCbor } from "../src/cbor.ts";
import { fromHex, toHex } from "../src/ids.ts";

/** RFC 8949, appendix A: the examples within the subset. */
const VECTORS: [string, CborValue][] = [
  ["00", 0],
  ["17", 23],
  ["1818", 24],
  ["1864", 100],
  ["1903e8", 1000],
  ["1a000f4240", 1_000_000],
  ["1b000000e8d4a51000", 1_000_000_000_000],
  ["1bffffffffffffffff", 18_446_744_073_709_551_615n],
  ["c249010000000000000000", 18_446_744_073_709_551_616n],
  ["3bffffffffffffffff", -18_446_744_073_709_551_616n],
  ["c349010000000000000000", -18_446_744_073_709_551_617n],
  ["20", -1],
  ["29", -10],
  ["3863", -100],
  ["3903e7", -1000],
  ["f4", false],
  ["f5", true],
  ["f6", null],
  ["40", new Uint8Array()],
  ["4401020304", Uint8Array.of(1, 2, 3, 4)],
  ["60", ""],
  ["6161", "a"],
  ["62225c", '"\\'],
  ["62c3bc", "ü"],
  ["63e6b0b4", "水"],
  ["64f0908591", "𐅑"],
  ["80", []],
  ["83010203", [1, 2, 3]],
  ["8301820203820405", [1, [2, 3], [4, 5]]],
  ["a0", new Map()],
  [
    "a201020304",
    new Map([
      [1, 2],
      [3, 4],
    ]),
  ],
  [
    "a26161016162820203",
    new Map<string, CborValue>([
      ["a", 1],
      ["b", [2, 3]],
    ]),
  ],
];

test("the examples of RFC 8949 decode and encode", () => {
  for (const [hex, value] of VECTORS) {
    assert.deepEqual(decodeCbor(fromHex(hex)), value, hex);
    assert.equal(toHex(encodeCbor(value)), hex);
  }
});

test("indefinite lengths are read, as the replica reads them", () => {
  const cases: [string, CborValue][] = [
    ["5f42010243030405ff", Uint8Array.of(1, 2, 3, 4, 5)],
    ["7f657374726561646d696e67ff", "streaming"],
    ["9fff", []],
    ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
    [
      "bf61610161629f0203ffff",
      new Map<string, CborValue>([
        ["a", 1],
        ["b", [2, 3]],
      ]),
    ],
    ["5fff", new Uint8Array()],
    ["c25f4101ff", 1],
  ];
  for (const [hex, value] of cases) assert.deepEqual(decodeCbor(fromHex(hex)), value, hex);
});

test("longer heads than needed are read, and undefined as null", () => {
  assert.equal(decodeCbor(fromHex("1b0000000000000001")), 1);
  assert.deepEqual(decodeCbor(fromHex("5900010a")), Uint8Array.of(10));
  assert.equal(decodeCbor(fromHex("f7")), null);
});

test("integers switch to bigint beyond 2^53 - 1, or always on request", () => {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  for (const value of [max, -max]) {
    assert.equal(decodeCbor(encodeCbor(value)), Number(value));
    assert.equal(decodeCbor(encodeCbor(value), { bigints: true }), value);
  }
  for (const value of [max + 1n, -max - 1n]) assert.equal(decodeCbor(encodeCbor(value)), value);
  assert.equal(decodeCbor(fromHex("c24101"), { bigints: true }), 1n);
});

test("the self-describing tag may come first, and only once", () => {
  assert.equal(decodeCbor(fromHex("d9d9f701")), 1);
  assert.equal(toHex(encodeCbor(1, { selfDescribed: true })), "d9d9f701");
  assert.throws(() => decodeCbor(fromHex("d9d9f7d9d9f701")), CborError);
  assert.throws(() => decodeCbor(fromHex("81d9d9f701")), CborError);
});

test("what is outside the subset is refused with the place", () => {
  const cases: [string, RegExp][] = [
    ["", /unexpected end at byte 0/],
    ["f90000", /floating-point/],
    ["fa00000000", /floating-point/],
    ["fb0000000000000000", /floating-point/],
    ["e0", /unknown simple value/],
    ["f818", /unknown simple value/],
    ["ff", /unexpected break/],
    ["81ff", /unexpected break/],
    ["bf6161ff", /unexpected break/],
    ["a161", /unexpected end|beyond/],
    ["1f", /indefinite length/],
    ["3f", /indefinite length/],
    ["df00", /indefinite length/],
    ["1c", /reserved/],
    ["0000", /bytes after the end/],
    ["a2616101616102", /duplicate/],
    ["a201010102", /duplicate/],
    ["a2010118010118", /duplicate/],
    ["a1800000", /neither text nor integer/],
    ["a1f500", /neither text nor integer/],
    ["61ff", /not UTF-8/],
    ["62c328", /not UTF-8/],
    ["63eda080", /not UTF-8/],
    ["c001", /unexpected tag 0/],
    ["c201", /bignum/],
    ["5f01ff", /another type/],
    ["5f5f4101ffff", /another type/],
    ["7f4101ff", /another type/],
  ];
  for (const [hex, text] of cases) {
    assert.throws(
      () => decodeCbor(fromHex(hex)),
      (error) => error instanceof CborError && text.test(error.message),
      hex,
    );
  }
});

test("a declared length beyond the input is refused before anything is made", () => {
  const before = process.memoryUsage().arrayBuffers;
  for (const head of [
    "5b7fffffffffffffff",
    "7b7fffffffffffffff",
    "9b7fffffffffffffff",
    "bb7fffffffffffffff",
    "5a7fffffff",
  ]) {
    assert.throws(() => decodeCbor(fromHex(head)), /beyond the end/);
    assert.throws(() => decodeCbor(fromHex(`81${head}00`)), /beyond the end/);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
});

test("nesting, number of items and bignums are bounded", () => {
  const nested = (depth: number) => new Uint8Array(depth + 1).fill(0x81, 0, depth);
  assert.doesNotThrow(() => decodeCbor(nested(64)));
  assert.throws(() => decodeCbor(nested(65)), /too deeply/);
  assert.throws(() => decodeCbor(nested(1_000_000)), /too deeply/);
  assert.throws(() => decodeCbor(new Uint8Array(1_000_000).fill(0x9f)), /too deeply/);
  assert.throws(() => decodeCbor(new Uint8Array(1_000_000).fill(0xc2)), CborError);
  assert.throws(() => decodeCbor(nested(3), { maxDepth: 2 }), /too deeply/);
  const many = new Uint8Array(1 << 20).fill(0x80);
  many.set(fromHex("9a000ffffb"));
  assert.throws(() => decodeCbor(many), /too many items/);
  const big = encodeCbor(1n << 8200n);
  assert.throws(() => decodeCbor(big), /bignum too long/);
});

test("encoding leaves undefined fields out and refuses what is no integer", () => {
  assert.equal(toHex(encodeCbor({ a: 1, b: undefined, c: null })), "a2616101616 3f6".replace(" ", ""));
  assert.throws(() => encodeCbor(1.5), RangeError);
  assert.throws(() => encodeCbor(2 ** 53), RangeError);
  assert.equal(decodeCbor(encodeCbor("x".repeat(300))), "x".repeat(300));
});

const leaf = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt().map((value) => (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value % 2n ** 53n) || 0 : value)),
  fc.string({ unit: "grapheme" }),
  fc.uint8Array({ maxLength: 300 }),
  fc.boolean(),
  fc.constant(null),
);
const { value: tree } = fc.letrec<{ value: CborInput }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie("value"), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(fc.oneof(fc.string(), fc.maxSafeInteger()), tie("value")), {
        maxLength: 5,
        selector: ([key]) => key,
      })
      .map((entries) => new Map(entries)),
  ),
}));

test("plain data comes back", () => {
  fc.assert(fc.property(tree, (value) => assert.deepEqual(decodeCbor(encodeCbor(value)), value)));
});

test("every prefix of an encoding is refused", () => {
  fc.assert(
    fc.property(tree, fc.nat(), (value, cut) => {
      const bytes = encodeCbor(value);
      assert.throws(() => decodeCbor(bytes.subarray(0, cut % bytes.length)), CborError);
    }),
  );
});

test("random bytes give a value or CborError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof CborError);
      }
    }),
    { numRuns: 2000 },
  );
});

test("the agent reads what we write, and we read what it writes", () => {
  const content = {
    request_type: "call",
    arg: Uint8Array.of(1, 2, 3),
    ingress_expiry: 1_685_570_400_000_000_000n,
    paths: [[Uint8Array.of(1)], []],
    flag: true,
  };
  const ours = Cbor.decode<Record<string, unknown>>(encodeCbor({ content, none: null }));
  assert.deepEqual(ours, { content, none: null });
  const theirs = decodeCbor(Cbor.encode({ content }));
  assert.deepEqual(theirs, new Map([["content", new Map(Object.entries(content))]]));
});

test("a Buffer decodes to plain byte arrays", () => {
  for (const length of [3, 1000]) {
    const bytes = decodeCbor(Buffer.from(encodeCbor(new Uint8Array(length))));
    assert.equal(bytes?.constructor, Uint8Array);
  }
});
