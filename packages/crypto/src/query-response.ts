// The signature of a replica under the answer to a query (interface specification, "Query": "Response
// verification"): by the node's Ed25519 key, over everything that the client is told.
import { type CryptoPort, type HashableFields, requestIdOf, type Time } from "@atoll/types";
import { concatBytes, DOMAIN } from "./domain.ts";

export type QueryResponse =
  | { readonly status: "replied"; readonly reply: { readonly arg: Uint8Array } }
  | {
      readonly status: "rejected";
      readonly reject_code: number;
      readonly reject_message: string;
      readonly error_code: string;
    };

/** What a node signs: the answer as it goes out, the time of the state it was read from, and the request. */
export function queryResponseMessage(
  response: QueryResponse,
  timestamp: Time,
  requestId: Uint8Array,
  sha256: CryptoPort["sha256"],
): Uint8Array {
  const fields: HashableFields = { ...response, timestamp, request_id: requestId };
  return concatBytes(DOMAIN.response, requestIdOf(fields, sha256));
}
