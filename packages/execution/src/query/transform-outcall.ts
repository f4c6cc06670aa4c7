// The canister's transform function on an answer from outside, as a query: it takes out what differs from node to node,
// before the nodes compare what they got. Without one the answer goes to the canister as it came. Specification, "IC
// method http_request"; checklist 4.6.
import {
  ErrorCode,
  errorCodeText,
  MANAGEMENT_CANISTER,
  type OutcallReply,
  type OutcallRequest,
  type OutcallTransform,
  type QueryResult,
  RejectCode,
  type ResponsePayload,
  rejectCodeOf,
} from "@atoll/types";
import { encodeReply } from "../management/candid-argument.ts";
import { HttpResultRecord, TransformArgRecord } from "../management/outcall-candid.ts";
import type { QueryCall } from "./execute-query.ts";

/** The answer in Candid, as a canister without a transform function gets it. */
export function encodeOutcallReply(reply: OutcallReply): Uint8Array {
  return encodeReply(HttpResultRecord, reply);
}

/** The query that transforms `reply`: by the management canister, without a certificate. */
export function transformCall(
  { canister }: Pick<OutcallRequest, "canister">,
  { methodName, context }: OutcallTransform,
  reply: OutcallReply,
): QueryCall {
  const arg = encodeReply(TransformArgRecord, { response: reply, context });
  return { sender: MANAGEMENT_CANISTER, receiver: canister, methodName, arg, isTransform: true };
}

/** What a transform function answered, or why it did not, as its canister is told. */
export function transformResult(result: QueryResult): ResponsePayload {
  if (result.kind === "replied") return { kind: "reply", data: result.reply };
  const { code, message } = result.error;
  if (code === ErrorCode.CanisterRejectedMessage) return { kind: "reject", code: RejectCode.CANISTER_REJECT, message };
  return { kind: "reject", code: rejectCodeOf(code), message: `${errorCodeText(code)}: ${message}` };
}
