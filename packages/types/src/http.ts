// HTTP messages as plain data: what a socket server, the replica's HTTP interface and the gateway hand each other.
// A `Request` and a `Response` cost more to make than the whole of a query costs to route, and refuse headers that
// a hostile canister may name; they exist only in the thin `fetch` wrappers.

export interface HttpHeaders {
  /** First value of a header; `name` in lower case. */
  get(name: string): string | null | undefined;
  /** All headers in the order received, repeated ones too. */
  entries(): Iterable<readonly [string, string]>;
}

export interface HttpRequest {
  readonly method: string;
  /** Path and query string as sent: begins with "/". */
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly body: Uint8Array;
  /** Calls back once when the client went away before it had the whole answer. Returns a function that forgets. */
  readonly onDisconnect?: (callback: () => void) => () => void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** An answer of the gateway: headers may repeat and the body may come bit by bit. */
export interface WebResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

export type WebHandler = (request: HttpRequest) => Promise<WebResponse>;

/** Calls back after a wall-clock delay; returns a function that cancels. Drivers own the timers. */
export interface TimerPort {
  after(milliseconds: number, callback: () => void): () => void;
}

const API_PATH = /^\/api\/v[234]\/(?:canister\/|subnet\/|status(?:[/?]|$))/;

/** Whether a request is for the HTTP interface and not for a canister's web page, on whatever host it came in. */
export function isApiTarget(target: string): boolean {
  return API_PATH.test(target);
}
