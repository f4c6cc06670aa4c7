// The bytes of the batch log: how one record looks, and how a segment is walked from its start to the first byte
// that is not a whole, checked record. What such an end means (a torn append or damage) is decided in log-tail.ts.
//
// record = magic u32, payload length u32, height u64, synced u64, CRC-32 of the payload u32, CRC-32 of the 28 bytes
// before it u32, payload. `synced` is one more than the last height that was known durable when the record was
// written (0: none). All numbers big-endian.
import type { StoragePort } from "@atoll/types/ports";
import { type Crc32, checkSegmentHeader, readUint53, SEGMENT_HEADER_BYTES, viewOf, writeUint53 } from "./integrity.ts";

export const LOG_SEGMENT_LETTERS = "ATOLLLOG";
export const RECORD_HEADER_BYTES = 32;
/** Larger payloads are refused: a batch is bounded by the block size limits, far below. */
export const MAX_PAYLOAD_BYTES = 256 * 1024 * 1024;
const RECORD_MAGIC = 0x41_54_4c_52;
const WINDOW_BYTES = 1024 * 1024;

export interface LogRecord {
  readonly height: number;
  /** One more than the last height known durable when this record was appended. */
  readonly synced: number;
  readonly payload: Uint8Array;
}

/** Why a walk stopped before the end of the file. */
export interface LogDamage {
  readonly offset: number;
  readonly kind: "short" | "damaged";
}

export function logSegmentName(firstHeight: number): string {
  return `log-${String(firstHeight).padStart(16, "0")}.seg`;
}

/** First height of a segment by its name, or undefined for any other file. */
export function logSegmentHeight(name: string): number | undefined {
  const digits = /^log-(\d{16})\.seg$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const height = Number(digits);
  return Number.isSafeInteger(height) ? height : undefined;
}

export function encodeRecordHeader(height: number, synced: number, payload: Uint8Array, crc: Crc32): Uint8Array {
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(0, RECORD_MAGIC);
  view.setUint32(4, payload.length);
  writeUint53(view, 8, height);
  writeUint53(view, 16, synced);
  view.setUint32(24, crc(payload));
  view.setUint32(28, crc(header.subarray(0, 28)));
  return header;
}

interface RecordHeader {
  readonly length: number;
  readonly height: number;
  readonly synced: number;
  readonly payloadCrc: number;
}

/** The header at `offset` of `bytes`, or undefined when it is not an intact one. */
export function decodeRecordHeader(bytes: Uint8Array, offset: number, crc: Crc32): RecordHeader | undefined {
  if (offset + RECORD_HEADER_BYTES > bytes.length) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(offset) !== RECORD_MAGIC) return undefined;
  if (view.getUint32(offset + 28) !== crc(bytes.subarray(offset, offset + 28))) return undefined;
  const length = view.getUint32(offset + 4);
  if (length > MAX_PAYLOAD_BYTES) return undefined;
  return {
    length,
    height: readUint53(view, offset + 8),
    synced: readUint53(view, offset + 16),
    payloadCrc: view.getUint32(offset + 24),
  };
}

/**
 * Yields the records of one segment in order, each checked; returns where and why the walk stopped, or undefined
 * when the last record ends with the file. At most one window, or one larger record, is in memory.
 */
export function* walkSegment(
  storage: StoragePort,
  firstHeight: number,
  fileSize: number,
  crc: Crc32,
): Generator<LogRecord & { readonly end: number }, LogDamage | undefined> {
  const name = logSegmentName(firstHeight);
  const header = storage.read(name, 0, Math.min(SEGMENT_HEADER_BYTES, fileSize));
  const verdict = checkSegmentHeader(name, header, LOG_SEGMENT_LETTERS, firstHeight, crc);
  if (verdict !== "ok") return { offset: 0, kind: verdict };
  let offset = SEGMENT_HEADER_BYTES;
  let height = firstHeight;
  let window: Uint8Array = new Uint8Array(0);
  let windowStart = offset;
  const load = (length: number): void => {
    window = storage.read(name, offset, Math.min(Math.max(length, WINDOW_BYTES), fileSize - offset));
    windowStart = offset;
  };
  while (offset < fileSize) {
    if (offset + RECORD_HEADER_BYTES > fileSize) return { offset, kind: "short" };
    if (offset + RECORD_HEADER_BYTES > windowStart + window.length) load(RECORD_HEADER_BYTES);
    const record = decodeRecordHeader(window, offset - windowStart, crc);
    if (record === undefined || record.height !== height) return { offset, kind: "damaged" };
    const end = offset + RECORD_HEADER_BYTES + record.length;
    if (end > fileSize) return { offset, kind: "short" };
    if (end > windowStart + window.length) load(end - offset);
    const payload = window.subarray(offset - windowStart + RECORD_HEADER_BYTES, end - windowStart);
    if (crc(payload) !== record.payloadCrc) return { offset, kind: "damaged" };
    yield { height, synced: record.synced, payload, end };
    offset = end;
    height++;
  }
  return undefined;
}
