// The state folder: who may use it, what is refused, what a clean removes, and damaged files in it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { BatchLog } from "@atoll/state/store/batch-log";
import { CheckpointStore } from "@atoll/state/store/checkpoint-store";
import { EnvironmentError } from "@atoll/types/errors";
import { openStateFolder } from "../src/state-folder.ts";

function isCode(code: string, ...words: string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof EnvironmentError && error.code === code && words.every((word) => error.message.includes(word));
}

async function withFolder(act: (path: string) => void | Promise<void>): Promise<void> {
  const path = fs.mkdtempSync(join(tmpdir(), "atoll-folder-"));
  try {
    await act(path);
  } finally {
    fs.rmSync(path, { recursive: true, force: true });
  }
}

/** A network's folder with a checkpoint, a log and a secret. */
function fill(path: string): void {
  const folder = openStateFolder(path);
  const storage = folder.storage("main");
  const store = CheckpointStore.open(storage, { crc32 });
  store.begin();
  store.put("a", Uint8Array.of(1, 2, 3));
  store.commit(1, new Uint8Array(0));
  const log = BatchLog.open(storage, { crc32 });
  log.append(1, Uint8Array.of(4));
  log.close();
  folder.writeSecret("root-key", Uint8Array.of(9, 8, 7));
  folder.close();
}

function everyPath(path: string): string[] {
  return (fs.readdirSync(path, { recursive: true }) as string[]).sort();
}

test("a new folder is made, private, and opens again with what was written", () =>
  withFolder((parent) => {
    const path = join(parent, "deep", "state");
    fill(path);
    if (process.platform !== "win32") {
      assert.equal(fs.statSync(path).mode & 0o777, 0o700);
      for (const name of everyPath(path)) assert.equal(fs.statSync(join(path, name)).mode & 0o077, 0, name);
      assert.equal(fs.statSync(join(path, "secret-root-key")).mode & 0o777, 0o600);
    }
    const folder = openStateFolder(path);
    assert.deepEqual(folder.subnets(), ["main"]);
    assert.deepEqual(folder.readSecret("root-key"), Uint8Array.of(9, 8, 7));
    assert.equal(folder.readSecret("other"), undefined);
    assert.deepEqual(CheckpointStore.open(folder.storage("main")).get("a"), Uint8Array.of(1, 2, 3));
    assert.equal(folder.storage("main"), folder.storage("main"));
    for (const name of ["", "..", "a/b", "A", "a.b"]) {
      assert.throws(() => folder.storage(name), RangeError);
      assert.throws(() => folder.readSecret(name), RangeError);
      assert.throws(() => folder.writeSecret(name, new Uint8Array(1)), RangeError);
    }
    folder.close();
    assert.ok(!fs.existsSync(join(path, "pid")));
  }));

test("every changed bit and every cut of the files at the top is found and named", () =>
  withFolder((path) => {
    fill(path);
    for (const file of ["atoll-state", "secret-root-key"]) {
      const content = fs.readFileSync(join(path, file));
      const damaged = [...Array(content.length * 8).keys()].map((bit) => {
        const changed = Buffer.from(content);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        return changed;
      });
      for (let size = 0; size < content.length; size++) damaged.push(content.subarray(0, size));
      damaged.push(Buffer.concat([content, content]));
      for (const bytes of damaged) {
        fs.writeFileSync(join(path, file), bytes);
        assert.throws(
          () => {
            const folder = openStateFolder(path);
            try {
              folder.readSecret("root-key");
            } finally {
              folder.close();
            }
          },
          isCode("STATE_CORRUPT", file, path),
        );
      }
      fs.writeFileSync(join(path, file), content);
    }
    fs.rmSync(join(path, "atoll-state"));
    assert.throws(() => openStateFolder(path), isCode("STATE_CORRUPT", "atoll-state", "missing"));
  }));

test("a folder of another version is refused and not changed", () =>
  withFolder((path) => {
    fill(path);
    const text = "Atoll state folder, format 12";
    fs.writeFileSync(join(path, "atoll-state"), `${text}, check ${crc32(text).toString(16).padStart(8, "0")}\n`);
    const before = everyPath(path);
    assert.throws(() => openStateFolder(path), isCode("STATE_VERSION", "version 12", "version 1", path));
    assert.deepEqual(
      everyPath(path).filter((name) => name !== "pid"),
      before,
    );
    openStateFolder(path, { clean: true }).close();
    openStateFolder(path).close();
  }));

test("somebody else's folder is refused, with and without clean", () =>
  withFolder((path) => {
    fs.writeFileSync(join(path, "thesis.txt"), "years of work");
    for (const clean of [false, true]) {
      assert.throws(() => openStateFolder(path, { clean }), isCode("STATE_FOREIGN", "thesis.txt", path));
      assert.deepEqual(everyPath(path), ["thesis.txt"]);
    }
    assert.throws(() => openStateFolder(join(path, "thesis.txt")), isCode("ENOTDIR", "thesis.txt"));
    assert.throws(() => openStateFolder(join(path, "thesis.txt", "state")), isCode("ENOTDIR", "thesis.txt"));
  }));

test("clean removes what Atoll made and nothing else, and follows no link", () =>
  withFolder((parent) => {
    const path = join(parent, "state");
    fill(path);
    const outside = join(parent, "outside");
    fs.mkdirSync(outside);
    for (const name of ["log-mark", "state-manifest"]) fs.writeFileSync(join(outside, name), "precious");
    fs.symlinkSync(outside, join(path, "subnet-linked"));
    fs.writeFileSync(join(path, "notes.txt"), "mine");
    fs.writeFileSync(join(path, "subnet-main", "notes.txt"), "mine");
    const folder = openStateFolder(path, { clean: true });
    assert.deepEqual(
      everyPath(path).filter((name) => !name.startsWith("lock.sqlite") && !name.startsWith(join("subnet-linked", "/"))),
      ["atoll-state", "notes.txt", "pid", "subnet-linked", join("subnet-main"), join("subnet-main", "notes.txt")],
    );
    assert.equal(folder.readSecret("root-key"), undefined);
    assert.throws(() => folder.storage("linked"), isCode("ENOTDIR", "subnet-linked"));
    assert.deepEqual(everyPath(outside), ["log-mark", "state-manifest"]);
    assert.equal(CheckpointStore.open(folder.storage("main")).height, undefined);
    folder.close();
  }));

test("clean removes the nodes of a network with all that is theirs, and follows no link", () =>
  withFolder((parent) => {
    const path = join(parent, "state");
    fill(path);
    const outside = join(parent, "outside");
    fs.mkdirSync(outside);
    fs.writeFileSync(join(outside, "thesis.txt"), "precious");
    for (const folder of ["nodes", "nodes-making"]) {
      fs.mkdirSync(join(path, folder, "node-1", "data"), { recursive: true });
      fs.writeFileSync(join(path, folder, "genesis.json"), "{}");
      fs.symlinkSync(outside, join(path, folder, "node-1", "linked"));
    }
    openStateFolder(path, { clean: true }).close();
    assert.ok(!fs.existsSync(join(path, "nodes")) && !fs.existsSync(join(path, "nodes-making")));
    assert.deepEqual(everyPath(outside), ["thesis.txt"]);
  }));

test("a node among many has folders of its own beside its subnet's", () =>
  withFolder((path) => {
    let folder = openStateFolder(path);
    folder.part("pool").append("artifacts", [Uint8Array.of(1)]);
    folder.part("registry").replace("1", Uint8Array.of(2));
    folder.close();
    folder = openStateFolder(path);
    assert.equal(folder.part("pool").size("artifacts"), 1);
    assert.deepEqual(folder.part("registry").list(), ["1"]);
    assert.deepEqual(folder.subnets(), []);
    folder.close();
  }));

test("the folder is taken once, also within one process", () =>
  withFolder((path) => {
    const folder = openStateFolder(path);
    assert.throws(() => openStateFolder(path), isCode("STATE_IN_USE", path, String(process.pid)));
    assert.throws(() => openStateFolder(path, { clean: true }), isCode("STATE_IN_USE"));
    folder.close();
    openStateFolder(path).close();
  }));

const HOLDER = `
  const { openStateFolder } = await import(${JSON.stringify(new URL("../src/state-folder.ts", import.meta.url).href)});
  openStateFolder(process.argv[1]);
  console.log("held");
  setInterval(() => {}, 1000);
`;

function holder(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", HOLDER, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((done, fail) => {
    child.stdout?.once("data", () => done(child));
    child.once("exit", () => fail(new Error("the other process ended early")));
  });
}

test("another process that holds the folder is named, and its death by SIGKILL frees it", () =>
  withFolder(async (path) => {
    for (let round = 0; round < 2; round++) {
      const child = await holder(path);
      try {
        assert.throws(() => openStateFolder(path), isCode("STATE_IN_USE", `process ${child.pid}`, "stop that network"));
        fs.writeFileSync(join(path, "pid"), "no number");
        assert.throws(() => openStateFolder(path), isCode("STATE_IN_USE", "another process"));
      } finally {
        const gone = new Promise((done) => child.once("exit", done));
        child.kill("SIGKILL");
        await gone;
      }
      openStateFolder(path).close();
    }
  }));

test("a folder that cannot be written is refused with advice", (context) => {
  if (process.platform === "win32" || process.getuid?.() === 0) return context.skip("needs an ordinary user");
  return withFolder((path) => {
    fs.chmodSync(path, 0o500);
    assert.throws(() => openStateFolder(path), isCode("EACCES", path, "permissions"));
    assert.throws(() => openStateFolder(join(path, "state")), isCode("EACCES", path, "permissions"));
    fs.chmodSync(path, 0o700);
  });
});
