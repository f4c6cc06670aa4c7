// Seeds: some that are always the same, and a few that nobody has ever run. What fails prints the command to run it again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeHost } from "../../../tools/simulation/host.ts";
import { drawPlan, type FaultKind, MS, type PlanOptions, runPlan, SECOND } from "../src/index.ts";

interface Size {
  readonly members: number;
  readonly seconds: number;
  readonly heightMs?: number;
  readonly stress?: readonly FaultKind[];
}

/** Of a seed that nobody has run nobody knows how quick its subnet is: a quick one takes five times the others' time. */
const HEIGHT_MS = 80;

async function goesWell(seed: string, fleet: "whole" | "counting", { members, seconds, heightMs = 0, stress }: Size) {
  const options: PlanOptions = {
    members,
    safetyNs: seconds * SECOND,
    heightNs: heightMs * MS,
    ...(stress && { stress }),
  };
  const { failure } = await runPlan(drawPlan(seed, options), await nodeHost(fleet));
  const size = `--members ${members} --seconds ${seconds} --height-ms ${heightMs}${stress ? ` --stress ${stress}` : ""}`;
  const command = `npm run sim -- --seed ${seed} ${size} --fleet ${fleet} --light`;
  assert.equal(failure, undefined, `${failure?.message}\nto run it again: ${command}`);
}

const fresh = Date.now().toString(36);

test("a plan whose heights take long differs from the usual one in the notaries' delay alone", () => {
  const heightNs = HEIGHT_MS * MS;
  let slowed = 0;
  for (let seed = 0; seed < 50; seed++) {
    const [usual, slow] = [drawPlan(`${seed}`), drawPlan(`${seed}`, { heightNs })];
    const { settings, network } = slow;
    assert.ok(2 * network.delayNs + Number(settings.initialNotaryDelay) >= heightNs, `seed ${seed}`);
    if (settings.initialNotaryDelay > usual.settings.initialNotaryDelay) slowed++;
    const { initialNotaryDelay } = usual.settings;
    assert.deepEqual({ ...slow, settings: { ...settings, initialNotaryDelay } }, usual);
  }
  assert.ok(slowed > 10 && slowed < 50, `${slowed}`);
});

test("seed 0: four whole nodes", () => goesWell("0", "whole", { members: 4, seconds: 5 }));

for (const seed of [`${fresh}-a`, `${fresh}-b`])
  test(`seed ${seed}: four whole nodes`, () =>
    goesWell(seed, "whole", { members: 4, seconds: 5, heightMs: HEIGHT_MS }));

// Once wrong: a subnet of one stood still after a torn write; what a liar thought of a block was the verdict of all.
test("seed mwqyd8er-114: one whole node that crashes", () =>
  goesWell("mwqyd8er-114", "whole", { members: 1, seconds: 8, heightMs: HEIGHT_MS, stress: ["crash"] }));
test("seed mwqyswan-36: consensus of four that crash", () =>
  goesWell("mwqyswan-36", "counting", { members: 4, seconds: 6, heightMs: HEIGHT_MS, stress: ["crash"] }));

test("seed 2: consensus of four", () => goesWell("2", "counting", { members: 4, seconds: 6 }));

for (const seed of [`${fresh}-c`, `${fresh}-d`])
  test(`seed ${seed}: consensus of four`, () =>
    goesWell(seed, "counting", { members: 4, seconds: 6, heightMs: HEIGHT_MS }));

for (const seed of [`${fresh}-e`])
  test(`seed ${seed}: consensus of seven`, () =>
    goesWell(seed, "counting", { members: 7, seconds: 4, heightMs: HEIGHT_MS }));
