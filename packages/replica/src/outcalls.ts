// HTTPS outcalls on the node's side: what the nodes of a subnet got from outside becomes one agreed answer, which a
// batch brings to the canister. Interface specification, "IC method http_request"; checklist 4.6.
//   note(round.outcalls)       after each round, and with the description of the whole state after a start
//   pending(), take()          what waits for an answer; `take` leaves it to the caller to bring one
//   answer(outcall, answers)   one answer of each node, or one for all: transforms each, agrees, queues the response
//   makePending(client)        both at once, for a network that really calls the web; `serve(client)`: from now on
//   ready()                    what the next batch carries; it stays until a round says that the outcall has ended
import type { RoundEvent } from "@atoll/execution";
import {
  encodeState,
  MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK,
  MAX_OUTCALL_RESPONSES_PER_BLOCK,
  type OutcallAnswer,
  type OutcallChanges,
  type OutcallClient,
  type OutcallRequest,
  type OutcallResponse,
  type PrincipalId,
  type ResponsePayload,
  toHex,
} from "@atoll/types";
import { agreeOn, type OutcallProposal, type ProposalPorts, proposeOutcall, wellFormed } from "./outcall-proposals.ts";

export interface OutcallsOptions {
  /** The nodes of the subnet, in the order in which answers come. */
  readonly nodes: readonly PrincipalId[];
  /** Told what canisters print in transform functions, for screens and logs. */
  readonly onQueryEvents?: (events: readonly RoundEvent[]) => void;
}

export type OutcallsPorts = ProposalPorts;

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
    const made = new Map<OutcallAnswer | string, Promise<OutcallProposal>>();
    const proposals = await Promise.all(
      asked.map((answer) => {
        const key = made.has(answer) ? answer : this.#hash(wellFormed(answer));
        const proposal = made.get(key) ?? proposeOutcall(request, answer, this.#ports, this.#options.onQueryEvents);
        made.set(answer, proposal).set(key, proposal);
        return proposal;
      }),
    );
    return agreeOn(outcall, proposals);
  }

  #hash(value: object): string {
    return toHex(this.#ports.crypto.sha256(encodeState(value)));
  }
}
