// The guard in front of Candid decoders: what the encoder of `@icp-sdk/core` writes passes, each way to make a decoder
// run away does not.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import fc from "fast-check";
import { isCandidWithin } from "../src/candid-bounds.ts";

const magic = [0x44, 0x49, 0x44, 0x4c];
const message = (...bytes: number[]) => Uint8Array.from([...magic, ...bytes]);

describe("messages that real encoders make", () => {
  const id = Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai");
  const values: [string, IDL.Type[], unknown[]][] = [
    ["nothing", [], []],
    ["numbers", [IDL.Nat, IDL.Int, IDL.Nat8, IDL.Nat16, IDL.Nat32, IDL.Nat64], [1n << 200n, -5n, 1, 2, 3, 4n]],
    [
      "more numbers",
      [IDL.Int8, IDL.Int16, IDL.Int32, IDL.Int64, IDL.Float32, IDL.Float64],
      [-1, -2, -3, -4n, 1.5, 2.5],
    ],
    ["primitives", [IDL.Bool, IDL.Text, IDL.Null, IDL.Principal, IDL.Reserved], [true, "héllo", null, id, null]],
    ["options", [IDL.Opt(IDL.Text), IDL.Opt(IDL.Opt(IDL.Nat))], [["x"], [[]]]],
    ["a blob", [IDL.Vec(IDL.Nat8)], [new Uint8Array(100_000)]],
    [
      "records",
      [IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text))],
      [
        [
          ["a", "b"],
          ["c", "d"],
        ],
      ],
    ],
    ["a variant", [IDL.Variant({ ok: IDL.Nat, err: IDL.Text })], [{ err: "no" }]],
    ["a function", [IDL.Func([IDL.Text], [], ["query"])], [[id, "call_me"]]],
    ["a service", [IDL.Service({ go: IDL.Func([], [], []) })], [id]],
  ];
  for (const [name, types, args] of values) {
    it(name, () => assert.equal(isCandidWithin(new Uint8Array(IDL.encode(types, args)), 100), true));
  }

  it("counts values, not bytes", () => {
    const names = new Uint8Array(IDL.encode([IDL.Vec(IDL.Text)], [new Array(50).fill("name")]));
    assert.equal(isCandidWithin(names, 51), true);
    assert.equal(isCandidWithin(names, 50), false);
  });

  it("refuses each message with its end cut off or something added", () => {
    for (const [, types, args] of values) {
      const bytes = new Uint8Array(IDL.encode(types, args));
      assert.equal(isCandidWithin(bytes.subarray(0, bytes.length - 1), 100), false);
      assert.equal(isCandidWithin(Uint8Array.from([...bytes, 0]), 100), false);
    }
  });
});

describe("messages that would keep a decoder busy", () => {
  it("four billion nulls in nine bytes", () => {
    assert.equal(isCandidWithin(message(1, 0x6d, 0x7f, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f), 10_000), false);
  });
  it("a record inside itself", () => assert.equal(isCandidWithin(message(1, 0x6c, 1, 0, 0, 1, 0), 10_000), false));
  it("pairs of pairs of pairs", () => {
    const types: number[] = [];
    for (let i = 0; i < 40; i++) types.push(0x6c, 2, 0, i === 39 ? 0x7f : i + 1, 1, i === 39 ? 0x7f : i + 1);
    assert.equal(isCandidWithin(message(40, ...types, 1, 0), 10_000), false);
  });
  it("a number without end", () => {
    assert.equal(isCandidWithin(message(0, 1, 0x7d, ...new Array(100_000).fill(0x80), 0), 10_000), false);
  });
  it("options inside options", () => {
    assert.equal(isCandidWithin(message(1, 0x6e, 0, 1, 0, ...new Array(50_000).fill(1), 0), 1_000_000), false);
  });
  it("a table of types without end", () => assert.equal(isCandidWithin(message(0xff, 0xff, 0x7f), 10_000), false));
});

describe("any bytes", () => {
  it("get an answer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        isCandidWithin(bytes, 1000);
        isCandidWithin(message(...bytes), 1000);
      }),
    );
  });
  it("that the decoder of the agent takes are within bounds", () => {
    const anyValue = fc.record({
      name: fc.string(),
      tags: fc.array(fc.string()),
      size: fc.nat(),
      blob: fc.uint8Array(),
    });
    const type = IDL.Record({ name: IDL.Text, tags: IDL.Vec(IDL.Text), size: IDL.Nat, blob: IDL.Vec(IDL.Nat8) });
    fc.assert(
      fc.property(anyValue, (value) => isCandidWithin(new Uint8Array(IDL.encode([type], [{ ...value }])), 1000)),
    );
  });
});
