// One address in front of all nodes of a network on this machine: each request goes to a node that is well, and to another
// one when that does not answer. That is safe for every request there is: queries change nothing, and a subnet executes a
// message once however many nodes have been given it. A client never sees an older state than it has seen before,
// whichever nodes answer it: the front tells nodes the newest height that it knows of (node-heights.ts).
import type { LogPort } from "@atoll/types";
import { type HttpHandler, type HttpRequest, type HttpResponse, isApiTarget } from "@atoll/types/http";
import { createNodeClient, type NodeClient } from "./node-client.ts";
import { HEIGHT_HEADER, LEAST_HEIGHT_HEADER } from "./node-heights.ts";

export interface Front {
  readonly api: HttpHandler;
  /** A node serves at this address from now on; undefined: it is gone. */
  setNode(place: number, url: string | undefined): void;
  /** Resolves when a node says that it is healthy. */
  firstHealthy(): Promise<void>;
  stop(): void;
}

interface Target {
  readonly place: number;
  readonly client: NodeClient;
  /** The last question about its health was answered well. */
  isWell: boolean;
  height: number;
  /** Requests under way. */
  load: number;
}

/** So far behind the newest height that is known, a node is asked only when no other one can be. */
const FAR_BEHIND = 10;
const HEALTH_MS = 500;
const HEALTH_TIMEOUT_MS = 2_000;
/** How often it is looked whether those that were asked are still well. */
const LOOK_MS = 250;
const FIRST_MS = 50;
/** Major type 3, length 7. */
const HEALTHY = "\u0067healthy";

export function createFront(count: number, log: LogPort): Front {
  return new NodeFront(count, log);
}

class NodeFront implements Front {
  readonly #count: number;
  readonly #log: LogPort;
  readonly #targets = new Map<number, Target>();
  readonly #timer: NodeJS.Timeout;
  /** Certified height that somebody has been answered from. */
  #newest = 0;
  #turn = 0;

  constructor(count: number, log: LogPort) {
    this.#count = count;
    this.#log = log;
    this.#timer = setInterval(() => {
      for (const target of this.#targets.values()) void this.#checkHealth(target);
    }, HEALTH_MS);
    this.#timer.unref();
  }

  readonly api: HttpHandler = (request) =>
    firstGood(this.#inOrder(), request, (target, signal) => this.#ask(target, request, signal));

  setNode(place: number, url: string | undefined): void {
    this.#targets.get(place)?.client.close();
    if (url === undefined) this.#targets.delete(place);
    else this.#targets.set(place, { place, client: createNodeClient(url), isWell: true, height: 0, load: 0 });
  }

  async firstHealthy(): Promise<void> {
    for (;;) {
      const { status, body } = await this.api(STATUS);
      // In CBOR, a text among few others.
      if (status === 200 && Buffer.from(body).includes(HEALTHY)) return;
      await new Promise((resolve) => setTimeout(resolve, FIRST_MS));
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { client } of this.#targets.values()) client.close();
  }

  /** Best first: those that are well and not behind, in turn. */
  #inOrder(): Target[] {
    this.#turn++;
    const isBehind = ({ height }: Target) => this.#newest - height > FAR_BEHIND;
    const rank = (target: Target) => (target.isWell ? 0 : 2) + (isBehind(target) ? 1 : 0);
    const place = (target: Target) => (target.place + this.#turn) % this.#count;
    const isBefore = (a: Target, b: Target) => rank(a) - rank(b) || a.load - b.load || place(a) - place(b);
    return [...this.#targets.values()].sort(isBefore);
  }

  async #ask(target: Target, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
    target.load++;
    try {
      const least: [string, string] = [LEAST_HEIGHT_HEADER, String(this.#newest)];
      const answer = await target.client.send(request, { headers: [least], signal });
      this.#noteHeight(target, answer.headers);
      return answer;
    } catch (error) {
      // Others are asked first until it answers again.
      if (!signal.aborted) target.isWell = false;
      throw error;
    } finally {
      target.load--;
    }
  }

  #noteHeight(target: Target, headers: HttpResponse["headers"]): void {
    const height = Number(headers[HEIGHT_HEADER] ?? Number.NaN);
    if (!Number.isSafeInteger(height)) return;
    target.height = height;
    this.#newest = Math.max(this.#newest, height);
  }

  async #checkHealth(target: Target): Promise<void> {
    const signal = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
    const wasWell = target.isWell;
    try {
      const answer = await target.client.send(STATUS, { headers: [], signal });
      this.#noteHeight(target, answer.headers);
      target.isWell = answer.status === 200;
    } catch {
      target.isWell = false;
    }
    if (wasWell === target.isWell || this.#targets.get(target.place) !== target) return;
    this.#log.log("debug", `Node ${target.place + 1} ${target.isWell ? "answers again" : "does not answer"}.`);
  }
}

const STATUS: HttpRequest = {
  method: "GET",
  target: "/api/v2/status",
  headers: { get: () => undefined, entries: () => [] },
  body: new Uint8Array(0),
};

/** What no other node would answer better. */
function isGood({ status }: HttpResponse): boolean {
  return status < 500 && status !== 429;
}

/**
 * Asks one target after the other until one gives a good answer: the next one as soon as one failed, or when all that were
 * asked are no longer well. Messages that are answered before they are executed go to two at once: with one alone they
 * might die.
 */
function firstGood(
  targets: readonly Target[],
  request: HttpRequest,
  ask: (target: Target, signal: AbortSignal) => Promise<HttpResponse>,
): Promise<HttpResponse> {
  return new Promise((resolve) => {
    const ending = new AbortController();
    const rest = [...targets];
    const asked = new Set<Target>();
    let refusal: HttpResponse | undefined;
    const settle = (answer: HttpResponse): void => {
      clearInterval(timer);
      forget?.();
      resolve(withoutHeights(answer));
      if (!isAsynchronous(request)) ending.abort();
    };
    const askNext = (): void => {
      const target = rest.shift();
      if (target !== undefined) {
        asked.add(target);
        void askOne(target);
      } else if (asked.size === 0) settle(refusal ?? nobody(request));
    };
    const askOne = async (target: Target): Promise<void> => {
      try {
        const answer = await ask(target, ending.signal);
        if (isGood(answer)) return settle(answer);
        refusal = answer;
      } catch {
      } finally {
        asked.delete(target);
      }
      if (!ending.signal.aborted) askNext();
    };
    const timer = setInterval(() => {
      if (rest.length > 0 && ![...asked].some(({ isWell }) => isWell)) askNext();
    }, LOOK_MS);
    const forget = request.onDisconnect?.(() => {
      settle(GONE);
      ending.abort();
    });
    askNext();
    if (isAsynchronous(request) && rest.length > 0) askNext();
  });
}

function isAsynchronous({ target }: HttpRequest): boolean {
  return /^\/api\/v2\/canister\/[^/]*\/call/.test(target);
}

function withoutHeights(answer: HttpResponse): HttpResponse {
  const { [HEIGHT_HEADER]: _, ...headers } = answer.headers;
  return { ...answer, headers };
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
