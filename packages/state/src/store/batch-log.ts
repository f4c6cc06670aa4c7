// The write-ahead log of one subnet: every batch is here, durable, before an answer that depends on it is given.
// A restart takes the last checkpoint and replays the batches after it (DESIGN section 2, "durability").
//
// Segments `log-<first height>.seg` hold consecutive heights. A segment is synced before the next one is made, so
// only the last one can have a torn end; anything else that is not whole is damage and throws STATE_CORRUPT with
// the file's name. log-tail.ts decides about the end, with the help of the mark (log-mark.ts). After an orderly end
// or `kill -9` that decision is exact: whatever was acknowledged is there or its loss is reported. Only a power cut
// that loses the mark, together with a truncated last record, looks like a torn append.
import { EnvironmentError, invariant, RESTART_NEEDED } from "@atoll/types/errors";
import type { StoragePort } from "@atoll/types/ports";
import type { Height } from "@atoll/types/units";
import { type Crc32, corrupt, encodeSegmentHeader, portableCrc32, SEGMENT_HEADER_BYTES } from "./integrity.ts";
import { LogMark, readLogMark } from "./log-mark.ts";
import {
  encodeRecordHeader,
  LOG_SEGMENT_LETTERS,
  type LogDamage,
  logSegmentHeight,
  logSegmentName,
  MAX_PAYLOAD_BYTES,
  walkSegment,
} from "./log-records.ts";
import { isTornTail } from "./log-tail.ts";

export interface BatchLogOptions {
  readonly crc32?: Crc32;
  /** A new segment is begun when the last one has reached this size. Default 64 MiB. */
  readonly segmentBytes?: number;
  /**
   * Height of the checkpoint that replay starts from. With it, `open` also checks that the log reaches that far,
   * which finds a log that is gone altogether: begin it (`restartAt`) before the first checkpoint. Leave it out for
   * a checkpoint that came from a peer: a crash before `restartAt` leaves a log that does not reach it.
   */
  readonly checkpoint?: Height | undefined;
}

interface Segment {
  readonly first: Height;
  length: number;
}

interface Scan {
  readonly segments: Segment[];
  readonly next: Height | undefined;
  /** What a crash left behind and `open` has to cut off. */
  readonly torn: Segment | undefined;
}

export class BatchLog {
  readonly #storage: StoragePort;
  readonly #crc: Crc32;
  readonly #segmentBytes: number;
  readonly #mark: LogMark;
  #segments: Segment[];
  #next: Height | undefined;
  /** One more than the last height known durable. */
  #synced: Height;
  #failure: EnvironmentError | undefined;

  /** Checks every byte of the log; throws EnvironmentError STATE_CORRUPT or STATE_VERSION before it changes any. */
  static open(storage: StoragePort, options: BatchLogOptions = {}): BatchLog {
    const crc = options.crc32 ?? portableCrc32;
    const scan = scanLog(storage, readLogMark(storage, crc), crc);
    requireReach(scan, options.checkpoint);
    if (scan.torn !== undefined) cutOff(storage, scan.torn);
    return new BatchLog(storage, scan, options);
  }

  private constructor(storage: StoragePort, scan: Scan, options: BatchLogOptions) {
    this.#storage = storage;
    this.#crc = options.crc32 ?? portableCrc32;
    this.#segmentBytes = options.segmentBytes ?? 64 * 1024 * 1024;
    this.#mark = new LogMark(storage, this.#crc);
    this.#segments = scan.segments;
    this.#next = scan.next;
    this.#synced = 0;
    // A killed process may have left whole records that only the page cache knows; they count from here on. And
    // bytes that were cut off must not come back under those of the next record.
    this.sync();
  }

  /** Height of the first batch in the log, undefined when it is empty. */
  get firstHeight(): Height | undefined {
    return this.#segments[0]?.first;
  }

  /** The only height that `append` takes next, undefined when any will do because the log is empty. */
  get nextHeight(): Height | undefined {
    return this.#next;
  }

  /** Size of all segments in bytes. */
  get size(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.length, 0);
  }

  /**
   * Adds one batch; not durable before `sync`. When it throws (ENOSPC, ...) the log is as before, and the same
   * height can be appended again once there is room.
   */
  append(height: Height, payload: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    invariant(this.#next === undefined || height === this.#next, "the heights of the batch log are consecutive");
    invariant(Number.isSafeInteger(height) && height >= 0, "a height is a non-negative integer");
    invariant(payload.length <= MAX_PAYLOAD_BYTES, "a batch is bounded by the block size limits");
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.length >= this.#segmentBytes) {
      this.sync();
      segment = this.#beginSegment(height);
    }
    const parts = [encodeRecordHeader(height, this.#synced, payload, this.#crc), payload];
    this.#write(segment, parts);
    this.#next = height + 1;
  }

  /** Everything appended so far is durable once this returns. After a failure the log refuses all further work. */
  sync(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const segment = this.#segments.at(-1);
    if (segment === undefined || this.#next === undefined || this.#next === this.#synced) return;
    try {
      this.#storage.sync(logSegmentName(segment.first));
    } catch (error) {
      throw this.#fail(error);
    }
    this.#synced = this.#next;
    this.#mark.write(this.#next);
  }

  /** The batches from `from` on. Throws STATE_CORRUPT when the log does not hold them. */
  *entries(from: Height): Generator<{ readonly height: Height; readonly payload: Uint8Array }> {
    const first = this.firstHeight;
    if (first === undefined || this.#next === undefined) return;
    if (from < first) throw corrupt(logSegmentName(from), `the batches of heights ${from} to ${first - 1} are missing`);
    if (from > this.#next) {
      throw corrupt(logSegmentName(this.#next), `the batches of heights ${this.#next} to ${from - 1} are missing`);
    }
    for (const [i, segment] of this.#segments.entries()) {
      if ((this.#segments[i + 1]?.first ?? this.#next) <= from) continue;
      const walk = walkSegment(this.#storage, segment.first, segment.length, this.#crc);
      for (let step = walk.next(); ; step = walk.next()) {
        if (step.done) {
          if (step.value !== undefined) throw damaged(segment.first, step.value);
          break;
        }
        if (step.value.height >= from) yield { height: step.value.height, payload: step.value.payload };
      }
    }
  }

  /** Removes the segments that hold nothing but heights below `height`; the last segment always stays. */
  dropBefore(height: Height): void {
    while ((this.#segments[1]?.first ?? Number.POSITIVE_INFINITY) <= height) {
      this.#storage.remove(logSegmentName((this.#segments[0] as Segment).first));
      this.#segments.shift();
    }
  }

  /** Empties the log, so that it goes on at `next`: for a state that came from a peer and not from these batches. */
  restartAt(next: Height): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#mark.remove();
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      this.#storage.remove(logSegmentName(first.first));
      this.#segments.shift();
    }
    this.#synced = 0;
    this.#next = next;
    this.#beginSegment(next);
    this.sync();
  }

  /** For an orderly end: also the mark survives a power cut afterwards. */
  close(): void {
    this.sync();
    this.#mark.sync();
  }

  #beginSegment(first: Height): Segment {
    const segment = { first, length: 0 };
    this.#write(segment, [encodeSegmentHeader(LOG_SEGMENT_LETTERS, first, this.#crc)]);
    this.#segments.push(segment);
    this.#next = first;
    return segment;
  }

  #write(segment: Segment, parts: readonly Uint8Array[]): void {
    const name = logSegmentName(segment.first);
    try {
      this.#storage.append(name, parts);
    } catch (error) {
      try {
        const size = this.#storage.size(name);
        if (size !== undefined && segment.length === 0) this.#storage.remove(name);
        else if (size !== undefined && size > segment.length) this.#storage.truncate(name, segment.length);
      } catch (second) {
        throw this.#fail(second);
      }
      throw error;
    }
    for (const part of parts) segment.length += part.length;
  }

  /** What is on the disk is no longer known: only a start that reads everything anew can tell. */
  #fail(cause: unknown): unknown {
    if (!(cause instanceof EnvironmentError)) return cause;
    const message = `The batch log could not be written (${cause.message}) and stays closed: start the program again.`;
    this.#failure = new EnvironmentError(RESTART_NEEDED, message, { cause });
    return this.#failure;
  }
}

function scanLog(storage: StoragePort, synced: Height, crc: Crc32): Scan {
  const firsts = storage.list().flatMap((name) => logSegmentHeight(name) ?? []);
  firsts.sort((a, b) => a - b);
  const segments: Segment[] = [];
  let next: Height | undefined;
  let torn: Segment | undefined;
  for (const [i, first] of firsts.entries()) {
    if (next !== undefined && first !== next) {
      const before = logSegmentName((segments.at(-1) as Segment).first);
      const what = `its end, or the file ${logSegmentName(next)}, with the batches up to height ${first - 1} is missing`;
      throw corrupt(before, what);
    }
    const fileSize = storage.size(logSegmentName(first)) ?? 0;
    const { end, height, damage } = walkToEnd(storage, first, fileSize, crc);
    if (damage !== undefined) {
      const isLast = i === firsts.length - 1;
      if (!isLast || !isTornTail(storage, first, fileSize, damage, height, synced, crc)) throw damaged(first, damage);
      torn = { first, length: damage.offset };
      if (damage.offset === 0) break;
    }
    segments.push({ first, length: end });
    next = height;
  }
  if (synced > (next ?? 0)) {
    const last = segments.at(-1);
    if (last === undefined)
      throw corrupt("log-*.seg", `it is missing, and batches up to height ${synced - 1} were written`);
    throw corrupt(
      logSegmentName(last.first),
      `batches up to height ${synced - 1} were written, and it ends at ${next}`,
    );
  }
  return { segments, next, torn };
}

function walkToEnd(
  storage: StoragePort,
  first: Height,
  fileSize: number,
  crc: Crc32,
): { end: number; height: Height; damage: LogDamage | undefined } {
  const walk = walkSegment(storage, first, fileSize, crc);
  let end = SEGMENT_HEADER_BYTES;
  let height = first;
  for (let step = walk.next(); ; step = walk.next()) {
    if (step.done) return { end, height, damage: step.value };
    end = step.value.end;
    height = step.value.height + 1;
  }
}

function requireReach(scan: Scan, checkpoint: Height | undefined): void {
  if (checkpoint === undefined) return;
  const first = scan.segments[0]?.first;
  if (scan.next === undefined || first === undefined) {
    throw corrupt(
      logSegmentName(checkpoint + 1),
      `the log is missing, and the checkpoint of height ${checkpoint} is not`,
    );
  }
  if (first > checkpoint + 1) {
    throw corrupt(
      logSegmentName(checkpoint + 1),
      `the batches of heights ${checkpoint + 1} to ${first - 1} are missing`,
    );
  }
  if (scan.next <= checkpoint) {
    const name = logSegmentName((scan.segments.at(-1) as Segment).first);
    throw corrupt(name, `the log ends at height ${scan.next - 1}, before the checkpoint of height ${checkpoint}`);
  }
}

function cutOff(storage: StoragePort, torn: Segment): void {
  const name = logSegmentName(torn.first);
  if (torn.length === 0) storage.remove(name);
  else storage.truncate(name, torn.length);
}

function damaged(first: Height, damage: LogDamage): EnvironmentError {
  const what = damage.kind === "short" ? "it is cut short" : "a checksum is wrong";
  return corrupt(logSegmentName(first), `${what} at byte ${damage.offset}`);
}
