// Calls through the table that fail: the replica tells apart a function of another type (a violation of the contract,
// IC0504, not logged), no function at all (a trap it has no name for) and an index outside of the table.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTEXTS, type Context, input, runnable } from "./system-api/executing.ts";

const UPDATE = CONTEXTS.U?.[0] as Context;

function told(table: 32 | 64, code: string, deep = "(unreachable)"): [string, number] {
  const wide = table === 64 ? "i64 " : "";
  const ran = runnable(`(module (memory 1) (type $v (func)) (type $f (func (param f32)))
    (table ${wide}5 funcref) (elem (i${table}.const 1) $plain $deep $floats)
    (func $plain) (func $floats (param f32)) (func $deep ${deep})
    (func (export "canister_update go") ${code}))`).run(input(UPDATE));
  const [, what = ""] = /rdmx6-jaaaa-aaaaa-aaadq-cai: (.*?)\.?$/m.exec(ran.told) ?? [];
  return [`${ran.told.slice(0, 6)} ${what}`, ran.effects.log.kept().length];
}

const NOTHING = [" ", 0];
const MISMATCH = ["IC0504 Canister violated contract: function invocation does not match its signature", 0];
const UNKNOWN = ["IC0502 Canister trapped: unknown", 1];
const OUTSIDE = ["IC0502 Canister trapped: table out of bounds", 1];

for (const table of [32, 64] as const) {
  const call = (index: number | bigint, tail = "") => `(${tail}call_indirect (type $v) (i${table}.const ${index}))`;

  test(`another type, nothing, or outside of a table with ${table}-bit indexes`, () => {
    for (const tail of ["", "return_"]) {
      assert.deepEqual(told(table, call(1, tail)), NOTHING);
      assert.deepEqual(told(table, call(3, tail)), MISMATCH);
      for (const empty of [0, 4]) assert.deepEqual(told(table, call(empty, tail)), UNKNOWN);
      for (const outside of [5, -1]) assert.deepEqual(told(table, call(outside, tail)), OUTSIDE);
    }
  });

  test(`after and within other calls, ${table}-bit`, () => {
    assert.deepEqual(told(table, call(1) + call(0)), UNKNOWN);
    assert.deepEqual(told(table, call(1) + call(3)), MISMATCH);
    assert.deepEqual(told(table, call(2), call(0)), UNKNOWN);
    assert.deepEqual(told(table, call(2), call(3)), MISMATCH);
  });
}
