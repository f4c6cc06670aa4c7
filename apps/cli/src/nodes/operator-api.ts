// What a node serves to its operator: metrics, and the registry. Whoever reaches these paths can read, but change nothing
// without the operator's key: a record that it did not sign is refused.
import { decodeSignedRecord, encodeSignedRecord, MAX_RECORD_BYTES, type RecordRegistry } from "@atoll/consensus";
import { EnvironmentError } from "@atoll/types";
import type { HttpHandler, HttpRequest, HttpResponse } from "@atoll/types/http";
import { type Metric, PROMETHEUS_TYPE, prometheusText } from "./prometheus.ts";
import { STREAMS_PATH } from "./stream-api.ts";

export const REGISTRY_PATH = "/_/registry";
const METRICS_PATHS = ["/metrics", "/_/metrics"];

export interface OperatorPorts {
  readonly registry: RecordRegistry;
  readonly metrics: () => readonly Metric[];
  /** A record has been added. */
  readonly onAdded: () => void;
  /** For nodes of other subnets. */
  readonly streams: HttpHandler;
}

export function isOperatorTarget(target: string): boolean {
  const [path = ""] = target.split("?", 1);
  return METRICS_PATHS.includes(path) || path === REGISTRY_PATH || path.startsWith(STREAMS_PATH);
}

export function operatorHandler({ registry, metrics, onAdded, streams }: OperatorPorts): HttpHandler {
  return async (request) => {
    const [path = ""] = request.target.split("?", 1);
    const isReading = request.method === "GET" || request.method === "HEAD";
    if (METRICS_PATHS.includes(path)) {
      return isReading
        ? answer(200, PROMETHEUS_TYPE, prometheusText(metrics()))
        : text(405, "Metrics are read by GET.");
    }
    if (path.startsWith(STREAMS_PATH)) return streams(request);
    if (path !== REGISTRY_PATH) return text(404, `There is nothing at ${path.slice(0, 200)}.`);
    if (request.method === "POST") return take(registry, request, onAdded);
    if (!isReading) return text(405, "The registry is read by GET, and gets a record by POST.");
    const newest = registry.signedRecord(registry.latestVersion());
    if (newest === undefined) return text(503, "No registry version is known yet.");
    return { status: 200, headers: { "content-type": BYTES }, body: encodeSignedRecord(newest) };
  };
}

function take(registry: RecordRegistry, { body, headers }: HttpRequest, onAdded: () => void): HttpResponse {
  // A page in a browser on this machine cannot send this type to another origin without being allowed to.
  if (headers.get("content-type") !== BYTES) return text(415, `A record is sent as ${BYTES}.`);
  if (body.length > MAX_RECORD_BYTES) return text(413, `A record has at most ${MAX_RECORD_BYTES} bytes.`);
  try {
    const outcome = registry.add(decodeSignedRecord(body));
    if (outcome.kind === "refused") return text(400, `The record was refused: ${outcome.why}.`);
    if (outcome.kind === "added") onAdded();
    return text(200, outcome.kind === "added" ? "The record was added." : "The record was known.");
  } catch (error) {
    if (error instanceof EnvironmentError) return text(503, error.message);
    return text(400, "That is no registry record.");
  }
}

const BYTES = "application/octet-stream";
const encoder = new TextEncoder();

function text(status: number, sentence: string): HttpResponse {
  return answer(status, "text/plain; charset=utf-8", sentence);
}

function answer(status: number, type: string, content: string): HttpResponse {
  return { status, headers: { "content-type": type }, body: encoder.encode(content) };
}
