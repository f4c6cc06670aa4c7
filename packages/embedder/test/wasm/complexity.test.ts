// How much each operator weighs in the complexity of a function, operator by operator as the replica lists them.
// Instruction costs, section 8.
import assert from "node:assert/strict";
import { test } from "node:test";
import { COMPLEXITY, IMMEDIATE, Immediate, OPERATORS, PREFIX_FC } from "../../src/wasm/opcodes.ts";

/** Opcodes and ranges of opcodes by weight; everything else weighs 1. */
const WEIGHTS: readonly (readonly [weight: number, opcodes: string])[] = [
  // block loop if br br_if br_table call call_indirect, memory.grow
  [50, "02-04 0c-0e 10 11 40"],
  [14, "25"],
  [8, "d2"],
  [6, "d1"],
  // trapping truncations, extend_i32, conversions to floats, demote
  [5, "a8-ab ac ad ae-b1 b2-b5 b6 b7-ba"],
  // float abs and neg; memory.copy
  [4, "8b 8c 99 9a fc0a"],
  // loads, div and rem, copysign, f64.eq, memory.fill, saturating truncations
  [3, "28-35 6d-70 7f-82 98 a6 61 fc0b fc00-fc07"],
  // global.get, stores, comparisons, popcnt, select, memory.size, ceil floor trunc sqrt, reinterpret, wrap, extend, promote
  [2, "23 36-3e 45-60 62-66 69 7b 1b 3f 8d-8f 91 9b-9d 9f bc-bf a7 c0-c4 bb"],
];

function expected(): Map<number, number> {
  const place = (hex: string) =>
    hex.startsWith("fc") && hex.length > 2 ? PREFIX_FC + Number.parseInt(hex.slice(2), 16) : Number.parseInt(hex, 16);
  const weights = new Map<number, number>();
  for (const [weight, opcodes] of WEIGHTS) {
    for (const range of opcodes.split(" ")) {
      const [first = "", last = first] = range.split("-");
      for (let opcode = place(first); opcode <= place(last); opcode++) weights.set(opcode, weight);
    }
  }
  return weights;
}

test("the weight of every operator that is accepted", () => {
  const weights = expected();
  for (let operator = 0; operator < OPERATORS; operator++) {
    if (IMMEDIATE[operator] === Immediate.unsupported) continue;
    assert.equal(COMPLEXITY[operator], weights.get(operator) ?? 1, `operator 0x${operator.toString(16)}`);
  }
});
