// What a disk keeps and loses, and how what is damaged reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../src/random.ts";
import { SimDisk } from "../src/sim-disk.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const whole = (folder: ReturnType<SimDisk["folder"]>, name: string): number[] => [
  ...folder.read(name, 0, folder.size(name) ?? 0),
];

test("folders of one disk do not see each other, and crash together", () => {
  const disk = new SimDisk(seededRandom("1"));
  const [pool, state] = [disk.folder("pool"), disk.folder("state")];
  pool.append("log", [bytes(1, 2)]);
  state.append("log", [bytes(3)]);
  pool.sync("log");
  assert.deepEqual(pool.list(), ["log"]);
  assert.deepEqual(whole(state, "log"), [3]);
  disk.restart("synced");
  assert.deepEqual(whole(disk.folder("pool"), "log"), [1, 2]);
  assert.deepEqual(disk.folder("state").list(), []);
  assert.throws(() => pool.list(), /gone/, "a process of before the crash has no disk any more");
  assert.ok(!disk.isStopped, "nor can it stop the machine");
});

test("a disk stops in the middle of a change, and whoever goes on using it is stopped too", () => {
  const disk = new SimDisk(seededRandom("2"));
  const folder = disk.folder("pool");
  folder.append("log", [bytes(1)]);
  disk.stopAfter(1);
  folder.sync("log");
  assert.throws(() => folder.append("log", [bytes(2)]), /stopped/);
  assert.ok(disk.isStopped);
  assert.throws(() => folder.list(), /stopped/);
  disk.restart("synced");
  assert.deepEqual(whole(disk.folder("pool"), "log"), [1]);
});

test("a rotten bit stays rotten until its place is written again", () => {
  const disk = new SimDisk(seededRandom("3"));
  const folder = disk.folder("pool");
  assert.ok(!disk.rot(), "there is nothing that could rot");
  folder.replace("record", new Uint8Array(64));
  assert.ok(disk.rot());
  const ones = (): number => whole(disk.folder("pool"), "record").filter((byte) => byte !== 0).length;
  assert.equal(ones(), 1);
  disk.restart("synced");
  assert.equal(ones(), 1);
  disk.folder("pool").replace("record", new Uint8Array(64));
  assert.equal(ones(), 0);
});

test("a misdirected write is missing where it belongs", () => {
  const disk = new SimDisk(seededRandom("4"));
  const folder = disk.folder("pool");
  folder.append("first", [bytes(1, 1, 1, 1)]);
  disk.misdirectNext();
  folder.append("second", [bytes(2, 2)]);
  folder.append("second", [bytes(3)]);
  assert.deepEqual(whole(folder, "second"), [0, 0, 3]);
});

test("a full disk takes nothing and keeps everything", () => {
  const disk = new SimDisk(seededRandom("5"));
  const folder = disk.folder("pool");
  folder.append("log", [bytes(1)]);
  disk.setFull(true);
  assert.throws(() => folder.append("log", [bytes(2)]), { code: "ENOSPC" });
  disk.setFull(false);
  folder.append("log", [bytes(2)]);
  assert.deepEqual(whole(folder, "log"), [1, 2]);
});

test("a slow disk counts the time that it takes", () => {
  const disk = new SimDisk(seededRandom("6"));
  disk.operationNs = 1000;
  const folder = disk.folder("pool");
  folder.append("log", [bytes(1)]);
  folder.sync("log");
  assert.equal(disk.spentNs, 2000);
});

test("an empty disk has nothing of before, whatever was wrong with it", () => {
  const disk = new SimDisk(seededRandom("7"));
  const folder = disk.folder("pool");
  folder.replace("log", bytes(1, 2, 3));
  disk.rot();
  disk.empty();
  const fresh = disk.folder("pool");
  assert.deepEqual(fresh.list(), []);
  fresh.replace("log", bytes(1, 2, 3));
  assert.deepEqual(whole(fresh, "log"), [1, 2, 3]);
});
