// A recording that grows on disk beside the state: wherever a kill has cut it off it can be executed again up to there,
// and goes on when the subnet starts again; a full disk takes nothing from it; and what does not fit is refused.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sha256 } from "@atoll/host-node";
import { replayRecording } from "@atoll/replica";
import { AppendingRecorder } from "@atoll/replica/appending-recorder";
import { MemoryStorage } from "@atoll/state";
import { type Batch, EnvironmentError, type StoragePort } from "@atoll/types";
import fc from "fast-check";
import type { RecordingEntry } from "../src/recording.ts";
import { encodeRecord, growingStart } from "../src/recording-file.ts";
import { batches, CONFIG, newSubnet } from "./subnet.ts";

const SLICES = { slice: 100_000, operation: 400_000 };
const NAME = "root.recording";
const CHECKPOINT_BATCHES = 4;

const recorderIn = (storage: StoragePort) => new AppendingRecorder(NAME, { storage, crypto: { sha256 } });
const fileIn = (storage: StoragePort) => storage.read(NAME, 0, storage.size(NAME) ?? 0);
const replayed = (file: Uint8Array) => replayRecording(file, { crypto: { sha256 } });

async function start(state: MemoryStorage, recordings: StoragePort, config = CONFIG) {
  const recorder = recorderIn(recordings);
  return newSubnet({ config, storage: state, recorder, slices: SLICES, checkpointBatches: CHECKPOINT_BATCHES });
}

interface Copy {
  readonly state: MemoryStorage;
  readonly recordings: MemoryStorage;
}

/** What is on the disk after each height, and all batches. */
async function recorded(seed: number, count: number): Promise<{ all: Batch[]; copies: Copy[] }> {
  const [state, recordings] = [new MemoryStorage(), new MemoryStorage()];
  const subnet = await start(state, recordings);
  const copies = [{ state: state.clone(), recordings: recordings.clone() }];
  const all = [...batches(seed, count)];
  for (const batch of all) {
    await subnet.execute(batch);
    copies.push({ state: state.clone(), recordings: recordings.clone() });
  }
  await subnet.executor.stop();
  return { all, copies: [...copies, { state, recordings }] };
}

describe("a recording that grows", () => {
  test("is executed again up to where a kill has ended it, and goes on after a restart", async () => {
    const { all, copies } = await recorded(200, 14);
    const ended = await replayed(fileIn((copies.at(-1) as Copy).recordings));
    assert.deepEqual([ended.batches, ended.difference, ended.unfinished], [14, undefined, undefined]);
    for (const height of [0, 1, 5, 10, 14]) {
      const { state, recordings } = copies[height] as Copy;
      const killed = await replayed(fileIn(recordings));
      assert.deepEqual(
        [killed.batches, killed.difference, killed.unfinished],
        [height, undefined, { height, tornBytes: 0 }],
      );
      const again = await start(state, recordings);
      for (const batch of all.slice(height)) await again.execute(batch);
      await again.executor.stop();
      assert.deepEqual(await replayed(fileIn(recordings)), ended, `goes on at ${height}`);
    }
    // After an orderly end, too.
    const { state, recordings } = copies.at(-1) as Copy;
    await (await start(state, recordings)).executor.stop();
    assert.deepEqual(await replayed(fileIn(recordings)), ended);
  });

  test("has what a kill cut off made up from the log", async () => {
    const { all, copies } = await recorded(210, 11);
    const whole = fileIn((copies.at(-1) as Copy).recordings);
    for (const [height, bytes] of [
      [11, 1],
      [11, 20],
      [10, 13],
      [7, 400],
    ] as const) {
      const { state, recordings } = copies[height] as Copy;
      const size = recordings.size(NAME) ?? 0;
      // Nothing behind the checkpoint is in the log any more.
      const earliest = copies[height - (height % CHECKPOINT_BATCHES)]?.recordings.size(NAME) ?? 0;
      recordings.truncate(NAME, Math.max(earliest, size - bytes));
      const again = await start(state, recordings);
      for (const batch of all.slice(height)) await again.execute(batch);
      await again.executor.stop();
      const { batches: count, difference } = await replayed(fileIn(recordings));
      assert.deepEqual([count, difference], [11, undefined], `${bytes} bytes at ${height}`);
      if (bytes < 100) assert.deepEqual(fileIn(recordings), whole);
    }
  });

  test("says where it ends when it was cut off anywhere, and that it is damaged when any bit is another", async () => {
    const { copies } = await recorded(220, 3);
    const file = fileIn(copies[3]?.recordings as MemoryStorage);
    const ends = [0, 1, 2, 3].map((height) => copies[height]?.recordings.size(NAME) ?? 0);
    const lengths = fc.integer({ min: ends[0] as number, max: file.length });
    await fc.assert(
      fc.asyncProperty(lengths, async (length) => {
        const height = ends.findLastIndex((end) => end <= length);
        const { unfinished, batches: count } = await replayed(file.subarray(0, length));
        assert.deepEqual([unfinished, count], [{ height, tornBytes: length - (ends[height] as number) }, height]);
      }),
      { numRuns: 40 },
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: file.length * 8 - 1 }), async (bit) => {
        const bytes = file.slice();
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        await assert.rejects(replayed(bytes), EnvironmentError);
      }),
      { numRuns: 100 },
    );
    const changed = file.slice();
    changed[(ends[2] as number) + 40] = (changed[(ends[2] as number) + 40] as number) ^ 1;
    await assert.rejects(replayed(changed), /damaged: entry 3, at byte \d+ \(behind height 2 of subnet [a-z0-9-]+\)/);
  });

  test("is never cut or changed when it does not fit the network", async () => {
    const { copies } = await recorded(230, 13);
    const at = (height: number) => copies[height] as Copy;
    const cases: readonly [string, MemoryStorage, MemoryStorage, typeof CONFIG, RegExp][] = [
      ["no recording yet", at(5).state, new MemoryStorage(), CONFIG, /begins with the first batch/],
      [
        "begun empty",
        at(5).state,
        at(0).recordings,
        CONFIG,
        /ends at height 0, and this network goes on with height 5/,
      ],
      ["older", at(13).state, at(3).recordings, CONFIG, /ends at height 3, and this network goes on with height 13/],
      ["ahead", at(5).state, at(9).recordings, CONFIG, /ends at height 9, and this network goes on with height 6/],
      [
        "a new network",
        new MemoryStorage(),
        at(13).recordings,
        { ...CONFIG, publicKey: new Uint8Array(133).fill(1) },
        /of another network/,
      ],
      [
        "a new state of it",
        new MemoryStorage(),
        at(13).recordings,
        CONFIG,
        /ends at height 13, and this network goes on with height 1/,
      ],
    ];
    for (const [what, state, recordings, config, sentence] of cases) {
      const before = recordings.size(NAME) === undefined ? undefined : fileIn(recordings);
      await assert.rejects(start(state.clone(), recordings, config), sentence, what);
      assert.deepEqual(recordings.size(NAME) === undefined ? undefined : fileIn(recordings), before, what);
    }
    const other = await recorded(240, 5);
    await assert.rejects(start(other.copies[5]?.state as MemoryStorage, at(5).recordings), /another state at height 5/);
    const text = new MemoryStorage();
    text.append(NAME, [new TextEncoder().encode("These are my notes.")]);
    await assert.rejects(start(new MemoryStorage(), text), /root.recording cannot go on: This is not a recording/);
  });

  test("of entries that make no sense is refused", async () => {
    const genesis = { kind: "genesis", config: CONFIG, rootKey: new Uint8Array(133).fill(7) };
    const nonsense: unknown[][] = [
      [{ kind: "genesis" }],
      [{ ...genesis, config: { ...CONFIG, publicKey: 7 } }],
      [{ ...genesis, rootKey: null }],
      [genesis, { kind: "batch" }],
      [genesis, { kind: "batch", subnet: 5, batch: { height: "x" } }],
      [genesis, { kind: "fork" }],
      [{ kind: "fork" }],
      [genesis, { kind: "surprise" }],
      [7],
    ];
    for (const [number, entries] of nonsense.entries()) {
      const recordings = new MemoryStorage();
      recordings.append(NAME, [growingStart(), ...entries.flatMap((entry) => encodeRecord(entry as RecordingEntry))]);
      await assert.rejects(start(new MemoryStorage(), recordings), EnvironmentError, `number ${number}`);
    }
  });

  test("waits with the network for a disk that is full", async () => {
    const [state, recordings] = [new MemoryStorage(), new MemoryStorage()];
    const subnet = await start(state, recordings);
    const all = [...batches(250, 4)];
    const [first, second, third, fourth] = all as [Batch, Batch, Batch, Batch];
    await subnet.execute(first);
    recordings.capacity = 0;
    await subnet.execute(second);
    await assert.rejects(subnet.execute(third), /full/);
    recordings.capacity = Number.POSITIVE_INFINITY;
    await subnet.execute(third);
    await subnet.execute(fourth);
    const { batches: count, difference } = await replayed(fileIn(recordings));
    assert.deepEqual([count, difference], [4, undefined]);
    recordings.capacity = 0;
    await subnet.executor.stop();
  });
});
