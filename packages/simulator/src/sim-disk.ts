// The disk of one node: what a machine keeps and what it loses. A crash stops it in the middle of any change, and what was
// not synced is lost or torn. Beyond that bits rot, writes land elsewhere, the disk is full, or each operation takes long.
// MemoryStorage keeps what is synced apart from what is not; here is what a checksum has to find. Section 24.1.
import { type CrashKind, MachineStopped, MemoryStorage } from "@atoll/state/store/memory-storage";
import type { StoragePort } from "@atoll/types";
import type { Random } from "./random.ts";

/** Bytes of a file that read other than they were written. */
interface Damage {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const SECTOR_BYTES = 512;
const SLASH = "/".charCodeAt(0);
/** Names of files that a folder keeps with its own before them. */
const MAX_PATHS = 100;

export class SimDisk {
  /** Virtual time that one operation takes. */
  operationNs = 0;
  /** Virtual time that operations took since somebody looked. */
  spentNs = 0;
  readonly #storage = new MemoryStorage();
  readonly #random: Random;
  #damages: Damage[] = [];
  #misdirects = false;
  #isStopped = false;
  #starts = 0;
  /** Files that have something that was not synced. */
  readonly #unsynced = new Set<string>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** A folder of it, as a port: until the machine starts again. */
  folder(name: string): StoragePort {
    const prefix = `${name}/`;
    const starts = this.#starts;
    const paths = new Map<string, string>();
    // Few files, and each is written to many times.
    const path = (file: string): string => {
      let known = paths.get(file);
      if (known === undefined) {
        if (paths.size >= MAX_PATHS) paths.clear();
        known = prefix + file;
        paths.set(file, known);
      }
      return known;
    };
    const guard = <T>(operation: () => T): T => {
      if (starts !== this.#starts) throw new MachineStopped("the machine that this port was on is gone");
      return this.#guard(operation);
    };
    return {
      list: () =>
        guard(() => {
          const files = this.#storage.list().filter((file) => file.startsWith(prefix));
          return files.map((file) => file.slice(prefix.length));
        }),
      size: (file) => guard(() => this.#storage.size(path(file))),
      read: (file, offset, length) => guard(() => this.#read(path(file), offset, length)),
      append: (file, parts) => guard(() => this.#append(path(file), parts)),
      sync: (file) =>
        guard(() => {
          this.#storage.sync(path(file));
          this.#unsynced.delete(path(file));
        }),
      replace: (file, content) =>
        guard(() => {
          this.#storage.replace(path(file), content);
          this.#forgetDamage(path(file), 0);
        }),
      truncate: (file, size) =>
        guard(() => {
          this.#storage.truncate(path(file), size);
          this.#forgetDamage(path(file), size);
        }),
      remove: (file) =>
        guard(() => {
          this.#storage.remove(path(file));
          this.#forgetDamage(path(file), 0);
        }),
      rename: (file, to) =>
        this.#guard(() => {
          this.#storage.rename(path(file), path(to));
          this.#forgetDamage(path(to), 0);
          this.#damages = this.#damages.map((each) => (each.name === path(file) ? { ...each, name: path(to) } : each));
        }),
    };
  }

  /** The machine stopped in an operation: whoever runs on it is gone. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Lets so many changes through and stops the machine in the middle of the one after them. */
  stopAfter(changes: number): void {
    this.#storage.stopAfter(changes, (below) => this.#random.below(below));
  }

  /** Whether a crash now could take back something that was written to the folder. */
  hasUnsynced(folder: string): boolean {
    for (const name of this.#unsynced)
      if (name.startsWith(folder) && name.charCodeAt(folder.length) === SLASH) return true;
    return false;
  }

  /** The power comes back: what is there now is what the crash left. */
  restart(keep: CrashKind): void {
    this.#starts++;
    this.#unsynced.clear();
    this.#storage.crash({ keep, random: (below) => this.#random.below(below) });
    this.#isStopped = false;
    this.#misdirects = false;
    this.#damages = this.#damages.filter(({ name, offset }) => (this.#storage.size(name) ?? 0) > offset);
  }

  /** Another, empty disk is put in. */
  empty(): void {
    this.restart("all");
    for (const name of this.#storage.list()) this.#storage.remove(name);
    this.#damages = [];
  }

  /** One bit of what is stored changes; false: there is nothing. */
  rot(): boolean {
    const names = this.#storage.list().filter((name) => (this.#storage.size(name) ?? 0) > 0);
    if (names.length === 0) return false;
    const name = this.#random.pick(names);
    const offset = this.#random.below(this.#storage.size(name) ?? 0);
    const bytes = this.#read(name, offset, 1);
    bytes[0] = (bytes[0] ?? 0) ^ (1 << this.#random.below(8));
    this.#damages.push({ name, offset, bytes });
    return true;
  }

  /** The next append is written over a place of some file instead of where it belongs. */
  misdirectNext(): void {
    this.#misdirects = true;
  }

  /** No byte more fits; false: there is room again. */
  setFull(isFull: boolean): void {
    this.#storage.capacity = isFull ? this.usedBytes : Number.POSITIVE_INFINITY;
  }

  get usedBytes(): number {
    return this.#storage.list().reduce((sum, name) => sum + (this.#storage.size(name) ?? 0), 0);
  }

  /** Changes so far. */
  get changes(): number {
    return this.#storage.operations;
  }

  #guard<T>(operation: () => T): T {
    this.spentNs += this.operationNs;
    try {
      return operation();
    } catch (error) {
      if (error instanceof MachineStopped) this.#isStopped = true;
      throw error;
    }
  }

  #read(name: string, offset: number, length: number): Uint8Array {
    const bytes = this.#storage.read(name, offset, length);
    for (const damage of this.#damages) {
      if (damage.name !== name) continue;
      for (let i = 0; i < damage.bytes.length; i++) {
        const at = damage.offset + i - offset;
        if (at >= 0 && at < bytes.length) bytes[at] = damage.bytes[i] as number;
      }
    }
    return bytes;
  }

  #append(name: string, parts: readonly Uint8Array[]): void {
    const offset = this.#storage.size(name) ?? 0;
    this.#storage.append(name, parts);
    this.#unsynced.add(name);
    if (!this.#misdirects) return;
    this.#misdirects = false;
    const written = (this.#storage.size(name) ?? 0) - offset;
    const content = this.#storage.read(name, offset, Math.min(written, SECTOR_BYTES));
    const victim = this.#random.pick(this.#storage.list());
    const place = this.#random.below(Math.ceil((this.#storage.size(victim) ?? 0) / SECTOR_BYTES) + 1) * SECTOR_BYTES;
    this.#damages.push({ name: victim, offset: place, bytes: content });
    this.#damages.push({ name, offset, bytes: new Uint8Array(content.length) });
  }

  #forgetDamage(name: string, from: number): void {
    if (from === 0) this.#unsynced.delete(name);
    this.#damages = this.#damages.filter((damage) => damage.name !== name || damage.offset < from);
  }
}
