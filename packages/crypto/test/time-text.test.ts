// Times in texts, with the calendar of Date as oracle, over all the times that fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatTime } from "../src/time-text.ts";

test("as many digits as are needed, in threes", () => {
  const start = 1_746_143_718_000_000_000n;
  assert.equal(formatTime(start), "2025-05-01 23:55:18 UTC");
  assert.equal(formatTime(start + 5_285_297n), "2025-05-01 23:55:18.005285297 UTC");
  assert.equal(formatTime(start + 5_285_000n), "2025-05-01 23:55:18.005285 UTC");
  assert.equal(formatTime(start + 5_000_000n), "2025-05-01 23:55:18.005 UTC");
  assert.equal(formatTime(0n), "1970-01-01 00:00:00 UTC");
  assert.equal(formatTime((1n << 64n) - 1n), "18446744073709551615ns");
});

test("the calendar", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 63n) / 1_000_000_000n - 1n }), (seconds) => {
      const iso = new Date(Number(seconds) * 1000).toISOString();
      assert.equal(formatTime(seconds * 1_000_000_000n), `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`);
    }),
    { numRuns: 2000 },
  );
  for (const day of [
    "2000-02-29",
    "2000-03-01",
    "2024-02-29",
    "2024-12-31",
    "2100-02-28",
    "2100-03-01",
    "1999-12-31",
  ]) {
    assert.equal(formatTime(BigInt(Date.parse(day)) * 1_000_000n), `${day} 00:00:00 UTC`);
  }
});
