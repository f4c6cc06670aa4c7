// Virtual time: order, chance and log depend on the seed and on nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventLog } from "../src/event-log.ts";
import { seededRandom } from "../src/random.ts";
import { MS, Scheduler } from "../src/scheduler.ts";
import { settle } from "./settle.ts";

test("events come in the order of time, and at one time in the order in which they were asked for", async () => {
  const scheduler = new Scheduler(new EventLog(), settle);
  const seen: string[] = [];
  const random = seededRandom("order");
  const expected: { time: number; name: string }[] = [];
  for (let i = 0; i < 500; i++) {
    const time = random.below(20) * MS;
    expected.push({ time, name: `${i}` });
    scheduler.at(time, () => {
      assert.equal(scheduler.now, time);
      seen.push(`${i}`);
    });
  }
  await scheduler.run(1000 * MS);
  // Array.prototype.sort is stable.
  assert.deepEqual(
    seen,
    expected.sort((a, b) => a.time - b.time).map(({ name }) => name),
  );
  assert.equal(scheduler.now, 1000 * MS);
});

test("a cancelled event does not happen, and one in the past happens now", async () => {
  const scheduler = new Scheduler(new EventLog(), settle);
  const seen: string[] = [];
  const timer = scheduler.after(5 * MS, () => seen.push("cancelled"));
  scheduler.after(3 * MS, () => {
    timer.cancel();
    scheduler.at(0, () => seen.push(`past at ${scheduler.now / MS}`));
  });
  await scheduler.run(10 * MS);
  assert.deepEqual(seen, ["past at 3"]);
});

test("work that really takes time ends at its virtual time, whichever ends first in reality", async () => {
  const scheduler = new Scheduler(new EventLog(), settle);
  const seen: string[] = [];
  const really = (ms: number): Promise<number> => new Promise((resolve) => setTimeout(() => resolve(ms), ms));
  scheduler.after(MS, () => {
    scheduler.later(2 * MS, really(20)).then(() => seen.push(`slow at ${scheduler.now / MS}`));
    scheduler.later(5 * MS, really(0)).then(() => seen.push(`fast at ${scheduler.now / MS}`));
    scheduler.after(3 * MS, () => seen.push(`timer at ${scheduler.now / MS}`));
  });
  await scheduler.run(10 * MS);
  assert.deepEqual(seen, ["slow at 3", "timer at 4", "fast at 6"]);
});

test("what an event throws ends the run", async () => {
  const scheduler = new Scheduler(new EventLog(), settle);
  scheduler.after(1, () => {
    throw new RangeError("broken");
  });
  await assert.rejects(scheduler.run(10), /broken/);
});

test("a stream of chance depends on its name and not on what others draw", () => {
  const first = seededRandom("7").stream("loss");
  const parent = seededRandom("7");
  parent.stream("delay").below(10);
  parent.below(10);
  const second = parent.stream("loss");
  const draw = (random: { below(limit: number): number }): number[] =>
    Array.from({ length: 50 }, () => random.below(1_000_000));
  const numbers = draw(first);
  assert.deepEqual(numbers, draw(second));
  assert.notDeepEqual(numbers, draw(seededRandom("8").stream("loss")));
  assert.notDeepEqual(numbers, draw(seededRandom("7").stream("delay")));
});

test("chance is even enough: each of ten numbers comes up about as often", () => {
  const random = seededRandom("even");
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 100_000; i++) {
    const number = random.below(10);
    counts[number] = (counts[number] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 9_500 && count < 10_500, `${counts}`);
});

test("the log's hash tells order, time and text, and is the same for the same", () => {
  const hashOf = (...lines: [number, string][]): string => {
    const log = new EventLog();
    for (const [time, line] of lines) log.add(time, line);
    return log.hash;
  };
  assert.equal(hashOf([1, "a"], [2, "b"]), hashOf([1, "a"], [2, "b"]));
  const others = [
    hashOf([1, "b"], [2, "a"]),
    hashOf([1, "a"], [2_000, "b"]),
    hashOf([1, "ab"]),
    hashOf([1, "a"]),
    hashOf(),
  ];
  assert.equal(new Set([...others, hashOf([1, "a"], [2, "b"])]).size, 6);
});

test("the log keeps its last lines", () => {
  const log = new EventLog();
  for (let i = 0; i < 10_000; i++) log.add(i, `line ${i}`);
  assert.deepEqual(
    log.last(2).map((line) => line.replace(/^\S+ /, "")),
    ["line 9998", "line 9999"],
  );
  assert.equal(log.count, 10_000);
});
