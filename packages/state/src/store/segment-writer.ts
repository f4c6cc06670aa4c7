// Appends the records of one transaction to the checkpoint segments. Records are laid out in one large buffer and
// handed to the disk about 4 MiB at a time, because a commit of 100 MB is 25,000 pages: its cost must be that of
// the bytes and not of the calls. A full segment is synced and the next one begun; `finish` syncs the last one.
import { invariant } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";
import type { CommittedSegment } from "./checkpoint-manifest.ts";
import {
  CHECKPOINT_SEGMENT_LETTERS,
  checkpointSegmentName,
  ENTRY_HEADER_BYTES,
  EntryKind,
  PAGE_RECORD_BYTES,
  placeOf,
  writeEntryHeader,
} from "./checkpoint-records.ts";
import { type Crc32, encodeSegmentHeader, SEGMENT_HEADER_BYTES, viewOf } from "./integrity.ts";

const MAX_SEGMENT_NUMBER = 4_000_000;
const NO_BYTES = new Uint8Array(0);

export class SegmentWriter {
  readonly #storage: StoragePort;
  readonly #crc: Crc32;
  readonly #segmentBytes: number;
  readonly #bufferBytes: number;
  #buffer = NO_BYTES;
  #view = viewOf(NO_BYTES);
  #filled = 0;
  #committed: readonly CommittedSegment[] = [];
  #number = 0;
  /** Bytes of the segment that are in the file already. */
  #length = 0;
  #runningCrc = 0;
  #touched: CommittedSegment[] = [];

  constructor(storage: StoragePort, crc: Crc32, segmentBytes: number, bufferBytes: number) {
    this.#storage = storage;
    this.#crc = crc;
    this.#segmentBytes = segmentBytes;
    this.#bufferBytes = Math.max(bufferBytes, PAGE_RECORD_BYTES);
  }

  /** Goes on after what is committed, in a segment of its own if `freshSegment`. */
  begin(committed: readonly CommittedSegment[], freshSegment: boolean): void {
    const last = committed.at(-1);
    this.#committed = committed;
    this.#touched = [];
    this.#filled = 0;
    this.#number = last?.number ?? 0;
    this.#length = last?.length ?? 0;
    this.#runningCrc = last?.crc ?? 0;
    if (last === undefined || freshSegment) this.#beginSegment();
  }

  /** Writes a page, or only its header when it is a page of zeros, and returns its place. */
  page(memory: number, index: number, bytes: Uint8Array, isZero: boolean): number {
    const size = isZero ? ENTRY_HEADER_BYTES : PAGE_RECORD_BYTES;
    const start = this.#reserve(size);
    writeEntryHeader(this.#view, start, isZero ? EntryKind.ZERO : EntryKind.PAGE, 0, memory, index);
    if (!isZero) this.#buffer.set(bytes, start + ENTRY_HEADER_BYTES);
    this.#view.setUint32(start, this.#crc(this.#buffer.subarray(start + 4, start + size)));
    return placeOf(this.#number, this.#length + start);
  }

  /** Writes a record with a name (a key or the name of a memory) and a value, and returns its place. */
  named(kind: EntryKind, name: Uint8Array, b: number, value: Uint8Array = NO_BYTES): number {
    const head = new Uint8Array(ENTRY_HEADER_BYTES + name.length);
    const view = viewOf(head);
    writeEntryHeader(view, 0, kind, name.length, b, 0);
    head.set(name, ENTRY_HEADER_BYTES);
    view.setUint32(0, this.#crc(value, this.#crc(head.subarray(4))));
    return this.#append([head, value]);
  }

  drop(memory: number): void {
    this.#short(EntryKind.DROP, memory, 0);
  }

  clone(memory: number, source: number): void {
    this.#short(EntryKind.CLONE, memory, source);
  }

  #short(kind: EntryKind, b: number, c: number): void {
    const record = new Uint8Array(ENTRY_HEADER_BYTES);
    const view = viewOf(record);
    writeEntryHeader(view, 0, kind, 0, b, c);
    view.setUint32(0, this.#crc(record.subarray(4)));
    this.#append([record]);
  }

  /** Writes a record as it was read elsewhere, checksum included, and returns its new place. */
  copy(record: Uint8Array): number {
    return this.#append([record]);
  }

  /** Makes all records durable and returns the segments that they went to, as they are now. */
  finish(): readonly CommittedSegment[] {
    this.#endSegment();
    return this.#touched;
  }

  /** Takes back what was written since `begin`. Throws what the disk throws; may be called again then. */
  undo(): void {
    const last = this.#committed.at(-1);
    this.#filled = 0;
    for (let number = this.#number; number > (last?.number ?? 0); number--) {
      const name = checkpointSegmentName(number);
      if (this.#storage.size(name) !== undefined) this.#storage.remove(name);
    }
    if (last === undefined) return;
    const name = checkpointSegmentName(last.number);
    if ((this.#storage.size(name) ?? 0) > last.length) this.#storage.truncate(name, last.length);
  }

  #append(parts: readonly Uint8Array[]): number {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (size <= this.#bufferBytes) {
      const start = this.#reserve(size);
      let at = start;
      for (const part of parts) {
        this.#buffer.set(part, at);
        at += part.length;
      }
      return placeOf(this.#number, this.#length + start);
    }
    this.#makeRoom(size);
    this.#flush();
    const place = placeOf(this.#number, this.#length);
    this.#toFile(parts);
    return place;
  }

  /** Start of `size` fresh bytes in the buffer. */
  #reserve(size: number): number {
    this.#makeRoom(size);
    if (this.#filled + size > this.#bufferBytes) this.#flush();
    if (this.#buffer.length === 0) {
      this.#buffer = new Uint8Array(this.#bufferBytes);
      this.#view = viewOf(this.#buffer);
    }
    const start = this.#filled;
    this.#filled += size;
    return start;
  }

  #makeRoom(size: number): void {
    const length = this.#length + this.#filled;
    if (length + size <= this.#segmentBytes || length <= SEGMENT_HEADER_BYTES) return;
    this.#endSegment();
    this.#beginSegment();
  }

  #beginSegment(): void {
    invariant(this.#number < MAX_SEGMENT_NUMBER, "a state folder has at most four million segments");
    this.#number++;
    this.#length = 0;
    this.#runningCrc = 0;
    this.#toFile([encodeSegmentHeader(CHECKPOINT_SEGMENT_LETTERS, this.#number, this.#crc)]);
  }

  #endSegment(): void {
    this.#flush();
    const before = this.#committed.at(-1);
    if (before !== undefined && before.number === this.#number && before.length === this.#length) return;
    this.#storage.sync(checkpointSegmentName(this.#number));
    this.#touched.push({ number: this.#number, length: this.#length, crc: this.#runningCrc });
  }

  #flush(): void {
    if (this.#filled === 0) return;
    const filled = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    this.#toFile([filled]);
  }

  #toFile(parts: readonly Uint8Array[]): void {
    this.#storage.append(checkpointSegmentName(this.#number), parts);
    for (const part of parts) {
      this.#length += part.length;
      this.#runningCrc = this.#crc(part, this.#runningCrc);
    }
  }
}
