// A recording executed again leads to the recorded hashes, long executions and forks included; where a batch was another
// one, the height is named; and a file that is none, or not whole, is told as such in a sentence.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sha256 } from "@atoll/host-node";
import { Recorder, replayRecording } from "@atoll/replica";
import { MemoryStorage } from "@atoll/state";
import { type Batch, type CanisterId, EnvironmentError, type PrincipalId } from "@atoll/types";
import fc from "fast-check";
import * as u from "../../execution/test/canisters/universal.ts";
import type { RecordingEntry } from "../src/recording.ts";
import { encodeRecording } from "../src/recording-file.ts";
import { batches, CONFIG, IDS, ingress, newSubnet, randomFrom, type Subnet, spin, subnetOf } from "./subnet.ts";

const OTHER = { ...CONFIG, subnetId: `${"5c".repeat(28)}02` as PrincipalId };
const SLICES = { slice: 100_000, operation: 400_000 };
const replayed = (file: Uint8Array) => replayRecording(file, { crypto: { sha256 } });
const fork = (recorder: Recorder, { executor, whole, tree }: Subnet): Subnet =>
  subnetOf(executor.fork({ recorder }), whole, tree);

async function recordedNetwork(seed: number, rounds: number): Promise<{ recorder: Recorder; subnets: Subnet[] }> {
  const recorder = new Recorder({ sha256 });
  const subnets = [await newSubnet({ recorder }), await newSubnet({ recorder, config: OTHER, slices: SLICES })];
  const each = subnets.map((_, i) => batches(seed + i, rounds));
  for (let height = 1; height <= rounds; height++) {
    for (const [i, subnet] of subnets.entries()) await subnet.execute(each[i]?.next().value as Batch);
  }
  return { recorder, subnets };
}

describe("a recording", () => {
  test("leads to the recorded hashes, on all subnets", async () => {
    const { recorder } = await recordedNetwork(20, 30);
    const { instructions, ...outcome } = await replayed(recorder.file());
    assert.deepEqual(outcome, { subnets: 2, batches: 60 });
    assert.ok(instructions > 100_000, `${instructions}`);
  });

  test("of a fork has what came before it, and the parent's goes on without it", async () => {
    const recorder = new Recorder({ sha256 });
    const subnet = await newSubnet({ recorder, slices: SLICES });
    const all = [...batches(30, 20)];
    for (const batch of all.slice(0, 2)) await subnet.execute(batch);
    const { time } = all[1] as Batch;
    const at = (height: number, code?: u.Code): Batch => {
      const now = time + BigInt(height) * 1_000_000_000n;
      const messages = code === undefined ? [] : [ingress(now, IDS[0] as CanisterId, "update", code)];
      return { height, time: now, randomness: new Uint8Array(32), ingress: messages };
    };
    await subnet.execute(at(3, u.seq(spin(randomFrom(7), 20), u.certifiedDataSet(u.bytes("end")), u.reply())));
    await subnet.execute(at(4));
    assert.equal(subnet.executor.durable.machine.long.size, 1, "a long execution is under way");
    const copies = [recorder.fork(), recorder.fork()] as const;
    const children = copies.map((copy) => fork(copy, subnet));
    const ends = new Set<number>();
    for (let height = 5; height < 40; height++) {
      await subnet.execute(at(height));
      for (const [i, child] of children.entries()) await child.execute(at(height, i === 0 ? u.reply() : undefined));
      for (const each of [subnet, ...children]) {
        if (each.executor.durable.machine.long.size > 0) ends.add(height);
      }
    }
    assert.ok(ends.size > 3, "it takes many rounds");
    const deeper = copies[0].fork();
    const grandchild = fork(deeper, children[0] as Subnet);
    await grandchild.execute(at(40, u.reply()));
    const counts = [recorder, ...copies, deeper].map((each) => each.batches);
    assert.deepEqual(counts, [39, 39, 39, 40]);
    for (const each of [recorder, ...copies, deeper]) {
      assert.deepEqual((await replayed(each.file())).difference, undefined);
      assert.equal((await replayed(each.file())).batches, each.batches);
    }
  });

  test("of a subnet on disk has the checkpoints in it", async () => {
    const recorder = new Recorder({ sha256 });
    const subnet = await newSubnet({ recorder, slices: SLICES, storage: new MemoryStorage(), checkpointBatches: 4 });
    for (const batch of batches(40, 30)) await subnet.execute(batch);
    const checkpoints = [...recorder.entries()].filter((each) => each.kind === "batch" && each.batch.isCheckpoint);
    assert.ok(checkpoints.length > 2);
    assert.equal((await replayed(recorder.file())).difference, undefined);
  });

  test("names the height at which a batch was another one", async () => {
    const { recorder } = await recordedNetwork(50, 12);
    const changed = changeBatch(recorder, OTHER.subnetId, 7, (batch) => ({ ...batch, time: batch.time + 1n }));
    const outcome = await replayed(changed);
    assert.deepEqual([outcome.difference?.subnet, outcome.difference?.height], [OTHER.subnetId, 7]);
    assert.equal(outcome.batches, 13);
    assert.notEqual(outcome.difference?.expected, outcome.difference?.found);
  });

  test("begins with the first batch", async () => {
    const storage = new MemoryStorage();
    const subnet = await newSubnet({ storage });
    for (const batch of batches(60, 3)) await subnet.execute(batch);
    await subnet.executor.stop();
    await assert.rejects(newSubnet({ storage, recorder: new Recorder({ sha256 }) }), /begins with the first batch/);
  });
});

function changeBatch(recorder: Recorder, subnet: PrincipalId, height: number, change: (batch: Batch) => Batch) {
  return encodeRecording(
    [...recorder.entries()].map((entry): RecordingEntry => {
      const isMeant = entry.kind === "batch" && entry.subnet === subnet && entry.batch.height === height;
      return isMeant ? { ...entry, batch: change(entry.batch) } : entry;
    }),
  );
}

describe("a file", () => {
  let file: Uint8Array | undefined;
  const recorded = async (): Promise<Uint8Array> => {
    file ??= (await recordedNetwork(70, 3)).recorder.file();
    return file;
  };

  test("that was cut off anywhere is not a whole recording", async () => {
    const whole = await recorded();
    const lengths = fc.integer({ min: 0, max: whole.length - 1 });
    const property = fc.asyncProperty(lengths, async (length) => {
      await assert.rejects(replayed(whole.subarray(0, length)), EnvironmentError);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("with any bit changed is told from a good one", async () => {
    const whole = await recorded();
    const bits = fc.integer({ min: 0, max: whole.length * 8 - 1 });
    const property = fc.asyncProperty(bits, async (bit) => {
      const bytes = whole.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      await assert.rejects(replayed(bytes), EnvironmentError);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("of anything else is none", async () => {
    for (const text of ["", "ATOLL", "ATOLLREC", "\0asm", "ATOLLREC\0\0\0\u0003", "hello, this is a text file"]) {
      await assert.rejects(replayed(new TextEncoder().encode(text)), EnvironmentError, JSON.stringify(text));
    }
  });

  test("whose checksums are good and whose content makes no sense is refused", async () => {
    const { recorder } = await recordedNetwork(80, 3);
    const entries = [...recorder.entries()];
    const at = (height: number) => entries.find((each) => each.kind === "batch" && each.batch.height === height);
    const nonsense: unknown[][] = [
      entries.slice(2),
      [entries[0], entries[0]],
      [entries[0], at(2)],
      [entries[0], { ...at(1), batch: null }],
      [entries[0], { ...at(1), batch: { height: 1, time: 5n } }],
      [entries[0], { ...at(1), rootHash: "ab" }],
      [{ kind: "genesis", config: {}, rootKey: 7 }],
      [{ kind: "genesis" }],
      [{ kind: "surprise" }],
      [null],
      [7],
    ];
    for (const [i, each] of nonsense.entries()) {
      await assert.rejects(replayed(encodeRecording(each as RecordingEntry[])), EnvironmentError, `number ${i}`);
    }
  });
});
