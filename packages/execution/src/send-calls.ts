// The calls that a successful execution made leave the canister: callbacks first, then the requests.
// Checklist 3.4, 6.1.
import type { OutgoingCall } from "@atoll/embedder";
import { type CallContext, type CanisterState, noteConsumption } from "@atoll/state";
import type { Request } from "@atoll/types";
import { addCallback } from "./open-calls.ts";
import type { Round } from "./round.ts";
import { sendRequest } from "./routing.ts";

/** Registers the callbacks of the calls that a successful execution made, and sends the calls. */
export function sendCalls(
  round: Round,
  canister: CanisterState,
  context: CallContext,
  calls: readonly OutgoingCall[],
  senderVersion: number,
): void {
  const requests: Request[] = [];
  for (const call of calls) {
    const id = canister.nextCallbackId++;
    addCallback(round.state, canister, {
      id,
      callContextId: context.id,
      receiver: call.receiver,
      cyclesSent: call.cycles,
      prepaidExecution: call.prepaidExecution,
      prepaidResponse: call.prepaidResponse,
      onReply: call.onReply,
      onReject: call.onReject,
      ...(call.onCleanup === undefined ? {} : { onCleanup: call.onCleanup }),
      deadlineSeconds: call.deadlineSeconds,
    });
    context.outstandingCalls++;
    const fee = round.fees.nominal.call(utf8Length(call.methodName), call.arg.length, false).request;
    noteConsumption(round.state, canister, "requestAndResponseTransmission", fee);
    requests.push({
      kind: "request",
      sender: canister.id,
      receiver: call.receiver,
      callbackId: id,
      payment: call.cycles,
      methodName: call.methodName,
      arg: call.arg,
      deadlineSeconds: call.deadlineSeconds,
      senderVersion,
    });
  }
  for (const request of requests) sendRequest(round, request);
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}
