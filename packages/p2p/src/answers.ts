// What peers have asked of this node and are still taking in. Each peer has so many answers and bytes of them at once;
// what is above that is not looked at, and asked again later by its own retries. Sections 21.1 and 21.3.
import type { PrincipalId } from "@atoll/types";
import { chunkCount, FIRST_CHUNKS, places } from "./calls.ts";
import { CHUNK_BYTES, type GossipLimits, MAX_ANSWER_BYTES, type Nanoseconds, NEVER, SECOND } from "./limits.ts";
import type { Answering } from "./messages.ts";

type Chunk = Extract<Answering, { kind: "chunk" }>;

interface Answer {
  /** Undefined: it is being worked on. */
  bytes: Uint8Array | undefined;
  /** Chunks to be sent. */
  readonly due: Set<number>;
  /** When the peer was last heard of it. */
  heard: Nanoseconds;
}

interface Served {
  readonly answers: Map<number, Answer>;
  /** Questions whose answers have chunks that are due. */
  readonly due: Set<number>;
  bytes: number;
}

/** An answer of which nothing was heard for so long is dropped. */
const FORGET_AFTER = 60 * SECOND;

export class Answers {
  readonly #limits: GossipLimits;
  readonly #post: (peer: PrincipalId, message: Answering) => void;
  readonly #served = new Map<PrincipalId, Served>();

  constructor(limits: GossipLimits, post: (peer: PrincipalId, message: Answering) => void) {
    this.#limits = limits;
    this.#post = post;
  }

  /** False: it is known, or the peer has as many already as it may have. Else `ready` or `refuse` has to follow. */
  begin(peer: PrincipalId, request: number, now: Nanoseconds): boolean {
    const served = this.#served.get(peer) ?? { answers: new Map(), due: new Set(), bytes: 0 };
    this.#served.set(peer, served);
    const known = served.answers.get(request);
    if (known !== undefined) {
      known.heard = now;
      if (known.bytes !== undefined) this.#offer(served, request, known);
      return false;
    }
    if (served.answers.size >= this.#limits.answersInFlight) return false;
    served.answers.set(request, { bytes: undefined, due: new Set(), heard: now });
    return true;
  }

  /** True: chunks are due. */
  ready(peer: PrincipalId, request: number, bytes: Uint8Array): boolean {
    const served = this.#served.get(peer);
    const answer = served?.answers.get(request);
    if (served === undefined || answer === undefined || answer.bytes !== undefined) return false;
    if (bytes.length > MAX_ANSWER_BYTES) {
      this.refuse(peer, request);
      return false;
    }
    if (served.bytes > 0 && served.bytes + bytes.length > this.#limits.answerBytesInFlight) {
      served.answers.delete(request);
      return false;
    }
    answer.bytes = bytes;
    served.bytes += bytes.length;
    this.#offer(served, request, answer);
    return true;
  }

  refuse(peer: PrincipalId, request: number): void {
    this.done(peer, request);
    this.#post(peer, { kind: "refused", request });
  }

  #offer(served: Served, request: number, answer: Answer): void {
    const count = chunkCount(answer.bytes?.length ?? 0);
    for (const place of places(0, Math.min(FIRST_CHUNKS, count))) answer.due.add(place);
    served.due.add(request);
  }

  onWant(peer: PrincipalId, request: number, chunks: readonly number[], now: Nanoseconds): void {
    const served = this.#served.get(peer);
    const answer = served?.answers.get(request);
    if (served === undefined || answer === undefined) {
      this.#post(peer, { kind: "refused", request });
      return;
    }
    answer.heard = now;
    if (answer.bytes === undefined) return;
    const count = chunkCount(answer.bytes.length);
    for (const place of chunks) if (place < count) answer.due.add(place);
    if (answer.due.size > 0) served.due.add(request);
  }

  done(peer: PrincipalId, request: number): void {
    const served = this.#served.get(peer);
    const answer = served?.answers.get(request);
    if (served === undefined || answer === undefined) return;
    served.answers.delete(request);
    served.due.delete(request);
    served.bytes -= answer.bytes?.length ?? 0;
  }

  /** The chunk that has to go out next; the same again until `sent`. */
  next(peer: PrincipalId): Chunk | undefined {
    const served = this.#served.get(peer);
    if (served === undefined || served.due.size === 0) return undefined;
    const request = served.due.values().next().value as number;
    const answer = served.answers.get(request);
    const [place] = answer?.due ?? [];
    if (answer?.bytes === undefined || place === undefined) return undefined;
    const bytes = answer.bytes.subarray(place * CHUNK_BYTES, (place + 1) * CHUNK_BYTES);
    return { kind: "chunk", request, total: answer.bytes.length, place, bytes };
  }

  sent(peer: PrincipalId, { request, place, total }: Chunk): void {
    const served = this.#served.get(peer);
    const answer = served?.answers.get(request);
    if (served === undefined || answer === undefined) return;
    answer.due.delete(place);
    // An answer of one chunk that gets lost is asked for anew.
    if (chunkCount(total) === 1) this.done(peer, request);
    // Answers take turns.
    served.due.delete(request);
    if (answer.due.size > 0) served.due.add(request);
  }

  step(now: Nanoseconds): void {
    for (const [peer, { answers }] of this.#served) {
      if (answers.size === 0) continue;
      for (const [request, { heard }] of answers) {
        if (heard + FORGET_AFTER <= now) this.done(peer, request);
      }
    }
  }

  nextTime(): Nanoseconds {
    let next = NEVER;
    for (const { answers } of this.#served.values()) {
      if (answers.size === 0) continue;
      for (const { heard } of answers.values()) next = Math.min(next, heard + FORGET_AFTER);
    }
    return next;
  }

  clear(peer: PrincipalId): void {
    this.#served.delete(peer);
  }
}
