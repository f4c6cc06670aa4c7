// Tells a torn append from damage, at the end of the last segment of the batch log.
//
// An acknowledged batch must never vanish, and a crash in the middle of an append must never stop a start. So the
// first question is whether the bad record can have been acknowledged. Two witnesses know: the mark file, written
// after each sync, and the `synced` field of records further on. If a witness covers the height, it is damage.
// If none does, the record was never answered for, unless a power cut took the mark along. Then only the traces
// that a crash leaves are cut off: a record that the file ends in, or a sector that was never written and reads as
// zeros. A record of full length with other wrong bytes comes from no crash: it is damage.
import type { StoragePort } from "@atoll/types/ports";
import type { Crc32 } from "./integrity.ts";
import { decodeRecordHeader, type LogDamage, logSegmentName, RECORD_HEADER_BYTES } from "./log-records.ts";

const SECTOR_BYTES = 512;
const WINDOW_BYTES = 4 * 1024 * 1024;

/**
 * Whether the bytes from `damage.offset` on, where the record of `height` should be, are the trace of a crash and
 * may be cut off. `synced` is one more than the last height that the mark knows to be durable.
 */
export function isTornTail(
  storage: StoragePort,
  segment: number,
  fileSize: number,
  damage: LogDamage,
  height: number,
  synced: number,
  crc: Crc32,
): boolean {
  if (height < synced) return false;
  if (damage.kind === "short") return true;
  const name = logSegmentName(segment);
  if (laterWitness(storage, name, damage.offset + 1, fileSize, height, crc) > height) return false;
  return hasUnwrittenSector(storage, name, damage.offset, fileSize);
}

/** The largest `synced` of any intact header, of a height after `height`, that starts at or after `from`. */
function laterWitness(
  storage: StoragePort,
  name: string,
  from: number,
  fileSize: number,
  height: number,
  crc: Crc32,
): number {
  let synced = 0;
  for (let start = from; start < fileSize; start += WINDOW_BYTES) {
    const length = Math.min(WINDOW_BYTES + RECORD_HEADER_BYTES, fileSize - start);
    const window = storage.read(name, start, length);
    for (let i = window.indexOf(0x41); i >= 0; i = window.indexOf(0x41, i + 1)) {
      if (window[i + 1] !== 0x54) continue;
      const header = decodeRecordHeader(window, i, crc);
      if (header === undefined || header.height <= height || header.synced > header.height) continue;
      synced = Math.max(synced, header.synced);
    }
  }
  return synced;
}

/** Whether a whole sector, or the part of one that lies in [from, fileSize), reads as zeros. */
function hasUnwrittenSector(storage: StoragePort, name: string, from: number, fileSize: number): boolean {
  for (let start = from; start < fileSize; ) {
    const end = Math.min(fileSize, start - (start % WINDOW_BYTES) + WINDOW_BYTES);
    const window = storage.read(name, start, end - start);
    for (let i = 0; i < window.length; ) {
      const next = Math.min(window.length, i + SECTOR_BYTES - ((start + i) % SECTOR_BYTES));
      if (window.subarray(i, next).every((byte) => byte === 0)) return true;
      i = next;
    }
    start = end;
  }
  return false;
}
