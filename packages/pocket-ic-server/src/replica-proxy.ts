// The HTTP interface of a replica somewhere else, as a handler: for gateways that forward to a URL. Only what belongs
// to the interface is passed on, in both directions.
import type { HttpHandler } from "@atoll/types/http";
import { Refusal } from "./answers.ts";

const TIMEOUT_MS = 300_000;
const FORWARDED = ["content-type", "accept"];

/** Throws a Refusal when `base` is not the address of a web server. */
export function forwardTo(base: string): HttpHandler {
  const url = URL.parse(base);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Refusal(400, `"${base.slice(0, 200)}" is not the URL of a replica.`);
  }
  const root = url.href.replace(/\/+$/, "");
  return async ({ method, target, headers, body, onDisconnect }) => {
    const abort = new AbortController();
    const forget = onDisconnect?.(() => abort.abort());
    try {
      const answer = await fetch(root + target, {
        method,
        headers: FORWARDED.flatMap((name): [string, string][] => {
          const value = headers.get(name);
          return value === undefined || value === null ? [] : [[name, value]];
        }),
        ...(method === "POST" && { body: new Uint8Array(body) }),
        signal: AbortSignal.any([abort.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      const type = answer.headers.get("content-type");
      return {
        status: answer.status,
        headers: { "access-control-allow-origin": "*", ...(type !== null && { "content-type": type }) },
        body: new Uint8Array(await answer.arrayBuffer()),
      };
    } catch {
      const text = new TextEncoder().encode("The replica behind this gateway does not answer.");
      return { status: 502, headers: { "content-type": "text/plain; charset=utf-8" }, body: text };
    } finally {
      forget?.();
    }
  };
}
