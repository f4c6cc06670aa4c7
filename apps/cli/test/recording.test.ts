// `bin/atoll replay` on the recording of a network of two subnets: equal, different at a height, damaged, cut off, and
// not a recording at all; exit codes, standard output and standard error as scripts see them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { sha256 } from "@atoll/host-node";
import { Recorder } from "@atoll/replica";
import { type Batch, type PrincipalId, principalToText } from "@atoll/types";
import type { RecordingEntry } from "../../../packages/replica/src/recording.ts";
import { encodeRecording } from "../../../packages/replica/src/recording-file.ts";
import { batches, CONFIG, newSubnet } from "../../../packages/replica/test/subnet.ts";
import { temporaryFolder } from "./process.ts";

const ATOLL = fileURLToPath(new URL("../../../bin/atoll", import.meta.url));
const OTHER = { ...CONFIG, subnetId: `${"5d".repeat(28)}02` as PrincipalId };
const ROUNDS = 12;

const folder = temporaryFolder();
let recorder: Recorder;

before(async () => {
  recorder = new Recorder({ sha256 });
  const slices = { slice: 100_000, operation: 400_000 };
  const subnets = [await newSubnet({ recorder }), await newSubnet({ recorder, config: OTHER, slices })];
  const each = subnets.map((_, i) => batches(90 + i, ROUNDS));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, subnet] of subnets.entries()) await subnet.execute(each[i]?.next().value as Batch);
  }
});

interface Exit {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function replay(...args: readonly string[]): Promise<Exit> {
  return new Promise((resolve) => {
    execFile(ATOLL, ["replay", ...args], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The recording with another batch at a height of the second subnet. */
function changed(height: number): Uint8Array {
  return encodeRecording(
    [...recorder.entries()].map((entry): RecordingEntry => {
      if (entry.kind !== "batch" || entry.subnet !== OTHER.subnetId || entry.batch.height !== height) return entry;
      return { ...entry, batch: { ...entry.batch, time: entry.batch.time + 1n } };
    }),
  );
}

describe("atoll replay", () => {
  test("says that everything is equal", async () => {
    const file = fileOf("equal", recorder.file());
    const text = await replay(file);
    assert.deepEqual([text.code, text.stderr], [0, ""]);
    assert.match(text.stdout, /^All 24 batches of 2 subnets lead to the recorded state: [\d,]+ instructions in /);
    const json = await replay(file, "--json");
    assert.equal(json.code, 0);
    const { instructions, seconds, instructionsPerSecond, ...outcome } = JSON.parse(json.stdout);
    assert.deepEqual(outcome, { equal: true, subnets: 2, batches: 24 });
    for (const figure of [instructions, seconds, instructionsPerSecond]) assert.ok(figure > 0);
    assert.equal(json.stdout.split("\n").length, 2, "one line");
  });

  test("names subnet, height and both hashes where a batch was another one", async () => {
    const file = fileOf("changed", changed(9));
    const json = await replay("--json", file);
    assert.equal(json.code, 1);
    const { equal, batches: count, difference } = JSON.parse(json.stdout);
    assert.deepEqual([equal, count, difference.height], [false, 17, 9]);
    assert.equal(difference.subnet, principalToText(OTHER.subnetId));
    assert.match(difference.expected, /^[0-9a-f]{64}$/);
    assert.match(difference.found, /^[0-9a-f]{64}$/);
    assert.notEqual(difference.expected, difference.found);
    const text = await replay(file);
    assert.equal(text.code, 1);
    assert.equal(
      text.stdout,
      `Subnet ${difference.subnet} differs at height 9, after 17 equal batches.\n` +
        `  recorded: ${difference.expected}\n  found:    ${difference.found}\n`,
    );
  });

  test("executes nothing of a file that is damaged, not whole, or of another kind", async () => {
    const good = recorder.file();
    const damaged = good.slice();
    damaged[good.length - 5000] = (damaged[good.length - 5000] as number) ^ 1;
    const cases: readonly [string, Uint8Array, RegExp][] = [
      [
        "damaged",
        damaged,
        /^atoll: The recording is damaged: entry \d+, at byte \d+ \(behind height 12 of subnet [-a-z0-9]+\), is not what was written; .*\.\n$/,
      ],
      [
        "cut",
        good.subarray(0, good.length - 100),
        /^atoll: The recording ends too early: after \d+ whole entries .*\.\n$/,
      ],
      ["foreign", new TextEncoder().encode("#!/bin/sh\n"), /^atoll: This is not a recording: .*\.\n$/],
    ];
    for (const [name, bytes, sentence] of cases) {
      const { code, stdout, stderr } = await replay(fileOf(name, bytes));
      assert.deepEqual([code, stdout], [1, ""], name);
      assert.match(stderr, sentence);
    }
  });

  test("refuses what it cannot read or understand in a sentence", async () => {
    const cases: readonly [readonly string[], RegExp][] = [
      [[join(folder, "nothing")], /^atoll: The recording ".*nothing" cannot be read: there is no such file\.\n$/],
      [[temporaryFolder()], /^atoll: There is no recording in ".*": .*\.\n$/],
      [[], /^atoll: replay needs the name of a file or a folder\. .*\n$/],
      [["a", "b"], /^atoll: replay takes one file or one folder\. .*\n$/],
      [["a", "--fast"], /^atoll: Unknown option '--fast'\. .*\n$/],
    ];
    for (const [args, sentence] of cases) {
      const { code, stdout, stderr } = await replay(...args);
      assert.deepEqual([code, stdout], [1, ""], args.join(" "));
      assert.match(stderr, sentence);
    }
  });
});
