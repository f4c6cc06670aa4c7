// The folder that a network lives in: who may use it, in which format it is (atoll-state: one line, whose presence makes the
// folder ours), and where its parts lie. lock.sqlite is held by the running program: SQLite locks it the right way on each
// system, which lets go when the process dies, however it dies. pid says who holds it. secret-<name> are keys and other small
// files with a checksum, readable by the owner only; subnet-<name> is the StoragePort of one subnet. A node among many has
// pool, what it vouches for and must never forget, and registry, the records that it knows. A network of many nodes on this
// machine has nodes, with their keys and a state folder for each.
// Only files with these names are ever removed, nodes with all that is in it, and only for `clean`.
import fs from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { isStateFile } from "@atoll/state/store/state-files";
import { EnvironmentError } from "@atoll/types/errors";
import { NODES_FOLDER, NODES_MAKING } from "./nodes-folder.ts";
import { fileFailure, NodeStorage, TEMPORARY } from "./storage-node.ts";

/** The version of the folder's format that this program reads and writes. */
export const STATE_FORMAT = 1;

export interface StateFolder {
  /** Absolute. */
  readonly path: string;
  /** The files of one subnet; made when missing. `subnet` is a name of lower-case letters, digits and dashes. */
  storage(subnet: string): NodeStorage;
  /** The files of a node among many beside its subnet's; made when missing. */
  part(name: NodePart): NodeStorage;
  /** Names of the subnets that have files here, sorted. */
  subnets(): string[];
  /** The secret, undefined when it was never written; throws STATE_CORRUPT when it is not what was written. */
  readSecret(name: string): Uint8Array | undefined;
  /** Durable when it returns; readable by the owner only. */
  writeSecret(name: string, bytes: Uint8Array): void;
  /** Closes all files and lets others use the folder. */
  close(): void;
}

export type NodePart = "pool" | "registry";

const NODE_PARTS: readonly string[] = ["pool", "registry"] satisfies NodePart[];
const FORMAT_FILE = "atoll-state";
const LOCK_FILE = "lock.sqlite";
const PID_FILE = "pid";
const PART_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

/**
 * Opens, or makes, a state folder and takes it for this process. With `clean`, everything that Atoll keeps in it is
 * removed first. Throws EnvironmentError: STATE_IN_USE, STATE_VERSION, STATE_CORRUPT, STATE_FOREIGN, or the code of
 * the system (EACCES, EROFS, ENOSPC, ...).
 */
export function openStateFolder(path: string, options: { readonly clean?: boolean } = {}): StateFolder {
  const absolute = resolve(path);
  makeFolder(absolute);
  const isClean = options.clean === true;
  requireOurs(absolute, isClean);
  const lock = takeLock(absolute);
  try {
    const root = new NodeStorage(absolute);
    if (isClean) removeContent(absolute, root);
    if (root.size(FORMAT_FILE) === undefined) root.replace(FORMAT_FILE, formatLine(STATE_FORMAT));
    else checkFormat(absolute, root);
    return stateFolder(absolute, root, lock);
  } catch (error) {
    lock.close();
    throw error;
  }
}

function stateFolder(path: string, root: NodeStorage, lock: DatabaseSync): StateFolder {
  const storages = new Map<string, NodeStorage>();
  const storageIn = (name: string): NodeStorage => {
    let storage = storages.get(name);
    if (storage === undefined) {
      storage = new NodeStorage(partFolder(path, name));
      storages.set(name, storage);
    }
    return storage;
  };
  return {
    path,
    storage(subnet) {
      requirePartName(subnet);
      return storageIn(`subnet-${subnet}`);
    },
    part: storageIn,
    subnets() {
      return fs
        .readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && isSubnetFolder(entry.name))
        .map((entry) => entry.name.slice("subnet-".length))
        .sort();
    },
    readSecret(name) {
      requirePartName(name);
      return readSecret(path, root, `secret-${name}`);
    },
    writeSecret(name, bytes) {
      requirePartName(name);
      root.replace(`secret-${name}`, encodeSecret(bytes));
    },
    close() {
      for (const storage of storages.values()) storage.close();
      root.close();
      fs.rmSync(join(path, PID_FILE), { force: true });
      lock.close();
    },
  };
}

function makeFolder(path: string): void {
  try {
    makeWithParents(path);
    if (!fs.statSync(path).isDirectory()) throw fileFailure("use the state folder", path, { code: "ENOTDIR" });
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    throw error instanceof EnvironmentError ? error : fileFailure("use the state folder", path, error);
  }
}

/** One by one: `recursive` answers ENOENT where the reason is a disk that cannot be written. */
function makeWithParents(path: string): void {
  if (fs.existsSync(path)) return;
  makeWithParents(dirname(path));
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another start may have been quicker.
    if (!fs.existsSync(path)) throw error;
  }
}

/** Refuses a folder with somebody else's files in it, before anything is written there. */
function requireOurs(path: string, isClean: boolean): void {
  const names = fs.readdirSync(path).filter((name) => !isLockFile(name));
  if (names.length === 0 || names.includes(FORMAT_FILE)) return;
  const foreign = names.find((name) => !isOurName(name));
  if (foreign !== undefined) {
    throw new EnvironmentError(
      "STATE_FOREIGN",
      `The folder ${path} is not a state folder of Atoll and holds other files (${foreign}). Nothing was changed; ` +
        "choose an empty or a new folder.",
    );
  }
  if (!isClean && names.some((name) => !name.endsWith(TEMPORARY))) throw corrupt(path, FORMAT_FILE, "it is missing");
}

function takeLock(path: string): DatabaseSync {
  const file = join(path, LOCK_FILE);
  const sqlite = process.getBuiltinModule("node:sqlite");
  let database: DatabaseSync | undefined;
  try {
    // The mode of a new file; an old one keeps its own. SQLite itself has no option for it.
    if (!fs.existsSync(file)) fs.closeSync(fs.openSync(file, "a", 0o600));
    database = new sqlite.DatabaseSync(file, { timeout: 0 });
    // Nothing is ever stored in it, so there is nothing to journal.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    fs.writeFileSync(join(path, PID_FILE), `${process.pid}\n`, { mode: 0o600 });
    return database;
  } catch (error) {
    database?.close();
    const { errcode, code, errstr } = error as { errcode?: number; code?: unknown; errstr?: string };
    if (errcode === SQLITE_BUSY) throw inUse(path);
    if (errcode === SQLITE_FULL) throw fileFailure("lock", file, { code: "ENOSPC" });
    if (code !== "ERR_SQLITE_ERROR") throw fileFailure("lock", file, error);
    throw new EnvironmentError(
      "STATE_LOCK",
      `The state folder ${path} cannot be locked (${errstr}): make sure that no other Atoll uses it and that its disk ` +
        `supports file locks, remove ${file}, and start again.`,
      { cause: error },
    );
  }
}

function inUse(path: string): EnvironmentError {
  let pid = "";
  try {
    pid = fs.readFileSync(join(path, PID_FILE), "latin1").trim();
  } catch {}
  const who = /^\d{1,10}$/.test(pid) ? `the process ${pid}` : "another process";
  return new EnvironmentError(
    "STATE_IN_USE",
    `The state folder ${path} is in use by ${who}: stop that network first, or choose another state folder.`,
  );
}

function formatLine(version: number): Uint8Array {
  const text = `Atoll state folder, format ${version}`;
  return Buffer.from(`${text}, check ${crc32(text).toString(16).padStart(8, "0")}\n`, "latin1");
}

function checkFormat(path: string, root: NodeStorage): void {
  const line = Buffer.from(root.read(FORMAT_FILE, 0, 256)).toString("latin1");
  const version = Number(/^Atoll state folder, format (\d{1,9}), check [0-9a-f]{8}\n$/.exec(line)?.[1] ?? Number.NaN);
  if (!Buffer.from(line, "latin1").equals(formatLine(version)))
    throw corrupt(path, FORMAT_FILE, "its content is wrong");
  if (version === STATE_FORMAT) return;
  throw new EnvironmentError(
    "STATE_VERSION",
    `The state folder ${path} has format version ${version}, and this program reads version ${STATE_FORMAT}. Nothing ` +
      "was changed; use the program that wrote the folder, choose another folder, or start again with --clean, which " +
      "deletes the state of this network.",
  );
}

const SECRET_HEADER_BYTES = 16;

/** "ATOLLKEY", length u32, CRC-32 of the length and the bytes u32, bytes. */
function encodeSecret(bytes: Uint8Array): Uint8Array {
  const content = Buffer.alloc(SECRET_HEADER_BYTES + bytes.length);
  content.write("ATOLLKEY", "latin1");
  content.writeUInt32BE(bytes.length, 8);
  content.set(bytes, SECRET_HEADER_BYTES);
  content.writeUInt32BE(crc32(bytes, crc32(content.subarray(8, 12))), 12);
  return content;
}

function readSecret(path: string, root: NodeStorage, file: string): Uint8Array | undefined {
  const size = root.size(file);
  if (size === undefined) return undefined;
  const content = root.read(file, 0, size);
  const bytes = content.slice(SECRET_HEADER_BYTES);
  if (!Buffer.from(content).equals(encodeSecret(bytes))) throw corrupt(path, file, "its checksum is wrong");
  return bytes;
}

function partFolder(path: string, name: string): string {
  const folder = join(path, name);
  try {
    if (!fs.existsSync(folder)) fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    throw fileFailure("make", folder, error);
  }
  // A link would let the state, and a clean, reach outside of the folder.
  if (!fs.lstatSync(folder).isDirectory()) throw fileFailure("use", folder, { code: "ENOTDIR" });
  return folder;
}

/** The format file goes first: without it, a clean that was interrupted can only be followed by another one. */
function removeContent(path: string, root: NodeStorage): void {
  try {
    if (root.size(FORMAT_FILE) !== undefined) root.remove(FORMAT_FILE);
    for (const entry of fs.readdirSync(path, { withFileTypes: true })) {
      const inside = join(path, entry.name);
      if (entry.isDirectory() && isSubnetFolder(entry.name)) removeSubnet(inside);
      else if (entry.isDirectory() && isNodesFolder(entry.name)) fs.rmSync(inside, { recursive: true });
      else if (!entry.isDirectory() && isSecretFile(entry.name)) fs.unlinkSync(inside);
    }
  } catch (error) {
    throw error instanceof EnvironmentError ? error : fileFailure("clean", path, error);
  }
}

function removeSubnet(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() && isStoreFile(entry.name)) fs.unlinkSync(join(folder, entry.name));
  }
  if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
}

function isOurName(name: string): boolean {
  if (name === FORMAT_FILE || name === FORMAT_FILE + TEMPORARY) return true;
  return isSecretFile(name) || isSubnetFolder(name) || isNodesFolder(name) || NODE_PARTS.includes(name);
}

/** Everything in it is ours. */
function isNodesFolder(name: string): boolean {
  return name === NODES_FOLDER || name === NODES_MAKING;
}

function isLockFile(name: string): boolean {
  return name === LOCK_FILE || name === `${LOCK_FILE}-journal` || name === PID_FILE;
}

function isSecretFile(name: string): boolean {
  return /^secret-[a-z0-9-]+$/.test(withoutTemporary(name));
}

function isSubnetFolder(name: string): boolean {
  return /^subnet-[a-z0-9-]+$/.test(name);
}

function isStoreFile(name: string): boolean {
  return isStateFile(withoutTemporary(name));
}

function withoutTemporary(name: string): string {
  return name.endsWith(TEMPORARY) ? name.slice(0, -TEMPORARY.length) : name;
}

function requirePartName(name: string): void {
  if (!PART_NAME.test(name)) throw new RangeError(`${name} is no name of a part of the state folder`);
}

function corrupt(path: string, file: string, what: string): EnvironmentError {
  return new EnvironmentError(
    "STATE_CORRUPT",
    `The file ${file} in the state folder ${path} is damaged: ${what}. Nothing was changed; restore a copy of the ` +
      "whole state folder, or start again with --clean, which deletes the state of this network.",
  );
}
