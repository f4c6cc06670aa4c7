// Whole runs from seeds: what must be the same twice, what must go well, and what was once found by a seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeHost } from "../../../tools/simulation/host.ts";
import { drawPlan, type RunPlan, type RunResult, runPlan } from "../src/index.ts";
import { MS, SECOND } from "../src/scheduler.ts";

const host = await nodeHost("counting");
const wholeHost = await nodeHost("whole");

function explain({ plan, failure, lastLines }: RunResult): string {
  return `seed ${plan.seed}: ${failure?.message}\n${lastLines.slice(-10).join("\n")}`;
}

async function goesWell(plan: RunPlan, on = host): Promise<RunResult> {
  const result = await runPlan(plan, on);
  assert.equal(result.failure, undefined, explain(result));
  return result;
}

/** A subnet to which nothing happens but what the test says. */
function quiet(seed: string, members: number, change: Partial<RunPlan> = {}): RunPlan {
  const plan = drawPlan(seed, { members, safetyNs: 5 * SECOND, hasFaults: false });
  const delays = { unitDelay: BigInt(200 * MS), initialNotaryDelay: BigInt(60 * MS) };
  const network = { delayNs: 5 * MS, jitterNs: 2 * MS };
  return { ...plan, network, settings: { ...plan.settings, ...delays, dkgIntervalLength: 14 }, ...change };
}

for (const members of [1, 4]) {
  test(`a subnet of ${members} without faults goes on`, async () => {
    const { finalizedHeight } = await goesWell(quiet("quiet", members));
    assert.ok(finalizedHeight > 25, `height ${finalizedHeight} after 5 s`);
  });
}

test("the same seed gives the same events, another one others", async () => {
  const run = async (seed: string): Promise<string> =>
    (await runPlan(drawPlan(seed, { members: 4, safetyNs: 4 * SECOND }), host, { heals: false })).hash;
  const [first, again, other] = [await run("same"), await run("same"), await run("other")];
  assert.equal(first, again);
  assert.notEqual(first, other);
});

test("where nobody waits for a promise none is looked after, and the events are the same", async () => {
  const change = {
    changes: [{ at: SECOND, kind: "upgrade", protocolVersion: "atoll-2" }] as const,
    // What it lost it asks its peers for, and they may not be there.
    faults: [
      { at: 2 * SECOND, kind: "empty-disk", node: 1, downNs: SECOND },
      { at: 3.2 * SECOND, kind: "partition", until: 4 * SECOND, group: [1] },
    ] as const,
    safetyNs: 5 * SECOND,
  };
  const run = async (always: boolean): Promise<{ hash: string; settles: number }> => {
    let settles = 0;
    const settle = () => {
      settles++;
      return host.settle();
    };
    const makeCore: typeof host.makeCore = (scheduler, random) => {
      const make = host.makeCore(scheduler, random);
      return (parts) => (always ? Object.defineProperty(make(parts), "mayWait", { value: true }) : make(parts));
    };
    const { hash } = await runPlan(quiet("waits", 4, change), { ...host, settle, makeCore }, { heals: false });
    return { hash, settles };
  };
  const [needed, always] = [await run(false), await run(true)];
  assert.equal(needed.hash, always.hash);
  assert.ok(3 * needed.settles < always.settles, `${needed.settles} instead of ${always.settles}`);
});

test("a subnet upgrades at a catch-up package, and a node that was cut off meanwhile follows", async () => {
  const plan = quiet("upgrade", 4, {
    changes: [{ at: SECOND, kind: "upgrade", protocolVersion: "atoll-2" }],
    faults: [{ at: 2 * SECOND, kind: "partition", until: 20 * SECOND, group: [0] }],
    safetyNs: 10 * SECOND,
  });
  await goesWell(plan);
});

test("a node that joins and one that has lost its disk come to where the others are", async () => {
  await goesWell(
    quiet("join", 4, {
      changes: [{ at: SECOND, kind: "add", node: 4 }],
      faults: [{ at: 4 * SECOND, kind: "empty-disk", node: 1, downNs: SECOND }],
      safetyNs: 8 * SECOND,
    }),
  );
});

test("an interval without new keys, with a node that joins, an upgrade and a crash in it", async () => {
  const lines: string[] = [];
  const group = [0, 1, 2, 3];
  const plan = quiet("failed interval", 4, {
    changes: [
      { at: SECOND, kind: "add", node: 4 },
      { at: 1.5 * SECOND, kind: "upgrade", protocolVersion: "atoll-2" },
    ],
    faults: [
      { at: SECOND / 2, kind: "no-dealings", until: 4 * SECOND, group },
      { at: 1.5 * SECOND, kind: "crash", node: 2, changes: 5, keep: "torn", downNs: SECOND },
    ],
    safetyNs: 9 * SECOND,
  });
  const result = await runPlan(plan, host, { tell: (line) => void lines.push(line), heals: false });
  assert.equal(result.failure, undefined, explain(result));
  const has = (text: string): boolean => lines.some((line) => line.includes(text));
  assert.ok(has("no new low and high key in the interval before"), "keys were made all the same");
  assert.ok(has("switches to atoll-2"), "no upgrade");
  assert.ok(has("node 4 finalized"), "nobody joined");
});

test("a subnet of which all nodes lose their power at once, again and again, goes on", async () => {
  const faults = [3, 5, 7].flatMap((second) =>
    [0, 1, 2, 3].map((node) => ({
      ...{ at: second * SECOND, kind: "crash" as const, node, keep: "torn" as const, downNs: 300 * MS },
      // Each in the middle of another change of its disk.
      changes: (second * 7 + node * 5) % 23,
    })),
  );
  await goesWell(quiet("all at once", 4, { faults, safetyNs: 9 * SECOND }));
});

test("clients of whole nodes get certified answers that one counter and one register could have given", async () => {
  const faults = [{ at: 3 * SECOND, kind: "crash", node: 2, changes: 20, keep: "torn", downNs: SECOND }] as const;
  const load = { clients: 4, pauseNs: 100 * MS, queries: 0.2, reads: 0.2 };
  const { calls } = await goesWell(quiet("clients", 4, { faults, load, safetyNs: 6 * SECOND }), wholeHost);
  assert.ok(calls > 10, `${calls} calls`);
});

test("whole nodes with real signatures agree too", async () => {
  const result = await runPlan(quiet("real", 4, { crypto: "real", safetyNs: SECOND }), wholeHost, { heals: false });
  assert.equal(result.failure, undefined, explain(result));
  assert.ok(result.finalizedHeight > 3, `height ${result.finalizedHeight} after 1 s`);
});
