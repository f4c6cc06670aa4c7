// What a node tells the front of the height that its answer is from, and how it waits when it is asked for no less than a
// height that another node answered from: whoever saw the effect of an update through one node sees it through all.
import type { HttpHandler, HttpResponse } from "@atoll/types/http";

/** In an answer: the certified height that the node was at. */
export const HEIGHT_HEADER = "x-atoll-height";
/** In a request: answer from this certified height or a later one. */
export const LEAST_HEIGHT_HEADER = "x-atoll-least-height";

/** Nodes are mostly some ms apart; one that is further behind says so instead of keeping anybody waiting. */
const MOST_MS = 1_000;

export interface NodeHeights {
  readonly handler: HttpHandler;
  /** The certified height may have moved on. */
  moved(): void;
}

export function withHeights(handler: HttpHandler, certifiedHeight: () => number): NodeHeights {
  const waiting = new Set<() => void>();
  const reached = (height: number): Promise<boolean> => {
    if (certifiedHeight() >= height) return Promise.resolve(true);
    return new Promise((resolve) => {
      const look = (): void => {
        if (certifiedHeight() >= height) settle(true);
      };
      const settle = (is: boolean): void => {
        clearTimeout(timer);
        waiting.delete(look);
        resolve(is);
      };
      const timer = setTimeout(() => settle(false), MOST_MS);
      waiting.add(look);
    });
  };
  return {
    async handler(request) {
      const least = Number(request.headers.get(LEAST_HEIGHT_HEADER) ?? 0);
      const answer = !(least > 0) || (await reached(least)) ? await handler(request) : behind(least);
      return { ...answer, headers: { ...answer.headers, [HEIGHT_HEADER]: String(certifiedHeight()) } };
    },
    moved() {
      for (const look of waiting) look();
    },
  };
}

function behind(height: number): HttpResponse {
  const headers = { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" };
  const text = `This node has not certified height ${height} yet. Please try again.`;
  return { status: 503, headers, body: new TextEncoder().encode(text) };
}
