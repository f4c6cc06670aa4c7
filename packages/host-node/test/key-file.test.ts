// Key files: what was written is read, others' eyes are noticed, damage and a wrong passphrase are told apart from good
// files, and no secret is ever in the text of an error.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EnvironmentError } from "@atoll/types/errors";
import { isSealed, readKeyFile, writeKeyFile } from "../src/key-file.ts";

const folder = mkdtempSync(join(tmpdir(), "atoll-keys-"));
after(() => rmSync(folder, { recursive: true }));

const secret = Uint8Array.from({ length: 96 }, (_, i) => (i * 37 + 11) & 255);
const secretHex = Buffer.from(secret).toString("hex");
const PASSPHRASE = "five crabs under the pier";
let count = 0;
const newPath = () => join(folder, `keys-${count++}`);

/** The error's code; fails when a secret is in any of its texts. */
function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof EnvironmentError, String(error));
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      const text = `${cause.message} ${cause.stack}`;
      for (let at = 0; at + 16 <= secretHex.length; at += 16) assert.ok(!text.includes(secretHex.slice(at, at + 16)));
      assert.ok(!text.includes(PASSPHRASE) && !text.includes("guess"), text);
    }
    return error.code;
  }
  throw new Error("was not refused");
}

test("keys come back as they were written, with a passphrase and without", () => {
  for (const passphrase of [undefined, PASSPHRASE]) {
    const path = newPath();
    writeKeyFile(path, { name: "node-of-a-test", secret }, passphrase);
    assert.deepEqual(readKeyFile(path, passphrase), { name: "node-of-a-test", secret });
    assert.equal(isSealed(path), passphrase !== undefined);
  }
});

test("a sealed file holds nothing of the secret, and no two seals are alike", () => {
  const [first, second] = [newPath(), newPath()];
  writeKeyFile(first, { name: "a", secret }, PASSPHRASE);
  writeKeyFile(second, { name: "a", secret }, PASSPHRASE);
  const text = readFileSync(first, "utf8");
  for (let at = 0; at + 8 <= secretHex.length; at += 8) assert.ok(!text.includes(secretHex.slice(at, at + 8)));
  const contentOf = (path: string) => JSON.parse(readFileSync(path, "utf8")).content;
  assert.notEqual(contentOf(first), contentOf(second));
});

test("a file is its owner's alone from the moment it is there, and is never overwritten", { skip: noModes() }, () => {
  const path = newPath();
  const before = process.umask(0);
  try {
    writeKeyFile(path, { name: "a", secret });
  } finally {
    process.umask(before);
  }
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(
    refusal(() => writeKeyFile(path, { name: "b", secret })),
    "KEYS_EXIST",
  );
  assert.equal(readKeyFile(path).name, "a");
});

test("a file that others can read is refused, and so is one in a folder that they can write", {
  skip: noModes(),
}, () => {
  const path = newPath();
  writeKeyFile(path, { name: "a", secret });
  for (const mode of [0o640, 0o604, 0o620, 0o610]) {
    chmodSync(path, mode);
    assert.equal(
      refusal(() => readKeyFile(path)),
      "KEYS_EXPOSED",
      mode.toString(8),
    );
  }
  chmodSync(path, 0o400);
  readKeyFile(path);
  chmodSync(folder, 0o777);
  try {
    assert.equal(
      refusal(() => readKeyFile(path)),
      "KEYS_EXPOSED",
    );
  } finally {
    chmodSync(folder, 0o700);
  }
});

test("a wrong passphrase, none, and a changed file are refused, each in its own way", () => {
  const path = newPath();
  writeKeyFile(path, { name: "a", secret }, PASSPHRASE);
  assert.equal(
    refusal(() => readKeyFile(path)),
    "KEYS_SEALED",
  );
  assert.equal(
    refusal(() => readKeyFile(path, "a guess")),
    "KEYS_WRONG_PASSPHRASE",
  );
  // The name is shown to people, and belongs to the keys.
  changed(path, (file) => ({ ...file, name: "b" }));
  assert.equal(
    refusal(() => readKeyFile(path, PASSPHRASE)),
    "KEYS_WRONG_PASSPHRASE",
  );
});

test("damage is told whatever is damaged", () => {
  const path = newPath();
  writeKeyFile(path, { name: "a", secret });
  const whole = readFileSync(path, "utf8");
  const flipped = (file: Stored) => ({
    ...file,
    content: `${file.content[0] === "0" ? "1" : "0"}${file.content.slice(1)}`,
  });
  const changes: readonly ((file: Stored) => object | null)[] = [
    flipped,
    (file) => ({ ...file, name: "b" }),
    (file) => ({ ...file, content: file.content.slice(1) }),
    (file) => ({ ...file, content: 5 }),
    (file) => ({ ...file, format: "Atoll keys, version 2" }),
    (file) => ({ ...file, sealed: { by: "nobody" } }),
    (file) => ({ ...file, sealed: null }),
    () => null,
  ];
  for (const change of changes) {
    writeFileSync(path, whole);
    changed(path, change);
    assert.equal(
      refusal(() => readKeyFile(path)),
      "KEYS_CORRUPT",
    );
  }
  for (const text of ["", "{", whole.slice(0, 40), "x".repeat(100_000)]) {
    writeFileSync(path, text);
    assert.equal(
      refusal(() => readKeyFile(path)),
      "KEYS_CORRUPT",
    );
  }
});

test("a file cannot ask for more memory than a seal may take", () => {
  const path = newPath();
  writeKeyFile(path, { name: "a", secret }, PASSPHRASE);
  for (const part of [{ cost: 2 ** 30 }, { parallelism: 2 ** 20 }, { cost: 3 }, { blockSize: -1 }, { salt: "" }]) {
    const other = newPath();
    writeFileSync(other, readFileSync(path), { mode: 0o600 });
    changed(other, (file) => ({ ...file, sealed: { ...file.sealed, ...part } }));
    assert.equal(
      refusal(() => readKeyFile(other, PASSPHRASE)),
      "KEYS_CORRUPT",
    );
  }
});

interface Stored {
  readonly name: string;
  readonly content: string;
  readonly sealed?: object;
}

function changed(path: string, change: (file: Stored) => object | null): void {
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, "utf8")) as Stored)));
}

function noModes(): string | false {
  return process.platform === "win32" ? "there are no modes on Windows" : false;
}
