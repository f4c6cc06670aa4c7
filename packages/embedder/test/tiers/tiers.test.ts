// Backtraces get into reject messages and canister logs, which all nodes of a subnet must agree on: so they must not
// depend on how far the engine has optimised a function when it traps. Random programs, run by processes whose engines
// never optimise, optimise everything at once, or inline much more or nothing; docs/decisions says what follows from it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAMS = Number(process.env.PROGRAMS ?? 5);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
const OPTIMISE_SOON = ["--wasm-sync-tier-up", "--wasm-tiering-budget=500"];
const INLINE = ["--wasm-inlining-factor=12", "--wasm-inlining-min-budget=500", "--wasm-inlining-max-size=2000"];

const ENGINES: Readonly<Record<string, readonly string[]>> = {
  "never optimises": ["--liftoff-only"],
  "optimises soon and inlines as much as it may": [...OPTIMISE_SOON, ...INLINE, "--wasm-inlining-budget=20000"],
  "optimises soon and does not inline": [...OPTIMISE_SOON, "--no-wasm-inlining", "--no-wasm-inlining-call-indirect"],
  "optimises from the start": ["--no-liftoff"],
};

test(`traps of ${PROGRAMS} programs from seed ${seed} on look the same in every tier of the engine`, () => {
  const program = fileURLToPath(new URL("trap-lines.ts", import.meta.url));
  const outputs = Object.entries(ENGINES).map(([name, flags]) => {
    const args = [...flags, program, String(seed), String(PROGRAMS)];
    return { name, lines: execFileSync(process.execPath, args, { encoding: "utf8", timeout: 240_000 }).split("\n") };
  });
  const [reference] = outputs;
  let frames = 0;
  for (const line of reference?.lines.filter((each) => each !== "") ?? []) {
    const { seed: of, lines, later } = JSON.parse(line) as { seed: number; lines: string[]; later: string[] };
    assert.deepEqual(later, lines, `seed ${of}: running changed it`);
    frames += lines.join("\n").match(/\nf\d+(?=\n)/g)?.length ?? 0;
  }
  assert.ok(frames > 5 * PROGRAMS, `only ${frames} frames`);
  for (const { name, lines } of outputs)
    assert.deepEqual(lines, reference?.lines, `an engine that ${name}, seed ${seed}`);
});
