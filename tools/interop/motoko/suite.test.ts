// The runner of the Motoko compiler's scripts on scripts of our own, which use every directive and header it knows; and
// that it sees when an output is not the expected one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { compileMotoko } from "../../motoko/compile.ts";
import { compare } from "./output.ts";
import { parseArgument, parseScript } from "./script.ts";
import { ScriptRunner } from "./script-runner.ts";
import { type CaseResult, runSuite, type SuiteOptions } from "./suite.ts";

const SCRIPTS = fileURLToPath(new URL("scripts/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "motoko-scripts-"));
after(() => rmSync(folder, { recursive: true }));

function suite(options: Partial<SuiteOptions>): Promise<CaseResult[]> {
  const shard = { rest: 0, count: 1 };
  const onResult = (): void => undefined;
  return runSuite({ folder: SCRIPTS, persistence: "own", names: [], shard, limitMs: 60_000, onResult, ...options });
}

const verdicts = (results: readonly CaseResult[]) => {
  return results.map(({ name, persistence, verdict, details }) => ({
    ...{ name, persistence, verdict },
    ...(verdict !== "pass" && { details }),
  }));
};

describe("our own scripts", () => {
  test("pass, each with its own form of persistence", async () => {
    assert.deepEqual(verdicts(await suite({})), [
      { name: "calls.mo", persistence: "enhanced", verdict: "pass" },
      { name: "counter.drun", persistence: "enhanced", verdict: "pass" },
      { name: "lifecycle.drun", persistence: "classical", verdict: "pass" },
      { name: "refused.mo", persistence: "enhanced", verdict: "pass" },
      { name: "subnet.drun", persistence: "enhanced", verdict: "pass" },
    ]);
  });

  test("give the same with classical persistence", async () => {
    assert.deepEqual(verdicts(await suite({ persistence: "classical", names: ["calls", "refused"] })), [
      { name: "calls.mo", persistence: "classical", verdict: "pass" },
      { name: "refused.mo", persistence: "classical", verdict: "pass" },
    ]);
  });

  test("in shards, each is in one of them", async () => {
    const shards = [0, 1, 2].map((rest) =>
      suite({ persistence: "enhanced", names: ["ed"], shard: { rest, count: 3 } }),
    );
    const names = (await Promise.all(shards)).flat().map((result) => result.name);
    assert.deepEqual(names, ["refused.mo"]);
  });
});

describe("what is not as expected", () => {
  test("fails, with the lines that differ; what does not compile or is skipped says so", async () => {
    cpSync(SCRIPTS, folder, { recursive: true });
    writeFileSync(join(folder, "ok/refused.drun-run.ok"), "ingress Completed: Reply: 0x\n");
    writeFileSync(join(folder, "skipped.mo"), "actor {};\n//SKIP comp\n");
    writeFileSync(join(folder, "wrong.mo"), "actor { public func f() : async Nat { true } };\n");
    writeFileSync(join(folder, "ok/wrong.drun-run.ok"), "");
    const [refused, skipped, wrong] = await suite({ folder, names: ["refused", "skipped", "wrong"] });
    assert.equal(refused?.verdict, "fail");
    assert.equal(refused.details[0], "-ingress Completed: Reply: 0x");
    assert.ok(refused.details.includes("+debug.print: open"));
    assert.deepEqual([skipped?.verdict, skipped?.details], ["not run", ["the suite skips it"]]);
    assert.equal(wrong?.verdict, "not compiled");
    assert.match(wrong.details.join(), /wrong\.mo:1:\d+: /);
  });

  test("a canister that does not come to an end is ended, and the next script runs", async () => {
    const source = join(folder, "endless.mo");
    writeFileSync(source, "persistent actor { public func f() : async () { loop {} } }");
    const { wasm } = await compileMotoko({ source, width: 64 });
    const modules = new Map([["m", { wasm, persistence: "enhanced" as const }]]);
    const runner = new ScriptRunner();
    const run = (script: readonly string[], limitMs: number) => {
      return runner.run({ script: ["install $ID m 0x", ...script], subnetType: "system", modules }, limitMs);
    };
    assert.deepEqual(await run(["ingress $ID f 0x4449444c0000"], 3000), { failure: "no end after 3 s" });
    const created = "ingress Completed: Reply: 0x4449444c016c01b3c4b1f204680100010a00000000000000000101";
    assert.deepEqual(await run([], 60_000), { output: [created, "ingress Completed: Reply: 0x4449444c0000"] });
    await runner.stop();
  });

  test("normalisation takes out what differs from machine to machine, and nothing else", () => {
    const expected =
      "debug.print: Ignore Diff: (ignored)\ndebug.print: x at a.mo:1.2-3.4\nRTS error: Cannot grow memory";
    const ours =
      "debug.print: Ignore Diff: 17\n at wasm\ndebug.print: x at /s/d/a.mo:1.2-3.4\nRTS error: Cannot grow memory\nmore\n";
    assert.equal(compare(expected, ours), undefined);
    assert.equal(compare("trap: 'x'.\nmore", "trap: 'x'\nCanister Backtrace:\nf\ng.h\n.\nmore"), undefined);
    assert.deepEqual(compare("a\nb\nc\nd", "a\nB\nc\nd")?.lines, [" a", "-b", "+B", " c", " d"]);
  });
});

test("without a suite the command says where to get one", () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [main], {
    encoding: "utf8",
    env: { ...process.env, MOTOKO_SUITE: join(folder, "nothing") },
  });
  assert.equal(status, 2);
  assert.match(stderr, /^The Motoko compiler's test suite is not here: .*MOTOKO_SUITE/);
});

describe("the language of the scripts", () => {
  test("commands, comments, arguments", () => {
    assert.deepEqual(parseScript(["# no", "", "create", "query a b 0x00", " install a m.mo 0x "]), [
      { kind: "query", canister: "a", method: "b", arg: "0x00" },
      { kind: "install", canister: "a", module: "m.mo", arg: "0x" },
    ]);
    assert.throws(() => parseScript(["ingress a b"]), /^Error: ingress command requires 3 arguments$/);
    assert.throws(() => parseScript(["sing a b c"]), /^Error: Unknown command: sing$/);
    assert.deepEqual([...parseArgument('"D\\x00\\b00000011\\"\\\\"')], [68, 0, 3, 34, 92]);
    assert.deepEqual([...parseArgument("0x00fF")], [0, 255]);
    for (const wrong of ['"open', "0x0", "DIDL", '"\\q"', '"é"', '"a" b'])
      assert.throws(() => parseArgument(wrong), wrong);
  });
});
