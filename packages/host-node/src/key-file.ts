// Secret keys in a file of their own: readable by its owner alone, and sealed under a passphrase where one is given
// (scrypt, then AES-256-GCM). A file that others could read is refused before anything in it is used: its keys must be
// taken for known. The name is who the keys belong to; it is no secret, and is sealed with them. What is secret is in no
// error, and the passphrase neither.
import { createCipheriv, createDecipheriv, createHash, randomBytes, scryptSync } from "node:crypto";
import fs from "node:fs";
import { dirname, resolve } from "node:path";
import { EnvironmentError } from "@atoll/types/errors";
import { fileFailure } from "./storage-node.ts";

export interface KeyFile {
  /** Who the keys belong to: text that may be shown. */
  readonly name: string;
  readonly secret: Uint8Array;
}

/** The file as JSON. Bytes are in hex. */
interface StoredKeys {
  readonly format: typeof FORMAT;
  readonly name: string;
  readonly sealed?: SealParameters;
  /** The secret, or sealed: the ciphertext and its 16 bytes of tag. */
  readonly content: string;
  /** Of the plain secret; a seal has its own. */
  readonly check?: string;
}

interface SealParameters {
  readonly by: "scrypt, aes-256-gcm";
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelism: number;
  readonly salt: string;
  readonly nonce: string;
}

const FORMAT = "Atoll keys, version 1";
const MAX_FILE_BYTES = 64 * 1024;
const TAG_BYTES = 16;
/** About 0.3 s and 128 MiB for each guess at the passphrase. */
const COST = { cost: 2 ** 17, blockSize: 8, parallelism: 1 } as const;
/** What a file may ask for: whoever wrote it may not be us. */
const MAX_SCRYPT_BYTES = 1024 ** 3;

/**
 * Writes a new file, never over an old one. Durable when it returns. Throws EnvironmentError: KEYS_EXIST, or the code of
 * the system.
 */
export function writeKeyFile(path: string, keys: KeyFile, passphrase?: string): void {
  const text = `${JSON.stringify(passphrase === undefined ? plain(keys) : seal(keys, passphrase), undefined, 2)}\n`;
  if (fs.existsSync(path)) {
    throw new EnvironmentError("KEYS_EXIST", `The key file ${path} exists already: keys are never overwritten.`);
  }
  const temporary = `${path}.${process.pid}.writing`;
  try {
    const fd = fs.openSync(temporary, "wx", 0o600);
    try {
      fs.writeFileSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    // Unlike a rename, a link is never made over a file that came meanwhile.
    fs.linkSync(temporary, path);
    syncFolder(dirname(resolve(path)));
  } catch (error) {
    throw fileFailure("write the key file", path, error);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/**
 * Throws EnvironmentError: KEYS_EXPOSED when others could read the file, KEYS_CORRUPT, KEYS_SEALED when it needs a
 * passphrase, KEYS_WRONG_PASSPHRASE, or the code of the system (ENOENT, EACCES, ...).
 */
export function readKeyFile(path: string, passphrase?: string): KeyFile {
  const stored = parse(path, readPrivateFile(path));
  if (stored.sealed === undefined) return openPlain(path, stored);
  if (passphrase === undefined) {
    throw new EnvironmentError("KEYS_SEALED", `The key file ${path} is sealed: it needs its passphrase.`);
  }
  return unseal(path, stored, stored.sealed, passphrase);
}

/** Whether the file needs a passphrase. Throws as `readKeyFile`. */
export function isSealed(path: string): boolean {
  return parse(path, readPrivateFile(path)).sealed !== undefined;
}

/** A file with a secret in it, which must be its owner's alone. Throws EnvironmentError. */
export function readPrivateFile(path: string): string {
  let fd: number;
  try {
    fd = fs.openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw fileFailure("read the key file", path, error);
    throw new EnvironmentError("ENOENT", `There is no key file ${path}.`, { cause: error });
  }
  try {
    const stat = fs.fstatSync(fd);
    refuseExposed(path, stat);
    if (stat.size > MAX_FILE_BYTES) throw corrupt(path);
    return fs.readFileSync(fd, "utf8");
  } catch (error) {
    throw error instanceof EnvironmentError ? error : fileFailure("read the key file", path, error);
  } finally {
    fs.closeSync(fd);
  }
}

/** Modes say nothing on Windows. */
const HAS_MODES = process.platform !== "win32";
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

function refuseExposed(path: string, file: fs.Stats): void {
  if (!HAS_MODES) return;
  if ((file.mode & OTHERS) !== 0) {
    throw exposed(`The key file ${path} can be read by others (mode ${mode(file)})`, `chmod 600 ${path}`);
  }
  const uid = process.geteuid?.();
  if (uid !== undefined && uid !== 0 && file.uid !== uid) {
    throw exposed(`The key file ${path} belongs to another user`, `chown ${uid} ${path}`);
  }
  const folder = dirname(resolve(path));
  const folderStat = fs.statSync(folder);
  if ((folderStat.mode & OTHERS_WRITE) !== 0) {
    throw exposed(
      `The folder ${folder} of the key file can be written by others (mode ${mode(folderStat)})`,
      `chmod 700 ${folder}`,
    );
  }
}

function mode({ mode: bits }: fs.Stats): string {
  return (bits & 0o777).toString(8).padStart(3, "0");
}

function exposed(what: string, remedy: string): EnvironmentError {
  return new EnvironmentError(
    "KEYS_EXPOSED",
    `${what}: if nobody else can have used it, say "${remedy}" and start again, otherwise replace the keys.`,
  );
}

function plain({ name, secret }: KeyFile): StoredKeys {
  return { format: FORMAT, name, content: hex(secret), check: checkOf(name, secret) };
}

function openPlain(path: string, { name, content, check }: StoredKeys): KeyFile {
  const secret = Buffer.from(content, "hex");
  if (check !== checkOf(name, secret)) throw corrupt(path);
  return { name, secret: new Uint8Array(secret) };
}

/** Tells damage, not malice: whoever can write the file can also read it. */
function checkOf(name: string, secret: Uint8Array): string {
  return createHash("sha256").update(`${FORMAT}\n${name}\n`).update(secret).digest("hex").slice(0, 8);
}

function seal({ name, secret }: KeyFile, passphrase: string): StoredKeys {
  const parameters: SealParameters = {
    by: "scrypt, aes-256-gcm",
    ...COST,
    salt: hex(randomBytes(32)),
    nonce: hex(randomBytes(12)),
  };
  const cipher = createCipheriv("aes-256-gcm", sealKey(parameters, passphrase), Buffer.from(parameters.nonce, "hex"));
  cipher.setAAD(authenticated(name, parameters));
  const content = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  return { format: FORMAT, name, sealed: parameters, content: hex(content) };
}

function unseal(path: string, { name, content }: StoredKeys, parameters: SealParameters, passphrase: string): KeyFile {
  const bytes = Buffer.from(content, "hex");
  const key = sealKey(parameters, passphrase);
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(parameters.nonce, "hex"), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(authenticated(name, parameters));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const secret = Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
    return { name, secret: new Uint8Array(secret) };
  } catch {
    // The cause would hold nothing but that it is so.
    throw new EnvironmentError(
      "KEYS_WRONG_PASSPHRASE",
      `The key file ${path} does not open with this passphrase, or it is damaged.`,
    );
  }
}

function sealKey({ cost, blockSize, parallelism, salt }: SealParameters, passphrase: string): Buffer {
  const options = { cost, blockSize, parallelization: parallelism, maxmem: 2 * MAX_SCRYPT_BYTES };
  return scryptSync(passphrase.normalize("NFC"), Buffer.from(salt, "hex"), 32, options);
}

function authenticated(name: string, parameters: SealParameters): Buffer {
  const { by, cost, blockSize, parallelism, salt, nonce } = parameters;
  return Buffer.from(JSON.stringify([FORMAT, name, by, cost, blockSize, parallelism, salt, nonce]));
}

function parse(path: string, text: string): StoredKeys {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw corrupt(path);
  }
  const stored = value as Partial<StoredKeys> | null;
  const isWhole =
    typeof stored === "object" &&
    stored !== null &&
    stored.format === FORMAT &&
    typeof stored.name === "string" &&
    isHex(stored.content) &&
    (stored.sealed === undefined ? typeof stored.check === "string" : isSeal(stored.sealed, stored.content));
  if (!isWhole) throw corrupt(path);
  return stored as StoredKeys;
}

function isSeal(seal: Partial<SealParameters> | null, content: string): boolean {
  if (seal === null) return false;
  const { by, cost = 0, blockSize = 0, parallelism = 0, salt, nonce } = seal;
  const isCost = Number.isSafeInteger(cost) && cost > 1 && Number.isInteger(Math.log2(cost));
  const areSizes = [blockSize, parallelism].every((size) => Number.isSafeInteger(size) && size > 0 && size <= 64);
  const isBounded = 128 * cost * blockSize * parallelism <= MAX_SCRYPT_BYTES;
  const areLengths = isHex(salt, 32) && isHex(nonce, 12) && content.length >= 2 * TAG_BYTES;
  return by === "scrypt, aes-256-gcm" && isCost && areSizes && isBounded && areLengths;
}

function isHex(text: unknown, length?: number): text is string {
  if (typeof text !== "string" || text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return false;
  return length === undefined || text.length === 2 * length;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

function corrupt(path: string): EnvironmentError {
  return new EnvironmentError(
    "KEYS_CORRUPT",
    `The key file ${path} is damaged, or is none: restore a copy of it, or replace the node by one with new keys.`,
  );
}

/** Makes the name of a new file durable. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
