// The rewritten module against the oracle of `naive-meter.ts`: equal results, traps, memories, globals, instruction
// counts at the end and at each system call; and the dirty map holds exactly the pages that stores touched.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { naivelyMetered } from "./naive-meter.ts";
import { randomProgram } from "./random-program.ts";
import { fromText, LIMIT, run, runRaw, type SystemImports } from "./running.ts";

interface Outcome {
  readonly result: unknown;
  readonly trap: string | undefined;
  readonly counts: number[];
}

function outcome(act: () => unknown, counts: number[]): Outcome {
  try {
    return { result: act(), trap: undefined, counts };
  } catch (error) {
    assert.ok(error instanceof WebAssembly.RuntimeError, String(error));
    return { result: undefined, trap: error.message, counts };
  }
}

function systemApi(used: () => number, counts: number[]): SystemImports {
  const log = (): bigint => {
    counts.push(used());
    return 7n;
  };
  return { time: log, performance_counter: log };
}

const PAGE = 4096;

function checkDirtyMap(heap: Uint8Array, map: Uint8Array): void {
  for (let page = 0; page * PAGE < heap.length; page++) {
    const changed = heap.subarray(page * PAGE, (page + 1) * PAGE).some((byte) => byte !== 0);
    if (!changed || map[page] === 1) continue;
    // A store over the border is told by the page before, and reaches 15 bytes at most.
    assert.equal(map[page - 1], 1, `page ${page} changed unseen`);
    assert.ok(heap.subarray(page * PAGE + 16, (page + 1) * PAGE).every((byte) => byte === 0));
  }
}

function compare(text: string, a: number, b: number, memory64: boolean): void {
  const bytes = fromText(text);
  const naiveCounts: number[] = [];
  const counts: number[] = [];
  const naive = runRaw(
    naivelyMetered(bytes),
    systemApi(() => LIMIT - Number(naive.counter.value), naiveCounts),
  );
  naive.counter.value = BigInt(LIMIT);
  const running = run(
    bytes,
    systemApi(() => running.used(), counts),
  );
  const expected = outcome(() => naive.f(a, b), naiveCounts);
  const actual = outcome(() => running.exports.f(a, b), counts);
  assert.deepEqual(actual, expected);
  const heap = new Uint8Array(naive.memory.buffer);
  assert.ok(
    Buffer.compare(heap, new Uint8Array(running.memory?.buffer ?? new ArrayBuffer(0))) === 0,
    "memories differ",
  );
  if (expected.trap === undefined) assert.equal(running.used(), LIMIT - Number(naive.counter.value));
  assert.equal(running.instrumented.memory?.memory64, memory64);
  checkDirtyMap(heap, running.dirty);
}

for (const memory64 of [false, true]) {
  for (const vectors of [false, true]) {
    test(`random programs, ${memory64 ? 64 : 32} bits${vectors ? ", vectors" : ""}`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer(), fc.nat(100_000), (seed, a, b) => {
          compare(randomProgram(seed, { memory64, vectors }), a, b, memory64);
        }),
        { numRuns: Number(process.env.ATOLL_RANDOM_PROGRAMS ?? 60) },
      );
    });
  }
}
