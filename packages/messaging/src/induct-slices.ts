// What came from other subnets, second step: each message is inducted in the order of its index and gets a signal, which
// tells the sender's subnet that it was taken in, or why it was not. Consensus and chain-key, 16.5.
import {
  callManagement,
  type DroppedMessage,
  deliverResponse,
  enqueueRequest,
  guaranteedMemoryLeft,
  hostOf,
  type Round,
  refundDropped,
  rejectRequest,
} from "@atoll/execution";
import { type Callback, payloadBytes, pushSignal, RESPONSE_RESERVATION, requestBytes, streamTo } from "@atoll/state";
import {
  type CanisterId,
  DEFAULT_QUEUE_CAPACITY,
  invariant,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  type RejectReason,
  type Request,
  type Response,
  type StreamMessage,
  type StreamSlice,
} from "@atoll/types";
import { receiverOf } from "./stream-builder.ts";

type Signal = "accept" | RejectReason;

/** What is used up while the messages of a round are inducted. */
interface Induction {
  readonly round: Round;
  /** Bytes left for messages whose response must be delivered. */
  memory: number;
  /** Requests in the long queues, by receiver and sender. */
  readonly queued: Map<CanisterId, Map<CanisterId, number>>;
  readonly dropped: DroppedMessage[];
}

export function inductSlices(round: Round, slices: readonly StreamSlice[]): DroppedMessage[] {
  const dropped: DroppedMessage[] = [];
  const induction: Induction = { round, memory: guaranteedMemoryLeft(round), queued: new Map(), dropped };
  for (const { from, firstIndex, messages } of slices) {
    const stream = streamTo(round.state, from);
    invariant(messages.length === 0 || firstIndex === stream.signalsEnd, "a slice that does not follow the last one");
    for (const message of messages) pushSignal(stream, inductMessage(induction, from, stream.signalsEnd, message));
  }
  return dropped;
}

function inductMessage(induction: Induction, from: PrincipalId, index: number, message: StreamMessage): Signal {
  const { round } = induction;
  const isHere = hostOf(round, receiverOf(message)) === round.state.config.subnetId;
  if (message.kind === "refund") {
    if (!isHere) return "canister_migrating";
    refundDropped(round, message.receiver, message.cycles);
    return "accept";
  }
  const sender = message.kind === "request" ? message.sender : message.respondent;
  if (hostOf(round, sender) !== from) {
    induction.dropped.push({ from, index, why: "sender is not on that subnet" });
    // A request is answered by its own subnet; a response is not sent again by one that had no right to send it.
    if (message.kind === "request") return "canister_migrating";
    round.state.metrics.consumedCycles += message.refund;
    return "accept";
  }
  if (!isHere) return "canister_migrating";
  return message.kind === "request"
    ? inductRequest(induction, message)
    : inductResponse(induction, from, index, message);
}

function inductRequest(induction: Induction, request: Request): Signal {
  const { round } = induction;
  if (request.receiver === round.state.config.subnetId) {
    callManagement(round, request);
    return "accept";
  }
  const memory = request.deadlineSeconds === 0 ? Math.max(requestBytes(request), RESPONSE_RESERVATION) : 0;
  if (isQueueFull(induction, request)) return "queue_full";
  if (memory > induction.memory) return "out_of_memory";
  const obstacle = enqueueRequest(round, request);
  if (obstacle?.reason !== undefined) return obstacle.reason;
  if (obstacle !== undefined) {
    // There is no signal for it: the answer is a message.
    rejectRequest(round, request, obstacle.code, obstacle.message);
    return "accept";
  }
  induction.memory -= memory;
  countQueued(induction, request);
  return "accept";
}

function inductResponse(induction: Induction, from: PrincipalId, index: number, response: Response): Signal {
  const { round, dropped } = induction;
  const canister = round.state.canisters.get(response.originator);
  const callback = canister?.callbacks.get(response.callbackId);
  const isGuaranteed = response.deadlineSeconds === 0;
  // A late best-effort response, and one for a canister that is gone, are no news to anybody.
  const isExpected = callback === undefined ? !isGuaranteed : isAnswerTo(callback, response, from);
  if (canister !== undefined && !isExpected) {
    dropped.push({ from, index, why: "response to no call" });
    round.state.metrics.consumedCycles += response.refund;
    return "accept";
  }
  if (canister !== undefined && isGuaranteed) induction.memory += RESPONSE_RESERVATION - payloadBytes(response.payload);
  deliverResponse(round, callback === undefined ? response : withoutGain(response, callback));
  return "accept";
}

/** The management canister of another subnet answers under the id of its subnet. */
function isAnswerTo({ receiver, deadlineSeconds }: Callback, response: Response, from: PrincipalId): boolean {
  if (deadlineSeconds !== response.deadlineSeconds) return false;
  return receiver === response.respondent || (receiver === MANAGEMENT_CANISTER && response.respondent === from);
}

/** No more cycles come back than were sent, whatever the other subnet says. */
function withoutGain(response: Response, { cyclesSent }: Callback): Response {
  return response.refund <= cyclesSent ? response : { ...response, refund: cyclesSent };
}

/** Whether the sender has as many requests in the queue of the receiver as there may be. */
function isQueueFull({ round, queued }: Induction, { receiver, sender }: Request): boolean {
  const canister = round.state.canisters.get(receiver);
  if (canister === undefined || canister.input.length < DEFAULT_QUEUE_CAPACITY) return false;
  let senders = queued.get(receiver);
  if (senders === undefined) {
    senders = new Map();
    for (const item of canister.input) {
      if (item.kind === "request") senders.set(item.request.sender, (senders.get(item.request.sender) ?? 0) + 1);
    }
    queued.set(receiver, senders);
  }
  return (senders.get(sender) ?? 0) >= DEFAULT_QUEUE_CAPACITY;
}

function countQueued({ queued }: Induction, { receiver, sender }: Request): void {
  const senders = queued.get(receiver);
  senders?.set(sender, (senders.get(sender) ?? 0) + 1);
}
