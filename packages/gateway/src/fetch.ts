// The gateway for hosts that speak the Fetch standard: a browser's Worker, a test without a socket. Standard objects
// refuse some of what plain data allows, so this is a way in for such hosts and not the main one.
import { MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { WebHandler } from "@atoll/types/http";

/** Wraps the plain handler. The request's URL stands for the host header when there is none. */
export function toFetch(handle: WebHandler): (request: Request) => Promise<Response> {
  return async (request) => {
    const url = new URL(request.url);
    const body = request.body === null ? new Uint8Array(0) : await request.bytes();
    if (body.length > MAX_HTTP_BODY_BYTES) return new Response("The request body is too large.", { status: 413 });
    const answer = await handle({
      method: request.method,
      target: url.pathname + url.search,
      headers: {
        get: (name) => request.headers.get(name) ?? (name === "host" ? url.host : null),
        entries: () => [["host", url.host], ...request.headers.entries()],
      },
      body,
      onDisconnect: (callback) => {
        request.signal.addEventListener("abort", callback, { once: true });
        return () => request.signal.removeEventListener("abort", callback);
      },
    });
    const headers = new Headers();
    for (const [name, value] of answer.headers) headers.append(name, value);
    const bodiless = answer.status === 204 || answer.status === 304 || request.method === "HEAD";
    const sent = answer.body instanceof Uint8Array ? answer.body : streamOf(answer.body);
    return new Response(bodiless ? null : sent, { status: answer.status, headers });
  };
}

/** Pulls a piece when the reader wants one, and stops for good when the reader goes away. */
function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
