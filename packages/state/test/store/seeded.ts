// What the tests of the store share: reproducible randomness, and a disk with one bit or one end changed.
import type { CrashKind, MemoryStorage, RandomBelow } from "../../src/store/memory-storage.ts";

export const CRASHES: readonly CrashKind[] = ["all", "synced", "torn"];

/** A small generator (mulberry32), so that a failing run can be repeated by its seed. */
export function seeded(seed: number): RandomBelow {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function randomBytes(length: number, random: RandomBelow): Uint8Array {
  return Uint8Array.from({ length }, () => random(256));
}

/** A copy of the disk with `bytes` as the content of one file. */
export function withContent(storage: MemoryStorage, file: string, bytes: Uint8Array): MemoryStorage {
  const copy = storage.clone();
  copy.replace(file, bytes);
  return copy;
}

export function contentOf(storage: MemoryStorage, file: string): Uint8Array {
  return storage.read(file, 0, storage.size(file) ?? 0);
}

/** Every way to change one bit of one file, to cut it off at any length, and to remove it. */
export function* damages(storage: MemoryStorage): Generator<{ file: string; what: string; disk: () => MemoryStorage }> {
  for (const file of storage.list()) {
    const content = contentOf(storage, file);
    for (let bit = 0; bit < content.length * 8; bit++) {
      const changed = content.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      yield { file, what: `bit ${bit & 7} of byte ${bit >> 3}`, disk: () => withContent(storage, file, changed) };
    }
    for (let size = 0; size < content.length; size++) {
      yield { file, what: `cut to ${size} bytes`, disk: () => withContent(storage, file, content.slice(0, size)) };
    }
    const without = () => {
      const copy = storage.clone();
      copy.remove(file);
      return copy;
    };
    yield { file, what: "removed", disk: without };
  }
}
