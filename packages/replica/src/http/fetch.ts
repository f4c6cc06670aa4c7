// The HTTP interface for hosts that speak the Fetch standard: a browser's Worker, a test without a socket. It bounds
// the body as a server does, because there is none in front of it.
import { MAX_HTTP_BODY_BYTES } from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";

export type Fetch = (request: Request) => Promise<Response>;

/** Wraps a plain handler. A body above the limit is not read to its end. */
export function toFetch(handle: HttpHandler): Fetch {
  return async (request) => {
    const url = new URL(request.url);
    const answer = await handle({
      method: request.method,
      target: url.pathname + url.search,
      headers: request.headers,
      body: await readBody(request),
      onDisconnect: (callback) => {
        request.signal.addEventListener("abort", callback, { once: true });
        return () => request.signal.removeEventListener("abort", callback);
      },
    });
    const hasBody = answer.body.length > 0 && request.method !== "HEAD";
    return new Response(hasBody ? (answer.body as Uint8Array<ArrayBuffer>) : null, {
      status: answer.status,
      headers: answer.headers,
    });
  };
}

/** The body, or one byte more than the limit of a body that is longer: enough to be refused for it. */
async function readBody(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
  while (length <= MAX_HTTP_BODY_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  if (length > MAX_HTTP_BODY_BYTES) {
    await reader.cancel();
    return new Uint8Array(MAX_HTTP_BODY_BYTES + 1);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
