// http_request: a canister asks the web. The request is checked and paid for, and waits in the state until the nodes
// have agreed on what the answer is (../outcall-responses.ts). Specification, "IC method http_request"; checklist 4.6.
import { groupedCycles } from "@atoll/embedder";
import { noteConsumption, outcallBytes, touch } from "@atoll/state";
import {
  type CanisterId,
  ErrorCode,
  type HttpHeader,
  invariant,
  MAX_OUTCALL_HEADER_TEXT_BYTES,
  MAX_OUTCALL_HEADERS,
  MAX_OUTCALL_HEADERS_BYTES,
  MAX_OUTCALL_RESPONSE_BYTES,
  MAX_OUTCALL_URL_BYTES,
  MAX_OUTCALLS_IN_FLIGHT,
  MAX_OUTCALLS_IN_FLIGHT_BYTES,
  type OutcallMethod,
  type OutcallRequest,
  type PrincipalId,
  principalToText,
  type UserError,
  userError,
} from "@atoll/types";
import { headerBytes, headersBytes, outcallSizeError } from "../outcall-limits.ts";
import type { Round } from "../round.ts";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, tooManyElements, undecodable } from "./candid-argument.ts";
import { utf8Length } from "./environment-variables.ts";
import { failed } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { type HttpRequestArg, HttpRequestRecord } from "./outcall-candid.ts";

/** Headers and URL are texts, of more than other methods may send. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 2 * MAX_OUTCALL_HEADER_TEXT_BYTES;
const ONE_NODE_ALONE = ["put", "delete", "patch"];

export function httpRequest(call: ManagementCall): MethodResult | "later" {
  const decoded = decodeArgument<HttpRequestArg>(HttpRequestRecord, call.arg, MAX_TEXT_BYTES);
  if (!decoded.ok) return decoded;
  const { round, caller, payment } = call;
  const arg = decoded.value;
  const refusal = checkHeaderList(arg.headers) ?? checkRequest(arg, call.sender);
  if (refusal !== undefined) return failed(refusal);
  const node = arg.is_replicated[0] === false ? chooseNode(round) : undefined;
  if (node === "none") return failed(refused(NO_NODES));
  const outcall = outcallOf(arg, call, node);
  const [fee, nominal] = [round.fees, round.fees.nominal].map((fees) =>
    fees.httpRequest(BigInt(paidBytes(outcall)), BigInt(outcall.maxResponseBytes ?? MAX_OUTCALL_RESPONSE_BYTES)),
  ) as [bigint, bigint];
  const busy = checkRoom(round, outcall);
  if (busy !== undefined) return failed(busy);
  if (payment < fee) return failed(feeError("http_request", payment, fee));
  invariant(caller.kind === "canister", "an outcall of a user");
  const { arg: _, ...request } = caller.request;
  round.state.outcalls.add({ outcall, request: { ...request, payment: payment - fee } });
  noteFee(round, outcall.canister, nominal);
  return "later";
}

function outcallOf(arg: HttpRequestArg, { round, sender }: ManagementCall, node: PrincipalId | undefined) {
  const [transform] = arg.transform;
  const [most] = arg.max_response_bytes;
  return {
    outcall: round.state.outcalls.next,
    canister: sender,
    url: arg.url,
    method: Object.keys(arg.method)[0] as OutcallMethod,
    headers: arg.headers,
    body: arg.body[0],
    maxResponseBytes: most === undefined ? undefined : Number(most),
    transform: transform && { methodName: transform.function[1], context: transform.context },
    node,
    time: round.state.time,
  };
}

/** Bounds that belong to the argument's type. */
function checkHeaderList(headers: readonly HttpHeader[]): UserError | undefined {
  if (headers.length > MAX_OUTCALL_HEADERS) return tooManyElements(MAX_OUTCALL_HEADERS).error;
  const tooLarge = (what: string, max: number): UserError =>
    undecodable(`Fail to decode argument 0: Deserialize error: The ${what} data size exceeds maximum allowed ${max}`)
      .error;
  if (headers.some((header) => headerBytes(header) > MAX_HEADER_BYTES)) {
    return tooLarge("single element", MAX_HEADER_BYTES);
  }
  return headersBytes(headers) > MAX_OUTCALL_HEADERS_BYTES ? tooLarge("total", MAX_OUTCALL_HEADERS_BYTES) : undefined;
}

function checkRequest(request: HttpRequestArg, sender: CanisterId): UserError | undefined {
  const [transform] = request.transform;
  if (transform !== undefined && transform.function[0] !== sender) {
    const [expected, given] = [sender, transform.function[0]].map(principalToText);
    return refused(`transform principal id expected to be ${expected}, got ${given}`);
  }
  const urlBytes = utf8Length(request.url);
  if (urlBytes > MAX_OUTCALL_URL_BYTES) return refused(`url size ${urlBytes} exceeds ${MAX_OUTCALL_URL_BYTES}`);
  const sizeError = outcallSizeError(request.headers, request.body[0]?.length ?? 0);
  if (sizeError !== undefined) return refused(sizeError);
  const [most] = request.max_response_bytes;
  if (most !== undefined && most > BigInt(MAX_OUTCALL_RESPONSE_BYTES)) {
    return refused(`max_response_bytes expected to be in the range [0..${MAX_OUTCALL_RESPONSE_BYTES}], got ${most}`);
  }
  if (ONE_NODE_ALONE.some((method) => method in request.method) && request.is_replicated[0] !== false) {
    return refused(
      "The requested HTTP method is only allowed for non-replicated requests, or flexible requests with " +
        "min_responses = max_responses = total_requests.",
    );
  }
  return undefined;
}

const NO_NODES = "No nodes available for delegation for non-replicated canister HTTP request.";

/** A node that nobody could know when the canister asked, another one for each outcall. */
function chooseNode({ state, crypto }: Round): PrincipalId | "none" {
  const { nodes } = state.config;
  const seed = new Uint8Array(state.randomness.length + 8);
  seed.set(state.randomness);
  new DataView(seed.buffer).setBigUint64(state.randomness.length, BigInt(state.outcalls.next));
  const number = new DataView(crypto.sha256(seed).slice().buffer).getUint32(0);
  return nodes[number % Math.max(1, nodes.length)]?.nodeId ?? "none";
}

function checkRoom({ state }: Round, outcall: OutcallRequest): UserError | undefined {
  const { outcalls } = state;
  if (outcalls.size >= MAX_OUTCALLS_IN_FLIGHT) {
    return refused(`max number (${MAX_OUTCALLS_IN_FLIGHT}) of http requests in-flight reached.`);
  }
  if (outcalls.bytes + outcallBytes(outcall) <= MAX_OUTCALLS_IN_FLIGHT_BYTES) return undefined;
  return refused(`max size (${MAX_OUTCALLS_IN_FLIGHT_BYTES} bytes) of http requests in-flight reached.`);
}

/** What the size of a request is paid by: everything in it that may be of any length. */
function paidBytes({ url, headers, body, transform }: OutcallRequest): number {
  const context = transform === undefined ? 0 : utf8Length(transform.methodName) + transform.context.length;
  return utf8Length(url) + headersBytes(headers) + (body?.length ?? 0) + context;
}

function noteFee({ state }: Round, id: CanisterId, fee: bigint): void {
  const canister = state.canisters.get(id);
  if (canister === undefined) {
    state.metrics.consumedCycles += fee;
    return;
  }
  touch(state, canister);
  noteConsumption(state, canister, "httpOutcalls", fee);
}

function refused(sentence: string): UserError {
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}

/** What is said to a canister that attached less than a service costs. */
export function feeError(method: string, sent: bigint, required: bigint): UserError {
  const sentence = `${method} request sent with ${groupedCycles(sent)} cycles, but ${groupedCycles(required)} cycles are required.`;
  return refused(sentence);
}
