// HTTPS outcalls in Candid: what a canister asks, what it gets, and what its transform function takes.
// Specification, "IC method http_request".
import type { CanisterId, HttpHeader } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { Opt } from "./candid-argument.ts";

export interface HttpRequestArg {
  readonly url: string;
  readonly max_response_bytes: Opt<bigint>;
  readonly method: Readonly<Record<string, null>>;
  readonly headers: readonly HttpHeader[];
  readonly body: Opt<Uint8Array>;
  readonly transform: Opt<{ readonly function: readonly [CanisterId, string]; readonly context: Uint8Array }>;
  readonly is_replicated: Opt<boolean>;
}

const Blob = IDL.Vec(IDL.Nat8);
const HeaderRecord = IDL.Record({ name: IDL.Text, value: IDL.Text });
export const HttpResultRecord = IDL.Record({ status: IDL.Nat, headers: IDL.Vec(HeaderRecord), body: Blob });
export const TransformArgRecord = IDL.Record({ response: HttpResultRecord, context: Blob });

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
  transform: IDL.Opt(
    IDL.Record({ function: IDL.Func([TransformArgRecord], [HttpResultRecord], ["query"]), context: Blob }),
  ),
  is_replicated: IDL.Opt(IDL.Bool),
});
