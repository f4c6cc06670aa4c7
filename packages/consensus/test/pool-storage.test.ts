// The validated pool on the disk: what was synced is there after any crash, what was not may be gone but never in pieces, and
// damage to what was synced is noticed. Sections 3, 5.5 and 7.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import { encodeArtifact, PoolStorage, type RandomTape } from "@atoll/consensus";
import { MemoryStorage } from "@atoll/state/store/memory-storage";
import { EnvironmentError, type PrincipalId } from "@atoll/types";

const sha256 = (data: Uint8Array) => new Uint8Array(hash("sha256", data, "buffer"));
const dkgId = { startHeight: 0, dealerSubnet: "5b" as PrincipalId, tag: "low" as const, target: undefined };

function tape(height: number, { size = 90, isVote = false } = {}) {
  const artifact: RandomTape = {
    kind: "random-tape",
    protocolVersion: "test",
    height,
    dkgId,
    signature: new Uint8Array(size).fill(height % 251),
  };
  const bytes = encodeArtifact(artifact);
  return { artifact, bytes, hash: sha256(bytes), isVote };
}

/** What a node must not forget: a write with one is synced. */
const vote = (height: number, size = 90) => tape(height, { size, isVote: true });
const SEGMENT_BYTES = 4096;

/** What a process that starts anew finds. */
function reopened(storage: MemoryStorage, segmentBytes = SEGMENT_BYTES) {
  const pool = new PoolStorage(storage, sha256, segmentBytes);
  const stored = pool.open();
  return { pool, stored, heights: stored.artifacts.map(({ artifact }) => (artifact as RandomTape).height) };
}

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe("the pool's log", () => {
  it("gives back what was written, in order, and can be appended to", () => {
    const storage = new MemoryStorage();
    const { pool } = reopened(storage);
    pool.write([tape(1), vote(2)]);
    pool.write([tape(3)]);
    const second = reopened(storage);
    assert.deepEqual(second.heights, [1, 2, 3]);
    assert.deepEqual(second.stored.artifacts[1]?.bytes, tape(2).bytes);
    second.pool.write([vote(4)]);
    assert.deepEqual(reopened(storage).heights, [1, 2, 3, 4]);
  });

  it("keeps what was synced and a beginning of the rest, whatever a power cut leaves of it", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed);
      const storage = new MemoryStorage();
      let { pool } = reopened(storage);
      let written = 0;
      let synced = 0;
      for (let crash = 0; crash < 4; crash++) {
        for (let i = 0; i < 1 + random(4); i++) {
          const sync = random(3) === 0;
          pool.write([tape(++written), tape(++written, { isVote: sync })]);
          if (sync) synced = written;
        }
        storage.crash({ keep: random(2) === 0 ? "torn" : "synced", random });
        const next = reopened(storage);
        const beginning = next.heights.findIndex((height, i) => height !== i + 1);
        const late = beginning < 0 ? [] : next.stored.artifacts.slice(beginning);
        assert.ok(
          late.every(({ isVote }) => isVote),
          `seed ${seed}: only votes are kept alone`,
        );
        assert.deepEqual(next.heights.slice(0, synced), upTo(synced), `seed ${seed}`);
        assert.equal(next.stored.damages, 0, `seed ${seed}: what was never synced is no damage`);
        assert.equal(next.stored.abstainUpTo, 0);
        pool = next.pool;
        synced = beginning < 0 ? next.heights.length : beginning;
        written = Math.max(0, ...next.heights);
        // What was kept alone stands where it is from now on.
        if (late.length > 0) break;
      }
    }
  });

  it("has every vote after damage to any one place, the last one too, and says so", () => {
    const whole = new MemoryStorage();
    const { pool } = reopened(whole);
    for (const height of upTo(3)) pool.write([tape(10 + height), vote(height), tape(20 + height)]);
    const name = whole.list()[0] as string;
    const size = whole.size(name) as number;
    for (let at = 0; at < size; at += 37) {
      for (const length of [1, 512]) {
        const storage = damaged(whole, name, at, Math.min(size, at - (at % length) + length));
        const { stored, heights } = reopened(storage);
        for (const height of upTo(3)) assert.ok(heights.includes(height), `vote ${height}, byte ${at}`);
        assert.equal(stored.abstainUpTo, 0, `byte ${at}`);
        const again = reopened(storage);
        assert.deepEqual([again.heights.toSorted(), again.stored.damages], [heights.toSorted(), 0]);
        assert.ok(damagedAgain(storage), `byte ${at}: all is there twice again`);
      }
    }
  });

  it("has each vote twice again after damage to the padding between its records", () => {
    const whole = new MemoryStorage();
    reopened(whole).pool.write([vote(1), tape(2, { size: 80 })]);
    const name = whole.list()[0] as string;
    const size = whole.size(name) as number;
    for (let at = 400; at < 4000; at += 700) {
      const storage = damaged(whole, name, at, at + 100);
      assert.deepEqual(reopened(storage).stored.abstainUpTo, 0);
      const left = storage.list()[0] as string;
      assert.ok((storage.size(left) ?? 0) > size / 2, `${storage.size(left)} of ${size} bytes`);
      for (let next = 0; next < (storage.size(left) ?? 0); next += 50) {
        const { heights } = reopened(damaged(storage, left, next, next + 20));
        assert.ok(heights.includes(1), `byte ${at}, then byte ${next}`);
      }
    }
  });

  it("says up to which height a vote may be missing when both of its records are damaged", () => {
    const whole = new MemoryStorage();
    const { pool } = reopened(whole, 1024 * 1024);
    for (const height of upTo(3)) pool.write([vote(10 * height)]);
    const name = whole.list()[0] as string;
    const size = whole.size(name) as number;
    const votes = [...Array(size).keys()].filter((at) => isVoteOf(whole.read(name, at, 54), 1));
    assert.equal(votes.length, 2);
    const storage = damaged(whole, name, votes[0] as number, (votes[0] as number) + 1);
    const twice = damaged(storage, name, votes[1] as number, (votes[1] as number) + 1);
    for (let start = 0; start < 2; start++) {
      const { stored, heights } = reopened(twice);
      assert.deepEqual(heights, [10, 30]);
      assert.equal(stored.abstainUpTo, 20, "the next whole record says how high a vote can have been");
    }
  });

  it("makes durable what it reads: it is going to be broadcast", () => {
    const storage = new MemoryStorage();
    const { pool } = reopened(storage);
    pool.write([tape(1)]);
    // A process that was killed leaves what it wrote to the machine, which loses it with its power.
    storage.crash({ keep: "all", random: () => 0 });
    assert.deepEqual(reopened(storage).heights, [1]);
    storage.crash({ keep: "synced", random: () => 0 });
    assert.deepEqual(reopened(storage).heights, [1]);
  });

  it("makes durable anew what it reads: a sync that failed may have left nothing to sync", () => {
    const storage = new MemoryStorage();
    const { pool } = reopened(storage);
    pool.write([vote(1)]);
    const { sync, truncate } = storage;
    const fails = () => {
      throw new EnvironmentError("RESTART_NEEDED", "The disk does not sync.");
    };
    storage.sync = fails;
    storage.truncate = fails;
    assert.throws(() => pool.write([vote(2)]), EnvironmentError);
    // To the machine the pages that it could not write are as good as written.
    storage.sync = () => {};
    storage.truncate = truncate;
    const { heights } = reopened(storage);
    storage.sync = sync;
    storage.crash({ keep: "synced", random: () => 0 });
    assert.deepEqual(reopened(storage).heights, heights);
  });

  it("takes a log without one whole record for damaged, and what is left of a first write that was never synced for empty", () => {
    const storage = new MemoryStorage();
    reopened(storage).pool.write([tape(1, { size: 80 })]);
    const [name = ""] = storage.list();
    storage.crash({ keep: "synced", random: () => 0 });
    storage.append(name, [new Uint8Array(3000).fill(7)]);
    const { heights, stored } = reopened(storage);
    assert.deepEqual([heights, stored.damages, stored.abstainUpTo], [[], 0, 0]);
    storage.replace(name, new Uint8Array(20_000).fill(7));
    const { damages } = reopened(storage).stored;
    assert.ok(damages > 0);
  });

  it("signs nothing again, however much of a log is damaged: names of files say how high a vote can be", () => {
    for (const height of [1, 7, 99, 100, 101, 2500]) {
      const storage = new MemoryStorage();
      const { pool } = reopened(storage);
      for (let below = Math.max(1, height - 3); below <= height; below++) pool.write([tape(below), vote(below)]);
      for (const name of logs(storage)) storage.replace(name, new Uint8Array(storage.size(name) ?? 0).fill(7));
      for (let start = 0; start < 3; start++) {
        const { stored, pool: next } = reopened(storage);
        assert.equal(stored.artifacts.length, start);
        assert.ok(stored.abstainUpTo >= height, `signs at ${stored.abstainUpTo + 1} after ${height}`);
        assert.ok(stored.abstainUpTo <= height + 200, `abstains up to ${stored.abstainUpTo} after ${height}`);
        next.write([tape(1)]);
      }
    }
  });

  it("does not take a log whose files are gone for a new one, and a folder where nothing was signed for a damaged one", () => {
    const storage = new MemoryStorage();
    reopened(storage).pool.write([tape(1)]);
    for (const name of logs(storage)) storage.remove(name);
    assert.deepEqual([reopened(storage).stored.abstainUpTo, reopened(storage).stored.damages], [0, 0]);
    reopened(storage).pool.write([vote(5)]);
    for (const name of logs(storage)) storage.remove(name);
    const { stored } = reopened(storage);
    assert.ok(stored.abstainUpTo >= 5 && stored.damages > 0);
    assert.ok(reopened(storage).stored.abstainUpTo >= 5, "at the next start too");
  });

  it("refuses a log of which nothing can be read when nothing says how high a vote can be", () => {
    const storage = new MemoryStorage();
    storage.replace("pool-v2-0000000001", new Uint8Array(20_000).fill(7));
    assert.throws(() => reopened(storage), { name: "EnvironmentError", code: "POOL_CORRUPT", message: /replace/ });
    assert.equal(storage.size("pool-v2-0000000001"), 20_000);
  });

  it("has no vote above what the names of files say, wherever a write stops", () => {
    for (let stop = 0; stop < 12; stop++) {
      for (let seed = 1; seed <= 6; seed++) {
        const random = seeded(seed);
        const storage = new MemoryStorage();
        const { pool } = reopened(storage);
        storage.stopAfter(stop, random);
        let durable = 0;
        try {
          for (const height of [1, 90, 190, 290]) {
            pool.write([vote(height)]);
            durable = height;
          }
        } catch {}
        storage.crash({ keep: seed % 2 === 0 ? "torn" : "synced", random });
        for (const name of logs(storage)) storage.replace(name, new Uint8Array(5000).fill(7));
        if (storage.list().length === 0) continue;
        const { abstainUpTo } = reopened(storage).stored;
        storage.crash({ keep: "synced", random });
        assert.equal(reopened(storage).stored.abstainUpTo, abstainUpTo);
        assert.ok(abstainUpTo >= durable, `${abstainUpTo} after ${durable}, stop ${stop}, seed ${seed}`);
      }
    }
  });

  it("goes on abstaining and forgets no vote after damage to any one place of a log that was repaired", () => {
    const repaired = withLostVote();
    const [name = ""] = logs(repaired);
    const size = repaired.size(name) as number;
    const { stored, heights } = reopened(repaired.clone());
    assert.deepEqual([stored.abstainUpTo, stored.damages], [20, 0]);
    for (let at = 0; at < size; at += 31) {
      for (const length of [1, 512, 4096]) {
        const from = at - (at % length);
        const storage = damaged(repaired, name, from, Math.min(size, from + length));
        for (let start = 0; start < 2; start++) {
          const again = reopened(storage);
          assert.deepEqual(again.heights.toSorted(), heights.toSorted(), `${length} bytes from ${from}`);
          assert.equal(again.stored.abstainUpTo, 20, `${length} bytes from ${from}`);
        }
      }
    }
  });

  it("forgets no vote that came after a repair when damage reaches from before it to the end of the log", () => {
    const repaired = withLostVote();
    const [name = ""] = logs(repaired);
    const size = repaired.size(name) as number;
    reopened(repaired).pool.write([vote(40)]);
    for (const before of [1, 60, 200]) {
      const { stored } = reopened(damaged(repaired, name, size - before, repaired.size(name) as number));
      assert.ok(stored.abstainUpTo >= 40, `${before} bytes before: ${stored.abstainUpTo}`);
    }
    repaired.truncate(name, size - 1);
    assert.ok(reopened(repaired).stored.abstainUpTo >= 40, "cut off");
  });

  it("takes damage to the end of a repaired log for damage, not for a write that never ended", () => {
    const storage = withLostVote();
    const [name = ""] = logs(storage);
    storage.truncate(name, (storage.size(name) as number) - 1);
    const { stored } = reopened(storage);
    assert.deepEqual([stored.damages > 0, stored.abstainUpTo >= 20], [true, true]);
  });

  it("loses nothing and abstains wherever a repair stops", () => {
    const whole = withLostVote({ isRepaired: false });
    for (const keep of ["all", "synced", "torn"] as const)
      for (let stop = 0; stop < 8; stop++)
        for (let seed = 1; seed <= 8; seed++) {
          const random = seeded(seed);
          const storage = whole.clone();
          // Twice: the second repair begins from what the first one has left.
          for (const at of [stop, random(4)]) {
            storage.stopAfter(at, random);
            try {
              reopened(storage);
            } catch {}
            storage.crash({ keep, random });
          }
          const { stored, heights } = reopened(storage);
          assert.deepEqual([...new Set(heights)].toSorted(), [10, 30], `${keep}, stop ${stop}, seed ${seed}`);
          assert.equal(stored.abstainUpTo, 20, `${keep}, stop ${stop}, seed ${seed}`);
        }
  });

  it("refuses a log of another format, and leaves it as it is", () => {
    for (const name of ["pool-0000000001", "pool-v3-0000000001"]) {
      const storage = new MemoryStorage();
      storage.replace(name, new Uint8Array(100).fill(7));
      assert.throws(() => reopened(storage), { name: "EnvironmentError", code: "POOL_VERSION", message: /version/ });
      assert.deepEqual([storage.list(), storage.size(name)], [[name], 100]);
    }
  });

  it("removes segments whose heights nobody needs, and only those", () => {
    const storage = new MemoryStorage();
    const { pool } = reopened(storage);
    let most = 0;
    const filler = (height: number) => [
      tape(height, { size: 80 }),
      tape(height, { size: 81 }),
      tape(height, { size: 82, isVote: height % 3 === 0 }),
    ];
    for (const height of upTo(200)) {
      pool.write(filler(height));
      pool.purge(height - 30);
      const used = storage.list().reduce((sum, name) => sum + (storage.size(name) as number), 0);
      most = Math.max(most, used);
      assert.ok(reopenedHeights(storage).has(Math.max(1, height - 30)), `height ${height}`);
    }
    assert.ok(most < 100 * 1024, `${most} bytes`);
    assert.ok(storage.list().length < 20);
  });

  it("loses nothing that is needed when it stops in the middle of removing segments", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seeded(seed);
      const storage = new MemoryStorage();
      const { pool } = reopened(storage);
      let height = 0;
      storage.stopAfter(20 + random(60), random);
      let purged = 0;
      try {
        for (;;) {
          height++;
          pool.write([tape(height, { size: 80 }), vote(height, 81)]);
          purged = Math.max(0, height - 5);
          pool.purge(purged);
        }
      } catch {
        storage.crash({ keep: "torn", random });
      }
      const found = reopenedHeights(storage);
      for (let needed = Math.max(1, purged); needed < height; needed++) assert.ok(found.has(needed), `seed ${seed}`);
    }
  });
});

/** The files of the log itself. */
function logs(storage: MemoryStorage): string[] {
  return storage.list().filter((name) => /^pool-v2-/.test(name));
}

/** Votes at 10, 20 and 30, the second of which is lost for good. */
function withLostVote({ isRepaired = true } = {}): MemoryStorage {
  const whole = new MemoryStorage();
  const { pool } = reopened(whole, 1024 * 1024);
  for (const height of [10, 20, 30]) pool.write([vote(height)]);
  const [name = ""] = logs(whole);
  const starts = [...Array(whole.size(name)).keys()].filter((at) => isVoteOf(whole.read(name, at, 54), 1));
  const storage = starts.reduce((copy, at) => damaged(copy, name, at, at + 1), whole);
  if (isRepaired) reopened(storage);
  return storage;
}

function reopenedHeights(storage: MemoryStorage): Set<number> {
  return new Set(reopened(storage.clone()).heights);
}

function damaged(storage: MemoryStorage, name: string, from: number, to: number): MemoryStorage {
  const copy = storage.clone();
  const content = copy.read(name, 0, copy.size(name) ?? 0);
  for (let at = from; at < to; at++) content[at] = (content[at] as number) ^ 0x40;
  copy.replace(name, content);
  return copy;
}

/** Whether the votes survive one more damage at any of a few places. */
function damagedAgain(storage: MemoryStorage): boolean {
  const [name = ""] = storage.list();
  const size = storage.size(name) ?? 0;
  return [0.1, 0.4, 0.6, 0.9].every((part) => {
    const at = Math.floor(size * part);
    const { heights } = reopened(damaged(storage, name, at, Math.min(size, at + 300)));
    return upTo(3).every((height) => heights.includes(height));
  });
}

/** Whether the header is that of a record of the vote with that number. */
function isVoteOf(header: Uint8Array, number: number): boolean {
  return header[0] === 0xa8 && header[1] === 3 && header[25] === number;
}
