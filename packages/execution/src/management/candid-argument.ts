// Candid arguments in, Candid replies out, in the core's own terms: principals are `PrincipalId`s and blobs are bytes
// of their own. Whatever arrives is checked before the decoder sees it (candid-quota.ts); what cannot be decoded is an
// answer to the caller (IC0408), never an exception.

import {
  ErrorCode,
  type PrincipalId,
  principalFromBytes,
  principalToBytes,
  type UserError,
  userError,
} from "@atoll/types";
import { liftBlobs } from "@atoll/types/candid-quota";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";

/** Candid's `opt`, as the decoder shows it. */
export type Opt<T> = readonly [] | readonly [T];

export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: UserError };

/**
 * Decodes the first argument as `type`; further ones are ignored, as Candid wants it. `plainBytes`: how much there may
 * be beside blobs, for the methods that take more text than usual.
 */
export function decodeArgument<T>(type: IDL.Type, arg: Uint8Array, plainBytes?: number): Decoded<T> {
  const lifted = liftBlobs(arg, plainBytes);
  if (typeof lifted === "string") return undecodable(lifted);
  try {
    const [value] = IDL.decode([type], lifted.message);
    return { ok: true, value: toCoreTerms(value, lifted.blobs) as T };
  } catch {
    // The decoder's own words must not get into the state: they number types by what this process decoded before.
    return undecodable("the argument is not of the type that the method takes");
  }
}

/** True for any Candid message: what methods without an argument ask for. */
export function isCandid(arg: Uint8Array): boolean {
  return typeof liftBlobs(arg) !== "string";
}

/** A message with no arguments at all. */
export function isEmptyTuple(arg: Uint8Array): boolean {
  return arg.length === 6 && arg[4] === 0 && arg[5] === 0 && isCandid(arg);
}

export function encodeReply(type: IDL.Type, value: unknown): Uint8Array {
  return IDL.encode([type], [value]);
}

/** A principal as the encoder takes it. */
export function candidPrincipal(id: PrincipalId): Principal {
  return Principal.fromUint8Array(principalToBytes(id));
}

export function undecodable(reason: string): { readonly ok: false; readonly error: UserError } {
  return { ok: false, error: userError(ErrorCode.InvalidManagementPayload, `Error decoding candid: ${reason}`) };
}

/** What the replica says of a list with a bound in its type. */
export function tooManyElements(max: number): { readonly ok: false; readonly error: UserError } {
  return undecodable(
    `Fail to decode argument 0: Deserialize error: The number of elements exceeds maximum allowed ${max}`,
  );
}

function toCoreTerms(value: unknown, blobs: readonly Uint8Array[]): unknown {
  if (value instanceof Uint8Array) return blobAt(value, blobs);
  if (Array.isArray(value)) return value.map((item) => toCoreTerms(item, blobs));
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Principal) return principalFromBytes(value.toUint8Array());
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toCoreTerms(item, blobs)]));
}

/** The blob that four bytes stand for. An empty vector of another element type decodes as no bytes. */
function blobAt(index: Uint8Array, blobs: readonly Uint8Array[]): Uint8Array {
  if (index.length === 0) return index;
  const blob = index.length === 4 ? blobs[new DataView(index.buffer, index.byteOffset).getUint32(0, true)] : undefined;
  if (blob === undefined) throw new TypeError("expected type vec nat8");
  return blob.slice();
}
