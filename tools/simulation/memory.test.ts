// The short form of `npm run sim:memory`: one node, long enough for all that is remembered for a while to be there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { heapVerdict, measureHeap } from "./heap-growth.ts";

/** In a short run a collection leaves more or less of the engine's own. To keep all that a round leaves would be a fifth. */
const NOISE = 0.12;

const heap = (bytesAt: (height: number) => number) =>
  Array.from({ length: 30 }, (_, i) => ({ height: 100 * i, bytes: bytesAt(100 * i) }));

test("a heap that goes on growing is told from one that has grown", () => {
  assert.equal(heapVerdict(heap((height) => 40e6 + Math.min(height, 900) * 10_000)).grows, false);
  assert.equal(heapVerdict(heap((height) => 40e6 + height * 4_000)).grows, true);
  assert.throws(() => heapVerdict(heap(() => 1).slice(0, 8)), /too short/);
});

test("memory of a run stays flat", async () => {
  const { samples, failure } = await measureHeap({ rounds: 600, members: 1, fleet: "counting", every: 20 });
  assert.equal(failure, undefined);
  const { middle, last, grows } = heapVerdict(samples, NOISE);
  assert.ok(!grows, `${middle} bytes in the middle third of the run, ${last} in the last one`);
});
