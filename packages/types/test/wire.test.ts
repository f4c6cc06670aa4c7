// The canonical form of what nodes say to each other: every value has one encoding, every encoding one value, and no bytes that
// somebody sends do more than be refused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PrincipalId } from "@atoll/types";
import { toHex } from "@atoll/types";
import {
  bytes,
  type Codec,
  decodeWire,
  encodeWire,
  fixedBytes,
  flag,
  list,
  optional,
  principal,
  record,
  text,
  u64,
  uint,
  union,
  WireError,
  WireWriter,
  word,
} from "@atoll/types/wire";
import fc from "fast-check";

type Shape =
  | { readonly kind: "dot" }
  | { readonly kind: "line"; readonly length: number; readonly name: string | undefined }
  | { readonly kind: "path"; readonly points: readonly bigint[]; readonly isClosed: boolean };

const shape: Codec<Shape> = union<Shape>({
  dot: record({}),
  line: record({ length: uint(1_000_000), name: optional(text(20)) }),
  path: record({ points: list(u64, 10), isClosed: flag }),
});
const everything = record({
  number: uint(),
  big: u64,
  truth: flag,
  four: fixedBytes(4),
  some: bytes(16),
  name: text(40),
  who: principal,
  shapes: list(shape, 5),
  color: word("red", "green", "blue"),
});
type Everything = typeof everything extends Codec<infer T> ? T : never;

const EXAMPLE: Everything = {
  number: 2 ** 40,
  big: 2n ** 63n,
  truth: true,
  four: Uint8Array.of(1, 2, 3, 4),
  some: Uint8Array.of(5, 6),
  name: "where",
  who: "0a0b" as PrincipalId,
  shapes: [{ kind: "dot" }],
  color: "green",
};

const PLAIN = { noNullPrototype: true } as const;
const anyShape: fc.Arbitrary<Shape> = fc.oneof(
  fc.constant<Shape>({ kind: "dot" }),
  fc.record(
    {
      kind: fc.constant("line" as const),
      length: fc.nat(1_000_000),
      name: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
    },
    PLAIN,
  ),
  fc.record(
    {
      kind: fc.constant("path" as const),
      points: fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 10 }),
      isClosed: fc.boolean(),
    },
    PLAIN,
  ),
);
const anything: fc.Arbitrary<Everything> = fc.record(
  {
    number: fc.maxSafeNat(),
    big: fc.bigInt(0n, 2n ** 64n - 1n),
    truth: fc.boolean(),
    four: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    some: fc.uint8Array({ maxLength: 16 }),
    name: fc
      .string({ maxLength: 10, unit: "grapheme" })
      .filter((value) => new TextEncoder().encode(value).length <= 40),
    who: fc.uint8Array({ maxLength: 29 }).map((raw) => toHex(raw) as PrincipalId),
    shapes: fc.array(anyShape, { maxLength: 5 }),
    color: fc.constantFrom("red" as const, "green" as const, "blue" as const),
  },
  PLAIN,
);

const raw = (...values: number[]) => Uint8Array.from(values);
const refused = (codec: Codec<unknown>, content: Uint8Array, why: RegExp) =>
  assert.throws(
    () => decodeWire(codec, content),
    (error) => error instanceof WireError && why.test(error.message),
  );

describe("the wire codec", () => {
  it("gives back what was written", () => {
    fc.assert(
      fc.property(anything, (value) => assert.deepEqual(decodeWire(everything, encodeWire(everything, value)), value)),
    );
  });

  it("has one encoding for each value: what can be read is what would be written", () => {
    const canonical = (content: Uint8Array) => {
      let value: Everything;
      try {
        value = decodeWire(everything, content);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        return false;
      }
      assert.deepEqual(encodeWire(everything, value), content);
      return true;
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (content) => void canonical(content)));
    let readable = 0;
    fc.assert(
      fc.property(anything, fc.nat(), fc.nat(255), (value, place, byte) => {
        const content = encodeWire(everything, value);
        content[place % content.length] = byte;
        if (canonical(content)) readable++;
        canonical(content.subarray(0, place % content.length));
      }),
      { numRuns: 500 },
    );
    assert.ok(readable > 50, "most changes of content can be read");
  });

  it("shows what was written without a copy, and what is read shares nothing with what came", () => {
    const written = (write: (writer: WireWriter) => void) => {
      const writer = new WireWriter();
      write(writer);
      return writer;
    };
    const first = written((writer) => writer.u64(0x0102_0304_0506_0708n)).take();
    const inside = written((writer) => everything.write(writer, EXAMPLE)).finish((content) => {
      // Another one that begins meanwhile has a buffer of its own.
      const other = written((writer) => writer.uint(300)).take();
      return { content: content.slice(), other };
    });
    assert.deepEqual(first, raw(1, 2, 3, 4, 5, 6, 7, 8));
    assert.deepEqual(inside, { content: encodeWire(everything, EXAMPLE), other: raw(0xac, 2) });
    const came = encodeWire(everything, EXAMPLE);
    const value = decodeWire(everything, came);
    came.fill(0);
    assert.deepEqual(value, EXAMPLE);
  });

  it("refuses what has another form", () => {
    refused(uint(), raw(0x80, 0x00), /longer than it must be/);
    refused(uint(), raw(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), /too large/);
    refused(uint(), raw(0x80), /end too early/);
    refused(uint(5), raw(6), /too large/);
    refused(uint(), raw(1, 1), /after the end/);
    refused(flag, raw(2), /too large/);
    refused(optional(uint()), raw(2, 1), /too large/);
    refused(bytes(3), raw(4, 1, 2, 3, 4), /too large/);
    refused(bytes(30), raw(20, 1), /end too early/);
    refused(text(5), raw(2, 0xc0, 0x80), /UTF-8/);
    refused(text(9), raw(3, 0xed, 0xa0, 0x80), /UTF-8/);
    refused(principal, raw(30, ...new Array(30).fill(1)), /too large/);
    refused(list(uint(), 1000), raw(0xe8, 0x07, 1), /end too early/);
    refused(list(uint(), 2), raw(3, 1, 1, 1), /too large/);
    refused(shape, raw(3), /unknown kind/);
    refused(word("a", "b"), raw(2), /unknown word/);
    refused(u64, raw(1, 2, 3), /end too early/);
  });

  it("keeps a byte order mark, and does not let a text begin anew", () => {
    const marked = "\u{feff}a";
    assert.equal(decodeWire(text(10), encodeWire(text(10), marked)), marked);
  });

  it("does not write what cannot be read", () => {
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53, 11])
      assert.throws(() => encodeWire(uint(10), value), RangeError);
    assert.throws(() => encodeWire(uint(), 2 ** 53), RangeError);
    for (const value of [-1n, 2n ** 64n]) assert.throws(() => encodeWire(u64, value), RangeError);
    assert.throws(() => encodeWire(bytes(2), raw(1, 2, 3)), RangeError);
    assert.throws(() => encodeWire(fixedBytes(2), raw(1)), RangeError);
    assert.throws(() => encodeWire(text(10), "\ud800"), RangeError);
    assert.throws(() => encodeWire(list(uint(), 1), [1, 2]), RangeError);
  });
});
