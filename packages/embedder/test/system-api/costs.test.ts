// What each System API function costs, to the instruction: its fixed part, its part for each byte, and nothing for what
// fails afterwards, because the charge comes first. Instruction costs, sections 4 and 5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CONTEXTS, type Context, input, LIMIT, moduleOf, oneCall, type Ran, runnable } from "./executing.ts";
import { type SpecifiedFunction, specified, specifiedFunction, type Width } from "./specification.ts";

const BYTES = 37;
const UPDATE = CONTEXTS.U?.[0] as Context;
const QUERY = CONTEXTS.NRQ?.[0] as Context;
const INIT = CONTEXTS.I?.[0] as Context;
const REPLY = CONTEXTS.Ry?.[0] as Context;
/** Whose dirty heap pages are not charged. */
const FREE_PAGES = ["RQ", "NRQ", "TQ", "F"];

/** A function that does one call: its entry, the constants, the call, and the drop of a result. */
const operators = ({ params, result }: SpecifiedFunction) => 1 + params.length + 5 + (result === undefined ? 0 : 1);

function expected(each: SpecifiedFunction, args: readonly number[]): number {
  const bytes = each.perByte.reduce((sum, { param, factor }) => sum + factor * (args[param] ?? 0), 0);
  return operators(each) + each.fixed + bytes;
}

/** Instructions without what dirty heap pages cost. */
function spent({ instructions, dirtyPages }: Ran, width: Width, context: string): number {
  const perPage = width === 64 ? 4000 : 1000;
  return instructions - (FREE_PAGES.includes(context) ? 0 : dirtyPages.length * perPage);
}

function run(width: Width, name: string, args: readonly (number | bigint)[], given = input(UPDATE), pages = 0): Ran {
  const { declared, code } = oneCall(width, specifiedFunction(width, name), args);
  return runnable(moduleOf(width, declared, code)).run(given, { pages });
}

for (const width of [32, 64] as const) {
  describe(`${width}-bit`, () => {
    for (const each of specified(width)) {
      test(`${each.name} costs what it should, wherever it may be called`, () => {
        const args = each.params.map((_, i) => (each.perByte.some(({ param }) => param === i) ? BYTES : 0));
        const { declared, code } = oneCall(width, each, args);
        const module = runnable(moduleOf(width, declared, code));
        for (const context of each.contexts) {
          const ran = module.run(input(CONTEXTS[context]?.[0] as Context));
          assert.equal(spent(ran, width, context), expected(each, args), `${context}: ${ran.told}`);
        }
      });
    }

    test("a refused call has been paid", () => {
      const each = specifiedFunction(width, "msg_method_name_copy");
      const ran = run(width, each.name, [0, 0, BYTES]);
      assert.match(ran.told, /cannot be executed in update mode/);
      assert.equal(ran.instructions, expected(each, [0, 0, BYTES]));
    });

    test("heap pages that it dirties cost 1000 each, 4000 with 64 bits, and nothing in queries", () => {
      const bare = expected(specifiedFunction(width, "canister_cycle_balance128"), []);
      const perPage = width === 64 ? 4000 : 1000;
      assert.equal(run(width, "canister_cycle_balance128", [0]).instructions, bare + perPage);
      assert.equal(run(width, "canister_cycle_balance128", [4090]).instructions, bare + 2 * perPage);
      assert.equal(run(width, "canister_cycle_balance128", [0], input(QUERY)).instructions, bare);
    });
  });
}

test("sizes that nobody can pay end the execution, whatever else is wrong with them", () => {
  for (const size of [1n << 40n, 1n << 62n, -1n]) {
    for (const name of ["msg_caller_copy", "msg_reply_data_append", "is_controller", "call_data_append", "trap"]) {
      const { params } = specifiedFunction(64, name);
      const args = params.map((_, i) => (i === params.length - 1 ? size : 0));
      const ran = run(64, name, args);
      assert.match(
        ran.told,
        /^IC0522 .*exceeded the limit of 1000000000 instructions for single message execution\.\.\n/,
      );
      assert.equal(ran.instructions, LIMIT, name);
    }
  }
});

describe("printing", () => {
  const print = (logBytes: number, bytes: number, chargesPrinting = false) => {
    const ran = run(32, "debug_print", [0, bytes], input(UPDATE, { canister: { logBytes }, chargesPrinting }));
    return ran.instructions - 8 - 100;
  };

  test("costs twice what is kept and fifty times what is carried", () => {
    assert.equal(print(4096, 1000), 52 * 1000);
    assert.equal(print(4096, 5000), 52 * 4096);
    assert.equal(print(0, 5000), 0);
  });

  test("costs its length too where it always reaches a terminal", () => {
    assert.equal(print(4096, 1000, true), 53 * 1000);
    assert.equal(print(0, 5000, true), 5000);
  });

  test("carries less when the log is filling up; each line takes 40 bytes more than its text", () => {
    const { declared } = oneCall(32, specifiedFunction(32, "debug_print"));
    const line = (bytes: number) => `(call $debug_print (i32.const 0) (i32.const ${bytes}))`;
    const twice = (first: number, second: number) => {
      const ran = runnable(moduleOf(32, declared, line(first) + line(second))).run(input(UPDATE));
      return {
        cost: ran.instructions - 1 - 2 * 107 - 52 * first,
        lines: ran.effects.log.kept().map(({ length }) => length),
      };
    };
    assert.deepEqual(twice(4000, 100), { cost: 2 * 100 + 50 * 56, lines: [100] });
    assert.deepEqual(twice(3000, 100), { cost: 52 * 100, lines: [3000, 100] });
    assert.deepEqual(twice(4096, 10), { cost: 2 * 10, lines: [10] });
  });

  test("a line is cut to what the log can hold, and no log holds more than 2 MiB of one execution", () => {
    const kept = (logBytes: number, bytes: number) =>
      run(32, "debug_print", [0, bytes], input(UPDATE, { canister: { logBytes } }))
        .effects.log.kept()
        .map(({ length }) => length);
    assert.deepEqual(kept(4096, 65_536), [4056]);
    assert.deepEqual(kept(100_000, 65_536), [65_536]);
    assert.deepEqual(kept(0, 65_536), [0]);
    const { declared, code } = oneCall(32, specifiedFunction(32, "debug_print"), [0, 3 * 1024 * 1024]);
    const ran = runnable(moduleOf(32, declared, code, "48")).run(input(UPDATE, { canister: { logBytes: 2 ** 30 } }));
    assert.deepEqual(
      ran.effects.log.kept().map(({ length }) => length),
      [2 * 1024 * 1024 - 40],
    );
  });
});

describe("stable memory", () => {
  const write = (width: Width, args: number[], more = "") => {
    const each = specifiedFunction(width, "stable64_write");
    const { declared, code } = oneCall(width, each, args);
    const ran = runnable(moduleOf(width, declared, code + more)).run(input(UPDATE), { pages: 2 });
    return { charged: ran.instructions - operators(each) - each.fixed - (args[2] ?? 0), told: ran.told };
  };

  test("a write costs 1000 more for each 4 KiB page that it is the first to write", () => {
    for (const width of [32, 64] as const) {
      assert.equal(write(width, [0, 0, 1]).charged, 1000);
      assert.equal(write(width, [4095, 0, 2]).charged, 2000);
      assert.equal(write(width, [4096, 0, 8192]).charged, 2000);
      const again = "(call $stable64_write (i64.const 5) (i64.const 0) (i64.const 9))";
      assert.equal(write(width, [0, 0, 1], again).charged, 1000 + 8 + 20 + 9);
    }
  });

  test("pages are paid before the heap's bounds are looked at, not before those of stable memory", () => {
    const outsideOfHeap = write(32, [0, 65_536, 1]);
    assert.match(outsideOfHeap.told, /^IC0502 .*Canister trapped: heap out of bounds\.\n/);
    assert.equal(outsideOfHeap.charged, 1000);
    const outsideOfStable = write(32, [131_072, 0, 1]);
    assert.match(outsideOfStable.told, /^IC0502 .*Canister trapped: stable memory out of bounds\.\n/);
    assert.equal(outsideOfStable.charged, 0);
    // An address that no 32-bit heap can have is refused first.
    assert.equal(write(32, [0, 2 ** 32, 1]).charged, 0);
  });

  test("a size of nearly 2^64 is out of bounds, not out of instructions: the sum wraps around", () => {
    for (const name of ["stable64_read", "stable64_write"]) {
      const ran = run(64, name, [0, 0, -1n], input(UPDATE), 1);
      assert.match(ran.told, /^IC0502 .*stable memory out of bounds/);
      assert.equal(ran.instructions, 9 + 19);
      assert.match(run(64, name, [0, 0, 1n << 62n], input(UPDATE), 1).told, /^IC0522 /);
    }
  });

  test("what one execution may touch is counted in pages, once each", () => {
    const { declared } = oneCall(32, specifiedFunction(32, "stable64_read"));
    const read = (offset: number, size: number) =>
      `(call $stable64_read (i64.const 0) (i64.const ${offset}) (i64.const ${size}))`;
    const told = (code: string, limit: number, context = UPDATE) =>
      runnable(moduleOf(32, declared, code, "2")).run(input(context), { limit, pages: 2 }).told;
    assert.equal(told(read(0, 8192) + read(1, 8191) + read(4000, 200), 2), "");
    for (const context of [UPDATE, INIT, QUERY]) {
      assert.match(
        told(read(0, 8192) + read(8192, 1), 2, context),
        /^IC0524 .*: Canister exceeded memory access limits: Exceeded the limit for the number of accessed pages in the stable memory in a single message execution: limit 2097152 KB for regular messages and 1048576 KB for queries\.\.\nTry optimizing/,
      );
    }
  });
});

test("performance_counter tells what was spent, in this message or since the call came in", () => {
  const counter = (kind: number, given = input(UPDATE)) => {
    const { declared } = oneCall(32, specifiedFunction(32, "performance_counter"));
    const code = `(nop) (nop) (i64.store (i32.const 0) (call $performance_counter (i32.const ${kind})))`;
    const { heap } = runnable(moduleOf(32, declared, code)).run(given);
    return Number(new DataView(heap.buffer).getBigUint64(0, true));
  };
  // The whole block is charged when it begins: entry, two nops, two constants, call, store; then the call's own cost.
  assert.equal(counter(0), 1 + 2 + 2 + 5 + 1 + 200);
  assert.equal(counter(1), 211);
  const later = input(REPLY, { callContextInstructions: 5_000 });
  assert.equal(counter(0, later), 211);
  assert.equal(counter(1, later), 5_211);
});
