// What the last commit of the checkpoint store holds, in memory: where each key and each page lies. Built by one
// scan at start, changed only by whole transactions. It also counts live bytes, which is how garbage is known.
import { ENTRY_HEADER_BYTES, type EntryHeader, EntryKind, PAGE_RECORD_BYTES } from "./checkpoint-records.ts";
import { PageIndex } from "./page-index.ts";

export interface KeyEntry {
  readonly place: number;
  /** Bytes of the whole record. */
  readonly size: number;
}

export interface MemoryEntry {
  readonly number: number;
  /** Undefined only during a scan, until the record that names the memory comes by. */
  name: string | undefined;
  naming: KeyEntry | undefined;
  /** Places are negative for pages of zeros. */
  pages: PageIndex;
  pageBytes: number;
  /** Some of its pages may be another memory's too. */
  isShared: boolean;
}

export class CheckpointIndex {
  readonly keys = new Map<string, KeyEntry>();
  readonly memories = new Map<number, MemoryEntry>();
  readonly #numbers = new Map<string, number>();
  /** Number for the next new memory: above every number that a record names. */
  nextMemory = 1;
  /** Bytes of all records that the last commit needs. */
  liveBytes = 0;

  memory(name: string): MemoryEntry | undefined {
    const number = this.#numbers.get(name);
    return number === undefined ? undefined : this.memories.get(number);
  }

  memoryNames(): string[] {
    return [...this.#numbers.keys()].sort();
  }

  /** Takes in one record of a scan; `name` is its key or name. */
  visit(header: EntryHeader, name: string, place: number, size: number): void {
    switch (header.kind) {
      case EntryKind.PUT:
        this.putKey(name, { place, size });
        break;
      case EntryKind.DELETE:
        this.deleteKey(name);
        break;
      case EntryKind.MEMORY:
        this.nameMemory(header.b, name, { place, size });
        break;
      case EntryKind.DROP:
        this.dropMemory(header.b);
        break;
      case EntryKind.CLONE:
        this.cloneMemory(header.b, header.c);
        break;
      default:
        this.setPage(header.b, header.c, header.kind === EntryKind.ZERO ? -place : place);
    }
  }

  putKey(key: string, entry: KeyEntry): void {
    this.deleteKey(key);
    this.keys.set(key, entry);
    this.liveBytes += entry.size;
  }

  deleteKey(key: string): void {
    this.liveBytes -= this.keys.get(key)?.size ?? 0;
    this.keys.delete(key);
  }

  nameMemory(number: number, name: string, naming: KeyEntry): void {
    const memory = this.#memoryOf(number);
    this.liveBytes += naming.size - (memory.naming?.size ?? 0);
    memory.name = name;
    memory.naming = naming;
    this.#numbers.set(name, number);
  }

  dropMemory(number: number): void {
    this.nextMemory = Math.max(this.nextMemory, number + 1);
    const memory = this.memories.get(number);
    if (memory === undefined) return;
    this.liveBytes -= memory.pageBytes + (memory.naming?.size ?? 0);
    this.memories.delete(number);
    if (memory.name !== undefined && this.#numbers.get(memory.name) === number) this.#numbers.delete(memory.name);
  }

  /** Gives a memory the pages that another one has now. Shared pages count as live for each of the two. */
  cloneMemory(number: number, source: number): void {
    this.nextMemory = Math.max(this.nextMemory, number + 1, source + 1);
    const from = this.memories.get(source);
    const to = this.#memoryOf(number);
    if (from === undefined) return;
    to.pages = from.pages.copy();
    to.pageBytes = from.pageBytes;
    this.liveBytes += from.pageBytes;
    from.isShared = true;
    to.isShared = true;
  }

  setPage(number: number, index: number, place: number): void {
    const memory = this.#memoryOf(number);
    const growth = pageRecordBytes(place) - pageRecordBytes(memory.pages.set(index, place));
    memory.pageBytes += growth;
    this.liveBytes += growth;
  }

  #memoryOf(number: number): MemoryEntry {
    let memory = this.memories.get(number);
    if (memory === undefined) {
      memory = { number, name: undefined, naming: undefined, pages: new PageIndex(), pageBytes: 0, isShared: false };
      this.memories.set(number, memory);
      this.nextMemory = Math.max(this.nextMemory, number + 1);
    }
    return memory;
  }
}

function pageRecordBytes(place: number): number {
  if (place === 0) return 0;
  return place < 0 ? ENTRY_HEADER_BYTES : PAGE_RECORD_BYTES;
}
