// Arguments that are meant to hurt: each must be refused quickly, with little memory, and without an exception; and
// everything that real clients send must come through unchanged.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeArgument } from "@atoll/execution/management/candid-argument";
import { CanisterIdRecord, InstallCodeRecord, UpdateSettingsRecord } from "@atoll/execution/management/candid-types";
import { ErrorCode, encodeLeb128 } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import fc from "fast-check";
import { ALICE, encode, NO_SETTINGS, principal } from "./subnet.ts";

const MAX_MESSAGE = 2 * 1024 * 1024;
const bytes = (...parts: (number | number[] | Uint8Array | string)[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string" ? [...new TextEncoder().encode(part)] : typeof part === "number" ? [part] : [...part],
    ),
  );
const leb = (value: number): number[] => [...encodeLeb128(value)];
const repeat = (pattern: number[], total: number): Uint8Array => {
  const out = new Uint8Array(total);
  for (let i = 0; i < total; i++) out[i] = pattern[i % pattern.length] as number;
  return out;
};

const NULL = 0x7f;
const BOOL = 0x7e;
const NAT = 0x7d;
const TEXT = 0x71;
const RESERVED = 0x70;
const OPT = 0x6e;
const VEC = 0x6d;
const RECORD = 0x6c;
const VARIANT = 0x6b;
const FUNC = 0x6a;
const PRINCIPAL = 0x68;

/** The hash of "canister_id" in Candid's label hash. */
const CANISTER_ID = [...new TextEncoder().encode("canister_id")].reduce(
  (hash, byte) => (hash * 223 + byte) % 2 ** 32,
  0,
);

/**
 * A record with a good `canister_id` after a field that nobody asked for, of type `type` (those of `table` count from
 * 1): a decoder without a guard would take it, in its own time.
 */
const withUnknownField = (table: number[][], type: number, value: Uint8Array | number[]): Uint8Array =>
  bytes(
    "DIDL",
    leb(table.length + 1),
    [RECORD, 2, 5, type, ...leb(CANISTER_ID), PRINCIPAL],
    ...table,
    [1, 0],
    value,
    [1, 1, 7],
  );

const nestedOpts = (depth: number): number[][] => Array.from({ length: depth }, (_, i) => [OPT, ...leb(i + 2)]);

const hostile: Record<string, Uint8Array> = {
  "a vector of 2^40 nulls": withUnknownField([[VEC, NULL]], 1, leb(2 ** 40)),
  "a vector of 2^40 reserved": withUnknownField([[VEC, RESERVED]], 1, leb(2 ** 40)),
  "a vector of 2^40 empty records": withUnknownField(
    [
      [VEC, 2],
      [RECORD, 0],
    ],
    1,
    leb(2 ** 40),
  ),
  "vectors of vectors of nulls": withUnknownField(
    [
      [VEC, 2],
      [VEC, NULL],
    ],
    1,
    [...leb(5000), ...Array(5000).fill([0xff, 0x7f]).flat()],
  ),
  "a record that contains itself": withUnknownField([[RECORD, 1, 0, 1]], 1, []),
  "records that double at each of 40 levels": withUnknownField(
    Array.from({ length: 40 }, (_, i) => [RECORD, 2, 0, i < 39 ? i + 2 : NULL, 1, i < 39 ? i + 2 : NULL]),
    1,
    [],
  ),
  "60 options around a boolean that is none": withUnknownField([...nestedOpts(59), [OPT, BOOL]], 1, [
    ...Array(60).fill(1),
    2,
  ]),
  "28 options around a boolean that is none": withUnknownField([...nestedOpts(27), [OPT, BOOL]], 1, [
    ...Array(28).fill(1),
    2,
  ]),
  "28 options around text that is not UTF-8": withUnknownField([...nestedOpts(27), [OPT, TEXT]], 1, [
    ...Array(28).fill(1),
    1,
    0xff,
  ]),
  "a recursive option, a megabyte deep": withUnknownField([[OPT, 1]], 1, repeat([1], 1_000_000)),
  "a type table of a million empty records": bytes("DIDL", leb(1_000_000), repeat([RECORD, 0], 2_000_000 - 20)),
  "a type table of 2 MiB of options": bytes("DIDL", leb(900_000), repeat([OPT, NULL], 1_800_000)),
  "a type table of 2 MiB that claims more": bytes("DIDL", leb(2 ** 40), repeat([OPT, NULL], MAX_MESSAGE - 20)),
  "a record type of a million fields": bytes("DIDL", 1, RECORD, leb(2 ** 30), repeat([0, NULL], 2_000_000)),
  "a variant of 2^30 alternatives": bytes("DIDL", 1, VARIANT, leb(2 ** 30), repeat([0, NULL], 2_000_000)),
  "a function of a million arguments": bytes("DIDL", 1, FUNC, leb(2 ** 30), repeat([NULL], 2_000_000)),
  "a number of two million digits": withUnknownField([], NAT, repeat([0xff], 2_000_000)),
  "thousands of numbers of a thousand digits": withUnknownField([[VEC, NAT]], 1, [
    ...leb(1900),
    ...repeat([...Array(999).fill(0xff), 1], 1_900_000),
  ]),
  "a hundred thousand numbers": withUnknownField([[VEC, NAT]], 1, [...leb(100_000), ...repeat([1], 100_000)]),
  "a text of 2 MiB": withUnknownField([], TEXT, [...leb(2_000_000), ...repeat([0x61], 2_000_000)]),
  "a text that is longer than the message": withUnknownField([], TEXT, leb(2 ** 40)),
  "a blob that is longer than the message": withUnknownField([[VEC, 0x7b]], 1, leb(2 ** 40)),
  "a vector of nat64 longer than the message": withUnknownField([[VEC, 0x78]], 1, leb(2 ** 45)),
  "a million empty blobs": withUnknownField(
    [
      [VEC, 2],
      [VEC, 0x7b],
    ],
    1,
    [...leb(1_000_000), ...repeat([0], 1_000_000)],
  ),
  "ten thousand functions of a large type": withUnknownField(
    [
      [VEC, 2],
      [FUNC, ...leb(400), ...Array(400).fill(NULL), 0, 0],
    ],
    1,
    [...leb(9000), ...repeat([1, 1, 0, 0], 36_000)],
  ),
  "wide variants, the last alternative each time": withUnknownField(
    [
      [VEC, 2],
      [VARIANT, ...leb(400), ...Array.from({ length: 400 }, (_, i) => [...leb(i), NULL]).flat()],
    ],
    1,
    [...leb(9000), ...repeat(leb(399), 18_000)],
  ),
  "types that do not exist": withUnknownField([[OPT, 100]], 1, [1]),
  "a value of type empty": withUnknownField([], 0x6f, []),
  "2 MiB of zeros": new Uint8Array(MAX_MESSAGE),
  "2 MiB of 0xff behind the magic": bytes("DIDL", repeat([0xff], MAX_MESSAGE - 4)),
  nothing: new Uint8Array(),
  "the magic alone": bytes("DIDL"),
};

describe("hostile Candid", () => {
  for (const [name, arg] of Object.entries(hostile)) {
    test(`${name} is refused`, () => {
      assert.ok(arg.length <= MAX_MESSAGE);
      const decoded = decodeArgument(CanisterIdRecord, arg);
      assert.ok(!decoded.ok);
      assert.equal(decoded.error.code, ErrorCode.InvalidManagementPayload);
      assert.ok(decoded.error.message.length < 500);
    });
  }

  // What the guard lets through at its limits must be harmless for the decoder.
  const bearable: Record<string, Uint8Array> = {
    "thousands of nulls": withUnknownField([[VEC, NULL]], 1, leb(9990)),
    "thousands of empty records": withUnknownField(
      [
        [VEC, 2],
        [RECORD, 0],
      ],
      1,
      leb(9990),
    ),
    "thousands of blobs": withUnknownField(
      [
        [VEC, 2],
        [VEC, 0x7b],
      ],
      1,
      [...leb(9990), ...repeat([0], 9990)],
    ),
    "hundreds of types and a long text": withUnknownField(
      Array.from({ length: 240 }, () => [OPT, NULL]),
      TEXT,
      [...leb(30_000), ...repeat([0x61], 30_000)],
    ),
    "hundreds of large numbers": withUnknownField([[VEC, NAT]], 1, [
      ...leb(500),
      ...repeat([...Array(62).fill(0xff), 1], 31_500),
    ]),
    "28 options around a boolean": withUnknownField([...nestedOpts(27), [OPT, BOOL]], 1, [...Array(28).fill(1), 1]),
  };
  for (const [name, arg] of Object.entries(bearable)) {
    test(`${name} are let through`, () => {
      assert.deepEqual(decodeArgument(CanisterIdRecord, arg), { ok: true, value: { canister_id: "07" } });
    });
  }

  test("arbitrary bytes behind the magic never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        decodeArgument(UpdateSettingsRecord, bytes("DIDL", tail));
      }),
      { numRuns: 3000 },
    );
  });

  test("damaged real arguments never throw", () => {
    const good = encode("update_settings", {
      canister_id: principal(ALICE),
      settings: { ...NO_SETTINGS, controllers: [[principal(ALICE)]], log_visibility: [{ public: null }] },
      sender_canister_version: [7n],
    });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, cut) => {
        const damaged = good.slice();
        damaged[at] = value;
        decodeArgument(UpdateSettingsRecord, damaged);
        decodeArgument(UpdateSettingsRecord, damaged.subarray(0, cut));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("what clients send comes through", () => {
  const install = (wasm: Uint8Array, arg: Uint8Array) => ({
    mode: { upgrade: [{ skip_pre_upgrade: [true], wasm_memory_persistence: [{ keep: null }] }] },
    canister_id: principal(ALICE),
    wasm_module: wasm,
    arg,
    sender_canister_version: [3n],
  });

  test("blobs of any size, the empty one included", () => {
    for (const size of [0, 1, 3, 4, 5, 127, 128, 70_000, 1_900_000]) {
      const wasm = repeat([1, 2, 3, 5, 7, 11], size);
      const decoded = decodeArgument(InstallCodeRecord, encode("install_code", install(wasm, bytes(4, 0, 0, 0, 9))));
      assert.deepEqual(decoded, {
        ok: true,
        value: {
          mode: { upgrade: [{ skip_pre_upgrade: [true], wasm_memory_persistence: [{ keep: null }] }] },
          canister_id: ALICE,
          wasm_module: wasm,
          arg: bytes(4, 0, 0, 0, 9),
          sender_canister_version: [3n],
        },
      });
    }
  });

  test("from the middle of a larger buffer", () => {
    const arg = encode("canister_status", { canister_id: principal(ALICE) });
    const buffer = bytes(repeat([7], 50), arg, 1, 2, 3);
    const decoded = decodeArgument(CanisterIdRecord, buffer.subarray(50, 50 + arg.length));
    assert.deepEqual(decoded, { ok: true, value: { canister_id: ALICE } });
  });

  test("the module is a copy: nothing keeps the message alive", () => {
    const arg = encode("install_code", install(bytes(1, 2, 3), bytes()));
    const decoded = decodeArgument<{ wasm_module: Uint8Array }>(InstallCodeRecord, arg);
    assert.ok(decoded.ok);
    assert.equal(decoded.value.wasm_module.buffer.byteLength, 3);
  });

  test("fields nobody asked for, missing optional fields, more arguments than one", () => {
    const known = {
      canister_id: IDL.Principal,
      zebra: IDL.Vec(IDL.Text),
      aardvark: IDL.Opt(IDL.Record({ x: IDL.Nat })),
    };
    const value = { canister_id: principal(ALICE), zebra: ["a", "b"], aardvark: [{ x: 5n }] };
    const two = IDL.encode([IDL.Record(known), IDL.Text], [value, "more"]);
    assert.deepEqual(decodeArgument(CanisterIdRecord, two), { ok: true, value: { canister_id: ALICE } });
    const old = IDL.encode(
      [
        IDL.Record({
          mode: IDL.Variant({ upgrade: IDL.Null }),
          canister_id: IDL.Principal,
          wasm_module: IDL.Vec(IDL.Nat8),
          arg: IDL.Vec(IDL.Nat8),
        }),
      ],
      [{ mode: { upgrade: null }, canister_id: principal(ALICE), wasm_module: bytes(1), arg: bytes() }],
    );
    assert.deepEqual(decodeArgument(InstallCodeRecord, old), {
      ok: true,
      value: {
        mode: { upgrade: [] },
        canister_id: ALICE,
        wasm_module: bytes(1),
        arg: bytes(),
        sender_canister_version: [],
      },
    });
  });

  test("an opt of another type than expected counts as absent", () => {
    const arg = IDL.encode(
      [IDL.Record({ canister_id: IDL.Principal, settings: IDL.Record({ freezing_threshold: IDL.Opt(IDL.Text) }) })],
      [{ canister_id: principal(ALICE), settings: { freezing_threshold: ["soon"] } }],
    );
    const decoded = decodeArgument<{ settings: Record<string, unknown> }>(UpdateSettingsRecord, arg);
    assert.ok(decoded.ok);
    assert.deepEqual(decoded.value.settings.freezing_threshold, []);
  });
});
