// The validated pool on the disk: what was synced is there after any crash, what was not may be gone but never in pieces, and
// damage to what was synced is noticed. Sections 3, 5.5 and 7.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import { encodeArtifact, PoolStorage, type RandomTape } from "@atoll/consensus";
import { MemoryStorage } from "@atoll/state/store/memory-storage";
import type { PrincipalId } from "@atoll/types";

const sha256 = (data: Uint8Array) => new Uint8Array(hash("sha256", data, "buffer"));
const dkgId = { startHeight: 0, dealerSubnet: "5b" as PrincipalId, tag: "low" as const, target: undefined };

function tape(height: number, size = 90) {
  const artifact: RandomTape = {
    kind: "random-tape",
    protocolVersion: "test",
    height,
    dkgId,
    signature: new Uint8Array(size).fill(height % 251),
  };
  const bytes = encodeArtifact(artifact);
  return { artifact, bytes, hash: sha256(bytes) };
}

const SEGMENT_BYTES = 4096;

/** What a process that starts anew finds. */
function reopened(storage: MemoryStorage) {
  const pool = new PoolStorage(storage, sha256, SEGMENT_BYTES);
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
    pool.write([tape(1), tape(2)], true);
    pool.write([tape(3)], false);
    const second = reopened(storage);
    assert.deepEqual(second.heights, [1, 2, 3]);
    assert.deepEqual(second.stored.artifacts[1]?.bytes, tape(2).bytes);
    second.pool.write([tape(4)], true);
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
          pool.write([tape(++written), tape(++written)], sync);
          if (sync) synced = written;
        }
        storage.crash({ keep: random(2) === 0 ? "torn" : "synced", random });
        const next = reopened(storage);
        assert.deepEqual(next.heights, upTo(next.heights.length), `seed ${seed}`);
        assert.ok(next.heights.length >= synced, `seed ${seed}: ${next.heights.length} of ${synced}`);
        assert.equal(next.stored.damages, 0, `seed ${seed}: what was never synced is no damage`);
        assert.equal(next.stored.abstainUpTo, 0);
        pool = next.pool;
        written = next.heights.length;
        synced = written;
      }
    }
  });

  it("notices a changed byte in what was synced, keeps the rest, and says how far the node may have signed", () => {
    const whole = new MemoryStorage();
    const { pool } = reopened(whole);
    for (const height of upTo(6)) pool.write([tape(height)], true);
    const name = whole.list()[0] as string;
    const size = whole.size(name) as number;
    const record = size / 6;
    for (let at = 0; at < size - record; at += 7) {
      const storage = whole.clone();
      const content = storage.read(name, 0, size);
      content[at] = (content[at] as number) ^ 0x40;
      storage.replace(name, content);
      const { stored, heights } = reopened(storage);
      const lost = 1 + Math.floor(at / record);
      // The last record says that all before it was synced.
      assert.deepEqual(
        heights,
        upTo(6).filter((height) => height !== lost),
        `byte ${at}`,
      );
      assert.equal(stored.damages, 1);
      assert.equal(stored.abstainUpTo, 7);
      const again = reopened(storage);
      assert.deepEqual([again.heights, again.stored.damages, again.stored.abstainUpTo], [heights, 0, 7]);
    }
  });

  it("removes segments whose heights nobody needs, and only those", () => {
    const storage = new MemoryStorage();
    const { pool } = reopened(storage);
    let most = 0;
    const filler = (height: number) => [tape(height, 80), tape(height, 81), tape(height, 82)];
    for (const height of upTo(200)) {
      pool.write(filler(height), height % 3 === 0);
      pool.purge(height - 30);
      const used = storage.list().reduce((sum, name) => sum + (storage.size(name) as number), 0);
      most = Math.max(most, used);
      assert.ok(reopenedHeights(storage).has(Math.max(1, height - 30)), `height ${height}`);
    }
    assert.ok(most < 40 * 1024, `${most} bytes`);
    assert.ok(storage.list().length < 10);
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
          pool.write([tape(height, 80), tape(height, 81), tape(height, 82)], true);
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

function reopenedHeights(storage: MemoryStorage): Set<number> {
  return new Set(reopened(storage.clone()).heights);
}
