// What a field of a request may hold: small decoders that are put together like the types they stand for. Unknown
// fields are ignored, as older and newer clients send more than we know; everything else that does not fit is refused
// with the name of the field.
import { MAX_CYCLES, type PrincipalId, principalFromBytes } from "@atoll/types";
import { Refusal } from "./answers.ts";
import type { Json } from "./json.ts";

/** Gives the value, or throws a Refusal that names the place `at` in the body. */
export type Shape<T> = (value: Json | undefined, at: string) => T;

type Fields<T> = { readonly [K in keyof T]: Shape<T[K]> };

export const text: Shape<string> = (value, at) => (typeof value === "string" ? value : wrong(at, "a string", value));

export const flag: Shape<boolean> = (value, at) =>
  typeof value === "boolean" ? value : wrong(at, "true or false", value);

export const anything: Shape<Json> = (value) => value ?? null;

/** An unsigned integer up to and including `largest`. */
export function integer(largest: bigint): Shape<bigint> {
  return (value, at) => {
    const isWhole = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
    const number = isWhole ? BigInt(value) : -1n;
    return number >= 0n && number <= largest ? number : wrong(at, `an integer from 0 to ${largest}`, value);
  };
}

export const u64 = integer(0xffff_ffff_ffff_ffffn);
export const u128 = integer(MAX_CYCLES);

export const port: Shape<number> = (value, at) => Number(integer(65_535n)(value, at));

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

export const bytes: Shape<Uint8Array> = (value, at) => {
  if (typeof value !== "string" || value.length % 4 !== 0 || !BASE64.test(value)) {
    return wrong(at, "base64 with padding", value);
  }
  // A copy: small Buffers share their memory with others, and what comes in here may live long.
  return new Uint8Array(Buffer.from(value, "base64"));
};

export const principal: Shape<PrincipalId> = (value, at) => {
  const decoded = bytes(value, at);
  return decoded.length <= 29 ? principalFromBytes(decoded) : wrong(at, "a principal of at most 29 bytes", value);
};

/** Missing and null are the same. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, at) => (value === undefined || value === null ? undefined : shape(value, at));
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, at) =>
    Array.isArray(value)
      ? value.map((each: Json, index) => shape(each, `${at}[${index}]`))
      : wrong(at, "a list", value);
}

export function record<T>(fields: Fields<T>): Shape<T> {
  return (value, at) => {
    if (!isRecord(value)) return wrong(at, "an object", value);
    const decoded: Partial<T> = {};
    for (const name of Object.keys(fields) as (keyof T & string)[]) {
      const given = Object.hasOwn(value, name) ? value[name] : undefined;
      decoded[name] = fields[name](given, at === "" ? name : `${at}.${name}`);
    }
    return decoded as T;
  };
}

/** An externally tagged variant: "Name" where nothing belongs to it, {"Name": value} where something does. */
export function variant<T>(cases: Readonly<Record<string, Shape<T>>>): Shape<T> {
  return (value, at) => {
    const [name, inner] = typeof value === "string" ? [value, null] : onlyField(value);
    const shape = name !== undefined && Object.hasOwn(cases, name) ? cases[name] : undefined;
    if (name === undefined || shape === undefined) return wrong(at, `one of ${Object.keys(cases).join(", ")}`, value);
    return shape(inner, at === "" ? name : `${at}.${name}`);
  };
}

/** A case of a variant that carries nothing. */
export function unit<T>(result: T): Shape<T> {
  return (value, at) => (value === null || value === undefined ? result : wrong(at, "nothing", value));
}

function onlyField(value: Json | undefined): [string, Json] | [undefined, null] {
  const entries = isRecord(value) ? Object.entries(value) : [];
  return entries.length === 1 && entries[0] !== undefined ? entries[0] : [undefined, null];
}

function isRecord(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(at: string, expected: string, value: Json | undefined): never {
  const got = value === undefined ? "it is missing" : `got ${describe(value)}`;
  throw new Refusal(422, `${at === "" ? "The body" : at}: expected ${expected}, ${got}.`);
}

function describe(value: Json): string {
  if (value === null) return "null";
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return String(value);
}
