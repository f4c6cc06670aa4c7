// The batch log against a model of what was acknowledged: crashes at every operation, every damaged bit, full disks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError, InvariantViolation } from "@atoll/types/errors";
import { BatchLog } from "../../src/store/batch-log.ts";
import { logSegmentName, RECORD_HEADER_BYTES } from "../../src/store/log-records.ts";
import { MachineStopped, MemoryStorage, type RandomBelow } from "../../src/store/memory-storage.ts";
import { CRASHES, contentOf, damages, randomBytes, seeded, withContent } from "./seeded.ts";

const SMALL = { segmentBytes: 1500 };

function isCode(code: string, ...words: string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof EnvironmentError && error.code === code && words.every((word) => error.message.includes(word));
}

function readAll(log: BatchLog): Map<number, Uint8Array> {
  const first = log.firstHeight;
  if (first === undefined) return new Map();
  return new Map([...log.entries(first)].map(({ height, payload }) => [height, payload.slice()]));
}

/** `count` batches from height 1, closed in good order. */
function closedLog(count: number, payloadBytes: number): { disk: MemoryStorage; batches: Map<number, Uint8Array> } {
  const disk = new MemoryStorage();
  const random = seeded(count);
  const batches = new Map<number, Uint8Array>();
  const log = BatchLog.open(disk, SMALL);
  for (let height = 1; height <= count; height++) {
    batches.set(height, randomBytes(payloadBytes, random));
    log.append(height, batches.get(height) as Uint8Array);
    log.sync();
  }
  log.close();
  return { disk, batches };
}

test("batches come back in order, from any height, over several segments", () => {
  const { disk, batches } = closedLog(20, 300);
  assert.ok(disk.list().length > 4);
  const log = BatchLog.open(disk, SMALL);
  assert.equal(log.firstHeight, 1);
  assert.equal(log.nextHeight, 21);
  for (let from = 1; from <= 21; from++) {
    const heights = [...log.entries(from)].map(({ height, payload }) => {
      assert.deepEqual(payload, batches.get(height));
      return height;
    });
    assert.deepEqual(
      heights,
      Array.from({ length: 21 - from }, (_, i) => from + i),
    );
  }
  assert.throws(() => [...log.entries(22)], isCode("STATE_CORRUPT", "missing"));
});

test("the log can begin at any height, and then takes only consecutive ones", () => {
  const disk = new MemoryStorage();
  const log = BatchLog.open(disk);
  assert.equal(log.nextHeight, undefined);
  log.append(2 ** 40, new Uint8Array(0));
  assert.throws(() => log.append(2 ** 40, new Uint8Array(0)), InvariantViolation);
  assert.throws(() => log.append(2 ** 40 + 2, new Uint8Array(0)), InvariantViolation);
  log.append(2 ** 40 + 1, Uint8Array.of(1));
  log.close();
  assert.deepEqual(disk.list(), ["log-0001099511627776.seg", "log-mark"]);
  assert.deepEqual([...readAll(BatchLog.open(disk)).keys()], [2 ** 40, 2 ** 40 + 1]);
});

test("dropBefore removes whole segments below the checkpoint and never the last", () => {
  const { disk } = closedLog(20, 300);
  const log = BatchLog.open(disk, SMALL);
  log.dropBefore(7);
  const first = log.firstHeight as number;
  assert.ok(first > 1 && first <= 7);
  assert.throws(() => [...log.entries(first - 1)], isCode("STATE_CORRUPT", "missing"));
  log.dropBefore(1000);
  assert.equal(disk.list().filter((name) => name.endsWith(".seg")).length, 1);
  assert.equal(log.nextHeight, 21);
  log.append(21, Uint8Array.of(1));
  log.sync();
  assert.equal(BatchLog.open(disk, { ...SMALL, checkpoint: 20 }).nextHeight, 22);
});

test("restartAt forgets the old batches and goes on elsewhere", () => {
  const { disk } = closedLog(9, 300);
  const log = BatchLog.open(disk, SMALL);
  log.restartAt(500);
  assert.equal(BatchLog.open(disk.clone(), { checkpoint: 499 }).nextHeight, 500);
  log.append(500, Uint8Array.of(5));
  log.close();
  assert.deepEqual([...readAll(BatchLog.open(disk)).keys()], [500]);
});

test("a log that does not reach the checkpoint is reported", () => {
  const { disk } = closedLog(9, 300);
  assert.equal(BatchLog.open(disk.clone(), { ...SMALL, checkpoint: 9 }).nextHeight, 10);
  assert.throws(() => BatchLog.open(disk.clone(), { ...SMALL, checkpoint: 10 }), isCode("STATE_CORRUPT", "height 9"));
  assert.throws(() => BatchLog.open(new MemoryStorage(), { checkpoint: 5 }), isCode("STATE_CORRUPT", "missing"));
  assert.throws(() => BatchLog.open(new MemoryStorage(), { checkpoint: 0 }), isCode("STATE_CORRUPT", "missing"));
  assert.equal(BatchLog.open(new MemoryStorage(), { checkpoint: undefined }).nextHeight, undefined);
  const log = BatchLog.open(disk, SMALL);
  log.dropBefore(9);
  assert.throws(() => BatchLog.open(disk, { ...SMALL, checkpoint: 2 }), isCode("STATE_CORRUPT", "heights 3 to"));
});

test("every changed bit and every cut of an orderly closed log is found or harmless", () => {
  const { disk, batches } = closedLog(7, 380);
  assert.equal(disk.list().length, 3, "two segments and the mark");
  let found = 0;
  let harmless = 0;
  for (const damage of damages(disk)) {
    const label = `${damage.file}, ${damage.what}`;
    let content: Map<number, Uint8Array>;
    try {
      const entries = BatchLog.open(damage.disk(), SMALL).entries(1);
      content = new Map([...entries].map(({ height, payload }) => [height, payload.slice()]));
    } catch (error) {
      assert.ok(isCode("STATE_CORRUPT", "log-", "--clean")(error), `${label}: ${error}`);
      if (!damage.what.startsWith("removed")) assert.ok((error as Error).message.includes(damage.file), label);
      found++;
      continue;
    }
    assert.deepEqual(content, batches, label);
    assert.equal(damage.file, "log-mark", label);
    harmless++;
  }
  assert.ok(found > 20_000 && harmless > 100);
});

test("after a power cut that took the mark along, a wrong bit in the last record is still no torn append", () => {
  const { disk, batches } = closedLog(3, 100);
  disk.remove("log-mark");
  const file = logSegmentName(1);
  const content = contentOf(disk, file);
  const last = content.length - RECORD_HEADER_BYTES - 100;
  for (let byte = last; byte < content.length; byte++) {
    const changed = content.slice();
    changed[byte] = (changed[byte] as number) ^ 0x10;
    assert.throws(() => BatchLog.open(withContent(disk, file, changed)), isCode("STATE_CORRUPT", file));
  }
  const zeroed = content.slice();
  zeroed.fill(0, last);
  batches.delete(3);
  assert.deepEqual(readAll(BatchLog.open(withContent(disk, file, zeroed))), batches);
  const short = content.slice(0, -1);
  assert.deepEqual(readAll(BatchLog.open(withContent(disk, file, short))), batches);
});

test("a record that later ones show to be durable is never taken for a torn one", () => {
  const { disk } = closedLog(3, 700);
  disk.remove("log-mark");
  const file = logSegmentName(1);
  const content = contentOf(disk, file);
  // The header of the second record is lost as a whole sector would be, and the third one is intact.
  content.fill(0, 24 + RECORD_HEADER_BYTES + 700, 24 + RECORD_HEADER_BYTES + 700 + 600);
  assert.throws(() => BatchLog.open(withContent(disk, file, content)), isCode("STATE_CORRUPT", file));
});

test("another format version is refused by its number", () => {
  const { disk } = closedLog(1, 10);
  const file = logSegmentName(1);
  const content = contentOf(disk, file);
  // "ATOLLLOG", version 7, first height 1 and the CRC-32 of these twenty bytes (computed with Python's zlib).
  content.set(Buffer.from("41544f4c4c4c4f47000000070000000000000001", "hex"));
  content.set(Buffer.from(VERSION_7_CRC, "hex"), 20);
  assert.throws(() => BatchLog.open(withContent(disk, file, content)), isCode("STATE_VERSION", "version 7", file));
});

const VERSION_7_CRC = "ae237db0";

/** Runs a random history until the machine stops; returns what was acknowledged and what was tried. */
function runUntilStop(disk: MemoryStorage, random: RandomBelow, tried: Map<number, Uint8Array>, from: number): number {
  let acknowledged = from - 1;
  try {
    const log = BatchLog.open(disk, { segmentBytes: 1000 });
    for (let height = log.nextHeight ?? 1; ; ) {
      for (let group = 1 + random(3); group > 0; group--, height++) {
        const payload = randomBytes(random(500), random);
        tried.set(height, payload);
        log.append(height, payload);
      }
      log.sync();
      acknowledged = height - 1;
      if (random(8) === 0) log.dropBefore(Math.max(1, height - 3));
    }
  } catch (error) {
    if (!(error instanceof MachineStopped)) throw error;
  }
  return acknowledged;
}

test("a crash at every operation keeps every acknowledged batch and invents none", () => {
  for (let stop = 0; stop < 60; stop++) {
    for (const keep of CRASHES) {
      for (let seed = 0; seed < 4; seed++) {
        const random = seeded(stop * 100 + seed);
        const disk = new MemoryStorage();
        const tried = new Map<number, Uint8Array>();
        let acknowledged = 0;
        // Three crashes in a row: a recovery that leaves something half done would show at the next one.
        for (let life = 0; life < 3; life++) {
          disk.stopAfter(life === 0 ? stop : random(stop + 1), random);
          acknowledged = runUntilStop(disk, random, tried, acknowledged + 1);
          disk.crash({ keep, random });
          const label = `stop ${stop}, ${keep}, seed ${seed}, life ${life}`;
          const log = BatchLog.open(disk, { segmentBytes: 1000 });
          const found = readAll(log);
          assert.ok((log.nextHeight ?? 1) > acknowledged, label);
          assert.ok((log.firstHeight ?? 1) <= Math.max(1, acknowledged), label);
          for (const [height, payload] of found) assert.deepEqual(payload, tried.get(height), label);
          acknowledged = Math.max(acknowledged, (log.nextHeight ?? 1) - 1);
        }
      }
    }
  }
});

test("what a start has read survives a power cut right after it", () => {
  const disk = new MemoryStorage();
  const log = BatchLog.open(disk);
  log.append(1, Uint8Array.of(1));
  log.sync();
  log.append(2, Uint8Array.of(2));
  disk.crash({ keep: "all", random: seeded(1) });
  assert.equal(BatchLog.open(disk).nextHeight, 3);
  disk.crash({ keep: "synced", random: seeded(1) });
  assert.equal(BatchLog.open(disk).nextHeight, 3);
});

test("a full disk refuses a batch, and the log goes on when there is room again", () => {
  for (let room = 0; room < 1400; room += 7) {
    const disk = new MemoryStorage();
    const log = BatchLog.open(disk, { segmentBytes: 400 });
    disk.capacity = room;
    const payload = new Uint8Array(90).fill(room & 255);
    let height = 1;
    for (let full = false; !full; ) {
      try {
        log.append(height, payload);
        log.sync();
        height++;
      } catch (error) {
        assert.ok(isCode("ENOSPC")(error), String(error));
        full = true;
      }
    }
    assert.equal(readAll(BatchLog.open(disk.clone())).size, height - 1);
    disk.capacity = Number.POSITIVE_INFINITY;
    log.append(height, payload);
    log.sync();
    assert.equal(readAll(BatchLog.open(disk.clone())).size, height);
  }
});

test("a disk that is full in the middle of a record leaves no part of it", () => {
  class SloppyDisk extends MemoryStorage {
    room = Number.POSITIVE_INFINITY;
    override append(name: string, parts: readonly Uint8Array[]): void {
      const whole = Buffer.concat(parts);
      super.append(name, [whole.subarray(0, this.room)]);
      if (whole.length > this.room) throw new EnvironmentError("ENOSPC", "The disk is full.");
    }
  }
  for (let room = 0; room < 60; room++) {
    const disk = new SloppyDisk();
    const log = BatchLog.open(disk, { segmentBytes: 150 });
    for (let height = 1; height <= 6; height++) {
      disk.room = room;
      assert.throws(() => log.append(height, new Uint8Array(40).fill(height)), isCode("ENOSPC"));
      disk.room = Number.POSITIVE_INFINITY;
      log.append(height, new Uint8Array(40 - height).fill(height));
      log.sync();
    }
    const found = readAll(BatchLog.open(disk));
    assert.deepEqual([...found.keys()], [1, 2, 3, 4, 5, 6]);
    for (const [height, payload] of found) assert.deepEqual(payload, new Uint8Array(40 - height).fill(height));
  }
});

test("after a failed sync the log stays closed", () => {
  class BadDisk extends MemoryStorage {
    isBad = false;
    override sync(name: string): void {
      if (this.isBad) throw new EnvironmentError("EIO", "The disk reports an error.");
      super.sync(name);
    }
  }
  const disk = new BadDisk();
  const log = BatchLog.open(disk);
  log.append(1, Uint8Array.of(1));
  disk.isBad = true;
  assert.throws(() => log.sync(), isCode("RESTART_NEEDED", "start the program again"));
  disk.isBad = false;
  assert.throws(() => log.sync(), isCode("RESTART_NEEDED"));
  assert.throws(() => log.append(2, Uint8Array.of(2)), isCode("RESTART_NEEDED"));
});
