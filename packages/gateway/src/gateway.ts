// The web in front of a network: takes a browser's request to a canister's host name, asks the canister by a query,
// by an update when the canister wants that, and turns the answer into a web page. It speaks to a replica only
// through the HTTP interface. HTTP gateway specification, "The HTTP gateway protocol".
import { type CanisterId, MAX_HTTP_BODY_BYTES, principalToText } from "@atoll/types";
import { type HttpHandler, type HttpRequest, isApiTarget, type WebHandler, type WebResponse } from "@atoll/types/http";
import { malformedAnswer, problemOf } from "./call-problems.ts";
import { type CanisterCallPorts, queryCanister, updateCanister } from "./canister-calls.ts";
import { destinationOf, type HostNames } from "./canister-host.ts";
import { type Headers, headerOf, sendable, wholeResponse, without } from "./canister-response.ts";
import {
  type CanisterHttpRequest,
  type CanisterHttpResponse,
  decodeHttpResponse,
  decodeStreamingPart,
  encodeHttpRequest,
  encodeHttpUpdateRequest,
} from "./http-candid.ts";
import { type FrontPage, frontPage, problemPage } from "./pages.ts";
import { parseContentRange, streamByCallback, streamByRanges } from "./streaming.ts";

export interface GatewayOptions extends CanisterCallPorts {
  /** Domains whose subdomains are canisters; `localhost` when not given. */
  readonly hostSuffixes?: readonly string[];
  /** Names of canisters beside their ids. */
  readonly resolveName?: HostNames["resolveName"];
  /** Whole hosts that belong to canisters. */
  readonly resolveHost?: HostNames["resolveHost"];
  /** What the front page shows; asked each time, as a driver may deploy something to show later. */
  readonly frontPage?: () => Partial<FrontPage>;
}

/** Room for the rest of the envelope beside the page's own request. */
const MAX_REQUEST_BYTES = MAX_HTTP_BODY_BYTES - 128 * 1024;

export function createGateway(options: GatewayOptions): WebHandler {
  const names: HostNames = {
    suffixes: options.hostSuffixes ?? ["localhost"],
    ...(options.resolveName && { resolveName: options.resolveName }),
    ...(options.resolveHost && { resolveHost: options.resolveHost }),
  };
  return async (request) => {
    if (isApiTarget(request.target)) return serveApi(options.api, request);
    const destination = destinationOf(request, names);
    switch (destination.kind) {
      case "canister":
        return servePage(options, destination.canisterId, request);
      case "unknown":
        return problemPage(
          { status: 400, title: "Unknown host", detail: `"${destination.name}" is not the id of a canister.` },
          request,
        );
      case "own":
        if (request.target.startsWith("/_/")) return serveApi(options.api, request);
        return serveOwn({ name: "Atoll", links: [], ...options.frontPage?.() }, request);
    }
  };
}

async function serveApi(api: HttpHandler, request: HttpRequest): Promise<WebResponse> {
  const answer = await api(request);
  return { ...answer, headers: Object.entries(answer.headers) };
}

function serveOwn(front: FrontPage, request: HttpRequest): WebResponse {
  const [path] = request.target.split("?", 1);
  if (path === "/") return frontPage(front, request);
  const detail = "This address belongs to the network itself. Canisters have addresses of their own.";
  return problemPage({ status: 404, title: "Nothing here", detail }, request);
}

async function servePage(ports: CanisterCallPorts, canisterId: CanisterId, request: HttpRequest): Promise<WebResponse> {
  if (request.body.length > MAX_REQUEST_BYTES) {
    const detail = `The largest request that fits into a message to a canister has ${MAX_REQUEST_BYTES} bytes.`;
    return problemPage({ status: 413, title: "Request too large", detail }, request);
  }
  const asked: CanisterHttpRequest = {
    method: request.method,
    url: request.target,
    headers: [...request.headers.entries()],
    body: request.body,
  };
  const text = principalToText(canisterId);
  let outcome = await queryCanister(ports, canisterId, "http_request", encodeHttpRequest(asked));
  if (outcome.kind !== "replied") return problemPage(problemOf(outcome, text), request);
  let answer = decodeHttpResponse(outcome.reply);
  if (answer?.upgrade === true) {
    const arg = encodeHttpUpdateRequest(asked);
    outcome = await updateCanister(ports, canisterId, "http_request_update", arg, request.onDisconnect);
    if (outcome.kind !== "replied") return problemPage(problemOf(outcome, text), request);
    answer = decodeHttpResponse(outcome.reply);
  }
  if (answer === undefined)
    return problemPage(malformedAnswer("it is not the Candid type of an HTTP response"), request);
  const sent = sendable(answer);
  if ("unsendable" in sent) return problemPage(malformedAnswer(sent.unsendable), request);
  if (request.method === "HEAD") return wholeResponse(sent.status, sent.headers, answer.body, request.method);
  return (
    callbackStream(ports, answer, sent.status, sent.headers) ??
    rangeStream(ports, canisterId, asked, answer, sent.status, sent.headers) ??
    wholeResponse(sent.status, sent.headers, answer.body, request.method)
  );
}

function callbackStream(
  ports: CanisterCallPorts,
  answer: CanisterHttpResponse,
  status: number,
  headers: Headers,
): WebResponse | undefined {
  if (answer.streaming === undefined || status === 204 || status === 304) return undefined;
  const body = streamByCallback(answer.body, answer.streaming, async ({ canisterId, methodName, arg }) => {
    const outcome = await queryCanister(ports, canisterId, methodName, arg);
    return outcome.kind === "replied" ? decodeStreamingPart(outcome.reply) : undefined;
  });
  return { status, headers: without(headers, "content-length"), body };
}

/** A canister that answers a request for everything with its first bytes has the rest to be asked for. */
function rangeStream(
  ports: CanisterCallPorts,
  canisterId: CanisterId,
  asked: CanisterHttpRequest,
  answer: CanisterHttpResponse,
  status: number,
  headers: Headers,
): WebResponse | undefined {
  if (status !== 206 || asked.method !== "GET" || headerOf(asked.headers, "range") !== undefined) return undefined;
  const range = parseContentRange(headerOf(headers, "content-range"));
  if (range === undefined || range.start !== 0 || answer.body.length !== range.end + 1) return undefined;
  const etag = headerOf(headers, "etag");
  const body = streamByRanges(answer.body, range.total, async (start) => {
    const arg = encodeHttpRequest({ ...asked, headers: [...asked.headers, ["Range", `bytes=${start}-`]] });
    const outcome = await queryCanister(ports, canisterId, "http_request", arg);
    const part = outcome.kind === "replied" ? decodeHttpResponse(outcome.reply) : undefined;
    const next = part?.status === 206 ? parseContentRange(headerOf(part.headers, "content-range")) : undefined;
    if (part === undefined || next === undefined || headerOf(part.headers, "etag") !== etag) return undefined;
    return { range: next, body: part.body };
  });
  const own = without(headers, "content-length", "content-range", "accept-ranges");
  return { status: 200, headers: [...own, ["content-length", String(range.total)]], body };
}
