// The StoragePort on a folder of the machine, with node:fs, synchronous because a round must not wait.
//
// What it promises beyond the plain calls: `sync` makes the content and the name of a file durable, `replace` and
// `remove` are durable when they return, and an append that failed (full disk) leaves the file as it was, so that the
// next one goes on correctly. After a failed fdatasync the kernel may have dropped the bytes and would report
// success the next time; such a file refuses to be synced until it is cut back to what was durable, and whoever writes it has
// to start again (RESTART_NEEDED).
import fs from "node:fs";
import { join } from "node:path";
import { EnvironmentError, RESTART_NEEDED } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";

interface OpenFile {
  readonly fd: number;
  size: number;
  /** Size at the last sync that succeeded here; what a process before wrote may never have been synced. */
  synced: number;
  /** Something was written since the last sync. */
  isDirty: boolean;
  /** Bytes of a failed append may lie behind `size`. */
  hasRemains: boolean;
  hasFailedSync: boolean;
}

const MAX_OPEN_FILES = 128;
const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;
/** Ends the name of the new content while `replace` is under way. */
export const TEMPORARY = ".replacing";

export class NodeStorage implements StoragePort {
  readonly path: string;
  /** In the order of use. Their descriptors stay open until `close`. */
  readonly #files = new Map<string, OpenFile>();
  /** A name was made, or may have been by a process that was killed, and is not known durable. */
  #isFolderDirty = true;

  /** `path` is an existing folder that belongs to this storage alone. */
  constructor(path: string) {
    this.path = path;
    this.#try("open", path, () => {
      for (const name of fs.readdirSync(path)) {
        if (name.endsWith(TEMPORARY)) fs.rmSync(join(path, name), { force: true });
      }
    });
  }

  list(): string[] {
    const entries = this.#try("read", this.path, () => fs.readdirSync(this.path, { withFileTypes: true }));
    return entries
      .filter((entry) => entry.isFile() && NAME.test(entry.name) && !entry.name.endsWith(TEMPORARY))
      .map((entry) => entry.name)
      .sort();
  }

  size(name: string): number | undefined {
    return this.#open(name, "if it exists")?.size;
  }

  read(name: string, offset: number, length: number): Uint8Array {
    const file = this.#open(name, "must exist");
    const bytes = new Uint8Array(Math.max(0, Math.min(length, file.size - offset)));
    this.#try("read", name, () => {
      for (let at = 0; at < bytes.length; ) {
        const count = fs.readSync(file.fd, bytes, at, bytes.length - at, offset + at);
        if (count === 0) throw new Error("the file is shorter than it was");
        at += count;
      }
    });
    return bytes;
  }

  append(name: string, parts: readonly Uint8Array[]): void {
    const file = this.#open(name, "make");
    if (file.hasRemains) this.#cut(name, file, file.size);
    file.hasRemains = true;
    file.isDirty = true;
    let end: number;
    try {
      end = this.#try("write", name, () => writeAll(file.fd, parts, file.size));
    } catch (error) {
      // Best done at once; if it fails, the next append tries again before it writes.
      try {
        this.#cut(name, file, file.size);
      } catch {}
      throw error;
    }
    file.size = end;
    file.hasRemains = false;
  }

  sync(name: string): void {
    const file = this.#open(name, "must exist");
    if (file.hasFailedSync) throw this.#notSynced(name, "an earlier sync failed");
    file.hasFailedSync = true;
    try {
      fs.fdatasyncSync(file.fd);
    } catch (error) {
      throw this.#notSynced(name, error);
    }
    file.hasFailedSync = false;
    file.isDirty = false;
    file.synced = file.size;
    this.#syncFolder();
  }

  replace(name: string, content: Uint8Array): void {
    this.#check(name);
    const target = join(this.path, name);
    const temporary = target + TEMPORARY;
    this.#try("write", name, () => {
      try {
        const fd = fs.openSync(temporary, "w", 0o600);
        try {
          writeAll(fd, [content], 0);
          fs.fsyncSync(fd);
        } finally {
          fs.closeSync(fd);
        }
        this.#forget(name);
        fs.renameSync(temporary, target);
      } catch (error) {
        fs.rmSync(temporary, { force: true });
        throw error;
      }
    });
    this.#isFolderDirty = true;
    this.#syncFolder();
  }

  truncate(name: string, size: number): void {
    const file = this.#open(name, "must exist");
    if (size < file.size) this.#cut(name, file, size);
  }

  remove(name: string): void {
    this.#check(name);
    this.#forget(name);
    this.#try("remove", name, () => fs.unlinkSync(join(this.path, name)));
    this.#isFolderDirty = true;
    this.#syncFolder();
  }

  rename(name: string, to: string): void {
    this.#check(name);
    this.#check(to);
    this.#forget(name);
    this.#forget(to);
    this.#try("rename", name, () => fs.renameSync(join(this.path, name), join(this.path, to)));
    this.#isFolderDirty = true;
    this.#syncFolder();
  }

  /** Closes all descriptors. The storage can be used again; it opens what it needs. */
  close(): void {
    for (const name of [...this.#files.keys()]) this.#forget(name);
  }

  #open(name: string, mode: "make" | "must exist"): OpenFile;
  #open(name: string, mode: "if it exists"): OpenFile | undefined;
  #open(name: string, mode: "make" | "must exist" | "if it exists"): OpenFile | undefined {
    const known = this.#files.get(name);
    if (known !== undefined) {
      this.#files.delete(name);
      this.#files.set(name, known);
      return known;
    }
    this.#check(name);
    const path = join(this.path, name);
    const isThere = fs.existsSync(path);
    if (!isThere && mode === "if it exists") return undefined;
    return this.#try("open", name, () => {
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
      // A link in the state folder must not lead a write to somewhere else. Windows has no such flag.
      const flags = O_RDWR | (O_NOFOLLOW ?? 0) | (mode === "make" ? O_CREAT : 0);
      const fd = fs.openSync(path, flags, 0o600);
      const { size } = fs.fstatSync(fd);
      if (!isThere) this.#isFolderDirty = true;
      const file = { fd, size, synced: 0, isDirty: false, hasRemains: false, hasFailedSync: false };
      this.#files.set(name, file);
      this.#closeOldest();
      return file;
    });
  }

  #closeOldest(): void {
    if (this.#files.size <= MAX_OPEN_FILES) return;
    for (const [name, file] of this.#files) {
      // What a descriptor knows about failures must not be lost with it.
      if (file.isDirty || file.hasRemains || file.hasFailedSync) continue;
      this.#forget(name);
      return;
    }
  }

  #forget(name: string): void {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    fs.closeSync(file.fd);
  }

  #cut(name: string, file: OpenFile, size: number): void {
    this.#try("truncate", name, () => fs.ftruncateSync(file.fd, size));
    file.isDirty = true;
    file.size = size;
    file.hasRemains = false;
    if (size <= file.synced) {
      file.synced = size;
      file.hasFailedSync = false;
    }
  }

  #syncFolder(): void {
    if (!this.#isFolderDirty) return;
    // Windows has no handle for this and writes the names with the file system's own journal.
    if (process.platform !== "win32") {
      this.#try("sync", this.path, () => {
        const fd = fs.openSync(this.path, "r");
        try {
          fs.fsyncSync(fd);
        } finally {
          fs.closeSync(fd);
        }
      });
    }
    this.#isFolderDirty = false;
  }

  #check(name: string): void {
    if (!NAME.test(name) || name.endsWith(TEMPORARY)) throw new RangeError(`${name} is no name of a stored file`);
  }

  #try<T>(action: string, name: string, act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw error instanceof EnvironmentError ? error : this.#failure(action, name, error);
    }
  }

  #notSynced(name: string, cause: unknown): EnvironmentError {
    const why = typeof cause === "string" ? cause : ((cause as { code?: string }).code ?? String(cause));
    const sentence =
      `Could not sync ${join(this.path, name)} (${why}), so what was written last may be lost: check the disk; ` +
      "the next start goes on from what is there.";
    return new EnvironmentError(RESTART_NEEDED, sentence, { cause });
  }

  #failure(action: string, name: string, cause: unknown): EnvironmentError {
    return fileFailure(action, name === this.path ? name : join(this.path, name), cause);
  }
}

/** Writes all of `parts` from `position` on; returns the position behind them. */
function writeAll(fd: number, parts: readonly Uint8Array[], position: number): number {
  let rest = parts.filter((part) => part.length > 0);
  let at = position;
  while (rest.length > 0) {
    let written = fs.writevSync(fd, rest, at);
    at += written;
    while (rest[0] !== undefined && written >= rest[0].length) {
      written -= rest[0].length;
      rest = rest.slice(1);
    }
    if (written > 0) rest = [(rest[0] as Uint8Array).subarray(written), ...rest.slice(1)];
  }
  return at;
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space and try again",
  EDQUOT: "your quota on this disk is used up; free some space and try again",
  EFBIG: "the file has become too large for this disk or for the limit of this process (ulimit -f)",
  EACCES: "this user may not; change the permissions of the state folder, or choose another one",
  EPERM: "this user may not; change the permissions of the state folder, or choose another one",
  EROFS: "the disk is read-only; mount it for writing, or choose another state folder",
  EIO: "the disk reports an error; check it, copy the state folder to another disk, and start again",
  ENOENT: "it does not exist; it was removed while in use, or the state folder is not complete",
  EMFILE: "this process has too many open files; raise the limit (ulimit -n)",
  ENFILE: "this machine has too many open files; raise the limit or close other programs",
  EBUSY: "another program uses it; close that program",
  ELOOP: "it is a link; remove the link",
  ENOTDIR: "a part of the path is a file; choose another state folder",
  ENAMETOOLONG: "the path is too long; choose another state folder",
};

/** One sentence for the person at the terminal: what failed, on which file, and what to do. */
export function fileFailure(action: string, path: string, cause: unknown): EnvironmentError {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  const known = typeof code === "string" ? code : "EIO";
  const advice = ADVICE[known] ?? `${String(message)}; check the disk and start again`;
  return new EnvironmentError(known, `Could not ${action} ${path}: ${advice} (${known}).`, { cause });
}
