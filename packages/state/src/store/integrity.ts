// What every file of the store shares: checksums, 64-bit heights, and the one sentence a person reads when a file
// is damaged. Bytes that were once acknowledged are never repaired by guessing: the store stops and names the file.
import { EnvironmentError } from "@atoll/types/errors";
import { crc32 } from "@atoll/types/ids";

/** CRC-32 of `bytes`, continuing from `seed`. Node hands in `zlib.crc32`, which is eight times faster than ours. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

export const portableCrc32: Crc32 = crc32;

/**
 * The version that this program writes into the header of every file of the store. It is raised with every change of what
 * the state holds: a folder without a field that the program counts on would be loaded, and stop the node at the first use.
 */
export const STORE_VERSION = 9;

export function corrupt(file: string, what: string): EnvironmentError {
  return new EnvironmentError(
    "STATE_CORRUPT",
    `The file ${file} in the state folder is damaged: ${what}. Nothing was changed; restore a copy of the whole ` +
      "state folder, or start again with --clean, which deletes the state of this network.",
  );
}

export function otherVersion(file: string, found: number): EnvironmentError {
  return new EnvironmentError(
    "STATE_VERSION",
    `The file ${file} in the state folder has format version ${found}, and this program reads version ` +
      `${STORE_VERSION}. Nothing was changed; use the program that wrote the folder, or start again with --clean, ` +
      "which deletes the state of this network.",
  );
}

/** Big-endian 64 bits of a non-negative safe integer. */
export function writeUint53(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / 0x1_0000_0000));
  view.setUint32(offset + 4, value >>> 0);
}

export function readUint53(view: DataView, offset: number): number {
  return view.getUint32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The header that opens each segment: eight letters, version, number of the segment, CRC-32 of all that. */
export const SEGMENT_HEADER_BYTES = 24;

export function encodeSegmentHeader(letters: string, number: number, crc: Crc32): Uint8Array {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(header);
  header.set(asciiBytes(letters));
  view.setUint32(8, STORE_VERSION);
  writeUint53(view, 12, number);
  view.setUint32(20, crc(header.subarray(0, 20)));
  return header;
}

/** "ok", or what is wrong; throws STATE_VERSION for an intact header of another version. */
export function checkSegmentHeader(
  file: string,
  header: Uint8Array,
  letters: string,
  number: number,
  crc: Crc32,
): "ok" | "short" | "damaged" {
  if (header.length < SEGMENT_HEADER_BYTES) return "short";
  const view = viewOf(header);
  if (view.getUint32(20) !== crc(header.subarray(0, 20))) return "damaged";
  if (asciiBytes(letters).some((byte, i) => header[i] !== byte)) return "damaged";
  const version = view.getUint32(8);
  if (version !== STORE_VERSION) throw otherVersion(file, version);
  return readUint53(view, 12) === number ? "ok" : "damaged";
}
