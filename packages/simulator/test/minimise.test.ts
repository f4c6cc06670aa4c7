// A failing plan gets smaller as long as it fails in the same way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countParts, drawPlan, keepParts, minimise, type RunPlan } from "../src/index.ts";

/** A plan with many parts. */
function largePlan(): RunPlan {
  for (let seed = 0; ; seed++) {
    const plan = drawPlan(`large ${seed}`, { members: 7 });
    if (plan.faults.length > 8 && plan.liars.length > 0 && plan.changes.length > 0) return plan;
  }
}

test("what the failure does not need is left out, whatever kind of part it is", async () => {
  const plan = largePlan();
  const needed = new Set([plan.faults[2], plan.faults[5]]);
  const failsIn = async (candidate: RunPlan) => {
    const has = [...needed].every((fault) => fault !== undefined && candidate.faults.includes(fault));
    return has && candidate.liars.length > 0 ? { name: "it", message: "", atNs: 0 } : undefined;
  };
  const { kept, runs } = await minimise(plan, { name: "it", message: "", atNs: 0 }, failsIn, 200);
  const smallest = keepParts(plan, new Set(kept));
  assert.deepEqual(new Set(smallest.faults), needed);
  assert.equal(smallest.liars.length, 1);
  assert.equal(smallest.liars[0]?.behaviours.length, 1);
  assert.deepEqual(smallest.changes, []);
  assert.ok(runs < 100, `${runs} runs`);
});

test("a plan that fails in another way without a part keeps it", async () => {
  const plan = largePlan();
  const failsIn = async (candidate: RunPlan) => ({
    name: countParts(candidate) === countParts(plan) ? "it" : "another",
    message: "",
    atNs: 0,
  });
  const { kept } = await minimise(plan, { name: "it", message: "", atNs: 0 }, failsIn, 200);
  assert.equal(kept.length, countParts(plan));
});

test("it ends after so many runs", async () => {
  const { runs } = await minimise(largePlan(), { name: "it", message: "", atNs: 0 }, async () => undefined, 5);
  assert.ok(runs <= 5);
});
