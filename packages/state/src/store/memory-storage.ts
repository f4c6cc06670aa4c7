// A StoragePort without a disk, for tests, the browser and the fault simulator. It keeps apart what a program sees
// and what a power cut leaves, can stop in the middle of any operation, and can be full.
import { EnvironmentError } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";

interface MemoryFile {
  bytes: Uint8Array;
  size: number;
  /** The first `synced` bytes are durable ... */
  synced: number;
  /** ... unless what is durable is something else altogether; undefined: see above, null: no file. */
  durable: Uint8Array | null | undefined;
}

/**
 * What is there after a crash. "all": the process was killed, and the page cache lives on. "synced": the power was
 * cut, and nothing is left that was not synced. "torn": the power was cut, and any part of the rest may be there,
 * with sectors of zeros where a write got lost.
 */
export type CrashKind = "all" | "synced" | "torn";

/** A whole number from 0 to `below` - 1. */
export type RandomBelow = (below: number) => number;

/** Thrown by the operation that the machine stopped in, and by every later one until `crash`. */
export class MachineStopped extends Error {
  override name = "MachineStopped";
}

const SECTOR_BYTES = 512;

export class MemoryStorage implements StoragePort {
  readonly #files = new Map<string, MemoryFile>();
  /** Bytes that all files together can have. */
  capacity = Number.POSITIVE_INFINITY;
  /** Changing operations so far (append, sync, replace, truncate, remove, rename). */
  operations = 0;
  #stop: { after: number; random: RandomBelow } | undefined;
  #isStopped = false;

  list(): string[] {
    this.#requireRunning();
    return [...this.#files.keys()].sort();
  }

  size(name: string): number | undefined {
    this.#requireRunning();
    return this.#files.get(name)?.size;
  }

  read(name: string, offset: number, length: number): Uint8Array {
    this.#requireRunning();
    const file = this.#require(name);
    return file.bytes.slice(Math.min(offset, file.size), Math.min(offset + length, file.size));
  }

  append(name: string, parts: readonly Uint8Array[]): void {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    this.#operate(
      (random) => {
        const torn = join(parts, size).subarray(0, random(size + 1));
        this.#extend(name, [torn], torn.length);
      },
      () => {
        if (!this.#hasRoom(size)) throw full(name);
        this.#extend(name, parts, size);
      },
    );
  }

  sync(name: string): void {
    const sync = () => {
      const file = this.#require(name);
      file.synced = file.size;
      file.durable = undefined;
    };
    this.#operate((random) => random(2) === 1 && sync(), sync);
  }

  replace(name: string, content: Uint8Array): void {
    const replace = (isDurable: boolean) => {
      const before = this.#files.get(name);
      const durable = isDurable ? undefined : before === undefined ? null : durableContent(before);
      this.#files.set(name, { bytes: content.slice(), size: content.length, synced: content.length, durable });
    };
    this.#operate(
      (random) => {
        const outcome = random(3);
        if (outcome > 0) replace(outcome === 2);
      },
      () => {
        if (!this.#hasRoom(content.length)) throw full(name);
        replace(true);
      },
    );
  }

  truncate(name: string, size: number): void {
    const truncate = () => {
      const file = this.#require(name);
      if (size >= file.size) return;
      if (size < file.synced && file.durable === undefined) file.durable = file.bytes.slice(0, file.synced);
      file.synced = Math.min(file.synced, size);
      file.size = size;
    };
    this.#operate((random) => random(2) === 1 && truncate(), truncate);
  }

  remove(name: string): void {
    const remove = () => {
      this.#require(name);
      this.#files.delete(name);
    };
    this.#operate((random) => random(2) === 1 && remove(), remove);
  }

  rename(name: string, to: string): void {
    const rename = () => {
      this.#files.set(to, this.#require(name));
      this.#files.delete(name);
    };
    this.#operate((random) => random(2) === 1 && rename(), rename);
  }

  /** Lets `operations` more changes through and stops in the middle of the one after them. */
  stopAfter(operations: number, random: RandomBelow): void {
    this.#stop = { after: this.operations + operations, random };
  }

  /** The machine starts again: afterwards this is the disk as the crash left it. */
  crash({ keep, random }: { keep: CrashKind; random: RandomBelow }): void {
    this.#stop = undefined;
    this.#isStopped = false;
    if (keep === "all") return;
    for (const [name, file] of this.#files) {
      const content = keep === "synced" ? durableContent(file) : tornContent(file, random);
      if (content === null) this.#files.delete(name);
      else this.#files.set(name, { bytes: content, size: content.length, synced: content.length, durable: undefined });
    }
  }

  /** A copy that shares nothing; everything in it is durable. */
  clone(): MemoryStorage {
    const copy = new MemoryStorage();
    for (const [name, file] of this.#files) copy.replace(name, file.bytes.subarray(0, file.size));
    copy.operations = 0;
    return copy;
  }

  #operate(partly: (random: RandomBelow) => unknown, wholly: () => void): void {
    this.#requireRunning();
    if (this.#stop !== undefined && this.operations >= this.#stop.after) {
      this.#isStopped = true;
      partly(this.#stop.random);
      throw new MachineStopped("the machine stopped");
    }
    this.operations++;
    wholly();
  }

  #requireRunning(): void {
    if (this.#isStopped) throw new MachineStopped("the machine has stopped");
  }

  #require(name: string): MemoryFile {
    const file = this.#files.get(name);
    if (file === undefined) throw new EnvironmentError("ENOENT", `There is no file ${name} in the storage.`);
    return file;
  }

  /** `added`: bytes of all parts. */
  #extend(name: string, parts: readonly Uint8Array[], added: number): void {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { bytes: new Uint8Array(0), size: 0, synced: 0, durable: null };
      this.#files.set(name, file);
    }
    const size = file.size + added;
    if (size > file.bytes.length) {
      const grown = new Uint8Array(Math.max(size, 2 * file.bytes.length));
      grown.set(file.bytes.subarray(0, file.size));
      file.bytes = grown;
    }
    for (const part of parts) {
      file.bytes.set(part, file.size);
      file.size += part.length;
    }
  }

  #hasRoom(added: number): boolean {
    if (this.capacity === Number.POSITIVE_INFINITY) return true;
    let sum = added;
    for (const file of this.#files.values()) sum += file.size;
    return sum <= this.capacity;
  }
}

function durableContent(file: MemoryFile): Uint8Array | null {
  return file.durable === undefined ? file.bytes.slice(0, file.synced) : file.durable;
}

function tornContent(file: MemoryFile, random: RandomBelow): Uint8Array | null {
  if (file.durable !== undefined && random(2) === 0) return file.durable;
  const length = file.synced + random(file.size - file.synced + 1);
  const content = file.bytes.slice(0, length);
  for (let start = file.synced; start < length; ) {
    const end = Math.min(length, start - (start % SECTOR_BYTES) + SECTOR_BYTES);
    if (random(4) === 0) content.fill(0, start, end);
    start = end;
  }
  return content;
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function full(name: string): EnvironmentError {
  return new EnvironmentError("ENOSPC", `The disk is full: ${name} could not be written; free some space.`);
}
