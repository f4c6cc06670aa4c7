// One HTTP request on a connection of node:http: collects the body within its bound, hands plain data to the interface
// or the gateway, and writes the answer, streamed bodies only as fast as the client takes them. The bounds on
// connections, headers and time are the server's (`http-server.ts`).
import type { IncomingMessage, ServerResponse } from "node:http";
import type { LogPort } from "@atoll/types";
import { type HttpHandler, type HttpRequest, isApiTarget, type WebHandler, type WebResponse } from "@atoll/types/http";

export interface ExchangeContext {
  readonly apiHandler: HttpHandler;
  readonly gatewayHandler?: WebHandler;
  readonly log?: LogPort;
  readonly limits: {
    readonly maxBodyBytes: number;
    readonly answerTimeoutMs: number;
    readonly stallTimeoutMs: number;
  };
  /** Set when the server takes no more requests: connections end with their answer. */
  closing: boolean;
}

/** Serves one request on a connection; never throws. */
export function serve(context: ExchangeContext, request: IncomingMessage, response: ServerResponse): void {
  const { limits } = context;
  const length = declaredLength(request);
  if (length > limits.maxBodyBytes) {
    refuseBody(context, request, response);
  } else if (length === 0 && request.headers["transfer-encoding"] === undefined) {
    answer(context, request, response, NO_BODY);
  } else {
    collectBody(context, request, response);
  }
}

function collectBody(context: ExchangeContext, request: IncomingMessage, response: ServerResponse): void {
  const { maxBodyBytes } = context.limits;
  const chunks: Buffer[] = [];
  let received = 0;
  request.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received <= maxBodyBytes) chunks.push(chunk);
    else if (!response.headersSent) {
      chunks.length = 0;
      refuseBody(context, request, response);
    }
  });
  request.on("end", () => {
    if (received > maxBodyBytes) return;
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, received);
    answer(context, request, response, new Uint8Array(body.buffer, body.byteOffset, body.length));
  });
  // A connection that breaks while the body comes in takes the request with it.
  request.on("error", () => {});
}

const NO_BODY = new Uint8Array(0);

export function declaredLength(request: IncomingMessage): number {
  return Number(request.headers["content-length"] ?? 0);
}

function answer(context: ExchangeContext, request: IncomingMessage, response: ServerResponse, body: Uint8Array): void {
  const { apiHandler, gatewayHandler } = context;
  const plain = plainRequest(request, response, body);
  if (plain === undefined) {
    sendText(context, response, 400, "The request target must be a path.");
    return;
  }
  const timeout = setTimeout(() => {
    if (!response.headersSent) sendText(context, response, 504, "The request took too long to be answered.");
  }, context.limits.answerTimeoutMs).unref();
  const toApi = gatewayHandler === undefined || isApiTarget(plain.target);
  const done = toApi
    ? apiHandler(plain).then((answered) =>
        send(context, response, answered.status, flatten(answered.headers), answered.body),
      )
    : gatewayHandler(plain).then((answered) => sendWeb(context, response, answered));
  done
    .catch((error: unknown) => {
      context.log?.log("error", "a request failed", {
        target: plain.target,
        error: String((error as Error)?.stack),
      });
      if (response.headersSent) response.destroy();
      else sendText(context, response, 500, "Internal error.");
    })
    .finally(() => clearTimeout(timeout));
}

function plainRequest(request: IncomingMessage, response: ServerResponse, body: Uint8Array): HttpRequest | undefined {
  const target = originForm(request.url ?? "");
  if (target === undefined) return undefined;
  return {
    method: request.method ?? "GET",
    target,
    headers: {
      get: (name) => {
        const value = request.headers[name];
        return typeof value === "object" ? value[0] : value;
      },
      entries: () => headerPairs(request.rawHeaders),
    },
    body,
    onDisconnect: (callback) => {
      const closed = () => {
        if (!response.writableFinished) callback();
      };
      if (response.destroyed) queueMicrotask(closed);
      response.once("close", closed);
      return () => response.removeListener("close", closed);
    },
  };
}

/** The path and query of a request target; proxies send whole URLs. */
function originForm(target: string): string | undefined {
  if (target.startsWith("/")) return target;
  const url = URL.parse(target);
  return url?.protocol.startsWith("http") ? url.pathname + url.search : undefined;
}

function* headerPairs(raw: readonly string[]): Iterable<readonly [string, string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] as string, raw[i + 1] as string];
}

function flatten(headers: Readonly<Record<string, string>>): string[] {
  const flat: string[] = [];
  for (const name in headers) flat.push(name, headers[name] as string);
  return flat;
}

/** Sends a whole answer. `headers`: names and values in turn. */
function send(
  context: ExchangeContext,
  response: ServerResponse,
  status: number,
  headers: string[],
  body: Uint8Array,
): void {
  if (response.headersSent || response.destroyed) return;
  const bodiless = status === 204 || status === 304;
  if (!bodiless && !hasHeader(headers, "content-length")) headers.push("content-length", String(body.length));
  if (context.closing) headers.push("connection", "close");
  response.writeHead(status, headers);
  response.end(bodiless ? undefined : body);
}

function hasHeader(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return true;
  return false;
}

export function sendText(context: ExchangeContext, response: ServerResponse, status: number, text: string): void {
  const headers = ["content-type", "text/plain; charset=utf-8", "access-control-allow-origin", "*"];
  send(context, response, status, headers, Buffer.from(text));
}

/** Sends an answer of the gateway, a streamed body only as fast as the client takes it. */
async function sendWeb(context: ExchangeContext, response: ServerResponse, answered: WebResponse): Promise<void> {
  const headers = answered.headers.flat();
  if (answered.body instanceof Uint8Array) return send(context, response, answered.status, headers, answered.body);
  if (response.headersSent || response.destroyed) return;
  if (context.closing) headers.push("connection", "close");
  response.writeHead(answered.status, headers);
  for await (const chunk of answered.body) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await drained(response, context.limits.stallTimeoutMs);
  }
  response.end();
}

/** Waits until the client has taken what was written; one that takes nothing for too long is cut off. */
function drained(response: ServerResponse, stallTimeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer);
      response.off("drain", settle);
      response.off("close", settle);
      resolve();
    };
    const timer = setTimeout(() => response.destroy(), stallTimeoutMs);
    response.on("drain", settle);
    response.on("close", settle);
    if (response.destroyed) settle();
  });
}

/** How much of a refused body is still read, and for how long, so that the client sees the answer and not a reset. */
const LINGER_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 2_000;

function refuseBody(context: ExchangeContext, request: IncomingMessage, response: ServerResponse): void {
  const text = `The request body is larger than the maximum of ${context.limits.maxBodyBytes} bytes.`;
  response.writeHead(413, [
    ...["content-type", "text/plain; charset=utf-8", "access-control-allow-origin", "*"],
    ...["content-length", String(Buffer.byteLength(text)), "connection", "close"],
  ]);
  response.write(text);
  let discarded = 0;
  const finish = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(finish, LINGER_MS);
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > LINGER_BYTES) finish();
  });
  request.once("end", finish);
  request.once("close", finish);
  request.on("error", () => {});
}
