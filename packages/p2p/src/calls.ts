// What this node has asked and waits for: questions of the layers above, and artifacts that are fetched. An answer comes
// in chunks, which the asking side grants a few at a time, so that nobody is sent more than it takes, and which it asks
// for again when they got lost. Sections 21.1 and 21.3.
import type { PrincipalId } from "@atoll/types";
import { CHUNK_BYTES, type GossipLimits, MAX_ANSWER_BYTES, type Nanoseconds, NEVER } from "./limits.ts";
import type { Answering, Asking } from "./messages.ts";

/** Chunks that are sent without being granted. */
export const FIRST_CHUNKS = 8;
const GRANTED_CHUNKS = 4;

export type Outcome =
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  /** "broken": the answer breaks the rules. */
  | { readonly kind: "refused" | "timeout" | "disconnected" | "broken" };

export interface Asked {
  readonly peer: PrincipalId;
  readonly opening:
    | { readonly kind: "question"; readonly question: Uint8Array }
    | { readonly kind: "fetch"; readonly id: string };
  /** Bytes that the answer must have, when that is known. */
  readonly size: number | undefined;
  readonly timeout: Nanoseconds;
  readonly finish: (outcome: Outcome) => void;
}

interface Call extends Asked {
  readonly request: number;
  deadline: Nanoseconds;
  resendAt: Nanoseconds;
  resendAfter: Nanoseconds;
  answer: Answer | undefined;
}

interface Answer {
  readonly total: number;
  readonly chunks: (Uint8Array | undefined)[];
  received: number;
  /** Chunks that were asked for: all before this place. */
  granted: number;
}

export interface Load {
  readonly questions: number;
  readonly fetches: number;
  readonly fetchBytes: number;
}

const NO_LOAD: Load = { questions: 0, fetches: 0, fetchBytes: 0 };

export class Calls {
  readonly #limits: GossipLimits;
  readonly #post: (peer: PrincipalId, message: Asking) => void;
  readonly #calls = new Map<number, Call>();
  readonly #loads = new Map<PrincipalId, Load>();
  #last = 0;

  constructor(limits: GossipLimits, post: (peer: PrincipalId, message: Asking) => void) {
    this.#limits = limits;
    this.#post = post;
  }

  /** What is asked of the peer now. */
  load(peer: PrincipalId): Load {
    return this.#loads.get(peer) ?? NO_LOAD;
  }

  begin(asked: Asked, now: Nanoseconds): number {
    const call: Call = {
      ...asked,
      request: ++this.#last,
      deadline: now + asked.timeout,
      resendAt: now + this.#limits.minRetry,
      resendAfter: this.#limits.minRetry,
      answer: undefined,
    };
    this.#calls.set(call.request, call);
    this.#weigh(call, 1);
    this.#post(call.peer, { ...call.opening, request: call.request });
    return call.request;
  }

  /** Nobody waits for it any more. */
  cancel(request: number): void {
    const call = this.#calls.get(request);
    if (call === undefined) return;
    this.#forget(call);
    this.#post(call.peer, { kind: "done", request });
  }

  onAnswer(peer: PrincipalId, message: Answering, now: Nanoseconds): void {
    const call = this.#calls.get(message.request);
    if (call === undefined || call.peer !== peer) return;
    if (message.kind === "refused") this.#finish(call, { kind: "refused" });
    else this.#onChunk(call, message, now);
  }

  #onChunk(call: Call, message: Extract<Answering, { kind: "chunk" }>, now: Nanoseconds): void {
    call.answer ??= newAnswer(message.total);
    const { answer } = call;
    const length = Math.min(CHUNK_BYTES, answer.total - message.place * CHUNK_BYTES);
    const isWhole = message.total === answer.total && message.bytes.length === length;
    if (!isWhole || message.place >= answer.chunks.length || answer.total !== (call.size ?? answer.total)) {
      this.#finish(call, { kind: "broken" });
      return;
    }
    if (answer.chunks[message.place] !== undefined) return;
    answer.chunks[message.place] = message.bytes;
    answer.received++;
    if (answer.received < answer.chunks.length) {
      this.#advance(call, answer, now);
      return;
    }
    if (answer.received > 1) this.#post(call.peer, { kind: "done", request: call.request });
    this.#finish(call, { kind: "answer", bytes: joined(answer) });
  }

  #advance(call: Call, answer: Answer, now: Nanoseconds): void {
    // A fetch has so long in all, since others may have the artifact as well; an answer may take its time to come in.
    if (call.opening.kind === "question") call.deadline = now + call.timeout;
    call.resendAfter = this.#limits.minRetry;
    call.resendAt = now + call.resendAfter;
    const end = Math.min(answer.chunks.length, answer.granted + GRANTED_CHUNKS);
    if (answer.granted - answer.received > GRANTED_CHUNKS || end === answer.granted) return;
    const chunks = places(answer.granted, end);
    answer.granted = end;
    this.#post(call.peer, { kind: "want", request: call.request, chunks });
  }

  step(now: Nanoseconds): void {
    if (this.#calls.size === 0) return;
    for (const call of [...this.#calls.values()]) {
      if (call.deadline <= now) {
        this.#post(call.peer, { kind: "done", request: call.request });
        this.#finish(call, { kind: "timeout" });
      } else if (call.resendAt <= now) {
        call.resendAfter *= 2;
        call.resendAt = now + call.resendAfter;
        this.#askAgain(call);
      }
    }
  }

  #askAgain({ peer, request, opening, answer }: Call): void {
    if (answer === undefined) {
      this.#post(peer, { ...opening, request });
      return;
    }
    const missing = places(0, answer.granted).filter((place) => answer.chunks[place] === undefined);
    this.#post(peer, { kind: "want", request, chunks: missing });
  }

  onDisconnected(peer: PrincipalId): void {
    for (const call of [...this.#calls.values()]) {
      if (call.peer === peer) this.#finish(call, { kind: "disconnected" });
    }
  }

  #finish(call: Call, outcome: Outcome): void {
    this.#forget(call);
    call.finish(outcome);
  }

  #forget(call: Call): void {
    this.#calls.delete(call.request);
    this.#weigh(call, -1);
  }

  #weigh({ peer, opening, size }: Call, sign: 1 | -1): void {
    const { questions, fetches, fetchBytes } = this.load(peer);
    const load =
      opening.kind === "question"
        ? { questions: questions + sign, fetches, fetchBytes }
        : { questions, fetches: fetches + sign, fetchBytes: fetchBytes + sign * (size ?? 0) };
    if (load.questions + load.fetches === 0) this.#loads.delete(peer);
    else this.#loads.set(peer, load);
  }

  nextTime(): Nanoseconds {
    let next = NEVER;
    for (const { deadline, resendAt } of this.#calls.values()) next = Math.min(next, deadline, resendAt);
    return next;
  }
}

export function chunkCount(total: number): number {
  return Math.max(1, Math.ceil(total / CHUNK_BYTES));
}

function newAnswer(total: number): Answer {
  const count = chunkCount(Math.min(total, MAX_ANSWER_BYTES));
  const chunks: Answer["chunks"] = Array.from({ length: count }, () => undefined);
  return { total, chunks, received: 0, granted: Math.min(FIRST_CHUNKS, count) };
}

function joined({ total, chunks }: Answer): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(total);
  for (const [place, chunk] of chunks.entries()) {
    if (chunk !== undefined) bytes.set(chunk, place * CHUNK_BYTES);
  }
  return bytes;
}

export function places(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}
