// That the benchmarks run and give every row of the table. Their figures are not looked at: a test that depends on how
// fast a machine is would be a test of the machine.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Row } from "./measure.ts";

const ROWS = [
  "wasm",
  "rewriter",
  "install",
  "system-calls",
  "update",
  "query",
  "rollback",
  "snapshots",
  "slices",
  "heartbeats",
  "timers",
  "first-instance",
  "further-instance",
  "rest-call",
  "library-call",
  "cross-subnet",
  "ticks",
  "fork",
  "p2p",
  "round",
  "state-sync",
  "chain-key",
  "dealing-4",
  "dealing-13",
  "signatures",
  "simulator",
  "simulator-counting",
  "front",
  "nodes-4",
  "nodes-update",
  "nodes-updates",
  "nodes-return",
  "nodes-13",
];

test("the short run gives every row", {
  skip: process.platform === "win32" && "no CPU time of other processes",
}, async () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--short", "--json"]);
  const rows = JSON.parse(stdout) as Row[];
  assert.deepEqual(
    rows.map(({ name }) => name),
    ROWS,
  );
  for (const { name, value, goal, laterGoal } of rows) {
    for (const figure of [value, goal, laterGoal]) assert.ok(Number.isFinite(figure) && figure > 0, name);
  }
});
