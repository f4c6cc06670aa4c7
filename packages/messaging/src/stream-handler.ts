// What came from other subnets, first step: the signals in their headers say which of our messages have arrived. These
// are forgotten; a request that was not taken in is answered with a reject, a response that was not is sent again. Then
// the messages themselves are inducted. Consensus and chain-key, 16.5.
import { type DroppedMessage, type Round, rejectionOf, rejectRequest } from "@atoll/execution";
import { discardMessagesBefore, discardSignalsBefore, streamTo } from "@atoll/state";
import { invariant, type RejectReason, type StreamMessage, type StreamSlice } from "@atoll/types";
import { inductSlices } from "./induct-slices.ts";
import { sendAgain } from "./stream-builder.ts";

/** Gives the messages that were dropped because their sender cannot have sent them. */
export function processStreamSlices(round: Round, slices: readonly StreamSlice[]): DroppedMessage[] {
  const inOrder = [...slices].sort((a, b) => (a.from < b.from ? -1 : 1));
  for (const slice of inOrder) collectGarbage(round, slice);
  return inductSlices(round, inOrder);
}

function collectGarbage(round: Round, { from, header }: StreamSlice): void {
  invariant(from !== round.state.config.subnetId, "a stream slice of the subnet itself");
  const stream = streamTo(round.state, from);
  invariant(header.begin <= stream.signalsEnd, "a stream that begins after the messages that were inducted");
  const rejected = discardMessagesBefore(stream, header.signalsEnd, header.rejectSignals);
  discardSignalsBefore(stream, header.begin);
  for (const { message, reason } of rejected) handleRejected(round, message, reason);
}

function handleRejected(round: Round, message: StreamMessage, reason: RejectReason): void {
  if (message.kind !== "request") {
    sendAgain(round, message);
    return;
  }
  const { code, message: text } = rejectionOf(reason, message);
  rejectRequest(round, message, code, text);
}
