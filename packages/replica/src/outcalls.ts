// HTTPS outcalls on the node's side: what the nodes of a subnet got from outside becomes one agreed answer, which a
// batch brings to the canister. Interface specification, "IC method http_request"; checklist 4.6.
//   note(round.outcalls)       after each round, and with the description of the whole state after a start
//   pending(), take()          what waits for an answer; `take` leaves it to the caller to bring one
//   answer(outcall, answers)   one answer of each node, or one for all: transforms each, agrees, queues the response
//   makePending(client)        both at once, for a network that really calls the web; `serve(client)`: from now on
//   ready()                    what the next batch carries; it stays until a round says that the outcall has ended
import {
  encodeOutcallReply,
  outcallSizeError,
  type RoundEvent,
  transformCall,
  transformResult,
} from "@atoll/execution";
import {
  type CryptoPort,
  encodeState,
  MAX_OUTCALL_RESPONSE_BYTES,
  MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK,
  MAX_OUTCALL_RESPONSES_PER_BLOCK,
  type OutcallAnswer,
  type OutcallChanges,
  type OutcallClient,
  type OutcallReply,
  type OutcallRequest,
  type OutcallResponse,
  type PrincipalId,
  RejectCode,
  type ResponsePayload,
  toHex,
} from "@atoll/types";
import type { Executor } from "./executor.ts";

export interface OutcallsOptions {
  /** The nodes of the subnet, in the order in which answers come. */
  readonly nodes: readonly PrincipalId[];
  /** Told what canisters print in transform functions, for screens and logs. */
  readonly onQueryEvents?: (events: readonly RoundEvent[]) => void;
}

export interface OutcallsPorts {
  readonly crypto: Pick<CryptoPort, "sha256">;
  /** Transform functions run here, on the state that queries see. */
  readonly executor: Pick<Executor, "query">;
}

/** "unknown": no outcall of that number waits for an answer. "wrong-count": neither one answer nor one of each node. */
export type AnswerOutcome =
  | { readonly kind: "agreed"; readonly response: OutcallResponse }
  | { readonly kind: "unknown" }
  | { readonly kind: "wrong-count"; readonly nodes: number };

/** Outcalls being made at a time, each with an answer of up to 2 MB. */
const MAX_IN_THE_MAKING = 200;

export class Outcalls {
  readonly #options: OutcallsOptions;
  readonly #ports: OutcallsPorts;
  readonly #open = new Map<number, OutcallRequest>();
  readonly #taken = new Set<number>();
  readonly #ready = new Map<number, OutcallResponse>();
  #client: OutcallClient | undefined;
  #making = 0;
  /** Called when there is something for the next batch. */
  onReady: (() => void) | undefined;

  constructor(options: OutcallsOptions, ports: OutcallsPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** With the same outcalls, answered or not; what is being made for this one is pending there again. */
  fork({ onQueryEvents }: Pick<OutcallsOptions, "onQueryEvents">, ports: OutcallsPorts): Outcalls {
    const { nodes } = this.#options;
    const fork = new Outcalls({ nodes, ...(onQueryEvents && { onQueryEvents }) }, ports);
    for (const [outcall, request] of this.#open) fork.#open.set(outcall, request);
    for (const [outcall, response] of this.#ready) fork.#ready.set(outcall, response);
    return fork;
  }

  note({ began, ended }: OutcallChanges): void {
    for (const request of began) this.#open.set(request.outcall, request);
    for (const outcall of ended) {
      this.#open.delete(outcall);
      this.#taken.delete(outcall);
      this.#ready.delete(outcall);
    }
    if (began.length > 0) this.#serveMore();
  }

  /** Outcalls that nobody makes and nobody has answered yet, in the order in which they were asked for. */
  pending(): readonly OutcallRequest[] {
    return [...this.#open.values()].filter(({ outcall }) => !this.#taken.has(outcall) && !this.#ready.has(outcall));
  }

  /** The same, of which the caller makes all from now on; no more than `atMost`. */
  take(atMost = Number.POSITIVE_INFINITY): readonly OutcallRequest[] {
    const taken = this.pending().slice(0, atMost);
    for (const { outcall } of taken) this.#taken.add(outcall);
    return taken;
  }

  /** The first answer counts; transform functions run on the state of the moment. */
  async answer(outcall: number, answers: readonly OutcallAnswer[]): Promise<AnswerOutcome> {
    const request = this.#open.get(outcall);
    if (request === undefined || this.#ready.has(outcall)) return { kind: "unknown" };
    const nodes = Math.max(1, this.#options.nodes.length);
    if (answers.length !== 1 && answers.length !== nodes) return { kind: "wrong-count", nodes };
    const result = await this.#agree(request, answers);
    // Meanwhile it may have ended, or been answered by somebody else.
    if (!this.#open.has(outcall) || this.#ready.has(outcall)) return { kind: "unknown" };
    const response = { outcall, result };
    this.#ready.set(outcall, response);
    this.onReady?.();
    return { kind: "agreed", response };
  }

  /** Makes what is pending now; what one node gets counts for all. Resolves when all of it is answered. */
  async makePending(client: OutcallClient): Promise<void> {
    const room = Math.max(0, MAX_IN_THE_MAKING - this.#making);
    await Promise.all(this.take(room).map((request) => this.#make(request, client)));
  }

  /** Makes what is pending and what comes from now on likewise. undefined: no more. */
  serve(client: OutcallClient | undefined): void {
    this.#client = client;
    this.#serveMore();
  }

  #serveMore(): void {
    // Whatever fails on the way: nobody answers, and the time of the outcall runs out.
    if (this.#client !== undefined) this.makePending(this.#client).catch(() => undefined);
  }

  async #make(request: OutcallRequest, client: OutcallClient): Promise<void> {
    this.#making++;
    try {
      await this.answer(request.outcall, [await client(request)]);
    } finally {
      this.#making--;
      this.#serveMore();
    }
  }

  ready(): readonly OutcallResponse[] {
    const responses: OutcallResponse[] = [];
    let bytes = 0;
    for (const response of this.#ready.values()) {
      const { result } = response;
      bytes += result.kind === "reply" ? result.data.length : result.message.length;
      const isFull = responses.length > 0 && bytes > MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK;
      if (isFull || responses.length === MAX_OUTCALL_RESPONSES_PER_BLOCK) break;
      responses.push(response);
    }
    return responses;
  }

  async #agree(request: OutcallRequest, answers: readonly OutcallAnswer[]): Promise<ResponsePayload> {
    const { outcall, node } = request;
    const one = answers.length === 1 ? 0 : Math.max(0, this.#options.nodes.indexOf(node as PrincipalId));
    const asked = node === undefined ? answers : answers.slice(one, one + 1);
    // Nodes mostly get the same, often in the same object: that is looked at and transformed once.
    const made = new Map<OutcallAnswer | string, Promise<Proposal>>();
    const proposals = await Promise.all(
      asked.map((answer) => {
        const key = made.has(answer) ? answer : this.#hash(wellFormed(answer));
        const proposal = made.get(key) ?? this.#propose(request, wellFormed(answer));
        made.set(answer, proposal).set(key, proposal);
        return proposal;
      }),
    );
    return agreeOn(outcall, proposals);
  }

  async #propose(request: OutcallRequest, answer: OutcallAnswer): Promise<Proposal> {
    const result = await this.#process(request, answer);
    return { hash: this.#hash({ outcall: request.outcall, result }), result };
  }

  #hash(value: object): string {
    return toHex(this.#ports.crypto.sha256(encodeState(value)));
  }

  /** What one node proposes after what it got. */
  async #process(request: OutcallRequest, answer: OutcallAnswer): Promise<ResponsePayload> {
    if (answer.kind === "reject") return answer;
    const tooLarge = outcallSizeError(answer.reply.headers, answer.reply.body.length);
    if (tooLarge !== undefined) return fatal(tooLarge);
    if (answer.reply.status < 0n) return fatal("Failed to parse adapter http response to 'http_response' candid");
    if (request.transform === undefined) return { kind: "reply", data: encodeOutcallReply(answer.reply) };
    return this.#transform(request, request.transform, answer.reply);
  }

  async #transform(
    request: OutcallRequest,
    transform: NonNullable<OutcallRequest["transform"]>,
    reply: OutcallReply,
  ): Promise<ResponsePayload> {
    const { events, ...outcome } = await this.#ports.executor.query(transformCall(request, transform, reply));
    if (events !== undefined) this.#options.onQueryEvents?.(events);
    const result = transformResult(outcome);
    const most = request.maxResponseBytes ?? MAX_OUTCALL_RESPONSE_BYTES;
    const bytes = result.kind === "reply" ? result.data.length : encoder.encode(result.message).length;
    return bytes > most ? fatal(`Transformed http response exceeds limit: ${most}`) : result;
  }
}

const encoder = new TextEncoder();

/** Half a character in a text cannot be stored or sent: it is replaced. */
function wellFormed(answer: OutcallAnswer): OutcallAnswer {
  if (answer.kind === "reject") return { ...answer, message: answer.message.toWellFormed() };
  const headers = answer.reply.headers.map(({ name, value }) => ({
    name: name.toWellFormed(),
    value: value.toWellFormed(),
  }));
  return { kind: "reply", reply: { ...answer.reply, headers } };
}

function fatal(message: string): ResponsePayload {
  return { kind: "reject", code: RejectCode.SYS_FATAL, message };
}

interface Proposal {
  readonly hash: string;
  readonly result: ResponsePayload;
}

/** What n-f nodes propose, of n of which f may be faulty; else how many proposed what. */
export function agreeOn(outcall: number, proposals: readonly Proposal[]): ResponsePayload {
  const faulty = Math.floor((proposals.length - 1) / 3);
  const counts = new Map<string, number>();
  for (const { hash } of proposals) counts.set(hash, (counts.get(hash) ?? 0) + 1);
  const agreed = proposals.find(({ hash }) => (counts.get(hash) ?? 0) >= proposals.length - faulty);
  if (agreed !== undefined) return agreed.result;
  const hashes = [...counts]
    .sort(([hashA, a], [hashB, b]) => b - a || (hashA < hashB ? 1 : -1))
    .map(([hash, count]) => `[${hash}: ${count}]`);
  const details = `request_id: ${outcall}, hashes: ${hashes.join(", ")}`;
  return {
    kind: "reject",
    code: RejectCode.SYS_TRANSIENT,
    message: `No consensus could be reached. Replicas had different responses. Details: ${details}`,
  };
}
