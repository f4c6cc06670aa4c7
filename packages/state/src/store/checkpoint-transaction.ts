// One transaction of the checkpoint store: writes records as they come and remembers what the index has to take in
// once they are committed. Reads do not see it until then.
import { invariant } from "@atoll/types/errors";
import type { Height } from "@atoll/types/units";
import type { CheckpointIndex } from "./checkpoint-index.ts";
import {
  ENTRY_HEADER_BYTES,
  EntryKind,
  isZeroPage,
  MAX_NAME_BYTES,
  MAX_PAGE_INDEX,
  MAX_VALUE_BYTES,
  PAGE_BYTES,
  REGION_PAGES,
} from "./checkpoint-records.ts";
import type { SegmentWriter } from "./segment-writer.ts";

const ENCODER = new TextEncoder();

/** A memory that a commit changed. */
export interface TouchedMemory {
  /** The memory that it was the same as before, but for the regions: mostly itself; undefined: it is new, or gone. */
  readonly base: string | undefined;
  /** Numbers of stretches of 256 pages that were written. */
  readonly regions: Set<number>;
}

/** What one commit may have changed. */
export interface Touched {
  /** Height of the commit before. */
  readonly since: Height | undefined;
  readonly keys: ReadonlySet<string>;
  readonly memories: ReadonlyMap<string, TouchedMemory>;
}

export class CheckpointTransaction {
  readonly #writer: SegmentWriter;
  readonly #index: CheckpointIndex;
  readonly #steps: ((index: CheckpointIndex) => void)[] = [];
  /** Triples: memory, page index, place. */
  readonly #pages: number[] = [];
  readonly #putKeys = new Set<string>();
  readonly #numbers = new Map<string, number | undefined>();
  readonly #touchedKeys = new Set<string>();
  readonly #touchedMemories = new Map<string, TouchedMemory>();
  #nextMemory: number;

  constructor(writer: SegmentWriter, index: CheckpointIndex) {
    this.#writer = writer;
    this.#index = index;
    this.#nextMemory = index.nextMemory;
  }

  put(key: string, value: Uint8Array): void {
    invariant(value.length <= MAX_VALUE_BYTES, "a value of the checkpoint store has at most 1 GiB");
    const name = nameBytes(key);
    const place = this.#writer.named(EntryKind.PUT, name, value.length, value);
    const size = ENTRY_HEADER_BYTES + name.length + value.length;
    this.#putKeys.add(key);
    this.#touchedKeys.add(key);
    this.#steps.push((index) => index.putKey(key, { place, size }));
  }

  delete(key: string): void {
    if (!this.#index.keys.has(key) && !this.#putKeys.has(key)) return;
    this.#writer.named(EntryKind.DELETE, nameBytes(key), 0);
    this.#touchedKeys.add(key);
    this.#steps.push((index) => index.deleteKey(key));
  }

  putPage(memory: string, index: number, bytes: Uint8Array): void {
    invariant(bytes.length === PAGE_BYTES, "a page has 4,096 bytes");
    invariant(Number.isInteger(index) && index >= 0 && index <= MAX_PAGE_INDEX, "a page index is below 2^32 - 1");
    const number = this.#numberOf(memory) ?? this.#nameMemory(memory);
    this.#touched(memory).regions.add(Math.floor(index / REGION_PAGES));
    const isZero = isZeroPage(bytes);
    const place = this.#writer.page(number, index, bytes, isZero);
    this.#pages.push(number, index, isZero ? -place : place);
  }

  /** The committed pages of `source`; its memory must not have been written in this transaction yet. */
  cloneMemory(memory: string, source: string): void {
    const from = this.#index.memory(source)?.number;
    invariant(from !== undefined && this.#numberOf(memory) === undefined, "a clone is a new memory of a committed one");
    this.#touchedMemories.set(memory, { base: source, regions: new Set() });
    const number = this.#nameMemory(memory);
    this.#writer.clone(number, from);
    this.#steps.push((index) => index.cloneMemory(number, from));
  }

  dropMemory(memory: string): void {
    const number = this.#numberOf(memory);
    if (number === undefined) return;
    this.#touchedMemories.set(memory, { base: undefined, regions: new Set() });
    this.#writer.drop(number);
    this.#numbers.set(memory, undefined);
    this.#steps.push((index) => index.dropMemory(number));
  }

  /** Writes a live record again, for compaction. */
  copyKey(key: string, record: Uint8Array): void {
    const place = this.#writer.copy(record);
    this.#steps.push((index) => index.putKey(key, { place, size: record.length }));
  }

  copyMemory(number: number, name: string, record: Uint8Array): void {
    const place = this.#writer.copy(record);
    this.#steps.push((index) => index.nameMemory(number, name, { place, size: record.length }));
  }

  /** `owner`: the memory that the record names; a clone gets a record of its own. */
  copyPage(number: number, index: number, record: Uint8Array, owner: number): void {
    const isZero = record.length === ENTRY_HEADER_BYTES;
    const place =
      owner === number
        ? this.#writer.copy(record)
        : this.#writer.page(number, index, record.subarray(ENTRY_HEADER_BYTES), isZero);
    this.#pages.push(number, index, isZero ? -place : place);
  }

  /** What it changes, but for compaction. */
  touched(since: Height | undefined): Touched {
    return { since, keys: this.#touchedKeys, memories: this.#touchedMemories };
  }

  #touched(memory: string): TouchedMemory {
    let touched = this.#touchedMemories.get(memory);
    if (touched === undefined) {
      touched = { base: this.#index.memory(memory) === undefined ? undefined : memory, regions: new Set() };
      this.#touchedMemories.set(memory, touched);
    }
    return touched;
  }

  /** Takes the committed transaction into the index. */
  apply(): void {
    const index = this.#index;
    for (const step of this.#steps) step(index);
    for (let i = 0; i < this.#pages.length; i += 3) {
      const number = this.#pages[i] as number;
      // A memory that the same transaction dropped again has left its pages behind as garbage.
      if (!index.memories.has(number)) continue;
      index.setPage(number, this.#pages[i + 1] as number, this.#pages[i + 2] as number);
    }
    index.nextMemory = Math.max(index.nextMemory, this.#nextMemory);
  }

  #numberOf(memory: string): number | undefined {
    return this.#numbers.has(memory) ? this.#numbers.get(memory) : this.#index.memory(memory)?.number;
  }

  #nameMemory(memory: string): number {
    const number = this.#nextMemory++;
    const name = nameBytes(memory);
    const place = this.#writer.named(EntryKind.MEMORY, name, number);
    const size = ENTRY_HEADER_BYTES + name.length;
    this.#numbers.set(memory, number);
    this.#steps.push((index) => index.nameMemory(number, memory, { place, size }));
    return number;
  }
}

function nameBytes(name: string): Uint8Array {
  const bytes = ENCODER.encode(name);
  invariant(bytes.length <= MAX_NAME_BYTES && name.isWellFormed(), "a key has at most 65,535 bytes of text");
  return bytes;
}
