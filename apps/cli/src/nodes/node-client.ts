// Requests to the HTTP interface of one node, over connections that are kept. A request either has its whole answer or
// fails: nothing that was half received is ever taken for an answer.
import { Agent, request as httpRequest } from "node:http";
import type { HttpRequest, HttpResponse } from "@atoll/types/http";

export interface NodeClient {
  /** Rejects when the node does not answer, when the answer breaks off, or when `signal` says so. */
  send(
    request: HttpRequest,
    more: { readonly headers: readonly (readonly [string, string])[]; readonly signal: AbortSignal },
  ): Promise<HttpResponse>;
  close(): void;
}

const MAX_SOCKETS = 512;
const CONNECT_MS = 2_000;
/** The largest answers are certificates of much; canisters reply with 3 MiB at most. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

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
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS, scheduling: "lifo" });
  const place = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port) };
  return {
    send({ method, target, headers, body }, { headers: more, signal }) {
      return new Promise((resolve, reject) => {
        const sent = [...forwarded(headers.entries()), ...more.flat(), "host", `${hostname}:${port}`];
        if (method !== "GET" && method !== "HEAD") sent.push("content-length", String(body.length));
        const request = httpRequest({ ...place, agent, method, path: target, headers: sent, signal });
        request.on("socket", (socket) => {
          if (!socket.connecting) return;
          const timer = setTimeout(
            () => request.destroy(new Error("the node does not take the connection")),
            CONNECT_MS,
          );
          socket.once("connect", () => clearTimeout(timer));
          socket.once("close", () => clearTimeout(timer));
        });
        request.on("error", reject);
        request.on("response", (response) => {
          const chunks: Buffer[] = [];
          let length = 0;
          response.on("data", (chunk: Buffer) => {
            chunks.push(chunk);
            length += chunk.length;
            if (length > MAX_ANSWER_BYTES) request.destroy(new Error("the answer is too long"));
          });
          response.on("error", reject);
          response.on("end", () => {
            const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length);
            resolve({ status: response.statusCode ?? 502, headers: plainHeaders(response.rawHeaders), body });
          });
        });
        request.end(body.length === 0 ? undefined : body);
      });
    },
    close: () => agent.destroy(),
  };
}

function forwarded(headers: Iterable<readonly [string, string]>): string[] {
  const kept: string[] = [];
  for (const [name, value] of headers) if (!HOP_HEADERS.has(name.toLowerCase())) kept.push(name, value);
  return kept;
}

function plainHeaders(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!HOP_HEADERS.has(name) && name !== "date") headers[name] = raw[i + 1] as string;
  }
  return headers;
}
