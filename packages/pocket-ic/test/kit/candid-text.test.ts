// Candid shown to people: every type as @icp-sdk/core encodes it, names where they are known, and bytes of anybody.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type PrincipalId, principalFromText } from "@atoll/types";
import { IDL, idlLabelToId } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import fc from "fast-check";
import { candidText } from "../../src/kit/candid-text.ts";

const words = ["name", "size", "ok", "err", "next", "a-b", "from"];
const fields = new Map(words.map((word) => [idlLabelToId(word), word]));
const ledger = "ryjl3-tyaaa-aaaaa-aaaba-cai";
const names = {
  field: (hash: number) => fields.get(hash),
  principal: (id: PrincipalId) => (id === principalFromText(ledger) ? "ledger" : undefined),
};

function shown(types: IDL.Type[], ...values: unknown[]): string {
  return candidText(new Uint8Array(IDL.encode(types, values)), names);
}

describe("Candid as people read it", () => {
  it("shows every type", () => {
    const cases: [IDL.Type, unknown, string][] = [
      [IDL.Nat, 12_345_678_901_234_567_890n, "12_345_678_901_234_567_890"],
      [IDL.Int, -129n, "-129"],
      [IDL.Int, 64n, "64"],
      [IDL.Nat8, 255, "255"],
      [IDL.Nat16, 65_535, "65_535"],
      [IDL.Nat32, 4_000_000_000, "4_000_000_000"],
      [IDL.Nat64, 2n ** 64n - 1n, "18_446_744_073_709_551_615"],
      [IDL.Int8, -128, "-128"],
      [IDL.Int16, -2, "-2"],
      [IDL.Int32, -70_000, "-70_000"],
      [IDL.Int64, -(2n ** 63n), "-9_223_372_036_854_775_808"],
      [IDL.Float32, 0.5, "0.5"],
      [IDL.Float64, 1e300, "1e+300"],
      [IDL.Bool, true, "true"],
      [IDL.Null, null, "null"],
      [IDL.Reserved, null, "reserved"],
      [IDL.Text, 'say "hi"\n', '"say \\"hi\\"\\n"'],
      [IDL.Principal, Principal.fromText(ledger), "principal ledger"],
      [IDL.Principal, Principal.managementCanister(), 'principal "aaaaa-aa"'],
      [IDL.Opt(IDL.Text), [], "null"],
      [IDL.Opt(IDL.Opt(IDL.Nat)), [[1n]], "opt opt 1"],
      [IDL.Vec(IDL.Nat), [1n, 2n], "vec { 1; 2 }"],
      [IDL.Vec(IDL.Text), [], "vec {}"],
      [IDL.Vec(IDL.Nat8), new TextEncoder().encode("hello"), 'blob "hello"'],
      [IDL.Vec(IDL.Nat8), Uint8Array.of(0, 255), "0x00ff"],
      [IDL.Vec(IDL.Nat8), new Uint8Array(1000), `0x${"00".repeat(24)}… (1000 bytes)`],
      [IDL.Record({}), {}, "record {}"],
      [IDL.Record({ name: IDL.Text, "a-b": IDL.Nat }), { name: "x", "a-b": 1n }, 'record { "a-b" = 1; name = "x" }'],
      [IDL.Record({ unknown: IDL.Nat }), { unknown: 1n }, `record { ${idlLabelToId("unknown")} = 1 }`],
      [IDL.Tuple(IDL.Nat, IDL.Text), [1n, "x"], 'record { 1; "x" }'],
      [IDL.Variant({ ok: IDL.Nat, err: IDL.Text }), { err: "no" }, 'variant { err = "no" }'],
      [IDL.Variant({ ok: IDL.Null, err: IDL.Text }), { ok: null }, "variant { ok }"],
      [IDL.Func([IDL.Nat], [], ["query"]), [Principal.fromText(ledger), "get"], "func ledger.get"],
      [IDL.Service({ get: IDL.Func([], [], []) }), Principal.fromText(ledger), "service ledger"],
      [IDL.Vec(IDL.Nat8), IDL.encode([IDL.Text], ["inner"]), 'candid("inner")'],
    ];
    for (const [type, value, text] of cases) assert.equal(shown([type], value), `(${text})`, type.display());
    assert.equal(shown([]), "()");
    assert.equal(shown([IDL.Nat, IDL.Text], 1n, "x"), '(1, "x")');
  });

  it("shows recursive types, as deep as there is room", () => {
    const list = IDL.Rec();
    list.fill(IDL.Opt(IDL.Record({ size: IDL.Nat, next: list })));
    assert.equal(
      shown([list], [{ size: 1n, next: [{ size: 2n, next: [] }] }]),
      "(opt record { next = opt record { next = null; size = 2 }; size = 1 })",
    );
    let deep: unknown = [];
    for (let i = 0; i < 1_000; i++) deep = [{ size: 1n, next: deep }];
    assert.match(shown([list], deep), /^\(opt record \{ next = .*…$/);
  });

  it("ends when there is enough to read", () => {
    assert.ok(shown([IDL.Vec(IDL.Nat)], Array(100_000).fill(7n)).length < 310);
    assert.ok(shown([IDL.Text], "x".repeat(100_000)).length < 310);
    // A vector of 2^42 nothings, in a few bytes.
    const bomb = Uint8Array.of(
      ...new TextEncoder().encode("DIDL"),
      1,
      0x6d,
      0x7f,
      1,
      0,
      128,
      128,
      128,
      128,
      128,
      128,
      1,
    );
    assert.match(candidText(bomb, names), /^\(vec \{ null; null; .*…$/);
    let nested = new Uint8Array(IDL.encode([], []));
    for (let i = 0; i < 2_000; i++) nested = new Uint8Array(IDL.encode([IDL.Vec(IDL.Nat8)], [nested]));
    assert.match(candidText(nested, names), /^\(candid\(blob? ?.*\)\)?…?$|^\(candid\(0x4449444c/);
  });

  it("shows as bytes what is not Candid, whatever it is", () => {
    assert.equal(candidText(new TextEncoder().encode("plain"), names), 'blob "plain"');
    assert.equal(candidText(new Uint8Array(), names), "0x");
    const magic = new TextEncoder().encode("DIDL");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const text = candidText(Uint8Array.of(...magic, ...bytes), names);
        assert.ok(text.length < 1_000);
      }),
      { numRuns: 2_000 },
    );
    const whole = new Uint8Array(
      IDL.encode([IDL.Record({ name: IDL.Text, size: IDL.Nat })], [{ name: "x", size: 5n }]),
    );
    for (let end = 4; end < whole.length; end++) assert.match(candidText(whole.subarray(0, end), names), /^(blob|0x)/);
  });
});
