// The twelve routes of the HTTP interface and one for development, in the order in which a request is refused: unknown path, wrong method,
// too many at once, body too large, id in the path. What is behind them is one file per endpoint.
// Interface specification, "HTTPS interface". The table is matched by hand: it is on the way of every message.
import { MAX_HTTP_BODY_BYTES, type PrincipalId, principalFromText, REPLICA_VERSION } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import type { ReplicaBackend } from "../backend.ts";
import { emptyAnswer, textAnswer } from "./answers.ts";
import { createCallEndpoints } from "./call.ts";
import { preflight } from "./cors.ts";
import { CONCURRENCY_LIMITS, type Endpoint, type HttpInterfaceOptions } from "./endpoint.ts";
import { query } from "./query.ts";
import { readState } from "./read-state.ts";
import { status } from "./status.ts";
import { topology } from "./topology.ts";

interface Route {
  readonly method: "GET" | "POST";
  readonly limit: number;
  readonly serve: Endpoint;
  running: number;
}

/** The HTTP interface of one replica. */
export function createHttpHandler(backend: ReplicaBackend, options: HttpInterfaceOptions): HttpHandler {
  const routes = routeTable(backend, options);
  const own = ownRoutes(backend, options);
  return async (request) => {
    if (request.method === "OPTIONS") return preflight();
    const [path = ""] = request.target.split("?", 1);
    const [, area, version, kind, id, verb, ...rest] = path.split("/");
    const route = area === "api" && rest.length === 0 ? routes.get(routeKey(version, kind, verb, id)) : own.get(path);
    if (route === undefined) return textAnswer(404, `There is nothing at ${path.slice(0, 200)}.`);
    const refusal = refuse(route, request);
    if (refusal !== undefined) return refusal;
    const principal = id === undefined ? NO_ID : parseId(id);
    if (principal === undefined) {
      return textAnswer(400, `Invalid URL: cannot parse "${id?.slice(0, 100)}" as a principal.`);
    }
    route.running++;
    try {
      return await route.serve(principal, request);
    } catch (error) {
      options.log?.log("error", "a request failed in the replica", { path, error: String((error as Error)?.stack) });
      return textAnswer(500, "Internal error: the replica could not process this request, its log says why.");
    } finally {
      route.running--;
    }
  };
}

const NO_ID = "" as PrincipalId;

/** Parsing the text of an id takes a tenth of what a whole query takes, and the same ids come again and again. */
const PARSED_IDS = new Map<string, PrincipalId>();
const MAX_PARSED_IDS = 4_096;

/** The id in a path; undefined: it is none. */
export function parseId(text: string): PrincipalId | undefined {
  const known = PARSED_IDS.get(text);
  if (known !== undefined) return known;
  const id = principalFromText(text);
  if (id === undefined) return undefined;
  if (PARSED_IDS.size >= MAX_PARSED_IDS) PARSED_IDS.clear();
  PARSED_IDS.set(text, id);
  return id;
}

function routeKey(version = "", kind = "", verb = "", id?: string): string {
  return id === undefined ? `${version}/${kind}` : `${version}/${kind}//${verb}`;
}

function refuse(route: Route, request: HttpRequest): HttpResponse | undefined {
  const method = request.method === "HEAD" ? "GET" : request.method;
  if (method !== route.method) {
    const answer = emptyAnswer(405);
    return { ...answer, headers: { ...answer.headers, allow: route.method === "GET" ? "GET,HEAD" : "POST" } };
  }
  if (route.running >= route.limit) return textAnswer(429, "The service is overloaded.");
  if (request.body.length > MAX_HTTP_BODY_BYTES) {
    return textAnswer(413, `The request body is larger than the maximum of ${MAX_HTTP_BODY_BYTES} bytes.`);
  }
  if (route.method === "POST" && request.headers.get("content-type")?.toLowerCase() !== "application/cbor") {
    return textAnswer(400, "Unexpected content-type, expected application/cbor.");
  }
  return undefined;
}

function routeTable(backend: ReplicaBackend, options: HttpInterfaceOptions): ReadonlyMap<string, Route> {
  const limits = { ...CONCURRENCY_LIMITS, ...options.limits };
  const implementation = options.implementation ?? { version: REPLICA_VERSION, hash: "" };
  const calls = createCallEndpoints(backend, options);
  const post = (limit: number, serve: Endpoint): Route => ({ method: "POST", limit, serve, running: 0 });
  return new Map<string, Route>([
    ["v2/status", { method: "GET", limit: limits.status, serve: () => status(backend, implementation), running: 0 }],
    ["v2/canister//call", post(limits.call, calls.asynchronous)],
    ["v3/canister//call", post(limits.syncCall, calls.synchronous("flat"))],
    ["v4/canister//call", post(limits.syncCall, calls.synchronous("sharded"))],
    ["v4/subnet//call", post(limits.syncCall, calls.onSubnet)],
    ["v2/canister//query", post(limits.query, query(backend, "canister", "flat"))],
    ["v3/canister//query", post(limits.query, query(backend, "canister", "sharded"))],
    ["v3/subnet//query", post(limits.query, query(backend, "subnet", "none"))],
    ["v2/canister//read_state", post(limits.readState, readState(backend, { on: "canister", version: 2 }))],
    ["v3/canister//read_state", post(limits.readState, readState(backend, { on: "canister", version: 3 }))],
    ["v2/subnet//read_state", post(limits.readState, readState(backend, { on: "subnet", version: 2 }))],
    ["v3/subnet//read_state", post(limits.readState, readState(backend, { on: "subnet", version: 3 }))],
  ]);
}

/** By their whole path: what is no part of the specification. */
function ownRoutes(backend: ReplicaBackend, options: HttpInterfaceOptions): ReadonlyMap<string, Route> {
  const limit = options.limits?.status ?? CONCURRENCY_LIMITS.status;
  const route: Route = { method: "GET", limit, serve: () => topology(backend), running: 0 };
  return new Map(options.topology === true ? [["/_/topology", route]] : []);
}
