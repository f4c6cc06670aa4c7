// The bytes of the checkpoint segments `state-<number>.seg`: a header, then records without gaps.
//
// record = CRC-32 of all that follows in it u32, kind u8, a u24, b u32, c u32, body. All numbers big-endian.
//   PUT     a = length of the key, b = length of the value; body = key, value
//   DELETE  a = length of the key; body = key
//   MEMORY  a = length of the name, b = number of the memory; body = name: binds a name to a number
//   DROP    b = number of the memory: it and all its pages are gone
//   CLONE   b = number of a new memory, c = number of another: it has the pages that the other one has at this point

//   PAGE    b = number of the memory, c = index; body = 4,096 bytes
//   ZERO    as PAGE, for a page of zeros; no body
// Later records win. The number of a memory is never used again for another one while any record names it.
import { type Crc32, viewOf } from "./integrity.ts";

export const CHECKPOINT_SEGMENT_LETTERS = "ATOLLSTA";
export const PAGE_BYTES = 4096;
/** Pages whose bytes nodes compare together: 1 MiB of a memory. */
export const REGION_PAGES = 256;
export const ENTRY_HEADER_BYTES = 16;
export const PAGE_RECORD_BYTES = ENTRY_HEADER_BYTES + PAGE_BYTES;
export const MAX_NAME_BYTES = 0xffff;
export const MAX_VALUE_BYTES = 1024 * 1024 * 1024;
export const MAX_PAGE_INDEX = 0xffff_fffe;

export const EntryKind = { PUT: 1, DELETE: 2, MEMORY: 3, DROP: 4, PAGE: 5, ZERO: 6, CLONE: 7 } as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export interface EntryHeader {
  readonly crc: number;
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export function checkpointSegmentName(number: number): string {
  return `state-${String(number).padStart(8, "0")}.seg`;
}

/** Number of a segment by its name, or undefined for any other file. */
export function checkpointSegmentNumber(name: string): number | undefined {
  const digits = /^state-(\d{8})\.seg$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Writes the header at `offset`, its checksum excepted. */
export function writeEntryHeader(
  view: DataView,
  offset: number,
  kind: EntryKind,
  a: number,
  b: number,
  c: number,
): void {
  view.setUint32(offset + 4, kind * 0x100_0000 + a);
  view.setUint32(offset + 8, b);
  view.setUint32(offset + 12, c);
}

export function readEntryHeader(view: DataView, offset: number): EntryHeader {
  const word = view.getUint32(offset + 4);
  return {
    crc: view.getUint32(offset),
    kind: word >>> 24,
    a: word & 0xff_ffff,
    b: view.getUint32(offset + 8),
    c: view.getUint32(offset + 12),
  };
}

/** Length of the key or name, and of the whole body, of a record; undefined for a kind that does not exist. */
export function bodyLengths(header: EntryHeader): { name: number; body: number } | undefined {
  switch (header.kind) {
    case EntryKind.PUT:
      return { name: header.a, body: header.a + header.b };
    case EntryKind.DELETE:
    case EntryKind.MEMORY:
      return { name: header.a, body: header.a };
    case EntryKind.PAGE:
      return { name: 0, body: PAGE_BYTES };
    case EntryKind.DROP:
    case EntryKind.CLONE:
    case EntryKind.ZERO:
      return { name: 0, body: 0 };
    default:
      return undefined;
  }
}

/** Whether the whole record in `bytes` carries the checksum of its content. */
export function isIntactEntry(bytes: Uint8Array, crc: Crc32): boolean {
  return viewOf(bytes).getUint32(0) === crc(bytes.subarray(4));
}

export function isZeroPage(bytes: Uint8Array): boolean {
  if (bytes.byteOffset % 4 !== 0) return bytes.every((byte) => byte === 0);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, PAGE_BYTES / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/** Keys of records that are this node's own matter: they are in no manifest, and no other node gets them. */
const LOCAL = "local/";
export const PREPARED = `${LOCAL}prepared/`;
/** There while the checkpoint is one that came from other nodes: the batch log did not lead to it. */
export const FETCHED_KEY = `${LOCAL}fetched`;

export function isLocalKey(key: string): boolean {
  return key.startsWith(LOCAL);
}

const OFFSET_SPAN = 2 ** 31;

/**
 * A record's place as one number: segment number * 2^31 + offset. Exact up to four million segments, which is
 * 256 TiB written to one state folder.
 */
export function placeOf(segment: number, offset: number): number {
  return segment * OFFSET_SPAN + offset;
}

export function segmentOf(place: number): number {
  return Math.floor(place / OFFSET_SPAN);
}

export function offsetOf(place: number): number {
  return place % OFFSET_SPAN;
}
