// The node's end of its connection with the front: requests that came over it are served as those that came over HTTP. What
// a front may have under way is bounded, in number and in bytes; one that sends anything but frames is cut off.
import type { Socket } from "node:net";
import { type LogPort, MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { FrontLink, GIVE_UP, MAX_ANSWER_BYTES, MAX_HEAD_BYTES, parseHead } from "./front-link.ts";

export interface FrontDoor {
  /** Serves a front; `received`: what came with the upgrade. */
  readonly take: (socket: Socket, received: Uint8Array) => void;
  /** Takes nothing new; what is under way has a moment to end. */
  close(): void;
}

export interface FrontDoorLimits {
  readonly maxRequests: number;
  readonly maxRequestBytes: number;
  readonly maxUnsentBytes: number;
}

const MEBIBYTE = 1024 * 1024;
/** As many as a front has clients. */
const LIMITS: FrontDoorLimits = {
  maxRequests: 4_096,
  maxRequestBytes: 256 * MEBIBYTE,
  maxUnsentBytes: 256 * MEBIBYTE,
};
const CLOSE_MS = 5_000;

export function createFrontDoor(handler: HttpHandler, log: LogPort, limits: Partial<FrontDoorLimits> = {}): FrontDoor {
  const visits = new Set<Visit>();
  let isClosing = false;
  return {
    take(socket, received) {
      const visit = new Visit(handler, log, { ...LIMITS, ...limits }, () => visits.delete(visit));
      visits.add(visit);
      visit.begin(socket, received);
      if (isClosing) visit.close();
    },
    close() {
      isClosing = true;
      for (const visit of visits) visit.close();
    },
  };
}

interface Running {
  readonly bytes: number;
  readonly leaving: Set<() => void>;
}

class Visit {
  readonly #handler: HttpHandler;
  readonly #log: LogPort;
  readonly #limits: FrontDoorLimits;
  readonly #onClosed: () => void;
  readonly #running = new Map<number, Running>();
  #link!: FrontLink;
  #bytes = 0;
  #isClosing = false;

  constructor(handler: HttpHandler, log: LogPort, limits: FrontDoorLimits, onClosed: () => void) {
    this.#handler = handler;
    this.#log = log;
    this.#limits = limits;
    this.#onClosed = onClosed;
  }

  begin(socket: Socket, received: Uint8Array): void {
    this.#link = new FrontLink(socket, received, MAX_HTTP_BODY_BYTES + MAX_HEAD_BYTES, {
      onFrame: (id, head, body) => this.#take(id, head, body),
      onClosed: () => {
        for (const id of this.#running.keys()) this.#leave(id);
        this.#onClosed();
      },
    });
  }

  close(): void {
    this.#isClosing = true;
    if (this.#running.size === 0) this.#link.end();
    else setTimeout(() => this.#link.destroy(), CLOSE_MS).unref();
  }

  #take(id: number, head: string, body: Uint8Array): void {
    const request = head === GIVE_UP ? undefined : readRequest(head);
    if (head === GIVE_UP) this.#leave(id);
    else if (this.#running.has(id)) this.#link.destroy();
    else if (request === undefined) this.#answer(id, text(400, "This is no request."));
    else if (this.#isFull()) this.#answer(id, text(503, "This node has too much to do. Please try again."));
    else this.#serve(id, request, body);
  }

  #serve(id: number, request: Omit<HttpRequest, "body">, body: Uint8Array): void {
    const running: Running = { bytes: body.length, leaving: new Set() };
    this.#running.set(id, running);
    this.#bytes += running.bytes;
    // The part of what was received that is the body would keep all of it.
    const whole = { ...request, body: new Uint8Array(body), onDisconnect: onLeaving(running) };
    this.#handler(whole).then(
      (answer) => this.#end(id, running, answer),
      (error: unknown) => {
        this.#log.log("error", "a request failed", { target: request.target, error: String((error as Error)?.stack) });
        this.#end(id, running, text(500, "Internal error."));
      },
    );
  }

  #isFull(): boolean {
    const { maxRequests, maxRequestBytes, maxUnsentBytes } = this.#limits;
    return (
      this.#isClosing ||
      this.#running.size >= maxRequests ||
      this.#bytes >= maxRequestBytes ||
      this.#link.unsentBytes >= maxUnsentBytes
    );
  }

  #end(id: number, running: Running, answer: HttpResponse): void {
    // It may have been given up.
    if (this.#running.get(id) !== running) return;
    this.#forget(id, running);
    this.#answer(id, answer);
    if (this.#isClosing && this.#running.size === 0) this.#link.end();
  }

  #answer(id: number, answer: HttpResponse): void {
    const isTooLong = answer.body.length > MAX_ANSWER_BYTES;
    const { status, headers, body } = isTooLong ? text(500, "The answer is too long.") : answer;
    this.#link.send(id, JSON.stringify([status, headers]), body);
  }

  #leave(id: number): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#forget(id, running);
    for (const leave of running.leaving) leave();
  }

  #forget(id: number, { bytes }: Running): void {
    this.#running.delete(id);
    this.#bytes -= bytes;
  }
}

function onLeaving({ leaving }: Running): NonNullable<HttpRequest["onDisconnect"]> {
  return (callback) => {
    leaving.add(callback);
    return () => leaving.delete(callback);
  };
}

/** Method, target, and names (in lower case) and values of headers in turn; undefined: it is no request. */
function readRequest(head: string): Omit<HttpRequest, "body"> | undefined {
  const parts = parseHead(head);
  if (!Array.isArray(parts) || parts.length < 2 || parts.length % 2 !== 0) return undefined;
  if (!parts.every((part) => typeof part === "string")) return undefined;
  const [method, target, ...headers] = parts as [string, string, ...string[]];
  if (!target.startsWith("/")) return undefined;
  return {
    method,
    target,
    headers: {
      get: (name) => {
        for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
        return undefined;
      },
      entries: () => pairs(headers),
    },
  };
}

function* pairs(flat: readonly string[]): Iterable<readonly [string, string]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] as string, flat[i + 1] as string];
}

function text(status: number, what: string): HttpResponse {
  const headers = { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" };
  return { status, headers, body: new TextEncoder().encode(what) };
}
