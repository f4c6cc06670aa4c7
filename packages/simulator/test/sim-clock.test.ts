// Clocks that go wrong, and what a node reads from them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog } from "../src/event-log.ts";
import { MS, Scheduler, SECOND } from "../src/scheduler.ts";
import { SimClock, WALL_START } from "../src/sim-clock.ts";
import { settle } from "./settle.ts";

function world() {
  const scheduler = new Scheduler(new EventLog(), settle);
  return { scheduler, clock: new SimClock(scheduler), pass: (ns: number) => scheduler.run(scheduler.now + ns) };
}

test("a clock without fault shows virtual time", async () => {
  const { clock, pass } = world();
  await pass(3 * SECOND);
  assert.deepEqual(clock.now(), { wall: WALL_START + 3_000_000_000n, monotonic: 3_000_000_000n });
  assert.equal(clock.delayUntil(4_000_000_000n), SECOND);
  assert.equal(clock.delayUntil(2_000_000_000n), 0);
});

test("what happens to a clock shows at once, also when it was looked at in the same moment", async () => {
  const { clock, pass } = world();
  await pass(SECOND);
  clock.now();
  clock.jump("wall", SECOND);
  clock.jump("monotonic", 2 * SECOND);
  assert.deepEqual(clock.now(), { wall: WALL_START + 2_000_000_000n, monotonic: 3_000_000_000n });
  clock.restart();
  assert.deepEqual(clock.now(), { wall: WALL_START + 2_000_000_000n, monotonic: 0n });
  clock.heal();
  assert.equal(clock.now().wall, WALL_START + 2_000_000_000n, "the wall clock went back");
  await pass(3 * SECOND);
  assert.equal(clock.now().wall, WALL_START + 4_000_000_000n);
});

test("each clock has its own speed", async () => {
  const { clock, pass } = world();
  clock.setRate("monotonic", 0.5);
  clock.setRate("wall", 2);
  await pass(SECOND);
  assert.deepEqual(clock.now(), { wall: WALL_START + 2_000_000_000n, monotonic: 500_000_000n });
  assert.equal(clock.delayUntil(1_000_000_000n), SECOND);
});

test("the wall clock that is set back stands still until it is there again", async () => {
  const { clock, pass } = world();
  await pass(10 * SECOND);
  clock.now();
  clock.jump("wall", -4 * SECOND);
  await pass(3 * SECOND);
  assert.equal(clock.now().wall, WALL_START + 10_000_000_000n);
  await pass(2 * SECOND);
  assert.equal(clock.now().wall, WALL_START + 11_000_000_000n);
});

test("a clock that stands still goes on when it is healed", async () => {
  const { clock, pass } = world();
  clock.setRate("monotonic", 0);
  clock.setRate("wall", 0);
  await pass(5 * SECOND);
  assert.deepEqual(clock.now(), { wall: WALL_START, monotonic: 0n });
  assert.ok(clock.delayUntil(1n) > MS, "its node looks again later");
  clock.heal();
  await pass(SECOND);
  assert.deepEqual(clock.now(), { wall: WALL_START + 6_000_000_000n, monotonic: 1_000_000_000n });
});

test("the monotonic clock of a new process begins anew and cannot be set back", async () => {
  const { clock, pass } = world();
  await pass(SECOND);
  clock.restart();
  await pass(MS);
  assert.deepEqual(clock.now(), { wall: WALL_START + 1_001_000_000n, monotonic: 1_000_000n });
  assert.throws(() => clock.jump("monotonic", -1), RangeError);
});
