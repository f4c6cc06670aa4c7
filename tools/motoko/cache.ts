// Results of compilations, kept by content: the key is a SHA-256 over everything that goes into the compiler and over
// the compiler itself (package version and size of its code). Entries live under node_modules/.cache, which no
// repository keeps and `npm ci` throws away. An entry appears by a rename, so two processes that compile the same
// thing at once never see half an entry; a broken entry is compiled again.

import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface CompiledFiles {
  readonly wasm: Uint8Array;
  readonly candid: string;
  readonly stableTypes: string;
}

const FOLDER = fileURLToPath(new URL("../../node_modules/.cache/atoll/motoko/", import.meta.url));
const FORMAT = 1;
const WASM_MAGIC = 0x6d736100;

const underway = new Map<string, Promise<CompiledFiles>>();

export function cached(input: string, compile: () => Promise<CompiledFiles>): Promise<CompiledFiles> {
  const key = cacheKey(input);
  const existing = underway.get(key);
  if (existing !== undefined) return existing;
  const stored = read(key);
  if (stored !== null) return Promise.resolve(stored);
  const result = compile().then((files) => {
    write(key, files);
    return files;
  });
  underway.set(key, result);
  return result.finally(() => underway.delete(key));
}

function cacheKey(input: string): string {
  return createHash("sha256").update(`${FORMAT}\n${compilerIdentity()}\n`).update(input).digest("hex");
}

let identity: string | null = null;

function compilerIdentity(): string {
  if (identity === null) {
    const require = createRequire(import.meta.url);
    const { version } = JSON.parse(readFileSync(require.resolve("motoko/package.json"), "utf8")) as { version: string };
    const sizes = ["versions/latest/moc.min.js", "packages/latest/core.json"].map((file) => {
      return statSync(require.resolve(`motoko/${file}`)).size;
    });
    identity = [version, ...sizes].join(" ");
  }
  return identity;
}

/** An entry is one file: a line of JSON, then the module. */
function read(key: string): CompiledFiles | null {
  let entry: Buffer;
  try {
    entry = readFileSync(join(FOLDER, key));
  } catch {
    return null;
  }
  const end = entry.indexOf(10);
  const wasm = new Uint8Array(entry.subarray(end + 1));
  try {
    const head = JSON.parse(entry.toString("utf8", 0, end)) as { candid: string; stableTypes: string; size: number };
    if (head.size !== wasm.length || new DataView(wasm.buffer).getUint32(0, true) !== WASM_MAGIC) return null;
    return { wasm, candid: head.candid, stableTypes: head.stableTypes };
  } catch {
    return null;
  }
}

/** A cache that cannot be written (read-only checkout, full disk) costs time, not the result. */
function write(key: string, files: CompiledFiles): void {
  const temporary = join(FOLDER, `${key}.${randomUUID()}`);
  const head = { candid: files.candid, stableTypes: files.stableTypes, size: files.wasm.length };
  try {
    mkdirSync(FOLDER, { recursive: true });
    writeFileSync(temporary, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), files.wasm]));
    renameSync(temporary, join(FOLDER, key));
  } catch {
    rmSync(temporary, { force: true });
  }
}
