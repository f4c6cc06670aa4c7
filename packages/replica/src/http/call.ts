// POST .../call: lets an update into the ingress pool. The asynchronous form answers at once, the synchronous forms
// wait until the answer is certified. Interface specification, "Request: Call" and "Request: Synchronous call"; the
// order of the checks is the replica's.
import type { CallContent } from "@atoll/crypto";
import {
  type CanisterId,
  fromHex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  type Path,
  type RequestId,
  toHex,
} from "@atoll/types";
import type { HttpRequest, HttpResponse } from "@atoll/types/http";
import type { CertifiedState, DelegationStyle, ReplicaBackend } from "../backend.ts";
import { ingressMessageOf, maxIngressBytes, parseCall } from "../ingress-message.ts";
import { cborAnswer, emptyAnswer, noCertifiedStateAnswer, rejectFields, textAnswer } from "./answers.ts";
import { createAuthenticateTogether, refuseOtherCanister, refuseOtherManagedCanister } from "./authentication.ts";
import { isCreation } from "./effective-canister-id.ts";
import type { Endpoint, HttpInterfaceOptions } from "./endpoint.ts";
import { TIME_PATH } from "./read-state.ts";

export interface CallEndpoints {
  readonly asynchronous: Endpoint;
  synchronous(style: DelegationStyle): Endpoint;
  readonly onSubnet: Endpoint;
}

const SYNC_CALL_TIMEOUT_MS = 10_000;

export function createCallEndpoints(backend: ReplicaBackend, options: HttpInterfaceOptions): CallEndpoints {
  const admission: Admission = { backend, authenticate: createAuthenticateTogether(backend) };
  const waiting: Waiting = { ids: new Set(), options };
  const synchronous = (on: Place, style: DelegationStyle): Endpoint => {
    return async (id, request) => {
      const admitted = await admit(admission, on, id, request);
      return "status" in admitted ? admitted : answerWhenCertified(backend, waiting, admitted, style, request);
    };
  };
  return {
    synchronous: (style) => synchronous("canister", style),
    onSubnet: synchronous("subnet", "none"),
    asynchronous: async (id, request) => {
      const admitted = await admit(admission, "canister", id, request);
      if ("status" in admitted) return admitted;
      const refused = await filter(backend, admitted, {});
      if (refused !== undefined) return refused;
      return backend.submitIngress(admitted, request.body) === "pool-full" ? poolFull() : emptyAnswer(202);
    },
  };
}

type Place = "canister" | "subnet";

interface Admission {
  readonly backend: ReplicaBackend;
  readonly authenticate: ReturnType<typeof createAuthenticateTogether>;
}

/** Request ids that a synchronous call waits for: each has one waiter. */
interface Waiting {
  readonly ids: Set<RequestId>;
  readonly options: HttpInterfaceOptions;
}

/** The checks before the ingress filter; the message, or the answer that refuses it. */
async function admit(
  { backend, authenticate }: Admission,
  on: Place,
  id: CanisterId,
  request: HttpRequest,
): Promise<IngressMessage | HttpResponse> {
  const parsed = parseCall(request.body);
  if (!parsed.ok) return textAnswer(400, parsed.error);
  const { content } = parsed.envelope;
  const misplaced = on === "canister" ? refuseOtherCanister(content, id) : refuseOnSubnet(backend, id, content);
  if (misplaced !== undefined) return misplaced;
  const maxBytes = maxIngressBytes(backend.subnet.type);
  const byteSize = request.body.length;
  if (byteSize > maxBytes) return tooLarge(byteSize, maxBytes);
  const authenticated = await authenticate(parsed.envelope);
  if (!authenticated.ok) return textAnswer(400, authenticated.error);
  const toManagement = content.canisterId === MANAGEMENT_CANISTER && on === "canister";
  const mismatch = toManagement ? refuseOtherManagedCanister(content, id) : undefined;
  if (mismatch !== undefined) return mismatch;
  if (backend.certifiedState() === undefined) return noCertifiedStateAnswer();
  const effectiveCanisterId = on === "canister" ? id : MANAGEMENT_CANISTER;
  return ingressMessageOf(content, toHex(authenticated.requestId), effectiveCanisterId, byteSize);
}

/** A subnet takes only calls that create canisters: everything else belongs to a canister. */
function refuseOnSubnet(backend: ReplicaBackend, id: string, content: CallContent): HttpResponse | undefined {
  if (id !== backend.subnet.subnetId) return textAnswer(400, "The subnet in the URL is not the one of this node.");
  if (content.canisterId === MANAGEMENT_CANISTER && isCreation(content.methodName)) return undefined;
  return textAnswer(400, "Only calls to the management canister that create a canister can be made to a subnet.");
}

function tooLarge(byteSize: number, maxBytes: number): HttpResponse {
  const text = `Request is too large. Message byte size ${byteSize} is larger than the max allowed ${maxBytes}.`;
  return textAnswer(413, text);
}

function poolFull(): HttpResponse {
  return textAnswer(503, "Service is overloaded, try again later.");
}

/** A message that the canister or the subnet will not take is told so at once, at 200: no block has to carry it. */
async function filter(
  backend: ReplicaBackend,
  message: IngressMessage,
  status: { readonly status?: "non_replicated_rejection" },
): Promise<HttpResponse | undefined> {
  const refused = await backend.filterIngress(message);
  return refused === undefined ? undefined : cborAnswer({ ...status, ...rejectFields(refused) });
}

async function answerWhenCertified(
  backend: ReplicaBackend,
  waiting: Waiting,
  message: IngressMessage,
  style: DelegationStyle,
  request: HttpRequest,
): Promise<HttpResponse> {
  const { requestId } = message;
  const known = backend.certifiedState();
  // Looking into the tree takes longer, and nearly every message is new.
  const isKnown = backend.ingressOrigin(requestId) !== undefined;
  if (known !== undefined && isKnown && isFinal(known, requestId)) return certifiedAnswer(known, requestId, style);
  const refused = await filter(backend, message, { status: "non_replicated_rejection" });
  if (refused !== undefined) return refused;
  if (waiting.ids.has(requestId)) {
    return textAnswer(202, "Duplicate request. Message is already being tracked and executed.");
  }
  waiting.ids.add(requestId);
  const completion = backend.awaitCompletion(requestId);
  try {
    if (backend.submitIngress(message, request.body) === "pool-full") return poolFull();
    const state = await firstOf(completion.completed, waiting.options, request);
    if (state !== undefined) return certifiedAnswer(state, requestId, style);
    return textAnswer(202, "Message did not complete execution and certification within the replica defined timeout.");
  } finally {
    completion.cancel();
    waiting.ids.delete(requestId);
  }
}

/** The state, or undefined when the time is up, the client has gone or nobody will ever know. */
function firstOf(
  completed: Promise<CertifiedState>,
  options: HttpInterfaceOptions,
  request: HttpRequest,
): Promise<CertifiedState | undefined> {
  return new Promise((resolve) => {
    const settle = (state?: CertifiedState) => {
      cancelTimer();
      forget?.();
      resolve(state);
    };
    const cancelTimer = options.timer.after(options.syncCallTimeoutMs ?? SYNC_CALL_TIMEOUT_MS, () => settle());
    const forget = request.onDisconnect?.(() => settle());
    completed.then(settle, () => settle());
  });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const REQUEST_STATUS = encoder.encode("request_status");
const STATUS = encoder.encode("status");

/** Clients take a certificate in a synchronous answer for the last word, so it must be one. */
function isFinal(state: CertifiedState, requestId: RequestId): boolean {
  const status = state.lookup([...requestPath(requestId), STATUS]);
  const text = status === undefined ? "" : decoder.decode(status);
  return text === "replied" || text === "rejected" || text === "done";
}

function requestPath(requestId: RequestId): Path {
  return [REQUEST_STATUS, fromHex(requestId)];
}

/** "replied" means that there is a certificate, also when that says that the call was rejected. */
function certifiedAnswer(state: CertifiedState, requestId: RequestId, style: DelegationStyle): HttpResponse {
  return cborAnswer({ status: "replied", certificate: state.certificate([TIME_PATH, requestPath(requestId)], style) });
}
