// A clock of its own: set, moved on, run at the pace of the real one; timers of real canisters run by it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createNetwork, type TestNetwork } from "@atoll/test-kit";
import { motoko, type Timers, timersIdl } from "./canisters-of-tests.ts";

const START = new Date("2026-01-01T00:00:00Z");

let network: TestNetwork;
before(async () => {
  network = await createNetwork({ startTime: START });
});
after(() => network.close());

async function installTimers() {
  return (await network.install<Timers>({ wasm: await motoko("timers"), candid: timersIdl })).actor;
}

describe("the time of a test", () => {
  it("begins when the test wants it to, and stands still between rounds", async () => {
    const started = network.time;
    assert.ok(started - BigInt(START.getTime()) * 1_000_000n < 1_000n);
    const timers = await installTimers();
    assert.ok(network.time - started < 1_000n);
    assert.ok((await timers.now()) - started < 1_000n);
  });

  it("moves on by spans, and what has become due runs in the next round", async () => {
    const timers = await installTimers();
    await timers.after(3_600_000n, "in an hour");
    await timers.after(86_400_000n, "tomorrow");
    network.advance({ minutes: 59 });
    await network.tick();
    assert.deepEqual((await timers.get()).fired, []);
    network.advance({ minutes: 1 });
    await network.tick(3);
    assert.deepEqual((await timers.get()).fired, ["in an hour"]);
    network.setTime(new Date(Number(network.time / 1_000_000n) + 86_400_000));
    await network.tick(3);
    assert.deepEqual((await timers.get()).fired, ["in an hour", "tomorrow"]);
  });

  it("counts spans exactly", () => {
    const before = network.time;
    network.advance({ days: 1, hours: 2, minutes: 3, seconds: 4.5, milliseconds: 0.25, nanoseconds: 1n });
    assert.equal(network.time - before, 93_784_500_250_001n);
  });

  it("never goes back", () => {
    const now = network.time;
    assert.throws(() => network.setTime(now - 1n), RangeError);
    assert.throws(() => network.setTime(START), RangeError);
    assert.throws(() => network.setTime(new Date("yesterday")), /not a date/);
    assert.throws(() => network.advance({ seconds: -1 }), /-1 seconds is not a span of time/);
    assert.throws(() => network.advance({ nanoseconds: -5n }), RangeError);
    assert.throws(() => network.advance({ hours: Number.NaN }), RangeError);
    assert.equal(network.time, now);
  });

  it("runs by itself, a thousand times as fast as the clock", async () => {
    const other = await createNetwork({});
    const timers = (await other.install<Timers>({ wasm: await motoko("timers"), candid: timersIdl })).actor;
    other.startProgress({ speed: 1000, artificialDelayMs: 1 });
    await timers.after(60_000n, "in a minute");
    const deadline = Date.now() + 5_000;
    while ((await timers.get()).fired.length === 0) {
      assert.ok(Date.now() < deadline, "a minute took more than five seconds");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await other.stopProgress();
    const stopped = other.time;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(other.time, stopped);
    await other.close();
  });
});
