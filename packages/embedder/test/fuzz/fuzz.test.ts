// A short run of `npm run fuzz:wasm` from a fixed seed, and that it would notice: the table of costs against the
// rewriter's, and a wrong module against the right one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { costTable, IMMEDIATE, Immediate, POPS, PREFIX_FC, PREFIX_FD, PUSHES } from "../../src/wasm/opcodes.ts";
import { checkModule, compare } from "./check-program.ts";
import { fuzz } from "./main.ts";
import { applyOperator, section } from "./operator-engine.ts";
import { cost, OPERATORS, STRUCTURE } from "./operators.ts";

/** The rewriter's numbering. */
function numbered(opcode: number): number {
  if (opcode < 0x100) return opcode;
  return (opcode >> 8 === 0xfc ? PREFIX_FC : PREFIX_FD) + (opcode & 0xff);
}

test("every operator costs what the table says, in both widths", () => {
  const names = new Map<number, string>([
    ...OPERATORS.map(({ opcode, name }): [number, string] => [opcode, name]),
    ...Object.entries(STRUCTURE).map(([opcode, name]): [number, string] => [Number(opcode), name]),
  ]);
  for (const memory64 of [false, true]) {
    const table = costTable(memory64);
    for (const [opcode, name] of names) assert.equal(table[numbered(opcode)], cost(name, memory64), name);
  }
  const supported = IMMEDIATE.reduce((count, immediate) => count + (immediate === Immediate.unsupported ? 0 : 1), 0);
  assert.equal(names.size, supported);
});

test("every operator takes and gives what the rewriter thinks, and the engine agrees", () => {
  for (const operator of OPERATORS) {
    const { opcode, params, result, width, immediate, name } = operator;
    assert.equal(POPS[numbered(opcode)], params.length + (width > 0 ? 1 : 0), name);
    assert.equal(PUSHES[numbered(opcode)], result === undefined ? 0 : 1, name);
    const lanes = immediate === "lanes" ? new Array<number>(16).fill(3) : /lane/i.test(immediate) ? [1] : [];
    const operands = params.map((type) => (type === "i" || type === "f" ? 3 : 5n));
    const value = applyOperator(operator, lanes, operands, new Uint8Array(width));
    assert.equal(value === undefined, result === undefined, name);
  }
});

test("random programs and hostile modules", () => {
  const { accepted, ends, instructions } = fuzz(20_261_121, (seeds) => seeds < 25);
  // A fuzzer whose programs all trap at once, or whose hostile modules are all refused early, proves little.
  assert.ok((ends.result ?? 0) > 10 && Object.keys(ends).length > 1, JSON.stringify(ends));
  assert.ok(instructions > 20_000, `${instructions} instructions`);
  assert.ok(accepted > 5, `${accepted} accepted`);
});

test("any difference is noticed", () => {
  // f: 1, const, const, store, const
  const body = [0, 0x41, 0, 0x41, 5, 0x36, 0, 0, 0x42, 9, 0x0b];
  const wasm = Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, 0x7f, 0x7e, 1, 0x7e]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, 1, 1]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, body.length, ...body]),
  ]);
  const outcome = checkModule(wasm, 1, true);
  assert.deepEqual([outcome.result, outcome.used, outcome.heap[0]], [9n, 5, 5]);
  compare(outcome, outcome, undefined);
  const heap = outcome.heap.slice();
  heap[60_000] = 1;
  const wrong = [
    { result: 8n },
    { used: 6 },
    { heap },
    { trap: "memory" as const },
    { readings: [3] },
    { globals: [1] },
  ];
  for (const one of wrong)
    assert.throws(() => compare({ ...outcome, ...one }, outcome, undefined), assert.AssertionError);
});
