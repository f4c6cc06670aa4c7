// Anonymous queries and updates to canisters through the HTTP interface of a replica, as any client would make them.
// An update waits for its certificate: in the answer if it comes in time, by asking for the request's status if not.
// Interface specification, "Request: Query call", "Request: Synchronous call", "Request: Read state".
import { lookupPath } from "@atoll/crypto/hash-tree";
import {
  ANONYMOUS,
  type CanisterId,
  type ClockPort,
  type CryptoPort,
  type EntropyPort,
  fromHex,
  type Path,
  principalToText,
} from "@atoll/types";
import { type CborMap, type CborValue, encodeCbor, tryDecodeCbor } from "@atoll/types/cbor";
import { decodeCertificate } from "@atoll/types/hash-tree-codec";
import type { HttpHandler, HttpRequest, HttpResponse, TimerPort } from "@atoll/types/http";
import { requestIdOf } from "@atoll/types/request-id";

export interface CanisterCallPorts {
  /** The replica's HTTP interface. */
  readonly api: HttpHandler;
  readonly clock: ClockPort;
  readonly entropy: EntropyPort;
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly timer: TimerPort;
}

export type CallOutcome =
  | { readonly kind: "replied"; readonly reply: Uint8Array }
  /** `errorCode` is the text form, IC0xxx. */
  | { readonly kind: "rejected"; readonly rejectCode: number; readonly errorCode: string; readonly message: string }
  /** The replica did not take the request, or took too long: an HTTP status and what it said. */
  | { readonly kind: "failed"; readonly status: number; readonly text: string };

type Disconnect = HttpRequest["onDisconnect"];

const EXPIRY_NS = 240_000_000_000n;
/** The replica has waited 10 s before the first poll. */
const POLL_INTERVAL_MS = 500;
const MAX_POLLS = 110;

export async function queryCanister(
  ports: CanisterCallPorts,
  canisterId: CanisterId,
  methodName: string,
  arg: Uint8Array,
): Promise<CallOutcome> {
  const content = { request_type: "query", ...contentOf(ports, canisterId, methodName, arg) };
  const answer = await post(ports.api, `/api/v3/canister/${principalToText(canisterId)}/query`, content);
  const fields = fieldsOf(answer);
  if (fields === undefined) return failed(answer);
  if (fields.get("status") !== "replied") return rejected(fields);
  const reply = fields.get("reply");
  const bytes = reply instanceof Map ? reply.get("arg") : undefined;
  return bytes instanceof Uint8Array ? { kind: "replied", reply: bytes } : unreadable();
}

export async function updateCanister(
  ports: CanisterCallPorts,
  canisterId: CanisterId,
  methodName: string,
  arg: Uint8Array,
  onDisconnect?: Disconnect,
): Promise<CallOutcome> {
  const nonce = ports.entropy.randomBytes(16);
  const content = { request_type: "call", ...contentOf(ports, canisterId, methodName, arg), nonce };
  const requestId = requestIdOf(content, ports.crypto.sha256);
  const base = `/api/v4/canister/${principalToText(canisterId)}/call`;
  const answer = await post(ports.api, base, content, onDisconnect);
  if (answer.status !== 202) {
    const fields = fieldsOf(answer);
    if (fields === undefined) return failed(answer);
    if (fields.get("status") !== "replied") return rejected(fields);
    const outcome = certifiedOutcome(fields.get("certificate"), requestId);
    if (outcome !== undefined) return outcome;
  }
  return pollStatus(ports, canisterId, requestId, onDisconnect);
}

async function pollStatus(
  ports: CanisterCallPorts,
  canisterId: CanisterId,
  requestId: Uint8Array,
  onDisconnect?: Disconnect,
): Promise<CallOutcome> {
  let gone = false;
  const forget = onDisconnect?.(() => {
    gone = true;
  });
  const url = `/api/v3/canister/${principalToText(canisterId)}/read_state`;
  const path: Path = [encoder.encode("request_status"), requestId];
  try {
    for (let polls = 0; polls < MAX_POLLS && !gone; polls++) {
      const { sender, ingress_expiry } = contentOf(ports, canisterId, "", NO_BYTES);
      const answer = await post(ports.api, url, { request_type: "read_state", sender, ingress_expiry, paths: [path] });
      const fields = fieldsOf(answer);
      if (fields === undefined && answer.status !== 429 && answer.status !== 503) return failed(answer);
      const outcome = certifiedOutcome(fields?.get("certificate"), requestId);
      if (outcome !== undefined) return outcome;
      await delay(ports.timer, POLL_INTERVAL_MS);
    }
  } finally {
    forget?.();
  }
  return { kind: "failed", status: 504, text: "The canister has not answered in time." };
}

function delay(timer: TimerPort, milliseconds: number): Promise<void> {
  return new Promise((resolve) => timer.after(milliseconds, resolve));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NO_BYTES = new Uint8Array(0);
const SENDER = fromHex(ANONYMOUS);

function contentOf(ports: CanisterCallPorts, canisterId: CanisterId, methodName: string, arg: Uint8Array) {
  return {
    canister_id: fromHex(canisterId),
    method_name: methodName,
    arg,
    sender: SENDER,
    ingress_expiry: ports.clock.now() + EXPIRY_NS,
  };
}

const CBOR = { get: (name: string) => (name === "content-type" ? "application/cbor" : undefined), entries: () => [] };

function post(
  api: HttpHandler,
  target: string,
  content: Parameters<typeof encodeCbor>[0],
  onDisconnect?: Disconnect,
): Promise<HttpResponse> {
  const body = encodeCbor({ content }, { selfDescribed: true });
  return api({ method: "POST", target, headers: CBOR, body, ...(onDisconnect && { onDisconnect }) });
}

function fieldsOf(answer: HttpResponse): CborMap | undefined {
  if (answer.status !== 200) return undefined;
  const decoded = tryDecodeCbor(answer.body);
  return decoded.ok && decoded.value instanceof Map ? decoded.value : undefined;
}

function failed(answer: HttpResponse): CallOutcome {
  return answer.status === 200
    ? unreadable()
    : { kind: "failed", status: answer.status, text: decoder.decode(answer.body.subarray(0, 2_000)) };
}

function unreadable(): CallOutcome {
  return { kind: "failed", status: 502, text: "The replica's answer could not be read." };
}

function rejected(fields: CborMap): CallOutcome {
  const [rejectCode, message, errorCode] = ["reject_code", "reject_message", "error_code"].map((name) =>
    fields.get(name),
  );
  if (typeof rejectCode !== "number" || typeof message !== "string") return unreadable();
  return { kind: "rejected", rejectCode, message, errorCode: typeof errorCode === "string" ? errorCode : "" };
}

/** What a certificate says about a request; undefined while it says nothing final. */
function certifiedOutcome(certificate: CborValue | undefined, requestId: Uint8Array): CallOutcome | undefined {
  if (!(certificate instanceof Uint8Array)) return undefined;
  const { tree } = decodeCertificate(certificate);
  const field = (name: string) => {
    const found = lookupPath(tree, [encoder.encode("request_status"), requestId, encoder.encode(name)]);
    return found.status === "found" ? found.value : undefined;
  };
  const text = (name: string) => decoder.decode(field(name) ?? NO_BYTES);
  switch (text("status")) {
    case "replied":
      return { kind: "replied", reply: field("reply") ?? NO_BYTES };
    case "rejected": {
      const rejectCode = field("reject_code")?.[0] ?? 0;
      return { kind: "rejected", rejectCode, message: text("reject_message"), errorCode: text("error_code") };
    }
    case "done":
      return { kind: "failed", status: 504, text: "The canister's answer was dropped before it could be read." };
    default:
      return undefined;
  }
}
