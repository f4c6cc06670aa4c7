// The price of an HTTP outcall by what it will have done, as a canister may ask for it: `ic0.cost_http_request_v2`,
// which the replica offers beyond the specification. The canister describes the outcall in Candid.
import type { Cycles } from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import type { FeeSchedule, HttpRequestParts } from "./fees.ts";
import { decodeArgument } from "./management/candid-argument.ts";

const PARAMS = IDL.Record({
  request_bytes: IDL.Nat64,
  http_roundtrip_time_ms: IDL.Nat64,
  raw_response_bytes: IDL.Nat64,
  transformed_response_bytes: IDL.Nat64,
  transform_instructions: IDL.Nat64,
});

/** undefined: `params` is no such description. */
export function httpRequestCost(fees: FeeSchedule, params: Uint8Array): Cycles | undefined {
  const decoded = decodeArgument<HttpRequestParts>(PARAMS, params);
  return decoded.ok ? fees.httpRequestV2(decoded.value) : undefined;
}
