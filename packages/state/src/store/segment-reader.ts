// Reads the checkpoint segments: all records of a segment in order at start, one record by its place, and many page
// records in the order of the file. Each way checks: at start the CRC-32 of the segment that the manifest knows,
// later the checksum of the record, so that bytes that rot while the program runs are found as well.
import type { StoragePort } from "@atoll/types/ports";
import type { CommittedSegment } from "./checkpoint-manifest.ts";
import {
  bodyLengths,
  CHECKPOINT_SEGMENT_LETTERS,
  checkpointSegmentName,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  EntryKind,
  isIntactEntry,
  offsetOf,
  PAGE_RECORD_BYTES,
  placeOf,
  readEntryHeader,
  segmentOf,
} from "./checkpoint-records.ts";
import { type Crc32, checkSegmentHeader, corrupt, SEGMENT_HEADER_BYTES, viewOf } from "./integrity.ts";

const WINDOW_BYTES = 1024 * 1024;
/** Reading this much for nothing is cheaper than another call. */
const WORTHWHILE_GAP_BYTES = 32 * 1024;

/**
 * Calls `visit` for each committed record with its header, its key or name (valid during the call), its place and
 * its size. Throws STATE_CORRUPT when the committed bytes are not those that the manifest describes; what was
 * visited until then must be thrown away.
 */
export function scanSegment(
  storage: StoragePort,
  segment: CommittedSegment,
  crc: Crc32,
  visit: (header: EntryHeader, name: Uint8Array, place: number, size: number) => void,
): void {
  const file = checkpointSegmentName(segment.number);
  const fileSize = storage.size(file);
  if (fileSize === undefined) throw corrupt(file, "it is missing");
  if (fileSize < segment.length) {
    throw corrupt(file, `it has ${fileSize} bytes, and ${segment.length} were written`);
  }
  const start = storage.read(file, 0, SEGMENT_HEADER_BYTES);
  if (checkSegmentHeader(file, start, CHECKPOINT_SEGMENT_LETTERS, segment.number, crc) !== "ok") {
    throw corrupt(file, "its first bytes are not those of a segment");
  }
  let runningCrc = crc(start);
  let checked = SEGMENT_HEADER_BYTES;
  let next = SEGMENT_HEADER_BYTES;
  let wanted = 0;
  while (checked < segment.length) {
    const length = Math.min(Math.max(WINDOW_BYTES, wanted), segment.length - checked);
    const window = storage.read(file, checked, length);
    if (window.length !== length) throw corrupt(file, `it cannot be read at byte ${checked}`);
    const view = viewOf(window);
    wanted = 0;
    while (next < checked + length) {
      const at = next - checked;
      if (at + ENTRY_HEADER_BYTES > length) break;
      const header = readEntryHeader(view, at);
      const lengths = bodyLengths(header);
      if (lengths === undefined) throw corrupt(file, `a checksum is wrong at byte ${next}`);
      const nameEnd = at + ENTRY_HEADER_BYTES + lengths.name;
      if (nameEnd > length) {
        wanted = ENTRY_HEADER_BYTES + lengths.name;
        break;
      }
      const size = ENTRY_HEADER_BYTES + lengths.body;
      visit(header, window.subarray(at + ENTRY_HEADER_BYTES, nameEnd), placeOf(segment.number, next), size);
      next += size;
    }
    const consumed = Math.min(next - checked, length);
    if (consumed === 0) throw corrupt(file, `it ends within the record at byte ${next}`);
    runningCrc = crc(consumed === length ? window : window.subarray(0, consumed), runningCrc);
    checked += consumed;
  }
  if (next !== segment.length || runningCrc !== segment.crc) throw corrupt(file, "its checksum is wrong");
}

/** The whole record at `place`, checked. */
export function readRecord(storage: StoragePort, place: number, size: number, crc: Crc32): Uint8Array {
  const file = checkpointSegmentName(segmentOf(place));
  const record = storage.read(file, offsetOf(place), size);
  if (record.length !== size || !isIntactEntry(record, crc)) {
    throw corrupt(file, `a checksum is wrong at byte ${offsetOf(place)}`);
  }
  return record;
}

/**
 * Reads the PAGE and ZERO records at `places` (made positive and sorted by this function) in the order of the file,
 * many at a time, and calls `visit` with each record, checked, and its header. The bytes are valid during the call.
 */
export function readPageRecords(
  storage: StoragePort,
  places: Float64Array,
  crc: Crc32,
  visit: (header: EntryHeader, record: Uint8Array, place: number) => void,
): void {
  for (let i = 0; i < places.length; i++) places[i] = Math.abs(places[i] as number);
  places.sort();
  for (let first = 0; first < places.length; ) {
    const start = places[first] as number;
    let end = first + 1;
    for (; end < places.length; end++) {
      const place = places[end] as number;
      if (place - (places[end - 1] as number) > PAGE_RECORD_BYTES + WORTHWHILE_GAP_BYTES) break;
      if (place - start > WINDOW_BYTES) break;
    }
    const file = checkpointSegmentName(segmentOf(start));
    const length = (places[end - 1] as number) - start + PAGE_RECORD_BYTES;
    const window = storage.read(file, offsetOf(start), length);
    const view = viewOf(window);
    for (; first < end; first++) {
      const place = places[first] as number;
      const at = place - start;
      const isThere = at + ENTRY_HEADER_BYTES <= window.length;
      const header = isThere ? readEntryHeader(view, at) : undefined;
      const size = header?.kind === EntryKind.ZERO ? ENTRY_HEADER_BYTES : PAGE_RECORD_BYTES;
      if (header === undefined || crc(window.subarray(at + 4, at + size)) !== header.crc) {
        throw corrupt(file, `a checksum is wrong at byte ${offsetOf(place)}`);
      }
      visit(header, window.subarray(at, at + size), place);
    }
  }
}
