// The manifest of the checkpoint store: which segments make up the last checkpoint, how many bytes of each are
// committed, and the CRC-32 over these bytes. Replacing it at once is the commit: before, a restart sees the old
// checkpoint, after, the new one. Since it knows lengths and checksums of everything, a segment that is missing, cut
// short, changed by one bit or older than the manifest is found at start.
//
// manifest = "ATOLLMAN", version u32, has height u8 and height u64, meta length u32, meta, number of segments u32,
// per segment number u32, length u64, CRC-32 u32; CRC-32 of all that u32.
import type { StoragePort } from "@atoll/types/ports";
import type { Height } from "@atoll/types/units";
import {
  asciiBytes,
  type Crc32,
  corrupt,
  otherVersion,
  readUint53,
  STORE_VERSION,
  viewOf,
  writeUint53,
} from "./integrity.ts";

export const MANIFEST_FILE = "state-manifest";
const LETTERS = "ATOLLMAN";
const FIXED_BYTES = 8 + 4 + 9 + 4 + 4 + 4;
const SEGMENT_BYTES = 16;

export interface CommittedSegment {
  readonly number: number;
  /** Committed bytes, header included. */
  readonly length: number;
  /** CRC-32 over the committed bytes. */
  readonly crc: number;
}

export interface Manifest {
  /** Height of the last commit, undefined before the first. */
  readonly height: Height | undefined;
  readonly meta: Uint8Array;
  /** In the order of their numbers, which is the order of writing. */
  readonly segments: readonly CommittedSegment[];
}

export function encodeManifest(manifest: Manifest, crc: Crc32): Uint8Array {
  const { height, meta, segments } = manifest;
  const bytes = new Uint8Array(FIXED_BYTES + meta.length + segments.length * SEGMENT_BYTES);
  const view = viewOf(bytes);
  bytes.set(asciiBytes(LETTERS));
  view.setUint32(8, STORE_VERSION);
  view.setUint8(12, height === undefined ? 0 : 1);
  writeUint53(view, 13, height ?? 0);
  view.setUint32(21, meta.length);
  bytes.set(meta, 25);
  let offset = 25 + meta.length;
  view.setUint32(offset, segments.length);
  offset += 4;
  for (const segment of segments) {
    view.setUint32(offset, segment.number);
    writeUint53(view, offset + 4, segment.length);
    view.setUint32(offset + 12, segment.crc);
    offset += SEGMENT_BYTES;
  }
  view.setUint32(offset, crc(bytes.subarray(0, offset)));
  return bytes;
}

/** The manifest of the folder, undefined when there is none; throws STATE_CORRUPT or STATE_VERSION. */
export function readManifest(storage: StoragePort, crc: Crc32): Manifest | undefined {
  const size = storage.size(MANIFEST_FILE);
  if (size === undefined) return undefined;
  const bytes = storage.read(MANIFEST_FILE, 0, size);
  const view = viewOf(bytes);
  const end = bytes.length - 4;
  if (bytes.length < FIXED_BYTES) throw corrupt(MANIFEST_FILE, "it is cut short");
  if (view.getUint32(end) !== crc(bytes.subarray(0, end))) throw corrupt(MANIFEST_FILE, "its checksum is wrong");
  if (asciiBytes(LETTERS).some((byte, i) => bytes[i] !== byte)) {
    throw corrupt(MANIFEST_FILE, "it does not start as a manifest does");
  }
  const version = view.getUint32(8);
  if (version !== STORE_VERSION) throw otherVersion(MANIFEST_FILE, version);
  const metaEnd = 25 + view.getUint32(21);
  const count = metaEnd + 8 <= bytes.length ? view.getUint32(metaEnd) : -1;
  if (metaEnd + 8 + count * SEGMENT_BYTES !== bytes.length) throw corrupt(MANIFEST_FILE, "its lengths do not add up");
  const segments: CommittedSegment[] = [];
  for (let offset = metaEnd + 4; offset < end; offset += SEGMENT_BYTES) {
    segments.push({
      number: view.getUint32(offset),
      length: readUint53(view, offset + 4),
      crc: view.getUint32(offset + 12),
    });
  }
  const height = view.getUint8(12) === 1 ? readUint53(view, 13) : undefined;
  return { height, meta: bytes.slice(25, metaEnd), segments };
}
