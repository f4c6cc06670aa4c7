// The Candid side of a web request: what `http_request` takes and answers, with the parts that each canister types in
// its own way left as they are. Answers come from anyone's canister: they are measured before they are decoded, and
// what does not fit gives undefined. HTTP gateway specification, "Interface".

import { type CanisterId, principalFromBytes } from "@atoll/types";
import { liftBlobs } from "@atoll/types/candid-quota";
import { IDL } from "@icp-sdk/core/candid";

export interface CanisterHttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export interface StreamingCallback {
  readonly canisterId: CanisterId;
  readonly methodName: string;
  /** The callback's argument, encoded. */
  readonly arg: Uint8Array;
}

export interface CanisterHttpResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly upgrade: boolean;
  readonly streaming?: StreamingCallback;
}

export interface StreamingPart {
  readonly body: Uint8Array;
  /** Argument of the next call; undefined at the end. */
  readonly nextArg?: Uint8Array;
}

const CERTIFICATE_VERSION = 2;

const Headers = IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text));
const RequestFields = { method: IDL.Text, url: IDL.Text, headers: Headers, body: IDL.Vec(IDL.Nat8) };
const HttpRequest = IDL.Record({ ...RequestFields, certificate_version: IDL.Opt(IDL.Nat16) });
const HttpUpdateRequest = IDL.Record(RequestFields);
const HttpResponse = IDL.Record({
  status_code: IDL.Nat16,
  headers: Headers,
  body: IDL.Vec(IDL.Nat8),
  upgrade: IDL.Opt(IDL.Bool),
  streaming_strategy: IDL.Opt(IDL.Variant({ Callback: IDL.Record({ callback: IDL.Unknown, token: IDL.Unknown }) })),
});
const StreamingResponse = IDL.Record({ body: IDL.Vec(IDL.Nat8), token: IDL.Opt(IDL.Unknown) });

export function encodeHttpRequest(request: CanisterHttpRequest): Uint8Array {
  return IDL.encode([HttpRequest], [{ ...request, certificate_version: [CERTIFICATE_VERSION] }]);
}

export function encodeHttpUpdateRequest(request: CanisterHttpRequest): Uint8Array {
  return IDL.encode([HttpUpdateRequest], [request]);
}

/** A value of a type that only the canister knows. */
interface Opaque {
  type(): IDL.Type;
}

interface DecodedResponse {
  status_code: number;
  headers: [string, string][];
  body: Uint8Array;
  upgrade: [] | [boolean];
  streaming_strategy: [] | [{ Callback: { callback: unknown; token: Opaque } }];
}

export function decodeHttpResponse(bytes: Uint8Array): CanisterHttpResponse | undefined {
  return guarded(bytes, () => {
    const [decoded] = IDL.decode([HttpResponse], ownMemory(bytes)) as unknown as [DecodedResponse];
    const strategy = decoded.streaming_strategy[0]?.Callback;
    const response = {
      status: decoded.status_code,
      headers: decoded.headers,
      body: bytesOf(decoded.body),
      upgrade: decoded.upgrade[0] === true,
    };
    if (strategy === undefined) return response;
    return { ...response, streaming: { ...functionOf(strategy.callback), arg: encodeOpaque(strategy.token) } };
  });
}

export function decodeStreamingPart(bytes: Uint8Array): StreamingPart | undefined {
  return guarded(bytes, () => {
    const [part] = IDL.decode([StreamingResponse], ownMemory(bytes)) as unknown as [
      { body: Uint8Array; token: [] | [Opaque] },
    ];
    const [token] = part.token;
    return token === undefined
      ? { body: bytesOf(part.body) }
      : { body: bytesOf(part.body), nextArg: encodeOpaque(token) };
  });
}

/** The decoder reads a part of a larger buffer from the buffer's beginning. */
function ownMemory(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}

function guarded<T>(bytes: Uint8Array, decode: () => T): T | undefined {
  if (typeof liftBlobs(bytes) === "string") return undefined;
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function encodeOpaque(value: Opaque): Uint8Array {
  return IDL.encode([value.type()], [plain(value)]);
}

/** Primitive tokens come back in a box that carries their type. */
function plain(value: unknown): unknown {
  return value instanceof String || value instanceof Number || value instanceof Boolean || value instanceof BigInt
    ? value.valueOf()
    : value;
}

function bytesOf(body: Uint8Array | readonly number[]): Uint8Array {
  return body instanceof Uint8Array ? body : Uint8Array.from(body);
}

function functionOf(reference: unknown): { canisterId: CanisterId; methodName: string } {
  const [principal, methodName] = reference as [{ toUint8Array(): Uint8Array }, unknown];
  if (typeof methodName !== "string") throw new TypeError("not a function reference");
  return { canisterId: principalFromBytes(principal.toUint8Array()), methodName };
}
