// The envelope of a request (interface specification, "Authentication" and the HTTP endpoints): its bytes become
// content, signature and delegations, or a text that says why not. Nothing is verified here. Fields that we do not
// know are ignored and, as in the replica, do not take part in the request id.
import {
  type CanisterId,
  CborError,
  type CborMap,
  type CborValue,
  decodeCbor,
  MAX_PRINCIPAL_BYTES,
  type Path,
  type PrincipalId,
  principalFromBytes,
  type Time,
} from "@atoll/types";

export type RequestKind = "call" | "query" | "read_state";

/** Attributes of the sender that an identity provider signed. */
export interface SenderInfo {
  readonly info: Uint8Array;
  readonly signer: CanisterId;
  readonly sig: Uint8Array;
}

interface ContentBase {
  readonly sender: PrincipalId;
  readonly ingressExpiry: Time;
  readonly nonce?: Uint8Array;
}

export interface CallContent extends ContentBase {
  readonly requestType: "call" | "query";
  readonly canisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly senderInfo?: SenderInfo;
}

export interface ReadStateContent extends ContentBase {
  readonly requestType: "read_state";
  readonly paths: readonly Path[];
}

export interface Delegation {
  readonly publicKey: Uint8Array;
  readonly expiration: Time;
  /** Canister ids as bytes, as signed; absent: no restriction. */
  readonly targets?: readonly Uint8Array[];
  /** "queries" or "all"; any other text makes the request invalid. */
  readonly permissions?: string;
}

export interface SignedDelegation {
  readonly delegation: Delegation;
  readonly signature: Uint8Array;
}

export interface Authentication {
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly delegations: readonly SignedDelegation[];
}

export interface Envelope<C extends CallContent | ReadStateContent = CallContent | ReadStateContent> {
  readonly content: C;
  /** Absent when the request is not signed. */
  readonly authentication?: Authentication;
}

export type ContentOf<K extends RequestKind> = K extends "read_state" ? ReadStateContent : CallContent;

export type EnvelopeResult<K extends RequestKind> =
  | { readonly ok: true; readonly envelope: Envelope<ContentOf<K>> }
  | { readonly ok: false; readonly error: string };

/** Parses the body of a request of this kind; `error` is the text to answer with, status 400. */
export function parseEnvelope<K extends RequestKind>(bytes: Uint8Array, kind: K): EnvelopeResult<K> {
  try {
    const map = asMap(decodeCbor(bytes, { maxDepth: MAX_DEPTH }), "envelope");
    const fields = asMap(map.get("content") ?? null, "content");
    const content = kind === "read_state" ? readStateContent(fields) : callContent(fields, kind as "call" | "query");
    const authentication = readAuthentication(map, kind);
    const envelope = { content, ...(authentication && { authentication }) };
    return { ok: true, envelope: envelope as Envelope<ContentOf<K>> };
  } catch (error) {
    if (error instanceof RequestFormatError) return { ok: false, error: error.message };
    if (error instanceof CborError) return { ok: false, error: `${DESERIALIZE}${error.message}` };
    throw error;
  }
}

/** Envelope, delegations, one delegation, its map, its targets: 5. */
const MAX_DEPTH = 16;
const U64_END = 1n << 64n;
const DESERIALIZE = "Failed to deserialize cbor request: ";

class RequestFormatError extends Error {}

function fail(text: string): never {
  throw new RequestFormatError(`${DESERIALIZE}${text}`);
}

// What is CBOR of the right shape, yet means nothing: the replica finds these later and words them differently.
function failMeaning(kind: RequestKind, text: string): never {
  const prefix = kind === "call" ? "Could not parse body as call message: " : "Malformed request: ";
  throw new RequestFormatError(`${prefix}${text}`);
}

function callContent(fields: CborMap, kind: "call" | "query"): CallContent {
  checkType(fields, kind);
  const sender = principal(fields, "sender", kind);
  const canisterId = principal(fields, "canister_id", kind);
  const senderInfo = optional(fields, "sender_info");
  return {
    requestType: kind,
    sender,
    canisterId,
    methodName: text(fields, "method_name"),
    arg: blob(fields, "arg"),
    ingressExpiry: nat64(fields, "ingress_expiry"),
    ...optionalNonce(fields),
    ...(senderInfo !== null && { senderInfo: readSenderInfo(asMap(senderInfo, "sender_info"), kind) }),
  };
}

function readStateContent(fields: CborMap): ReadStateContent {
  checkType(fields, "read_state");
  const paths = asArray(required(fields, "paths"), "paths").map((path) =>
    asArray(path, "path").map((label) => asBlob(label, "label")),
  );
  return {
    requestType: "read_state",
    sender: principal(fields, "sender", "read_state"),
    paths,
    ingressExpiry: nat64(fields, "ingress_expiry"),
    ...optionalNonce(fields),
  };
}

function readSenderInfo(fields: CborMap, kind: RequestKind): SenderInfo {
  return { info: blob(fields, "info"), signer: principal(fields, "signer", kind), sig: blob(fields, "sig") };
}

function readAuthentication(envelope: CborMap, kind: RequestKind): Authentication | undefined {
  const publicKey = optionalBlob(envelope, "sender_pubkey");
  const signature = optionalBlob(envelope, "sender_sig");
  const delegations = optional(envelope, "sender_delegation");
  const parsed = delegations === null ? undefined : asArray(delegations, "sender_delegation").map(readDelegation);
  if (publicKey !== undefined && signature !== undefined) return { publicKey, signature, delegations: parsed ?? [] };
  if (publicKey === undefined && signature === undefined && parsed === undefined) return undefined;
  return failMeaning(kind, "missing pubkey or signature");
}

function readDelegation(value: CborValue): SignedDelegation {
  const signed = asMap(value, "sender_delegation");
  const fields = asMap(required(signed, "delegation"), "delegation");
  const targets = optional(fields, "targets");
  const permissions = optional(fields, "permissions");
  if (permissions !== null && typeof permissions !== "string") return fail("permissions is not a text");
  return {
    delegation: {
      publicKey: blob(fields, "pubkey"),
      expiration: nat64(fields, "expiration"),
      ...(targets !== null && { targets: asArray(targets, "targets").map((target) => asBlob(target, "target")) }),
      ...(permissions !== null && { permissions }),
    },
    signature: blob(signed, "signature"),
  };
}

function checkType(fields: CborMap, kind: RequestKind): void {
  const type = text(fields, "request_type");
  if (type !== kind) fail(`unknown variant \`${type}\`, expected \`${kind}\``);
}

/** Null counts as absent, as it does for the replica. */
function optional(fields: CborMap, name: string): CborValue {
  return fields.get(name) ?? null;
}

function required(fields: CborMap, name: string): CborValue {
  return fields.get(name) ?? fail(`missing field \`${name}\``);
}

function asMap(value: CborValue, name: string): CborMap {
  return value instanceof Map ? value : fail(`${name} is not a map`);
}

function asArray(value: CborValue, name: string): CborValue[] {
  return Array.isArray(value) ? value : fail(`${name} is not an array`);
}

function asBlob(value: CborValue, name: string): Uint8Array {
  return value instanceof Uint8Array ? value : fail(`${name} is not a byte string`);
}

function blob(fields: CborMap, name: string): Uint8Array {
  return asBlob(required(fields, name), name);
}

function optionalBlob(fields: CborMap, name: string): Uint8Array | undefined {
  const value = optional(fields, name);
  return value === null ? undefined : asBlob(value, name);
}

function optionalNonce(fields: CborMap): { nonce?: Uint8Array } {
  const nonce = optionalBlob(fields, "nonce");
  return nonce === undefined ? {} : { nonce };
}

function text(fields: CborMap, name: string): string {
  const value = required(fields, name);
  return typeof value === "string" ? value : fail(`${name} is not a text`);
}

function nat64(fields: CborMap, name: string): bigint {
  const value = required(fields, name);
  if (typeof value !== "number" && typeof value !== "bigint") return fail(`${name} is not a natural number`);
  const natural = BigInt(value);
  return natural >= 0n && natural < U64_END ? natural : fail(`${name} does not fit 64 bits`);
}

function principal(fields: CborMap, name: string, kind: RequestKind): PrincipalId {
  const bytes = blob(fields, name);
  if (bytes.length <= MAX_PRINCIPAL_BYTES) return principalFromBytes(bytes);
  return failMeaning(
    kind,
    `invalid princial id: Converting ${name} to PrincipalId failed with Bytes is longer than 29`,
  );
}
