// The front's end of its connection with one node: made when it is needed, and again when it broke. A request either has
// its whole answer or fails: nothing that was half received is ever taken for an answer.
import { request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import { MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { HttpRequest, HttpResponse } from "@atoll/types/http";
import { FrontLink, GIVE_UP, LINK_PROTOCOL, MAX_ANSWER_BYTES, MAX_HEAD_BYTES, parseHead } from "./front-link.ts";
import { HEIGHT_HEADER, LEAST_HEIGHT_HEADER } from "./node-heights.ts";

/** What became of a request: one of the two is called, once. */
interface Outcome {
  /** `height`: the certified height that the node was at; NaN when it does not say. */
  answered(answer: HttpResponse, height: number): void;
  /** The node does not answer, or its answer broke off. */
  failed(): void;
}

export interface NodeClient {
  /** Asks for an answer from certified height `least` or later. Returns how to give it up: nothing is called after that. */
  send(request: HttpRequest, least: number, outcome: Outcome): () => void;
  close(): void;
}

const CONNECT_MS = 2_000;
/** A node that leaves so much lie does not answer. */
const MAX_UNSENT_BYTES = 256 * 1024 * 1024;

/** Of a connection, not of a request. */
const HOP_HEADERS = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function createNodeClient(url: string): NodeClient {
  return new LinkedNode(url);
}

class LinkedNode implements NodeClient {
  readonly #url: string;
  readonly #outcomes = new Map<number, Outcome>();
  #link: FrontLink | undefined;
  /** Sent as soon as there is a connection. */
  #early: (() => void)[] | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(url: string) {
    this.#url = url;
  }

  send(request: HttpRequest, least: number, outcome: Outcome): () => void {
    if (request.body.length > MAX_HTTP_BODY_BYTES) return later(() => outcome.answered(TOO_LARGE, Number.NaN));
    if (this.#isClosed || this.#unsentBytes >= MAX_UNSENT_BYTES) return later(() => outcome.failed());
    const id = this.#nextId();
    this.#outcomes.set(id, outcome);
    const head = requestHead(request, least);
    if (this.#link !== undefined) this.#link.send(id, head, request.body);
    else this.#whenLinked(() => this.#outcomes.has(id) && this.#link?.send(id, head, request.body));
    return () => {
      if (this.#outcomes.delete(id)) this.#link?.send(id, GIVE_UP);
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#link?.destroy();
    this.#failAll();
  }

  get #unsentBytes(): number {
    return this.#link?.unsentBytes ?? 0;
  }

  /** Numbers come round after 2^32 requests; those still in use are left out. */
  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#outcomes.has(this.#lastId));
    return this.#lastId;
  }

  #whenLinked(send: () => void): void {
    if (this.#early !== undefined) {
      this.#early.push(send);
      return;
    }
    this.#early = [send];
    connect(this.#url, (socket, received) => {
      const early = this.#early ?? [];
      this.#early = undefined;
      if (socket === undefined) return this.#failAll();
      if (this.#isClosed) return void socket.destroy();
      this.#begin(socket, received ?? new Uint8Array(0));
      for (const each of early) each();
    });
  }

  #begin(socket: Socket, received: Uint8Array): void {
    const link = new FrontLink(socket, received, MAX_ANSWER_BYTES + MAX_HEAD_BYTES, {
      onFrame: (id, head, body) => {
        const answer = readAnswer(head, body);
        if (answer === undefined) return link.destroy();
        const outcome = this.#outcomes.get(id);
        this.#outcomes.delete(id);
        outcome?.answered(answer.response, answer.height);
      },
      onClosed: () => {
        if (this.#link !== link) return;
        this.#link = undefined;
        this.#failAll();
      },
    });
    this.#link = link;
  }

  #failAll(): void {
    const outcomes = [...this.#outcomes.values()];
    this.#outcomes.clear();
    for (const outcome of outcomes) outcome.failed();
  }
}

/** Calls soon; returns how to prevent it. */
function later(call: () => void): () => void {
  let isPrevented = false;
  queueMicrotask(() => isPrevented || call());
  return () => {
    isPrevented = true;
  };
}

const TOO_LARGE: HttpResponse = {
  status: 413,
  headers: { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" },
  body: new TextEncoder().encode(`The request body is larger than the maximum of ${MAX_HTTP_BODY_BYTES} bytes.`),
};

/** Calls back, once, with a connection or without one. */
function connect(url: string, done: (socket?: Socket, received?: Uint8Array) => void): void {
  const headers = { connection: "Upgrade", upgrade: LINK_PROTOCOL };
  const request = httpRequest(url, { agent: false, headers });
  let isOver = false;
  const settle = (socket?: Socket, received?: Uint8Array): void => {
    clearTimeout(timer);
    if (isOver) return;
    isOver = true;
    done(socket, received);
    if (socket === undefined) request.destroy();
  };
  const timer = setTimeout(() => settle(), CONNECT_MS);
  request.on("upgrade", (_, socket, received) => settle(socket as Socket, received));
  // It takes no fronts.
  request.on("response", () => settle());
  request.on("error", () => settle());
  request.end();
}

/** As `readRequest` in front-door.ts has it. */
function requestHead({ method, target, headers }: HttpRequest, least: number): string {
  const parts = [method, target, LEAST_HEIGHT_HEADER, String(least)];
  for (const [name, value] of headers.entries()) {
    const lower = name.toLowerCase();
    if (!HOP_HEADERS.has(lower)) parts.push(lower, value);
  }
  return JSON.stringify(parts);
}

function readAnswer(head: string, body: Uint8Array): { response: HttpResponse; height: number } | undefined {
  const parts = parseHead(head);
  if (!Array.isArray(parts)) return undefined;
  const [status, sent] = parts;
  if (!Number.isInteger(status) || typeof sent !== "object" || sent === null) return undefined;
  const headers: Record<string, string> = {};
  let height = Number.NaN;
  for (const name in sent) {
    if (name === HEIGHT_HEADER) height = Number(sent[name]);
    else if (!HOP_HEADERS.has(name)) headers[name] = String(sent[name]);
  }
  return { response: { status, headers, body }, height };
}
