// Which paths of the state tree a read_state request may name, as a table: who asks, at which endpoint, in which
// version. A path is a prefix: everything below it is revealed. Interface specification, "Request: Read state".
import {
  type CanisterId,
  MAX_READ_STATE_LABELS,
  MAX_READ_STATE_PATHS,
  type Path,
  type PrincipalId,
  toHex,
} from "@atoll/types";
import type { ReplicaBackend } from "../backend.ts";

export interface ReadStateEndpoint {
  readonly on: "canister" | "subnet";
  readonly version: 2 | 3;
}

/** What the rules need to know about a request beside its paths. */
export interface PathReader {
  readonly sender: PrincipalId;
  /** The canister or subnet in the URL. */
  readonly effectiveId: PrincipalId;
  /** True when the sender's delegations allow requests to `receiver`. */
  mayCall(receiver: CanisterId): boolean;
}

export interface PathRefusal {
  readonly status: 400 | 403 | 404;
  readonly text: string;
}

type Verdict = PathRefusal | undefined;

type Backend = Pick<ReplicaBackend, "subnet" | "ingressOrigin" | "controllers" | "isPrivateMetadata">;

/** Undefined when all paths are permitted. */
export function checkPaths(
  backend: Backend,
  endpoint: ReadStateEndpoint,
  paths: readonly Path[],
  reader: PathReader,
): Verdict {
  if (paths.length > MAX_READ_STATE_PATHS) return refusal(400, `Too many paths: at most ${MAX_READ_STATE_PATHS}.`);
  if (paths.some((path) => path.length > MAX_READ_STATE_LABELS)) {
    return refusal(400, `A path is too long: at most ${MAX_READ_STATE_LABELS} labels.`);
  }
  let requestId: string | undefined;
  let shardedSubnet: string | undefined;
  for (const path of paths) {
    const verdict = checkPath(backend, endpoint, path, reader);
    if (verdict !== undefined) return verdict;
    const [first, second] = path;
    if (first === undefined || second === undefined) continue;
    const root = labelText(first);
    const id = toHex(second);
    if (root === "request_status") {
      if (requestId !== undefined && requestId !== id) {
        return refusal(400, "Can only request a single request ID in request_status paths.");
      }
      requestId = id;
    } else if (root === "canister_ranges") {
      if (shardedSubnet !== undefined && shardedSubnet !== id) {
        return refusal(400, "Can only request the canister ranges of a single subnet.");
      }
      shardedSubnet = id;
    }
  }
  return undefined;
}

function checkPath(backend: Backend, endpoint: ReadStateEndpoint, path: Path, reader: PathReader): Verdict {
  const [root, ...rest] = path;
  switch (root === undefined ? "" : labelText(root)) {
    case "time":
      return permit(rest.length === 0);
    case "api_boundary_nodes":
      return permit(rest.length < 2 || (rest.length === 2 && NODE_FIELDS.has(labelText(rest[1]))));
    case "subnet":
      return checkSubnetPath(backend, endpoint, rest, reader);
    case "canister_ranges":
      return permit(endpoint.on === "subnet" && rest.length === 1);
    case "canister":
      return endpoint.on === "canister" ? checkCanisterPath(backend, rest, reader) : INVALID;
    case "request_status":
      if (endpoint.on === "subnet" && endpoint.version === 2) return INVALID;
      return checkRequestStatusPath(backend, rest, reader);
    default:
      return INVALID;
  }
}

function checkSubnetPath(backend: Backend, endpoint: ReadStateEndpoint, rest: Path, reader: PathReader): Verdict {
  const [subnet, field, , nodeField] = rest;
  if (subnet === undefined || field === undefined) return undefined;
  const name = labelText(field);
  if (name === "node") return permit(rest.length < 4 || (rest.length === 4 && labelText(nodeField) === "public_key"));
  if (rest.length > 2) return INVALID;
  switch (name) {
    case "public_key":
    case "type":
      return undefined;
    case "canister_ranges":
      return permit(endpoint.version === 2 || toHex(subnet) === backend.subnet.rootSubnetId);
    case "metrics":
      if (endpoint.on === "canister") return INVALID;
      if (toHex(subnet) === reader.effectiveId) return undefined;
      return refusal(
        400,
        "The metrics of a subnet can only be read at that subnet: the path and the URL name different ones.",
      );
    default:
      return INVALID;
  }
}

function checkCanisterPath(backend: Backend, rest: Path, reader: PathReader): Verdict {
  const [canister, field, name] = rest;
  if (canister === undefined || field === undefined) return INVALID;
  const kind = labelText(field);
  if (!(rest.length === 2 && CANISTER_FIELDS.has(kind)) && !(rest.length === 3 && kind === "metadata")) return INVALID;
  if (toHex(canister) !== reader.effectiveId) {
    return refusal(400, "The canister of a path does not match the effective canister ID in the URL.");
  }
  if (name === undefined) return undefined;
  const section = utf8(name);
  if (section === undefined) return refusal(400, "Could not parse the name of a custom section: it is not UTF-8.");
  const id = reader.effectiveId;
  if (backend.isPrivateMetadata(id, section) && backend.controllers(id)?.includes(reader.sender) !== true) {
    return refusal(
      403,
      `Custom section ${section.slice(0, 100)} can only be requested by the controllers of the canister.`,
    );
  }
  return undefined;
}

function checkRequestStatusPath(backend: Backend, rest: Path, reader: PathReader): Verdict {
  const [id, field] = rest;
  if (id === undefined || rest.length > 2) return INVALID;
  if (field !== undefined && !STATUS_FIELDS.has(labelText(field))) return INVALID;
  if (id.length !== 32) return refusal(400, `Invalid request id in paths: expected 32 bytes, got ${id.length}.`);
  const origin = backend.ingressOrigin(toHex(id));
  if (origin === undefined) return undefined;
  if (origin.sender !== reader.sender) {
    return refusal(403, "The user tries to access Request ID not signed by the caller.");
  }
  if (reader.mayCall(origin.receiver)) return undefined;
  return refusal(403, "The user tries to access request IDs for canisters not belonging to sender delegation targets.");
}

const NODE_FIELDS: ReadonlySet<string> = new Set(["domain", "ipv4_address", "ipv6_address"]);
const STATUS_FIELDS: ReadonlySet<string> = new Set(["status", "reply", "reject_code", "reject_message", "error_code"]);
const CANISTER_FIELDS: ReadonlySet<string> = new Set([
  "controllers",
  "module_hash",
  "canister_creation_timestamp",
  "last_install_timestamp",
]);

const INVALID: PathRefusal = { status: 404, text: "Invalid path requested." };

function permit(permitted: boolean): Verdict {
  return permitted ? undefined : INVALID;
}

function refusal(status: PathRefusal["status"], text: string): PathRefusal {
  return { status, text };
}

const MAX_NAME_BYTES = 40;

/** A label as text, for comparison with names; "" for anything longer than every name. */
function labelText(label: Uint8Array | undefined): string {
  return label === undefined || label.length > MAX_NAME_BYTES ? "" : String.fromCharCode(...label);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
