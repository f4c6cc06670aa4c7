// In which order settings are checked when several things are wrong: the replica's (decoding, ranges, canister, caller,
// variables, capacity, cycles, reserved cycles, log), all before anything changes. Checklist 4.2.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterState } from "@atoll/state";
import { canisterIdFromIndex, type PrincipalId } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { methods } from "./interface.ts";
import { ALICE, BOB, newCanisterOf, newSubnet, principal, sendRaw, type TestSubnet } from "./subnet.ts";

const NOBODY = { id: canisterIdFromIndex(0x99n) } as CanisterState;

/** As a client that knows `log_memory_limit`, which the specification does not have. */
function update(subnet: TestSubnet, by: PrincipalId, { id }: CanisterState, given: Record<string, unknown>): string {
  const [argument] = methods.update_settings.arg as unknown as [IDL.RecordClass];
  const [, settings] = argument._fields.find(([name]) => name === "settings") as [string, IDL.RecordClass];
  const known = Object.fromEntries([...settings._fields, ["log_memory_limit", IDL.Opt(IDL.Nat)] as const]);
  const type = IDL.Record({ canister_id: IDL.Principal, settings: IDL.Record(known) });
  const values = Object.fromEntries(Object.keys(known).map((name) => [name, name in given ? [given[name]] : []]));
  const arg = IDL.encode([type], [{ canister_id: principal(id), settings: values }]);
  const status = sendRaw(subnet, by, "update_settings", arg)();
  return status.state === "rejected" ? `${status.error.code} ${status.error.message}` : status.state;
}

const variable = (name: string, value = "") => ({ name, value });
/** Each is wrong at a later stage than those before. */
const wrong: readonly [string, Record<string, unknown>, RegExp][] = [
  ["a list too long", { controllers: Array(11).fill(principal(ALICE)) }, /^408 .*exceeds maximum allowed 10$/],
  [
    "compute",
    { compute_allocation: 101n },
    /^504 ComputeAllocation expected to be in the range \[0\.\.100\], got 101$/,
  ],
  [
    "memory",
    { memory_allocation: 1n << 64n },
    /^504 MemoryAllocation expected to be in the range \[0\.\.2\^64-1\], got /,
  ],
  [
    "threshold",
    { freezing_threshold: 1n << 64n },
    /^504 Freezing threshold expected to be in the range of \[0\.\.2\^64-1\]/,
  ],
  [
    "reserved",
    { reserved_cycles_limit: 1n << 128n },
    /^504 Reserved cycles limit expected to be in the range of \[0\.\.2\^128-1\]/,
  ],
  ["log", { log_memory_limit: 1n << 64n }, /^504 Log memory limit expected to be in the range of \[0\.\.2\^64-1\]/],
  [
    "Wasm limit",
    { wasm_memory_limit: (1n << 48n) + 1n },
    /^504 Wasm memory limit expected to be in the range of \[0\.\.2\^64-1\]/,
  ],
  ["Wasm threshold", { wasm_memory_threshold: (1n << 48n) + 1n }, /^504 Wasm memory threshold expected to be in/],
  ["the same variable twice", { environment_variables: [variable("a"), variable("a")] }, /^408 Duplicate environment/],
];
const later: readonly [string, Record<string, unknown>, RegExp][] = [
  [
    "many variables",
    { environment_variables: Array.from({ length: 21 }, (_, i) => variable(`${i}`)) },
    /^408 Too many environment variables: 21 \(max: 20\)$/,
  ],
  ["memory capacity", { memory_allocation: 3n << 40n }, /^101 Canister requested 3\.00 TiB of memory but only/],
  [
    "compute capacity",
    { compute_allocation: 100n },
    /^101 Canister requested a compute allocation of 100% which cannot be satisfied because the Subnet's remaining compute capacity is 49%\./,
  ],
  [
    "cycles",
    { compute_allocation: 49n, freezing_threshold: (1n << 64n) - 1n },
    /^530 Cannot increase compute allocation to 49% due to insufficient cycles\./,
  ],
  [
    "reserved cycles",
    { reserved_cycles_limit: 1n },
    /^540 Cannot set the reserved cycles limit 1 below the reserved cycles balance of the canister 2\./,
  ],
  [
    "log capacity",
    { log_memory_limit: 2_097_153n },
    /^406 The canister log memory limit 2097153 is too high\. It must be at most 2097152\./,
  ],
];

function stage(): { subnet: TestSubnet; canister: CanisterState } {
  const subnet = newSubnet();
  const [other, canister] = [newCanisterOf(subnet, ALICE), newCanisterOf(subnet, ALICE)];
  other.cycles = 10n ** 18n;
  canister.cycles = 10n ** 18n;
  assert.equal(update(subnet, ALICE, other, { compute_allocation: 100n }), "replied");
  canister.reservedCycles = 2n;
  return { subnet, canister };
}

describe("one thing wrong", () => {
  for (const [what, given, expected] of [...wrong, ...later]) {
    test(what, () => {
      const { subnet, canister } = stage();
      const before = structuredClone(canister.settings);
      assert.match(update(subnet, ALICE, canister, given), expected);
      assert.deepEqual(canister.settings, before);
      assert.deepEqual([canister.version, canister.history.total], [0, 1]);
    });
  }
});

test("the first of two wrong things is told", () => {
  const all = [...wrong, ...later];
  const { subnet, canister } = stage();
  for (const [i, [what, given, expected]] of all.entries()) {
    for (const [, other] of all.slice(i + 1))
      assert.match(update(subnet, ALICE, canister, { ...other, ...given }), expected, what);
  }
});

test("what is wrong in itself is told to anybody, about any canister; the rest to controllers", () => {
  const { subnet, canister } = stage();
  for (const [, given, expected] of wrong) {
    assert.match(update(subnet, BOB, canister, given), expected);
    assert.match(update(subnet, BOB, NOBODY, given), expected);
  }
  for (const [, given] of later) {
    assert.match(update(subnet, BOB, canister, given), /^512 Only the controllers/);
    assert.match(update(subnet, BOB, NOBODY, given), /^301 Canister \S+ not found/);
  }
});

test("the log limit is a setting like the others", () => {
  const { subnet, canister } = stage();
  assert.equal(update(subnet, ALICE, canister, { log_memory_limit: 2_097_152n }), "replied");
  assert.equal(canister.settings.logMemoryLimit, 2_097_152);
  assert.equal(update(subnet, ALICE, canister, { wasm_memory_limit: 1n << 48n }), "replied");
  assert.equal(canister.settings.logMemoryLimit, 2_097_152);
});
