// HTTPS outcalls on Node: one request to the web, as a node of the subnet makes it, and what came back. Whatever the other
// side does, the answer is there in time and within its size. Redirects are answers like others; nothing is unpacked,
// kept or shared between requests. Texts and reject codes as those of the replica's adapter (rpc_server.rs); checklist 4.6.
import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import {
  type HttpHeader,
  MAX_OUTCALL_RESPONSE_BYTES,
  type OutcallAnswer,
  type OutcallClient,
  type OutcallRequest,
  RejectCode,
} from "@atoll/types";

export interface OutcallClientOptions {
  /** Which URLs may be plain http; development networks reach servers on their own machine. Default: "never". */
  readonly plainHttp?: "never" | "loopback" | "any";
  /** Certificates (PEM) that servers may go back to, in place of the well-known ones. */
  readonly authorities?: readonly string[];
  /** Until the connection stands, names looked up; the whole request, answer included. Defaults: 5 s, 30 s. */
  readonly connectTimeoutMs?: number;
  readonly timeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 30_000;
/** What a server may send before the body: the 48 KiB that a canister may get, and room for the rest of the lines. */
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_REASON_CHARACTERS = 500;
const USER_AGENT = "ic/1.0";

export function createOutcallClient(options: OutcallClientOptions = {}): OutcallClient {
  return async (request) => {
    const url = parseUrl(request.url, options.plainHttp ?? "never");
    if (typeof url === "string") return fatal(url);
    const wrong = headersError(request.headers);
    return wrong === undefined ? exchange(url, request, options) : fatal(`Invalid headers: ${wrong}`);
  };
}

/** The URL, or what is wrong with it. */
function parseUrl(text: string, plainHttp: "never" | "loopback" | "any"): URL | string {
  if (!/^[!-~]*$/.test(text)) return "Failed to parse URL: invalid uri character";
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return "Url need to specify https scheme";
  const url = URL.parse(text);
  if (url === null) return "Failed to parse URL: invalid format";
  if (url.protocol === "https:") return url;
  const isLetThrough = plainHttp === "any" || (plainHttp === "loopback" && isLoopback(url.hostname));
  return url.protocol === "http:" && isLetThrough ? url : "Url need to specify https scheme";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || /^127(\.\d+){3}$/.test(host) || host === "[::1]";
}

function headersError(headers: readonly HttpHeader[]): string | undefined {
  for (const { name, value } of headers) {
    if (!/^[-!#$%&'*+.^_`|~0-9a-z]+$/i.test(name)) return "Failed to parse header name invalid HTTP header name";
    if (!isVisibleText(value)) return "Failed to parse header value failed to parse header value";
  }
  return undefined;
}

function isVisibleText(value: string): boolean {
  return /^[\t -~]*$/.test(value);
}

function exchange(url: URL, request: OutcallRequest, options: OutcallClientOptions): Promise<OutcallAnswer> {
  const { promise, resolve } = Promise.withResolvers<OutcallAnswer>();
  const outgoing = open(url, request, options);
  let what = `Connecting to ${url.hostname.slice(0, 50)} failed`;
  const failed = (reason: string): void => resolve(transient(`${what}: ${reason.slice(0, MAX_REASON_CHARACTERS)}`));
  const connecting = setTimeout(
    () => failed("connecting took too long"),
    options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
  );
  const whole = setTimeout(() => resolve(fatal("Timeout expired")), options.timeoutMs ?? TIMEOUT_MS);
  outgoing.once("socket", (socket) => socket.once("connect", () => clearTimeout(connecting)));
  outgoing.on("error", (error) => failed(reasonOf(error)));
  outgoing.once("upgrade", (_, socket) => {
    socket.destroy();
    failed("the server speaks another protocol");
  });
  outgoing.once("response", (incoming) => {
    what = "Failed to fetch body";
    incoming.on("error", (error) => failed(reasonOf(error)));
    readAnswer(incoming, request, resolve);
  });
  try {
    outgoing.end(request.body);
  } catch (error) {
    // Headers that cannot go together, as Node sees it.
    resolve(fatal(`Invalid headers: ${reasonOf(error as Error)}`));
  }
  return promise.finally(() => {
    clearTimeout(connecting);
    clearTimeout(whole);
    outgoing.destroy();
  });
}

function open(
  url: URL,
  { method, headers, body }: OutcallRequest,
  { authorities }: OutcallClientOptions,
): ClientRequest {
  const options: RequestOptions = {
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port,
    path: url.pathname + url.search,
    method: method.toUpperCase(),
    // A connection of its own: what one canister leaves on it must not reach another one.
    agent: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const outgoing =
    url.protocol === "https:"
      ? httpsRequest({ ...options, ...(authorities !== undefined && { ca: [...authorities] }) })
      : httpRequest(options);
  const given = new Set(headers.map(({ name }) => name.toLowerCase()));
  // Its own comes first, and gives way.
  for (const name of given) outgoing.removeHeader(name);
  for (const { name, value } of headers) outgoing.appendHeader(name, value);
  if (!given.has("user-agent")) outgoing.setHeader("user-agent", USER_AGENT);
  // Node sends the body of a GET without saying that there is one.
  const isMeasured = given.has("content-length") || given.has("transfer-encoding");
  if (body !== undefined && body.length > 0 && !isMeasured) outgoing.setHeader("content-length", body.length);
  return outgoing;
}

function readAnswer(incoming: IncomingMessage, request: OutcallRequest, resolve: (answer: OutcallAnswer) => void) {
  const most = request.maxResponseBytes ?? MAX_OUTCALL_RESPONSE_BYTES;
  const headers = headersOf(incoming);
  if (headers.some(({ value }) => !isVisibleText(value))) {
    resolve(transient("Failed to parse headers: failed to convert header to a str"));
    return;
  }
  const left = headers.reduce((sum, { name, value }) => sum - name.length - value.length, most);
  if (left < 0) {
    resolve(fatal(`Header size exceeds specified response size limit ${most}`));
    return;
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  incoming.on("data", (part: Uint8Array) => {
    bytes += part.length;
    if (bytes <= left) parts.push(part);
    else resolve(fatal(`Http body exceeds size limit of ${most} bytes.`));
  });
  incoming.once("end", () => {
    const body = new Uint8Array(Buffer.concat(parts));
    resolve({ kind: "reply", reply: { status: BigInt(incoming.statusCode ?? 0), headers, body } });
  });
}

/** Names in lower case, all values of a name together where it came first: what a map of headers makes of them. */
function headersOf({ rawHeaders }: IncomingMessage): HttpHeader[] {
  const byName = new Map<string, HttpHeader[]>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name, value] = [(rawHeaders[i] as string).toLowerCase(), rawHeaders[i + 1] as string];
    const same = byName.get(name);
    if (same === undefined) byName.set(name, [{ name, value }]);
    else same.push({ name, value });
  }
  return [...byName.values()].flat();
}

/** Where several addresses were tried, what each of them said. */
function reasonOf(error: Error): string {
  const all = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  return all.map(({ message }) => message).join("; ");
}

function fatal(message: string): OutcallAnswer {
  return { kind: "reject", code: RejectCode.SYS_FATAL, message };
}

function transient(message: string): OutcallAnswer {
  return { kind: "reject", code: RejectCode.SYS_TRANSIENT, message };
}
