// A damaged state is set aside, whole and once; a start after that begins with nothing, as a new node does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchLog } from "../../src/store/batch-log.ts";
import { CheckpointStore } from "../../src/store/checkpoint-store.ts";
import { MemoryStorage } from "../../src/store/memory-storage.ts";
import { isStateFile, setStateAside } from "../../src/store/state-files.ts";
import { seeded } from "./seeded.ts";

function folder(content: string): MemoryStorage {
  const storage = new MemoryStorage();
  write(storage, content);
  return storage;
}

function write(storage: MemoryStorage, content: string): void {
  const log = BatchLog.open(storage);
  log.append(1, new TextEncoder().encode(content));
  log.close();
  const store = CheckpointStore.open(storage);
  store.begin();
  store.put("canister/01", new TextEncoder().encode(content));
  store.commit(1, new Uint8Array());
  storage.replace("hashes-0000000000000001.table", new Uint8Array(3));
  storage.replace("fetched-00000000.chunks", new Uint8Array(3));
}

const contentOf = (storage: MemoryStorage): Map<string, string> =>
  new Map(storage.list().map((name) => [name, storage.read(name, 0, 1e6).join()]));

test("what is set aside is kept as it was, and once", () => {
  const storage = folder("first");
  storage.replace("notes", new Uint8Array(1));
  const before = contentOf(storage);
  setStateAside(storage);
  const after = contentOf(storage);
  for (const [name, bytes] of before) {
    if (name === "notes") assert.equal(after.get(name), bytes, "files of others stay");
    else if (!name.startsWith("fetched-")) assert.equal(after.get(`damaged-${name}`), bytes);
  }
  assert.equal(CheckpointStore.open(storage).height, undefined);
  assert.equal(BatchLog.open(storage).nextHeight, undefined);
  write(storage, "second");
  setStateAside(storage);
  assert.equal(storage.list().length, after.size, "the older set is gone");
  for (const name of storage.list()) assert.equal(isStateFile(name), name !== "notes", name);
});

test("a crash in between leaves a state that is still known to be damaged, or none", () => {
  const random = seeded(7);
  for (let operations = 0; operations < 6; operations++) {
    const storage = folder("content");
    storage.truncate("state-00000001.seg", 30);
    storage.stopAfter(operations, random);
    assert.throws(() => setStateAside(storage));
    storage.crash({ keep: "all", random });
    try {
      const { height } = CheckpointStore.open(storage);
      BatchLog.open(storage, { checkpoint: height });
      assert.equal(height, undefined);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "STATE_CORRUPT");
    }
    setStateAside(storage);
    assert.equal(CheckpointStore.open(storage).height, undefined);
  }
});
