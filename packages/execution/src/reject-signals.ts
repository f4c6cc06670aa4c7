// What a caller is told when its request was not taken in, for each reason: the same words whether the receiver is on
// the caller's subnet or another subnet signalled it. Consensus and chain-key, 16.2.
import { RESPONSE_RESERVATION, requestBytes } from "@atoll/state";
import { principalToText, RejectCode, type RejectReason, type Request } from "@atoll/types";

export function rejectionOf(reason: RejectReason, request: Request): { code: RejectCode; message: string } {
  const canister = `Canister ${principalToText(request.receiver)}`;
  switch (reason) {
    case "canister_migrating":
      return { code: RejectCode.SYS_TRANSIENT, message: "Canister migration in progress" };
    case "canister_not_found":
      return { code: RejectCode.DESTINATION_INVALID, message: `${canister} not found` };
    case "canister_stopped":
      return { code: RejectCode.CANISTER_ERROR, message: `${canister} is stopped` };
    case "canister_stopping":
      return { code: RejectCode.CANISTER_ERROR, message: `${canister} is stopping` };
    case "queue_full":
      return { code: RejectCode.SYS_TRANSIENT, message: `${canister} input queue is full` };
    case "out_of_memory": {
      const bytes = Math.max(requestBytes(request), RESPONSE_RESERVATION);
      return { code: RejectCode.CANISTER_ERROR, message: `Cannot induct request. Out of memory: requested ${bytes}` };
    }
    case "unknown":
      return { code: RejectCode.SYS_FATAL, message: "Inducting request failed due to an unknown error" };
  }
}
