// The index of what falls due when, against a plain map that is searched from end to end.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { TimerIndex } from "../src/timer-index.ts";

describe("timer index", () => {
  test("nothing is due in an empty index", () => {
    const index = new TimerIndex<string>();
    assert.equal(index.earliest, undefined);
    assert.deepEqual(index.due(10n ** 20n), []);
    index.delete("nobody");
    assert.equal(index.size, 0);
  });

  test("what is due comes by time, then by key, and stays", () => {
    const index = new TimerIndex<string>();
    index.set("c", 5n);
    index.set("b", 5n);
    index.set("a", 7n);
    index.set("d", 8n);
    assert.equal(index.earliest, 5n);
    assert.deepEqual(index.due(7n), ["b", "c", "a"]);
    assert.deepEqual(index.due(4n), []);
    assert.equal(index.size, 4);
  });

  test("any sequence of changes: the same answers as a search through all", () => {
    const key = fc.integer({ min: 0, max: 40 }).map((n) => `k${n}`);
    const time = fc.integer({ min: 1, max: 30 }).map(BigInt);
    const change = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), key, time }),
      fc.record({ kind: fc.constant("delete" as const), key, time }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), time, (changes, now) => {
        const index = new TimerIndex<string>();
        const model = new Map<string, bigint>();
        for (const each of changes) {
          if (each.kind === "set") {
            index.set(each.key, each.time);
            model.set(each.key, each.time);
          } else {
            index.delete(each.key);
            model.delete(each.key);
          }
          const times = [...model.values()].sort((a, b) => Number(a - b));
          assert.equal(index.earliest, times[0]);
        }
        assert.equal(index.size, model.size);
        const due = [...model].filter(([, at]) => at <= now);
        due.sort(([a, s], [b, t]) => Number(s - t) || (a < b ? -1 : 1));
        assert.deepEqual(
          index.due(now),
          due.map(([each]) => each),
        );
        for (const [each, at] of model) assert.equal(index.get(each), at);
      }),
    );
  });

  test("ten thousand sleepers are not looked at", () => {
    const index = new TimerIndex<string>();
    let looked = 0;
    // A time that counts how often it is compared.
    const compared = (): bigint => {
      looked++;
      return 1n << 60n;
    };
    const far = { valueOf: compared } as unknown as bigint;
    for (let i = 0; i < 10_000; i++) index.set(`sleeper ${i}`, far);
    index.set("awake", 3n);
    looked = 0;
    assert.deepEqual(index.due(3n), ["awake"]);
    assert.equal(index.earliest, 3n);
    assert.ok(looked < 10, `${looked} comparisons`);
  });
});
