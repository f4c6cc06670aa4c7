// The validated pool on the disk, as a log: nothing leaves this node that it could forget. Records stand behind checksums in
// segments that are only appended to, and removed as a whole once all in them is below the height that is still needed.
// Each record says how much of its segment was synced before it: damage behind that is a write that was never synced, so never
// broadcast, and is cut off; or it is damage to the last one that was. So votes of this node are written twice in one write,
// in different blocks of the disk, and are found whatever happens to one place. Votes are numbered: when one is missing,
// this node signs no block up to the greatest height of a vote that it may have been (`abstainUpTo`); when the log itself does not
// say, up to what vote-ceiling.ts says. Sections 3 and 5.5.
import { EnvironmentError, type Height, type StoragePort } from "@atoll/types";
import { encodeWire, uint } from "@atoll/types/wire";
import { type Artifact, heightOf } from "./artifacts.ts";
import { SEGMENT_BYTES } from "./bounds.ts";
import { FoundLog } from "./pool-log.ts";
import { ABSTAIN, ARTIFACT, HEADER_BYTES, PADDING, recordHeader, VOTE } from "./pool-record.ts";
import { VoteCeiling } from "./vote-ceiling.ts";

export interface StoredArtifact {
  readonly artifact: Artifact;
  readonly bytes: Uint8Array;
  /** Signed by this node, and not to be contradicted. */
  readonly isVote: boolean;
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
  readonly name: string;
  size: number;
  synced: number;
  highest: Height;
  /** Votes in the log before it. */
  readonly votesBefore: number;
}

/** Of the log's format, in the names of its files, where no damage reaches it. To be raised with every change of a record. */
const POOL_VERSION = 2;
/** The first version had none in its names. */
const NAME = /^pool-(?:v([0-9]+)-)?([0-9]{10})$/;
/** What a disk loses at once. */
const BLOCK_BYTES = 4096;
const ZEROS = new Uint8Array(BLOCK_BYTES);

export class PoolStorage {
  readonly #storage: StoragePort;
  readonly #sha256: (data: Uint8Array) => Uint8Array;
  readonly #segmentBytes: number;
  #ceiling: VoteCeiling | undefined;
  #segments: Segment[] = [];
  /** Something went wrong in the last write: what is behind `size` is to be cut off before the next. */
  #isTorn = false;
  /** Votes in the log so far, and the greatest height of one. */
  #votes = 0;
  #voted: Height = 0;

  constructor(storage: StoragePort, sha256: (data: Uint8Array) => Uint8Array, segmentBytes: number = SEGMENT_BYTES) {
    this.#storage = storage;
    this.#segmentBytes = segmentBytes;
    this.#sha256 = sha256;
  }

  /**
   * Reads what is there and makes it durable and ready to be appended to. Once, before all else. `repair` says what to keep
   * of a log that is damaged.
   */
  open(
    repair: (artifacts: readonly StoredArtifact[]) => readonly StoredArtifact[] = (artifacts) => artifacts,
  ): StoredPool {
    const numbers = this.#storage.list().flatMap(numberIn);
    const found = new FoundLog(this.#sha256);
    const read = numbers.map((number, place) => {
      const content = this.#storage.read(fileName(number), 0, this.#storage.size(fileName(number)) ?? 0);
      const { end, highest, votesBefore } = found.read(content, place === numbers.length - 1);
      return { number, name: fileName(number), size: end, synced: end, highest, votesBefore };
    });
    this.#ceiling = new VoteCeiling(this.#storage);
    found.finish(this.#ceiling.height);
    const { artifacts, abstainUpTo, damages, votes, voted } = found;
    this.#segments = read.map((segment) => ({ ...segment, votesBefore: segment.votesBefore ?? votes }));
    this.#votes = votes;
    this.#voted = voted;
    if (damages === 0 && found.late.length === 0 && !found.hasSingleVotes) {
      this.#writeEndAnew();
      return { artifacts, abstainUpTo, damages };
    }
    const kept = [...(damages > 0 ? repair(artifacts) : artifacts), ...found.late];
    const stored = { artifacts: kept, abstainUpTo, damages };
    this.#rewrite(stored);
    return stored;
  }

  /**
   * Appends artifacts by their encodings; when there is a vote among them all are durable when this returns. Throws what the
   * storage throws: then nothing of it counts, and it is cut off before the next write.
   */
  write(artifacts: readonly WrittenArtifact[]): void {
    if (artifacts.length === 0) return;
    const segment = this.#current();
    const { name } = segment;
    if (this.#isTorn && this.#storage.size(name) !== undefined) this.#storage.truncate(name, segment.size);
    this.#isTorn = true;
    const { parts, size, votes, voted } = this.#encode(artifacts, segment, this.#votes);
    if (votes > this.#votes) this.#ceiling?.cover(voted);
    this.#storage.append(name, parts);
    const isSynced = size >= this.#segmentBytes || votes > this.#votes;
    if (isSynced) this.#storage.sync(name);
    this.#isTorn = false;
    this.#votes = votes;
    this.#voted = voted;
    segment.size = size;
    if (isSynced) segment.synced = size;
    for (const { artifact } of artifacts) segment.highest = Math.max(segment.highest, heightOf(artifact));
    // Only a segment that is synced as a whole gets a successor: what is durable is always a beginning of the log.
    if (size >= this.#segmentBytes) this.#segments.push(emptySegment(segment.number + 1, votes));
  }

  /** Nothing below that height is needed any more. */
  purge(below: Height): void {
    if (this.#segments.length < 2) return;
    // The last one that has a file stays: without any the log would count as new.
    const current = this.#segments.findLast(({ size }) => size > 0);
    const old = this.#segments.filter((segment) => segment !== current && segment.size > 0 && segment.highest < below);
    if (current === undefined || old.length === 0) return;
    // What makes the old ones superfluous may stand in here.
    if (current.synced < current.size) this.#storage.sync(fileName(current.number));
    current.synced = current.size;
    for (const segment of old) {
      this.#storage.remove(fileName(segment.number));
      this.#segments = this.#segments.filter((other) => other !== segment);
    }
  }

  /**
   * The records of these artifacts, behind those of the segment, and copies of the votes. Votes get numbers from `first` on.
   * `abstainUpTo`: a log that was repaired begins with these; how many votes it has is there twice too.
   */
  #encode(
    artifacts: readonly WrittenArtifact[],
    { size: start, synced, votesBefore }: Segment,
    first: number,
    abstainUpTo?: Height,
  ) {
    let last = first;
    let voted = this.#voted;
    for (const { isVote, artifact } of artifacts)
      if (isVote) {
        last++;
        voted = Math.max(voted, heightOf(artifact));
      }
    const copies = abstainUpTo === undefined ? [] : [...this.#beginning(abstainUpTo, { synced, votes: last, voted })];
    const parts = [...copies];
    let copied = copies.reduce((sum, part) => sum + part.length, 0);
    let size = start + copied;
    let votes = first;
    for (const { bytes, hash, isVote } of artifacts) {
      const header = recordHeader(
        { type: isVote ? VOTE : ARTIFACT, synced, votesBefore, votes, voted },
        bytes.length,
        hash,
      );
      parts.push(header, bytes);
      size += HEADER_BYTES + bytes.length;
      if (!isVote) continue;
      copies.push(header, bytes);
      copied += HEADER_BYTES + bytes.length;
      votes++;
    }
    if (copies.length === 0) return { parts, size, votes, voted };
    const padding = ZEROS.subarray(0, -(size + HEADER_BYTES) & (BLOCK_BYTES - 1));
    const head = { type: PADDING, synced, votesBefore, votes, voted };
    parts.push(recordHeader(head, padding.length, this.#sha256(padding)), padding, ...copies);
    return { parts, size: size + HEADER_BYTES + padding.length + copied, votes, voted };
  }

  #rewrite({ artifacts, abstainUpTo }: StoredPool): void {
    const old = this.#segments;
    const number = (old.at(-1)?.number ?? 0) + 1;
    this.#voted = Math.max(this.#voted, abstainUpTo);
    const hashed = artifacts.map((stored) => ({ ...stored, hash: this.#sha256(stored.bytes) }));
    const segment = emptySegment(number, 0);
    // All of it is there, or nothing: whatever is missing later was damaged.
    segment.synced = this.#encode(hashed, segment, 0, abstainUpTo).size;
    const { parts, size, votes } = this.#encode(hashed, segment, 0, abstainUpTo);
    this.#storage.replace(fileName(number), joined(parts, size));
    this.#votes = votes;
    segment.highest = old.reduce((top, { highest }) => Math.max(top, highest), abstainUpTo);
    this.#segments = [{ ...segment, size }];
    for (const each of old) this.#storage.remove(fileName(each.number));
  }

  /**
   * What was read may be in the memory of the machine alone, and is going to be broadcast. To sync it is not enough: after a
   * sync that failed, the machine takes for written what is not. So the file is written anew.
   */
  #writeEndAnew(): void {
    const last = this.#segments.at(-1);
    if (last === undefined) return;
    const name = fileName(last.number);
    this.#storage.replace(name, this.#storage.read(name, 0, last.size));
  }

  #current(): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined) return last;
    // Durable before anything else: from now on a log without a whole record is a damaged one.
    this.#ceiling?.cover(0);
    const parts = this.#beginning(0, { synced: 0, votes: 0, voted: 0 });
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    this.#storage.replace(fileName(1), joined(parts, size));
    const segment = { ...emptySegment(1, 0), size, synced: size };
    this.#segments.push(segment);
    return segment;
  }

  /** What a log begins with. */
  #beginning(abstainUpTo: Height, counts: { synced: number; votes: number; voted: Height }): Uint8Array[] {
    const content = encodeWire(uint(), abstainUpTo);
    return [recordHeader({ type: ABSTAIN, votesBefore: 0, ...counts }, content.length, this.#sha256(content)), content];
  }
}

function emptySegment(number: number, votesBefore: number): Segment {
  return { number, name: fileName(number), size: 0, synced: 0, highest: 0, votesBefore };
}

/** A log has more parts than a function takes arguments, so `concatBytes` is not for it. */
function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function fileName(number: number): string {
  return `pool-v${POOL_VERSION}-${String(number).padStart(10, "0")}`;
}

function numberIn(name: string): number[] {
  const [, version = "1", digits] = NAME.exec(name) ?? [];
  if (digits === undefined) return [];
  if (Number(version) === POOL_VERSION) return [Number(digits)];
  throw new EnvironmentError(
    "POOL_VERSION",
    `The file ${name} of the pool has format version ${version}, and this program reads version ${POOL_VERSION}. ` +
      "Nothing was changed; use the program that wrote it, or start again with --clean, which deletes the state of this network.",
  );
}
