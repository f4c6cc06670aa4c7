// The validated pool on the disk, as a log: nothing leaves this node that it could forget. Records stand behind checksums in
// segments that are only appended to, and removed as a whole once all in them is below the height that is still needed.
// Each record says how much of its segment was synced before it. Damage behind that was never synced, so never broadcast, and
// is cut off. Damage before it may have been a signature of this node: the node then signs no block up to the height
// where it may have signed one (`abstainUpTo`). Sections 3 and 5.5.
import { equalBytes } from "@atoll/crypto/domain";
import type { Height, StoragePort } from "@atoll/types";
import { crc32 } from "@atoll/types/ids";
import { decodeWire, encodeWire, uint } from "@atoll/types/wire";
import { type Artifact, artifactCodec, heightOf } from "./artifacts.ts";
import { MAX_ARTIFACT_BYTES, SEGMENT_BYTES } from "./bounds.ts";

export interface StoredArtifact {
  readonly artifact: Artifact;
  readonly bytes: Uint8Array;
}

/** `hash`: SHA-256 of the encoding. */
export interface WrittenArtifact extends StoredArtifact {
  readonly hash: Uint8Array;
}

export interface StoredPool {
  /** In the order in which they were written. */
  readonly artifacts: readonly StoredArtifact[];
  /** 0: this node knows all that it has signed. */
  readonly abstainUpTo: Height;
  /** Places where synced bytes were damaged, for the operator. */
  readonly damages: number;
}

interface Segment {
  readonly number: number;
  size: number;
  synced: number;
  highest: Height;
}

const MAGIC = 0xa7;
const ARTIFACT = 1;
const ABSTAIN = 2;
/** Magic, type, length, length synced before, checksum of these; half a SHA-256 of the content. */
const HEAD_BYTES = 14;
const HEADER_BYTES = HEAD_BYTES + 16;
const NAME = /^pool-([0-9]{10})$/;

export class PoolStorage {
  readonly #storage: StoragePort;
  readonly #sha256: (data: Uint8Array) => Uint8Array;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  /** Something went wrong in the last write: what is behind `size` is to be cut off before the next. */
  #isTorn = false;

  constructor(storage: StoragePort, sha256: (data: Uint8Array) => Uint8Array, segmentBytes: number = SEGMENT_BYTES) {
    this.#storage = storage;
    this.#segmentBytes = segmentBytes;
    this.#sha256 = sha256;
  }

  /**
   * Reads what is there and makes it ready to be appended to. Once, before all else. `repair` says what to keep of a log
   * that is damaged.
   */
  open(
    repair: (artifacts: readonly StoredArtifact[]) => readonly StoredArtifact[] = (artifacts) => artifacts,
  ): StoredPool {
    const numbers = this.#storage.list().flatMap((name) => NAME.exec(name)?.[1] ?? []);
    const artifacts: StoredArtifact[] = [];
    let abstainUpTo = 0;
    let damages = 0;
    for (const [place, digits] of numbers.entries()) {
      const isLast = place === numbers.length - 1;
      const number = Number(digits);
      const size = this.#storage.size(fileName(number)) ?? 0;
      const found = readSegment(this.#storage.read(fileName(number), 0, size), isLast, this.#sha256);
      if (isLast && found.end < size) this.#storage.truncate(fileName(number), found.end);
      const highest = found.artifacts.reduce((top, { artifact }) => Math.max(top, heightOf(artifact)), 0);
      this.#segments.push({ number, size: found.end, synced: isLast ? 0 : found.end, highest });
      artifacts.push(...found.artifacts);
      abstainUpTo = Math.max(abstainUpTo, found.abstainUpTo);
      damages += found.damages;
    }
    if (damages === 0) return { artifacts, abstainUpTo, damages };
    // Whoever signs at a height has what is below it in the log.
    const top = this.#segments.reduce((highest, segment) => Math.max(highest, segment.highest), 0);
    const stored = { artifacts: repair(artifacts), abstainUpTo: Math.max(abstainUpTo, top + 1), damages };
    this.#rewrite(stored);
    return stored;
  }

  /**
   * Appends artifacts by their encodings; with `sync` they are durable when this returns. Throws what the storage throws:
   * then nothing of it counts, and it is cut off before the next write.
   */
  write(artifacts: readonly WrittenArtifact[], sync: boolean): void {
    if (artifacts.length === 0) return;
    const segment = this.#current();
    if (this.#isTorn && this.#storage.size(fileName(segment.number)) !== undefined)
      this.#storage.truncate(fileName(segment.number), segment.size);
    this.#isTorn = true;
    const parts = artifacts.flatMap(({ bytes, hash }) => [header(ARTIFACT, bytes.length, hash, segment.synced), bytes]);
    this.#storage.append(fileName(segment.number), parts);
    const size = parts.reduce((total, part) => total + part.length, segment.size);
    const isFull = size >= this.#segmentBytes;
    if (sync || isFull) this.#storage.sync(fileName(segment.number));
    this.#isTorn = false;
    segment.size = size;
    if (sync || isFull) segment.synced = size;
    for (const { artifact } of artifacts) segment.highest = Math.max(segment.highest, heightOf(artifact));
    // Only a segment that is synced as a whole gets a successor: what is durable is always a beginning of the log.
    if (isFull) this.#segments.push({ number: segment.number + 1, size: 0, synced: 0, highest: 0 });
  }

  /** Nothing below that height is needed any more. */
  purge(below: Height): void {
    const current = this.#segments.at(-1);
    const old = this.#segments.filter((segment) => segment !== current && segment.highest < below);
    if (current === undefined || old.length === 0) return;
    // What makes the old ones superfluous may stand in here.
    if (current.synced < current.size) this.#storage.sync(fileName(current.number));
    current.synced = current.size;
    for (const segment of old) {
      this.#storage.remove(fileName(segment.number));
      this.#segments = this.#segments.filter((other) => other !== segment);
    }
  }

  #current(): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined) return last;
    const first = { number: 1, size: 0, synced: 0, highest: 0 };
    this.#segments.push(first);
    return first;
  }

  #rewrite({ artifacts, abstainUpTo }: StoredPool): void {
    const old = this.#segments;
    const number = (old.at(-1)?.number ?? 0) + 1;
    const abstain = encodeWire(uint(), abstainUpTo);
    const parts = [header(ABSTAIN, abstain.length, this.#sha256(abstain), 0), abstain];
    for (const { bytes } of artifacts) parts.push(header(ARTIFACT, bytes.length, this.#sha256(bytes), 0), bytes);
    const content = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of parts) {
      content.set(part, at);
      at += part.length;
    }
    this.#storage.replace(fileName(number), content);
    const highest = old.reduce((top, segment) => Math.max(top, segment.highest), abstainUpTo);
    this.#segments = [{ number, size: content.length, synced: content.length, highest }];
    for (const segment of old) this.#storage.remove(fileName(segment.number));
  }
}

function header(type: number, length: number, hash: Uint8Array, synced: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = MAGIC;
  bytes[1] = type;
  view.setUint32(2, length);
  view.setUint32(6, synced);
  view.setUint32(10, crc32(bytes.subarray(0, 10)));
  bytes.set(hash.subarray(0, 16), HEAD_BYTES);
  return bytes;
}

interface SegmentContent {
  readonly artifacts: StoredArtifact[];
  abstainUpTo: Height;
  damages: number;
  /** Where the next record goes. */
  end: number;
}

interface StoredRecord {
  readonly type: number;
  readonly content: Uint8Array;
  readonly synced: number;
  readonly end: number;
}

function readSegment(bytes: Uint8Array, isLast: boolean, sha256: (data: Uint8Array) => Uint8Array): SegmentContent {
  const records: { at: number; record: StoredRecord }[] = [];
  const gaps: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const record = recordAt(bytes, at, sha256);
    if (record !== undefined) {
      records.push({ at, record });
      at = record.end;
    } else {
      gaps.push(at);
      do at++;
      while (at < bytes.length && recordAt(bytes, at, sha256) === undefined);
    }
  }
  // Synced was at least what the records say, and all of a segment that has a successor.
  const synced = isLast ? records.reduce((most, { record }) => Math.max(most, record.synced), 0) : bytes.length;
  const cut = gaps.find((gap) => gap >= synced) ?? bytes.length;
  const content: SegmentContent = { artifacts: [], abstainUpTo: 0, damages: 0, end: cut };
  content.damages += gaps.filter((gap) => gap < synced).length;
  for (const { at, record } of records) if (at < cut) take(record, content);
  return content;
}

function take({ type, content: bytes }: StoredRecord, content: SegmentContent): void {
  try {
    if (type === ABSTAIN) content.abstainUpTo = Math.max(content.abstainUpTo, decodeWire(uint(), bytes));
    else content.artifacts.push({ artifact: decodeWire(artifactCodec, bytes), bytes: bytes.slice() });
  } catch {
    // Written whole and not readable: of another version of the encoding. As good as damaged.
    content.damages++;
  }
}

function recordAt(bytes: Uint8Array, at: number, sha256: (data: Uint8Array) => Uint8Array): StoredRecord | undefined {
  if (bytes[at] !== MAGIC || at + HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  const length = view.getUint32(2);
  const end = at + HEADER_BYTES + length;
  if (length > MAX_ARTIFACT_BYTES || end > bytes.length) return undefined;
  if (view.getUint32(10) !== crc32(bytes.subarray(at, at + 10))) return undefined;
  const content = bytes.subarray(at + HEADER_BYTES, end);
  if (!equalBytes(sha256(content).subarray(0, 16), bytes.subarray(at + HEAD_BYTES, at + HEADER_BYTES)))
    return undefined;
  return { type: bytes[at + 1] as number, content, synced: view.getUint32(6), end };
}

function fileName(number: number): string {
  return `pool-${String(number).padStart(10, "0")}`;
}
