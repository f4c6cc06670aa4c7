// What a start finds in the pool's log, segment by segment: the artifacts, each vote once; what was cut off because it was never
// synced; and up to which height votes of this node may be missing. A vote is missing when a later record counts it and
// neither of its two records is whole. Sections 3 and 5.5.
import { EnvironmentError, type Height } from "@atoll/types";
import { decodeWire, uint } from "@atoll/types/wire";
import { artifactCodec, heightOf } from "./artifacts.ts";
import { ABSTAIN, PADDING, type PoolRecord, readRecords, VOTE } from "./pool-record.ts";
import type { StoredArtifact } from "./pool-storage.ts";

export class FoundLog {
  readonly artifacts: StoredArtifact[] = [];
  /** Votes of a write that was perhaps never synced: not all of it is there. To be kept, as they may have been sent. */
  readonly late: StoredArtifact[] = [];
  abstainUpTo: Height = 0;
  /** Places where synced bytes were damaged. */
  damages = 0;
  /** Votes that are counted. */
  votes = 0;
  /** The greatest height of a vote. */
  voted: Height = 0;
  readonly #sha256: (data: Uint8Array) => Uint8Array;
  readonly #records: PoolRecord[] = [];
  /** How many whole records there are of each vote, without those that are going to be cut off. */
  readonly #copies = new Map<number, number>();
  /** Before the first segment of which anything is left, or behind the last record, there is damage: nothing tells what was there. */
  #isHeadless = false;
  #isEndless = false;
  #isFilled = false;

  constructor(sha256: (data: Uint8Array) => Uint8Array) {
    this.#sha256 = sha256;
  }

  /**
   * Takes one segment; gives where its next record goes, its greatest height, and the votes before it, if anything is left
   * that says so. In order, then `finish`.
   */
  read(bytes: Uint8Array, isLast: boolean): { end: number; highest: Height; votesBefore: number | undefined } {
    if (bytes.length > 0) this.#isFilled = true;
    const { records, gaps } = readRecords(bytes, this.#sha256);
    // Synced was at least what the records say, and all of a segment that has a successor.
    const synced = isLast ? records.reduce((most, record) => Math.max(most, record.synced), 0) : bytes.length;
    const cut = gaps.find((gap) => gap >= synced) ?? bytes.length;
    const damaged = gaps.filter((gap) => gap < synced);
    this.damages += damaged.length;
    const last = records.findLast(({ at }) => at < cut);
    // A log that was repaired says at both ends how many votes it has, unless there was, or may have been, more behind it.
    const counted = records.reduce((most, { type, synced: at }) => (type === ABSTAIN ? Math.max(most, at) : most), 0);
    if (last !== undefined) this.#isEndless = bytes.length !== counted && damaged.some((gap) => gap > last.at);
    else if (damaged.length > 0) this.#isEndless = true;
    if (this.#isEndless && this.#records.length === 0 && last === undefined) this.#isHeadless = true;
    let highest = 0;
    for (const record of records) {
      const stored = this.#take(record, record.at < cut);
      if (record.at < cut) this.#records.push(record);
      if (stored === undefined) continue;
      highest = Math.max(highest, heightOf(stored.artifact));
      if (record.at < cut) this.artifacts.push(stored);
      else if (stored.isVote) this.late.push(stored);
    }
    return { end: cut, highest, votesBefore: last?.votesBefore };
  }

  /** Whether one more damage could take a vote. */
  get hasSingleVotes(): boolean {
    for (const copies of this.#copies.values()) if (copies === 1) return true;
    return false;
  }

  /** `ceiling`: no vote is higher. Throws EnvironmentError when nothing at all says how high a vote can be. */
  finish(ceiling: Height | undefined): void {
    // A log begins with a record that is durable before all else.
    if (this.#records.length === 0 && this.late.length === 0 && (this.#isFilled || (ceiling ?? 0) > 0)) {
      if (ceiling === undefined) throw nothingKnown();
      this.damages++;
      this.#isEndless = true;
    }
    for (const { type, votes, voted } of this.#records) {
      this.votes = Math.max(this.votes, type === VOTE ? votes + 1 : votes);
      this.voted = Math.max(this.voted, voted);
    }
    const lostUpTo = this.#lostUpTo(ceiling);
    // A segment that is gone as a whole leaves no other trace.
    if (lostUpTo > 0) this.damages = Math.max(this.damages, 1);
    this.abstainUpTo = Math.max(this.abstainUpTo, lostUpTo);
  }

  /** 0: no vote is missing. */
  #lostUpTo(ceiling: Height | undefined): Height {
    const [first] = this.#records;
    let lostUpTo = this.#isHeadless ? (first?.voted ?? 0) : 0;
    let missing = this.votes - 1;
    while (this.#copies.has(missing)) missing--;
    if (first !== undefined && missing >= first.votesBefore) {
      const after = this.#records.find(({ votes }) => votes > missing);
      lostUpTo = Math.max(lostUpTo, after?.voted ?? this.voted);
    }
    // Whoever signs at a height has what is below it in the log.
    const top = this.artifacts.reduce((highest, { artifact }) => Math.max(highest, heightOf(artifact)), this.voted);
    return this.#isEndless ? (ceiling ?? top + 1) : lostUpTo;
  }

  /** Undefined: it is none, or there already. */
  #take({ type, content, votes }: PoolRecord, isKept: boolean): StoredArtifact | undefined {
    if (type === PADDING) return undefined;
    const copies = type === VOTE ? (this.#copies.get(votes) ?? 0) : 0;
    if (copies > 0 && isKept) this.#copies.set(votes, copies + 1);
    if (copies > 0) return undefined;
    try {
      if (type === ABSTAIN) this.abstainUpTo = Math.max(this.abstainUpTo, decodeWire(uint(), content));
      else {
        const artifact = decodeWire(artifactCodec, content);
        if (type === VOTE) this.#copies.set(votes, 1);
        return { artifact, bytes: content.slice(), isVote: type === VOTE };
      }
    } catch {
      // Written whole and not readable: of another version of the encoding. As good as damaged.
      this.damages++;
    }
    return undefined;
  }
}

function nothingKnown(): EnvironmentError {
  return new EnvironmentError(
    "POOL_CORRUPT",
    "The pool on the disk is damaged so much that nothing says what this node has signed, and it must not sign anything twice. " +
      "Nothing was changed; restore a copy of its folder, or have a new node replace it.",
  );
}
