// The library needs nothing native: without the libraries that make it faster in Node, and with the crypto port of a
// browser, a network from the same seed comes to the same states and the same signatures.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const PROGRAM = fileURLToPath(new URL("portable/run-network.ts", import.meta.url));
const REFUSING = ["--import", new URL("portable/refuse-libraries.ts", import.meta.url).href];

interface Told {
  readonly hasMcl: boolean;
  readonly hasSecp256k1: boolean;
  readonly result: { reply: string; certified: string[]; verified: boolean; refused: boolean };
}

async function run(flags: readonly string[], port: "node" | "universal"): Promise<Told> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROGRAM, port], { timeout: 60_000 });
  return JSON.parse(stdout);
}

test("a network without native code and foreign WebAssembly is the same network", async () => {
  const usual = await run([], "node");
  assert.equal(usual.hasMcl, true);
  const bare = await run(REFUSING, "node");
  assert.deepEqual([bare.hasMcl, bare.hasSecp256k1], [false, false]);
  const universal = await run(REFUSING, "universal");
  const { reply, certified, verified, refused } = usual.result;
  assert.deepEqual([reply, verified, refused], ["from afar", true, false]);
  assert.ok(certified.length >= 10 && certified.every((line) => line.endsWith(" true")), certified.join("\n"));
  assert.equal(new Set(certified).size, certified.length);
  assert.deepEqual(bare.result, usual.result);
  assert.deepEqual(universal.result, usual.result);
});
