// The passphrase of a key file at a terminal: asked for twice, never shown, and asked for again by whoever opens the file.
// The terminal is that of script(1), which gives a program one and takes what is typed from its own input.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readNodeKeys } from "../src/nodes/node-folder.ts";
import { temporaryFolder } from "./process.ts";

const ATOLL = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));
const hasTerminal = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true;
const OPTIONS = { timeout: 60_000, skip: hasTerminal ? false : "needs script(1) of util-linux" };
const SEAL = ["--address", "a:1", "--http", "a:2", "--seal"];

interface Typed {
  /** What the terminal showed when it is time to type. */
  readonly after: string;
  readonly text: string;
}

/** Runs the program at a terminal of its own. Gives its exit code and all that the terminal showed. */
function atTerminal(args: readonly string[], typed: readonly Typed[]): Promise<{ code: number | null; shown: string }> {
  const command = [ATOLL, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  let shown = "";
  const left = [...typed];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    const [next] = left;
    if (next === undefined || !shown.includes(next.after)) return;
    left.shift();
    child.stdin.write(next.text);
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, shown })));
}

test("a new passphrase is typed twice and shown nowhere", OPTIONS, async () => {
  const out = join(temporaryFolder(), "sealed");
  const { code, shown } = await atTerminal(
    ["genesis", "identity", "--out", out, ...SEAL],
    [
      // What was typed wrong can be taken back.
      { after: "New passphrase", text: "five crabz\u007fs\r" },
      { after: "Once more", text: "five crabs\r" },
    ],
  );
  assert.equal(code, 0, shown);
  assert.doesNotMatch(shown, /crab/);
  const file = join(out, "node-keys.json");
  assert.equal(readNodeKeys(file, "five crabs").keys.signingSeed.length, 32);
  const config = join(out, "node.json");
  const refused = await atTerminal(["node", "--config", config], [{ after: "Passphrase of", text: "four crabs\r" }]);
  assert.equal(refused.code, 1);
  assert.match(refused.shown, /atoll: [^\n]*passphrase[^\n]*\./);
  assert.doesNotMatch(refused.shown, /crab/);
});

test("two that differ, or Ctrl-C, write nothing", OPTIONS, async () => {
  const out = join(temporaryFolder(), "nothing");
  const differing = [
    { after: "New passphrase", text: "five crabs\r" },
    { after: "Once more", text: "six crabs\r" },
  ];
  const { code, shown } = await atTerminal(["genesis", "identity", "--out", out, ...SEAL], differing);
  assert.equal(code, 1);
  assert.match(shown, /The two passphrases differ; nothing was written\./);
  const left = await atTerminal(["genesis", "identity", "--out", out, ...SEAL], [{ after: "New", text: "\u0003" }]);
  assert.equal(left.code, 1);
  assert.match(left.shown, /No passphrase was given\./);
  assert.ok(!existsSync(join(out, "node-keys.json")));
});
