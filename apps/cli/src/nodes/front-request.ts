// One request at the front, until it has an answer. It asks one node after the other until one gives a good answer: the
// next one as soon as one failed, or when all that were asked are no longer well. Messages that are answered before they
// are executed go to two at once: with one alone they might die.
import { type HttpRequest, type HttpResponse, isApiTarget } from "@atoll/types/http";

/** What came of asking one node: one of the two is called, once. */
export interface Reply {
  answered(answer: HttpResponse): void;
  failed(): void;
}

/** A node that can be asked. */
export interface Askable {
  readonly place: number;
  /** The last question about its health was answered well. */
  readonly isWell: boolean;
}

export interface Nodes<Node extends Askable> {
  /** The best to ask but for those at these places. */
  next(asked: readonly number[]): Node | undefined;
  /** Returns how to give it up: nothing is called after that. */
  ask(node: Node, request: HttpRequest, reply: Reply): () => void;
}

/** By then the server has told the client that it took too long. */
const LONGEST_MS = 300_000;

interface Asked<Node> {
  readonly node: Node;
  giveUp(): void;
}

export class FrontRequest<Node extends Askable> {
  readonly #nodes: Nodes<Node>;
  readonly #request: HttpRequest;
  readonly #onAnswer: (answer: HttpResponse) => void;
  readonly #forget: (() => void) | undefined;
  readonly #isAsynchronous: boolean;
  readonly #since = performance.now();
  readonly #places: number[] = [];
  readonly #asked: Asked<Node>[] = [];
  #isOver = false;
  #refusal: HttpResponse | undefined;

  constructor(nodes: Nodes<Node>, request: HttpRequest, onAnswer: (answer: HttpResponse) => void) {
    this.#nodes = nodes;
    this.#request = request;
    this.#onAnswer = onAnswer;
    this.#isAsynchronous = isAsynchronous(request);
    this.#forget = request.onDisconnect?.(() => this.#abandon());
  }

  begin(): void {
    this.#askNext();
    if (this.#isAsynchronous && !this.#isOver) this.#askAnother();
  }

  /** Those that were asked may not be well any more. */
  look(): void {
    if (performance.now() - this.#since > LONGEST_MS) this.#abandon();
    else if (!this.#asked.some(({ node }) => node.isWell)) this.#askAnother();
  }

  #askNext(): void {
    if (!this.#askAnother() && this.#asked.length === 0) this.#settle(this.#refusal ?? nobody(this.#request));
  }

  /** False: all have been asked. */
  #askAnother(): boolean {
    const node = this.#nodes.next(this.#places);
    if (node === undefined) return false;
    this.#places.push(node.place);
    const asked: Asked<Node> = { node, giveUp: () => undefined };
    this.#asked.push(asked);
    asked.giveUp = this.#nodes.ask(node, this.#request, {
      answered: (answer) => this.#answered(asked, answer),
      failed: () => this.#answered(asked, undefined),
    });
    return true;
  }

  #answered(asked: Asked<Node>, answer: HttpResponse | undefined): void {
    this.#asked.splice(this.#asked.indexOf(asked), 1);
    if (this.#isOver) return;
    if (answer !== undefined && isGood(answer)) {
      this.#settle(answer);
      return;
    }
    this.#refusal = answer ?? this.#refusal;
    this.#askNext();
  }

  #settle(answer: HttpResponse): void {
    this.#isOver = true;
    this.#forget?.();
    if (!this.#isAsynchronous) this.#giveUp();
    this.#onAnswer(answer);
  }

  /** Nobody waits for an answer any more. */
  #abandon(): void {
    if (this.#isOver) return;
    this.#settle(GONE);
    this.#giveUp();
  }

  #giveUp(): void {
    for (const { giveUp } of this.#asked.splice(0)) giveUp();
  }
}

function isAsynchronous({ target }: HttpRequest): boolean {
  return /^\/api\/v2\/canister\/[^/]*\/call/.test(target);
}

/** What no other node would answer better. */
function isGood({ status }: HttpResponse): boolean {
  return status < 500 && status !== 429;
}

const encoder = new TextEncoder();
const TEXT_HEADERS = { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" } as const;
/** Nobody reads it. */
const GONE: HttpResponse = { status: 499, headers: {}, body: new Uint8Array(0) };

function nobody({ target }: HttpRequest): HttpResponse {
  const what = isApiTarget(target) ? "this request" : "this address";
  return {
    status: 503,
    headers: TEXT_HEADERS,
    body: encoder.encode(`No node of the network could answer ${what}: try again in a moment.`),
  };
}
