// The StoragePort on the real file system: what the port promises, full disks, and processes killed at any moment.
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { BatchLog } from "@atoll/state/store/batch-log";
import { CheckpointStore } from "@atoll/state/store/checkpoint-store";
import { EnvironmentError } from "@atoll/types/errors";
import { NodeStorage } from "../src/storage-node.ts";

function isCode(code: string, ...words: string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof EnvironmentError && error.code === code && words.every((word) => error.message.includes(word));
}

function withFolder(act: (path: string) => void): void {
  const path = fs.mkdtempSync(join(tmpdir(), "atoll-storage-"));
  try {
    act(path);
  } finally {
    fs.rmSync(path, { recursive: true, force: true });
  }
}

const bytes = (...list: number[]): Uint8Array => Uint8Array.from(list);

test("append, read, truncate, replace, remove and list act on plain files", () => {
  withFolder((path) => {
    const storage = new NodeStorage(path);
    assert.equal(storage.size("a.seg"), undefined);
    assert.throws(() => storage.read("a.seg", 0, 1), isCode("ENOENT", "a.seg"));
    storage.append("a.seg", [bytes(1, 2), bytes(), bytes(3)]);
    storage.append("a.seg", [bytes(4)]);
    storage.sync("a.seg");
    assert.deepEqual(fs.readFileSync(join(path, "a.seg")), Buffer.of(1, 2, 3, 4));
    assert.deepEqual(storage.read("a.seg", 1, 2), bytes(2, 3));
    assert.deepEqual(storage.read("a.seg", 3, 100), bytes(4));
    assert.deepEqual(storage.read("a.seg", 9, 1), bytes());
    storage.truncate("a.seg", 2);
    storage.append("a.seg", [bytes(9)]);
    assert.deepEqual(fs.readFileSync(join(path, "a.seg")), Buffer.of(1, 2, 9));
    storage.replace("b", bytes(5));
    storage.append("b", [bytes(6)]);
    storage.replace("a.seg", bytes(7, 7));
    assert.deepEqual(storage.read("a.seg", 0, 9), bytes(7, 7));
    assert.deepEqual(storage.list(), ["a.seg", "b"]);
    assert.equal(storage.size("b"), 2);
    storage.remove("b");
    assert.deepEqual(fs.readdirSync(path), ["a.seg"]);
    assert.equal(fs.statSync(join(path, "a.seg")).mode & 0o777, 0o600);
    storage.close();
    assert.deepEqual(storage.read("a.seg", 0, 9), bytes(7, 7));
    storage.close();
  });
});

test("after a sync that failed a file is not synced again, and whoever writes it is told to start again", (context) => {
  withFolder((path) => {
    const storage = new NodeStorage(path);
    storage.append("a.seg", [bytes(1)]);
    const failing = context.mock.method(fs, "fdatasyncSync", () => {
      throw Object.assign(new Error("i/o error"), { code: "EIO" });
    });
    assert.throws(() => storage.sync("a.seg"), isCode("RESTART_NEEDED", "a.seg"));
    failing.mock.restore();
    assert.throws(() => storage.sync("a.seg"), isCode("RESTART_NEEDED", "the next start"));
    storage.close();
    const next = new NodeStorage(path);
    next.sync("a.seg");
    next.close();
  });
});

test("names cannot leave the folder, links are not followed, half replaced files go away", () => {
  withFolder((path) => {
    fs.writeFileSync(join(path, "outside"), "untouched");
    const inside = join(path, "inside");
    fs.mkdirSync(inside);
    fs.symlinkSync(join(path, "outside"), join(inside, "link"));
    fs.writeFileSync(join(inside, "state-manifest.replacing"), "half");
    const storage = new NodeStorage(inside);
    assert.deepEqual(fs.readdirSync(inside), ["link"]);
    for (const name of ["../outside", "a/b", "", ".", "..", ".hidden", "A", "x.replacing", "a\0b"]) {
      assert.throws(() => storage.append(name, [bytes(1)]), RangeError, name);
      assert.throws(() => storage.replace(name, bytes(1)), RangeError, name);
      assert.throws(() => storage.remove(name), RangeError, name);
    }
    assert.deepEqual(storage.list(), []);
    assert.throws(() => storage.append("link", [bytes(1)]), isCode("ELOOP", "link"));
    assert.equal(fs.readFileSync(join(path, "outside"), "latin1"), "untouched");
    storage.close();
  });
});

test("a thousand files need no thousand descriptors", () => {
  withFolder((path) => {
    const storage = new NodeStorage(path);
    for (let i = 0; i < 300; i++) {
      storage.append(`f${i}`, [bytes(i & 255)]);
      storage.sync(`f${i}`);
    }
    for (let i = 0; i < 300; i++) assert.deepEqual(storage.read(`f${i}`, 0, 9), bytes(i & 255));
    if (process.platform === "linux") {
      const open = fs.readdirSync("/proc/self/fd").filter((fd) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
        } catch {
          return false;
        }
      });
      assert.ok(open.length <= 128, `${open.length} descriptors`);
    }
    storage.close();
  });
});

test("a folder that this user may not use gives the system's code and advice", (context) => {
  if (process.platform === "win32" || process.getuid?.() === 0) return context.skip("needs an ordinary user");
  withFolder((path) => {
    const storage = new NodeStorage(path);
    fs.chmodSync(path, 0o500);
    assert.throws(() => storage.append("a", [bytes(1)]), isCode("EACCES", "permissions"));
    fs.chmodSync(path, 0o700);
  });
});

/** A folder has one user at a time, so what another start would find is looked at in a copy. */
function onCopy(path: string, act: (copy: NodeStorage) => void): void {
  withFolder((folder) => {
    fs.cpSync(path, folder, { recursive: true });
    const copy = new NodeStorage(folder);
    act(copy);
    copy.close();
  });
}

/** Runs `act` on a file system of `size` bytes; skips where none can be mounted. */
function onSmallDisk(context: { skip(message: string): void }, size: string, act: (path: string) => void): void {
  withFolder((path) => {
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
    if (mounted.status !== 0) return context.skip("no small file system can be mounted here");
    try {
      act(path);
    } finally {
      // Lazily: a failed assertion leaves descriptors open.
      spawnSync("umount", ["-l", path]);
    }
  });
}

test("a full disk: the batch log refuses, keeps what it has, and goes on when there is room", (context) => {
  onSmallDisk(context, "512k", (path) => {
    const storage = new NodeStorage(path);
    fs.writeFileSync(join(path, "ballast"), new Uint8Array(200_000));
    const log = BatchLog.open(storage, { crc32, segmentBytes: 100_000 });
    let height = 1;
    const fill = () => {
      for (; ; height++) {
        log.append(height, new Uint8Array(7001).fill(height));
        log.sync();
      }
    };
    assert.throws(fill, isCode("ENOSPC", "free some space"));
    const refused = height;
    assert.ok(refused > 20);
    onCopy(path, (copy) => assert.equal(BatchLog.open(copy, { crc32 }).nextHeight, refused));
    fs.rmSync(join(path, "ballast"));
    assert.throws(fill, isCode("ENOSPC"));
    assert.ok(height > refused + 10);
    const reopened = BatchLog.open(new NodeStorage(path), { crc32 });
    assert.equal(reopened.nextHeight, height, "it opens on a full disk");
    for (const entry of reopened.entries(1)) {
      assert.deepEqual(entry.payload, new Uint8Array(7001).fill(entry.height));
    }
  });
});

test("a full disk: a checkpoint fails whole, and the last one stays", (context) => {
  onSmallDisk(context, "1500k", (path) => {
    fs.writeFileSync(join(path, "ballast"), new Uint8Array(500_000));
    const store = CheckpointStore.open(new NodeStorage(path), { crc32, segmentBytes: 200_000, bufferBytes: 20_000 });
    const write = (height: number) => {
      store.begin();
      for (let i = 0; i < 60; i++) store.putPage("heap", i, new Uint8Array(4096).fill(height));
      store.commit(height, bytes(height));
    };
    let height = 1;
    assert.throws(
      () => {
        for (; ; height++) write(height);
      },
      isCode("ENOSPC", "free some space"),
    );
    assert.ok(height > 2);
    onCopy(path, (copy) => {
      const reopened = CheckpointStore.open(copy, { crc32 });
      assert.equal(reopened.height, height - 1);
      assert.deepEqual(reopened.readPage("heap", 59), new Uint8Array(4096).fill(height - 1));
    });
    assert.equal(store.height, height - 1);
    fs.rmSync(join(path, "ballast"));
    assert.ok(store.compact(0.1) > 1);
    write(height);
    onCopy(path, (copy) => assert.equal(CheckpointStore.open(copy, { crc32 }).height, height));
  });
});

const WRITER = `
  const [{ NodeStorage }, { BatchLog }, { CheckpointStore }, { crc32 }, { writeSync }] = await Promise.all([
    import(${JSON.stringify(new URL("../src/storage-node.ts", import.meta.url).href)}),
    import("@atoll/state/store/batch-log"), import("@atoll/state/store/checkpoint-store"), import("node:zlib"),
    import("node:fs"),
  ]);
  const storage = new NodeStorage(process.argv[1]);
  const store = CheckpointStore.open(storage, { crc32, segmentBytes: 60_000 });
  const log = BatchLog.open(storage, { crc32, segmentBytes: 20_000, checkpoint: store.height });
  for (let height = log.nextHeight ?? 1; ; height++) {
    log.append(height, new Uint8Array(1 + (height * 37) % 3000).fill(height));
    log.sync();
    writeSync(1, height + "\\n");
    if (height % 5 !== 0) continue;
    store.begin();
    for (let i = 0; i < 8; i++) store.putPage("heap", i, new Uint8Array(4096).fill(height));
    store.commit(height, new Uint8Array(0));
    log.dropBefore(height + 1);
    store.compact();
  }
`;

async function killAfter(child: ChildProcess, milliseconds: number): Promise<number> {
  let output = "";
  child.stdout?.setEncoding("latin1").on("data", (text: string) => {
    if (output === "") setTimeout(() => child.kill("SIGKILL"), milliseconds);
    output += text;
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  await new Promise((done) => child.on("close", done));
  assert.equal(child.signalCode, "SIGKILL", errors);
  return Number(output.trimEnd().split("\n").at(-1));
}

test("kill -9 at any moment loses no acknowledged batch and no checkpoint", async () => {
  const path = fs.mkdtempSync(join(tmpdir(), "atoll-killed-"));
  try {
    let before = 0;
    for (let life = 0; life < 6; life++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", WRITER, path], {
        cwd: import.meta.dirname,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const acknowledged = await killAfter(child, 5 + 17 * life);
      assert.ok(acknowledged > before, `life ${life} made progress`);
      const storage = new NodeStorage(path);
      const store = CheckpointStore.open(storage, { crc32 });
      const log = BatchLog.open(storage, { crc32, checkpoint: store.height });
      const { height = 0 } = store;
      assert.ok(height % 5 === 0 && height >= acknowledged - 5);
      store.readPages("heap", (_, page) => assert.deepEqual(page, new Uint8Array(4096).fill(height)));
      const next = log.nextHeight as number;
      assert.ok(next > acknowledged && next <= acknowledged + 2, `${acknowledged} acknowledged, ${next} next`);
      for (const entry of log.entries(height + 1)) {
        assert.deepEqual(entry.payload, new Uint8Array(1 + ((entry.height * 37) % 3000)).fill(entry.height));
      }
      before = next - 1;
      storage.close();
    }
  } finally {
    fs.rmSync(path, { recursive: true, force: true });
  }
});
