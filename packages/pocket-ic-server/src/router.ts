// The routes of the server: from a request to an answer. Paths are matched with and without a slash at the end; an
// unknown one is 404 without a word. Everything that is wrong with a request is a Refusal, which becomes {"message"}
// here and nowhere else. Contract of PocketIC's REST interface.
import type { CryptoPort, LogPort } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { emptyAnswer, jsonAnswer, type Outcome, Refusal, refused, textAnswer } from "./answers.ts";
import { apiDescription } from "./api-description.ts";
import type { BlobStore } from "./blob-store.ts";
import { progressConfig, progressDelay, readCreation } from "./creation.ts";
import { dashboardPage } from "./dashboard.ts";
import type { Gateways } from "./gateways.ts";
import type { Instance } from "./instance.ts";
import { INSTANCE_ROUTES, type InstanceRoute } from "./instance-routes.ts";
import type { Instances } from "./instances.ts";
import { type Json, readJson } from "./json.ts";
import type { OperationGraph } from "./operations.ts";
import { isKeptInstance } from "./state-directory.ts";
import { topologyJson } from "./topology.ts";
import { verifySignature } from "./verify-signature.ts";

export interface ServerParts {
  readonly blobs: BlobStore;
  readonly graph: OperationGraph;
  readonly instances: Instances;
  readonly gateways: Gateways;
  readonly crypto: CryptoPort;
  readonly log: LogPort;
}

/** The whole REST interface. Never rejects. */
export function createRouter(parts: ServerParts): HttpHandler {
  return async (request) => {
    const [path = ""] = request.target.split("?", 1);
    const segments = path.replace(/\/$/, "").split("/").slice(1);
    const isOfInstances = segments[0] === "instances";
    if (isOfInstances && request.method === "OPTIONS") return emptyAnswer(200, PREFLIGHT);
    const answer = await answerTo(parts, request, segments).catch((error: unknown) => {
      const refusal = refused(error);
      if (refusal !== undefined) return jsonAnswer(refusal);
      parts.log.log("error", "a request failed in the server", { path, error: String((error as Error)?.stack) });
      return jsonAnswer({ status: 500, body: { message: "Internal error: the log of the server says why." } });
    });
    return isOfInstances ? { ...answer, headers: { ...ANY_ORIGIN, ...answer.headers } } : answer;
  };
}

const ANY_ORIGIN = { "access-control-allow-origin": "*" };
const PREFLIGHT = {
  ...ANY_ORIGIN,
  "access-control-allow-methods": "GET,POST,DELETE,HEAD",
  "access-control-allow-headers": "accept,authorization,content-type,processing-timeout-ms",
  "access-control-max-age": "600",
};

async function answerTo(parts: ServerParts, request: HttpRequest, segments: readonly string[]): Promise<HttpResponse> {
  const [area = "", first, second, ...rest] = segments;
  if (area === "instances" && first !== undefined) {
    return answerOfInstance(parts, request, numberOf(first), segments.slice(2));
  }
  return answerOfServer(parts, request, area, first, rest.length > 0 ? undefined : second);
}

async function answerOfServer(
  { blobs, graph, instances, gateways, crypto }: ServerParts,
  request: HttpRequest,
  area: string,
  first: string | undefined,
  second: string | undefined,
): Promise<HttpResponse> {
  const depth = second !== undefined ? 2 : first !== undefined ? 1 : 0;
  switch (`${area} ${depth}`) {
    case "status 0":
      return forMethods(request, { GET: () => emptyAnswer(200) });
    case "api.json 0":
      return forMethods(request, { GET: () => jsonAnswer({ status: 200, body: apiDescription() }) });
    case "blobstore 0":
      return forMethods(request, { POST: () => blobs.upload(request) });
    case "blobstore 1":
      return forMethods(request, { GET: () => blobs.download(first as string) });
    case "verify_signature 0":
      return forMethods(request, { POST: () => jsonAnswer(verifySignature(bodyOf(request), crypto)) });
    case "read_graph 2":
      return forMethods(request, { GET: () => jsonAnswer(graph.read(first as string, second as string)) });
    case "prune_graph 2":
      return forMethods(request, { DELETE: () => jsonAnswer(graph.prune(first as string, second as string)) });
    case "instances 0":
      return forMethods(request, {
        GET: () => jsonAnswer({ status: 200, body: instances.list() }),
        POST: () => createInstance(instances, gateways, request),
      });
    case "http_gateway 0":
      return forMethods(request, {
        GET: () => jsonAnswer({ status: 200, body: gateways.list() }),
        POST: () => created(async () => gateways.create(bodyOf(request))),
      });
    case "http_gateway 2":
      if (second !== "stop") return emptyAnswer(404);
      return forMethods(request, {
        async POST() {
          await gateways.stop(numberOf(first as string));
          return NULL;
        },
      });
    default:
      return emptyAnswer(404);
  }
}

async function answerOfInstance(
  { blobs, instances, gateways }: ServerParts,
  request: HttpRequest,
  id: number,
  segments: readonly string[],
): Promise<HttpResponse> {
  const path = segments.join("/");
  const route = INSTANCE_ROUTES.get(path);
  if (route !== undefined) {
    return forMethods(request, { [route.method]: () => runRoute(instances.get(id), path, route, request, blobs) });
  }
  if (segments[0] === "api") return instances.get(id).network.api({ ...request, target: `/${path}` });
  switch (path) {
    case "":
      return forMethods(request, {
        async DELETE() {
          await gateways.stopAll(id);
          await instances.delete(id);
          return emptyAnswer(200);
        },
      });
    case "_/topology":
    case "_/dashboard":
      return forMethods(request, { GET: () => page(instances.get(id), path) });
    case "auto_progress":
      return forMethods(request, {
        GET: () => jsonAnswer({ status: 200, body: instances.get(id).network.isProgressing }),
        POST() {
          instances.get(id).startProgress(progressDelay(progressConfig(bodyOf(request), "")));
          return NULL;
        },
      });
    case "stop_progress":
      return forMethods(request, {
        async POST() {
          await instances.get(id).network.stopProgress();
          return NULL;
        },
      });
    default:
      return emptyAnswer(404);
  }
}

const NULL = jsonAnswer({ status: 200, body: null });

/** What a gateway serves in front of an instance: the HTTP interface, and the pages below /_/. */
export function instanceHandler(instance: Instance): HttpHandler {
  return async (request) => {
    const [path = ""] = request.target.split("?", 1);
    if (path === "/_/topology" || path === "/_/dashboard") {
      const answer = page(instance, path.slice(1));
      return { ...answer, headers: { ...ANY_ORIGIN, ...answer.headers } };
    }
    return instance.network.api(request);
  };
}

function page({ network }: Instance, path: string): HttpResponse {
  if (path === "_/topology") return jsonAnswer({ status: 200, body: topologyJson(network) });
  return textAnswer(200, dashboardPage(network), "text/html; charset=utf-8");
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** How long the server keeps a request that the client could not repeat. */
export const LONGEST_TIMEOUT_MS = 3_600_000;
const PATIENT_TIMEOUT_MS = 300_000;

async function runRoute(
  instance: Instance,
  path: string,
  route: InstanceRoute,
  request: HttpRequest,
  blobs: BlobStore,
): Promise<HttpResponse> {
  const work = route.prepare(route.method === "GET" ? null : bodyOf(request), blobs);
  const outcome = await instance.operate(path.slice(path.indexOf("/") + 1), work, {
    timeoutMs: route.isPatient === true ? PATIENT_TIMEOUT_MS : timeoutOf(request),
    ...(request.onDisconnect && { onDisconnect: request.onDisconnect }),
  });
  const isOverloaded = route.isPatient === true && outcome.status === 409;
  return jsonAnswer(isOverloaded ? OVERLOADED : outcome);
}

const OVERLOADED: Outcome = { status: 429, body: { message: "Service is overloaded, try again later." } };

function timeoutOf({ headers }: HttpRequest): number {
  const given = headers.get("processing-timeout-ms");
  if (given === undefined || given === null) return DEFAULT_TIMEOUT_MS;
  if (!/^\d{1,20}$/.test(given)) throw new Refusal(400, "The header processing-timeout-ms is not a number.");
  return Math.min(Number(given), LONGEST_TIMEOUT_MS);
}

async function createInstance(instances: Instances, gateways: Gateways, request: HttpRequest): Promise<HttpResponse> {
  return created(async () => {
    const options = readCreation(bodyOf(request), isKeptInstance);
    if (options.gateway !== undefined) await gateways.requirePlace(options.gateway);
    const instance = await instances.create(options);
    try {
      const gateway = options.gateway && (await gateways.open(options.gateway, { instance: instance.id }));
      return {
        instance_id: instance.id,
        topology: topologyJson(instance.network),
        http_gateway_info: gateway ?? null,
      };
    } catch (error) {
      await instances.delete(instance.id);
      throw error;
    }
  });
}

/** A creation answers in its own way: 201 {"Created"} or {"Error": {"message"}}. */
async function created(create: () => Promise<Json>): Promise<HttpResponse> {
  try {
    return jsonAnswer({ status: 201, body: { Created: await create() } });
  } catch (error) {
    const refusal = refused(error);
    if (refusal === undefined) throw error;
    return jsonAnswer({ status: refusal.status, body: { Error: refusal.body } });
  }
}

type Methods = Readonly<Record<string, () => HttpResponse | Promise<HttpResponse>>>;

async function forMethods(request: HttpRequest, methods: Methods): Promise<HttpResponse> {
  const method = request.method === "HEAD" ? "GET" : request.method;
  const serve = Object.hasOwn(methods, method) ? methods[method] : undefined;
  return serve?.() ?? emptyAnswer(405, { allow: Object.keys(methods).join(",") });
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws a Refusal. */
function bodyOf({ headers, body }: HttpRequest): Json {
  if (!/^application\/(?:[^;]+\+)?json\s*(?:;|$)/i.test(headers.get("content-type") ?? "")) {
    throw new Refusal(415, "Expected request with `Content-Type: application/json`");
  }
  try {
    return readJson(decoder.decode(body));
  } catch (error) {
    throw new Refusal(400, `The body is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
}

function numberOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Refusal(400, `Invalid URL: "${text.slice(0, 100)}" is not a number.`);
  return Number(text);
}
