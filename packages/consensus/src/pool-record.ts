// One record of the pool's log: magic, type, length of the content; how much of the segment was synced before; how many votes of
// this node came before the segment, and before the record; the greatest height of any, itself and those written with it
// included; a checksum of these; half a SHA-256 of the content; the content. A reader that meets damage goes on at the next
// record that is whole.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height } from "@atoll/types";
import { crc32 } from "@atoll/types/ids";
import { MAX_ARTIFACT_BYTES } from "./bounds.ts";

export const ARTIFACT = 1;
/** Up to which height this node signs nothing. */
export const ABSTAIN = 2;
/** An artifact that must not be forgotten. There are two records of each. */
export const VOTE = 3;
/** Nothing: the copies behind it begin in another block of the disk. */
export const PADDING = 4;

export interface RecordHead {
  readonly type: number;
  readonly synced: number;
  readonly votesBefore: number;
  /** Of a vote: its number. */
  readonly votes: number;
  readonly voted: Height;
}

export interface PoolRecord extends RecordHead {
  readonly content: Uint8Array;
  readonly at: number;
  readonly end: number;
}

const MAGIC = 0xa8;
const HEAD_BYTES = 38;
export const HEADER_BYTES = HEAD_BYTES + 16;

/** `hash`: SHA-256 of the content. */
export function recordHeader(head: RecordHead, length: number, hash: Uint8Array): Uint8Array {
  checked[0] = MAGIC;
  checked[1] = head.type;
  setUint32(checked, 2, length);
  setUint32(checked, 6, head.synced);
  setUint64(checked, 10, head.votesBefore);
  setUint64(checked, 18, head.votes);
  setUint64(checked, 26, head.voted);
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(checked);
  setUint32(bytes, checked.length, crc32(checked));
  for (let i = 0; i < 16; i++) bytes[HEAD_BYTES + i] = hash[i] as number;
  return bytes;
}

/** What the checksum covers, of the header that is being made. */
const checked = new Uint8Array(HEAD_BYTES - 4);

function setUint64(bytes: Uint8Array, at: number, value: number): void {
  setUint32(bytes, at, Math.floor(value / 2 ** 32));
  setUint32(bytes, at + 4, value);
}

/** Big-endian, modulo 2^32. */
function setUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** All records that are whole, and where those that are not begin. */
export function readRecords(
  bytes: Uint8Array,
  sha256: (data: Uint8Array) => Uint8Array,
): { readonly records: readonly PoolRecord[]; readonly gaps: readonly number[] } {
  const records: PoolRecord[] = [];
  const gaps: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const record = recordAt(bytes, at, sha256);
    if (record !== undefined) {
      records.push(record);
      at = record.end;
    } else {
      gaps.push(at);
      do at++;
      while (at < bytes.length && recordAt(bytes, at, sha256) === undefined);
    }
  }
  return { records, gaps };
}

function recordAt(bytes: Uint8Array, at: number, sha256: (data: Uint8Array) => Uint8Array): PoolRecord | undefined {
  if (bytes[at] !== MAGIC || at + HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  const length = view.getUint32(2);
  const end = at + HEADER_BYTES + length;
  if (length > MAX_ARTIFACT_BYTES || end > bytes.length) return undefined;
  if (view.getUint32(34) !== crc32(bytes.subarray(at, at + 34))) return undefined;
  const content = bytes.subarray(at + HEADER_BYTES, end);
  if (!equalBytes(sha256(content).subarray(0, 16), bytes.subarray(at + HEAD_BYTES, at + HEADER_BYTES)))
    return undefined;
  const number = (offset: number) => Number(view.getBigUint64(offset));
  const counts = { votesBefore: number(10), votes: number(18), voted: number(26) };
  return { type: bytes[at + 1] as number, content, synced: view.getUint32(6), ...counts, at, end };
}
