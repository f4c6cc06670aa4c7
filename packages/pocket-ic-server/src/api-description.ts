// GET /api.json: the routes of this server as an OpenAPI document, for tools and people that ask a server what it can.
// Made from the table of routes itself, so that it names no more and no less.
import { INSTANCE_ROUTES } from "./instance-routes.ts";
import type { Json } from "./json.ts";

const SERVER_ROUTES: readonly (readonly [path: string, methods: string])[] = [
  ["/status", "get"],
  ["/blobstore", "post"],
  ["/blobstore/{id}", "get"],
  ["/verify_signature", "post"],
  ["/read_graph/{state_label}/{op_id}", "get"],
  ["/prune_graph/{state_label}/{op_id}", "delete"],
  ["/instances", "get post"],
  ["/instances/{id}", "delete"],
  ["/instances/{id}/_/topology", "get"],
  ["/instances/{id}/_/dashboard", "get"],
  ["/instances/{id}/auto_progress", "get post"],
  ["/instances/{id}/stop_progress", "post"],
  ["/http_gateway", "get post"],
  ["/http_gateway/{id}/stop", "post"],
];

export function apiDescription(): Json {
  const own = [...INSTANCE_ROUTES].map(
    ([path, { method }]) => [`/instances/{id}/${path}`, method.toLowerCase()] as const,
  );
  const routes = [...SERVER_ROUTES, ...own];
  return {
    openapi: "3.1.0",
    info: { title: "", description: "PocketIC server API", version: "" },
    paths: Object.fromEntries(routes.map(([path, methods]) => [path, operations(path, methods.split(" "))])),
  };
}

function operations(path: string, methods: readonly string[]): Json {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  const parameters = names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
  const operation = { parameters, responses: { default: { description: "see the description of PocketIC" } } };
  return Object.fromEntries(methods.map((method) => [method, operation]));
}
