// A checkpoint as nodes compare it and as they hand it to each other: values by key, and memories cut into regions of
// 1 MiB. Equal states give equal bytes here, whatever the order and the time in which they were written: pages of zeros
// are not there, and records that are this node's own matter are left out.
import type { StoragePort } from "@atoll/types/ports";
import type { Height } from "@atoll/types/units";
import type { KeyEntry } from "./checkpoint-index.ts";
import {
  checkpointSegmentName,
  ENTRY_HEADER_BYTES,
  isLocalKey,
  offsetOf,
  PAGE_BYTES,
  REGION_PAGES,
  segmentOf,
} from "./checkpoint-records.ts";
import type { Crc32 } from "./integrity.ts";
import type { PageIndex } from "./page-index.ts";
import { readPageRecords, readRecord } from "./segment-reader.ts";

/** Bit i: page i of the region has other bytes than zeros, and they follow. */
export const REGION_MAP_BYTES = REGION_PAGES / 8;
export const MAX_REGION_BYTES = REGION_MAP_BYTES + REGION_PAGES * PAGE_BYTES;

export interface ViewLookups {
  entry(key: string): KeyEntry | undefined;
  pages(memory: string): PageIndex | undefined;
  /** In no order. */
  keys(): Iterable<string>;
  memories(): Iterable<string>;
}

const encoder = new TextEncoder();

export class CheckpointView {
  readonly height: Height;
  readonly meta: Uint8Array;
  readonly #storage: StoragePort;
  readonly #crc: Crc32;
  readonly #lookups: ViewLookups;

  constructor(
    storage: StoragePort,
    crc: Crc32,
    { height, meta, ...lookups }: ViewLookups & { readonly height: Height; readonly meta: Uint8Array },
  ) {
    this.height = height;
    this.meta = meta;
    this.#storage = storage;
    this.#crc = crc;
    this.#lookups = lookups;
  }

  with(lookups: ViewLookups): CheckpointView {
    return new CheckpointView(this.#storage, this.#crc, { height: this.height, meta: this.meta, ...lookups });
  }

  *keys(): Generator<string> {
    for (const key of this.#lookups.keys()) if (!isLocalKey(key)) yield key;
  }

  memories(): Iterable<string> {
    return this.#lookups.memories();
  }

  /** The whole value, checked; undefined: there is none. */
  value(key: string): Uint8Array | undefined {
    const entry = isLocalKey(key) ? undefined : this.#lookups.entry(key);
    if (entry === undefined) return undefined;
    const record = readRecord(this.#storage, entry.place, entry.size, this.#crc);
    return record.subarray(ENTRY_HEADER_BYTES + nameLength(key));
  }

  /** Bytes [offset, offset + length) of a value, not checked: whoever gets them has their hash. */
  valuePart(key: string, offset: number, length: number): Uint8Array | undefined {
    const entry = isLocalKey(key) ? undefined : this.#lookups.entry(key);
    if (entry === undefined) return undefined;
    const start = ENTRY_HEADER_BYTES + nameLength(key);
    const size = Math.min(length, entry.size - start - offset);
    if (size <= 0) return undefined;
    return this.#storage.read(
      checkpointSegmentName(segmentOf(entry.place)),
      offsetOf(entry.place) + start + offset,
      size,
    );
  }

  /** Numbers of the regions that have a page which is not zeros, ascending. */
  regions(memory: string): number[] {
    return this.#lookups.pages(memory)?.stretches(REGION_PAGES) ?? [];
  }

  /** The pages of a region that are not zeros, behind a map that tells which; undefined: there are none. */
  region(memory: string, region: number): Uint8Array | undefined {
    const pages = this.#lookups.pages(memory);
    if (pages === undefined) return undefined;
    const first = region * REGION_PAGES;
    const places: number[] = [];
    const at = new Map<number, number>();
    for (let i = 0; i < REGION_PAGES; i++) {
      const place = pages.get(first + i);
      if (place <= 0) continue;
      at.set(place, i);
      places.push(place);
    }
    if (places.length === 0) return undefined;
    const bytes = new Uint8Array(REGION_MAP_BYTES + places.length * PAGE_BYTES);
    const offsets = new Map([...at.values()].map((page, rank) => [page, REGION_MAP_BYTES + rank * PAGE_BYTES]));
    for (const page of at.values()) bytes[page >> 3] = (bytes[page >> 3] as number) | (1 << (page & 7));
    readPageRecords(this.#storage, Float64Array.from(places), this.#crc, (_, record, place) => {
      bytes.set(record.subarray(ENTRY_HEADER_BYTES), offsets.get(at.get(place) as number));
    });
    return bytes;
  }

  /** Whether the store has the page, be it zeros. */
  hasPage(memory: string, page: number): boolean {
    return (this.#lookups.pages(memory)?.get(page) ?? 0) !== 0;
  }
}

function nameLength(key: string): number {
  return encoder.encode(key).length;
}
