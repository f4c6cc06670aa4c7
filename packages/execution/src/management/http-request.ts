// http_request: a canister asks the web. This version checks such a request as the specification says, fee included,
// and then says that it cannot make it. Specification, "IC method http_request"; checklist 4.6.
import { groupedCycles } from "@atoll/embedder";
import {
  type CanisterId,
  ErrorCode,
  MAX_OUTCALL_HEADER_TEXT_BYTES,
  MAX_OUTCALL_HEADERS,
  MAX_OUTCALL_HEADERS_BYTES,
  MAX_OUTCALL_REQUEST_BYTES,
  MAX_OUTCALL_RESPONSE_BYTES,
  MAX_OUTCALL_URL_BYTES,
  principalToText,
  type UserError,
  userError,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { MethodResult } from "./answer.ts";
import { decodeArgument, type Opt, tooManyElements, undecodable } from "./candid-argument.ts";
import { utf8Length } from "./environment-variables.ts";
import { failed } from "./managed-canister.ts";
import type { ManagementCall } from "./method.ts";
import { unavailable } from "./not-available.ts";

interface Header {
  readonly name: string;
  readonly value: string;
}

interface HttpRequestArg {
  readonly url: string;
  readonly max_response_bytes: Opt<bigint>;
  readonly method: Readonly<Record<string, null>>;
  readonly headers: readonly Header[];
  readonly body: Opt<Uint8Array>;
  readonly transform: Opt<{ readonly function: readonly [CanisterId, string]; readonly context: Uint8Array }>;
  readonly is_replicated: Opt<boolean>;
}

const Blob = IDL.Vec(IDL.Nat8);
const HeaderRecord = IDL.Record({ name: IDL.Text, value: IDL.Text });
const ResponseRecord = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(HeaderRecord), body: Blob });
const TransformArg = IDL.Record({ response: ResponseRecord, context: Blob });

export const HttpRequestRecord = IDL.Record({
  url: IDL.Text,
  max_response_bytes: IDL.Opt(IDL.Nat64),
  method: IDL.Variant({
    get: IDL.Null,
    head: IDL.Null,
    post: IDL.Null,
    put: IDL.Null,
    delete: IDL.Null,
    patch: IDL.Null,
  }),
  headers: IDL.Vec(HeaderRecord),
  body: IDL.Opt(Blob),
  transform: IDL.Opt(IDL.Record({ function: IDL.Func([TransformArg], [ResponseRecord], ["query"]), context: Blob })),
  is_replicated: IDL.Opt(IDL.Bool),
});

/** Headers and URL are texts, of more than other methods may send. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 2 * MAX_OUTCALL_HEADER_TEXT_BYTES;
const ONE_NODE_ALONE = ["put", "delete", "patch"];

export function httpRequest(call: ManagementCall): MethodResult {
  const decoded = decodeArgument<HttpRequestArg>(HttpRequestRecord, call.arg, MAX_TEXT_BYTES);
  if (!decoded.ok) return decoded;
  const request = decoded.value;
  const refusal = checkHeaderList(request.headers) ?? checkRequest(request, call.sender) ?? checkFee(call, request);
  return failed(refusal ?? unavailable("http_request"));
}

/** Bounds that belong to the argument's type. */
function checkHeaderList(headers: readonly Header[]): UserError | undefined {
  if (headers.length > MAX_OUTCALL_HEADERS) return tooManyElements(MAX_OUTCALL_HEADERS).error;
  const tooLarge = (what: string, max: number): UserError =>
    undecodable(`Fail to decode argument 0: Deserialize error: The ${what} data size exceeds maximum allowed ${max}`)
      .error;
  if (headers.some((header) => headerBytes(header) > MAX_HEADER_BYTES)) {
    return tooLarge("single element", MAX_HEADER_BYTES);
  }
  return headersBytes(headers) > MAX_OUTCALL_HEADERS_BYTES ? tooLarge("total", MAX_OUTCALL_HEADERS_BYTES) : undefined;
}

function headerBytes({ name, value }: Header): number {
  return utf8Length(name) + utf8Length(value);
}

function headersBytes(headers: readonly Header[]): number {
  return headers.reduce((sum, header) => sum + headerBytes(header), 0);
}

function checkRequest(request: HttpRequestArg, sender: CanisterId): UserError | undefined {
  const refuse = (sentence: string): UserError => userError(ErrorCode.CanisterRejectedMessage, sentence);
  const [transform] = request.transform;
  if (transform !== undefined && transform.function[0] !== sender) {
    const [expected, given] = [sender, transform.function[0]].map(principalToText);
    return refuse(`transform principal id expected to be ${expected}, got ${given}`);
  }
  const urlBytes = utf8Length(request.url);
  if (urlBytes > MAX_OUTCALL_URL_BYTES) return refuse(`url size ${urlBytes} exceeds ${MAX_OUTCALL_URL_BYTES}`);
  for (const part of ["name", "value"] as const) {
    const longest = Math.max(0, ...request.headers.map((header) => utf8Length(header[part])));
    if (longest > MAX_OUTCALL_HEADER_TEXT_BYTES) {
      const what = `number of bytes to represent some http header ${part}`;
      return refuse(`${what} ${longest} exceeds ${MAX_OUTCALL_HEADER_TEXT_BYTES}`);
    }
  }
  const requestBytes = headersBytes(request.headers) + (request.body[0]?.length ?? 0);
  if (requestBytes > MAX_OUTCALL_REQUEST_BYTES) {
    const what = "total number of bytes to represent all http header names and values and http body";
    return refuse(`${what} ${requestBytes} exceeds ${MAX_OUTCALL_REQUEST_BYTES}`);
  }
  const [most] = request.max_response_bytes;
  if (most !== undefined && most > BigInt(MAX_OUTCALL_RESPONSE_BYTES)) {
    return refuse(`max_response_bytes expected to be in the range [0..${MAX_OUTCALL_RESPONSE_BYTES}], got ${most}`);
  }
  if (ONE_NODE_ALONE.some((method) => method in request.method) && request.is_replicated[0] !== false) {
    return refuse(
      "The requested HTTP method is only allowed for non-replicated requests, or flexible requests with " +
        "min_responses = max_responses = total_requests.",
    );
  }
  return undefined;
}

function checkFee({ round, payment }: ManagementCall, request: HttpRequestArg): UserError | undefined {
  const [transform] = request.transform;
  const bytes =
    utf8Length(request.url) +
    headersBytes(request.headers) +
    (request.body[0]?.length ?? 0) +
    (transform === undefined ? 0 : utf8Length(transform.function[1]) + transform.context.length);
  const fee = round.fees.httpRequest(
    BigInt(bytes),
    request.max_response_bytes[0] ?? BigInt(MAX_OUTCALL_RESPONSE_BYTES),
  );
  return payment < fee ? feeError("http_request", payment, fee) : undefined;
}

/** What is said to a canister that attached less than a service costs. */
export function feeError(method: string, sent: bigint, required: bigint): UserError {
  const sentence = `${method} request sent with ${groupedCycles(sent)} cycles, but ${groupedCycles(required)} cycles are required.`;
  return userError(ErrorCode.CanisterRejectedMessage, sentence);
}
