// The stream to one other subnet: messages under indices that are never given out twice, signals for the messages of the
// reverse stream, and what waits until there is room. `begin` moves on only by signals of the other side, so nothing
// is forgotten before it has arrived. Consensus and chain-key, 16.1.
import {
  invariant,
  MAX_STREAM_MESSAGES,
  type PrincipalId,
  type RejectReason,
  type RejectSignal,
  type StreamHeader,
  type StreamMessage,
  type SubnetType,
  SYSTEM_SUBNET_STREAM_MESSAGES,
  TARGET_STREAM_BYTES,
  type Time,
} from "@atoll/types";
import { Fifo } from "./fifo.ts";
import { type MessageBytes, payloadBytes, requestBytes } from "./message-memory.ts";
import type { SubnetState } from "./subnet-state.ts";

/** A message on its way to another subnet, in whose stream there was no room yet. */
export interface WaitingMessage {
  readonly message: StreamMessage;
  readonly since: Time;
}

export interface Stream {
  /** Index of the first of `messages`. */
  begin: number;
  readonly messages: Fifo<StreamMessage>;
  /** Of `messages` together, and how many of them are refunds. */
  bytes: number;
  refunds: number;
  /** Index of the next message of the reverse stream. */
  signalsEnd: number;
  /** In ascending order of their indices. */
  rejectSignals: RejectSignal[];
  /** In the order in which they were sent. */
  waiting: Fifo<WaitingMessage>;
}

/** A stream as a record of a checkpoint. */
export interface StreamRecord {
  readonly begin: number;
  readonly messages: readonly StreamMessage[];
  readonly signalsEnd: number;
  readonly rejectSignals: readonly RejectSignal[];
  readonly waiting: readonly WaitingMessage[];
}

export function streamOf({ begin, messages, signalsEnd, rejectSignals, waiting }: StreamRecord): Stream {
  const stream: Stream = {
    begin,
    messages: new Fifo([], streamMemory),
    bytes: 0,
    refunds: 0,
    signalsEnd,
    rejectSignals: [...rejectSignals],
    waiting: newWaiting(waiting),
  };
  for (const message of messages) pushMessage(stream, message);
  return stream;
}

export function streamRecord({ messages, waiting, begin, signalsEnd, rejectSignals }: Stream): StreamRecord {
  return { begin, messages: [...messages], signalsEnd, rejectSignals: [...rejectSignals], waiting: [...waiting] };
}

function newWaiting(messages: Iterable<WaitingMessage> = []): Fifo<WaitingMessage> {
  return new Fifo(messages, waitingBytes);
}

/** The stream to that subnet, to be changed: readers, the tree and the disk will know. */
export function streamTo(state: SubnetState, subnet: PrincipalId): Stream {
  state.touchedStreams.add(subnet);
  state.streamsChangedSinceCheckpoint.add(subnet);
  let stream = state.streams.get(subnet);
  if (stream === undefined) {
    stream = streamOf({ begin: 0, messages: [], signalsEnd: 0, rejectSignals: [], waiting: [] });
    state.streams.set(subnet, stream);
  }
  return stream;
}

export function endOf({ begin, messages }: Stream): number {
  return begin + messages.length;
}

export function headerOf(stream: Stream): StreamHeader {
  const { begin, signalsEnd, rejectSignals } = stream;
  return { begin, end: endOf(stream), signalsEnd, rejectSignals: [...rejectSignals], flags: 0 };
}

/** Whether a stream to a subnet of that type takes one more message. Refunds are no work for who receives them. */
export function hasRoom({ messages, bytes, refunds }: Stream, type: SubnetType, kind: StreamMessage["kind"]): boolean {
  if (messages.length >= MAX_STREAM_MESSAGES || bytes >= TARGET_STREAM_BYTES) return false;
  return type !== "system" || kind === "refund" || messages.length - refunds < 2 * SYSTEM_SUBNET_STREAM_MESSAGES;
}

export function pushMessage(stream: Stream, message: StreamMessage): void {
  stream.messages.push(message);
  stream.bytes += messageBytes(message);
  if (message.kind === "refund") stream.refunds++;
}

/** Takes out the messages below `index`; gives those among them that were rejected, with the reason. */
export function discardMessagesBefore(
  stream: Stream,
  index: number,
  rejectSignals: readonly RejectSignal[],
): { readonly message: StreamMessage; readonly reason: RejectReason }[] {
  invariant(index >= stream.begin && index <= endOf(stream), "signals for messages that are not in the stream");
  const reasons = new Map(rejectSignals.map((signal) => [signal.index, signal.reason]));
  const rejected: { message: StreamMessage; reason: RejectReason }[] = [];
  for (; stream.begin < index; stream.begin++) {
    const message = stream.messages.shift() as StreamMessage;
    stream.bytes -= messageBytes(message);
    if (message.kind === "refund") stream.refunds--;
    const reason = reasons.get(stream.begin);
    if (reason !== undefined) rejected.push({ message, reason });
  }
  return rejected;
}

/** The next message of the reverse stream was inducted (or dropped for good), or rejected. */
export function pushSignal(stream: Stream, signal: "accept" | RejectReason): void {
  const index = stream.signalsEnd++;
  if (signal !== "accept") stream.rejectSignals.push({ reason: signal, index });
}

/** The other side has taken note of the signals below `index`. */
export function discardSignalsBefore(stream: Stream, index: number): void {
  if ((stream.rejectSignals[0]?.index ?? index) >= index) return;
  stream.rejectSignals = stream.rejectSignals.filter((signal) => signal.index >= index);
}

function messageBytes(message: StreamMessage): number {
  if (message.kind === "request") return requestBytes(message);
  return message.kind === "response" ? payloadBytes(message.payload) : 0;
}

/** Responses that must be delivered: the room that was reserved for them where they were made is free again. */
function streamMemory(message: StreamMessage): MessageBytes {
  const isCounted = message.kind === "response" && message.deadlineSeconds === 0;
  return { guaranteed: isCounted ? messageBytes(message) : 0, bestEffort: 0 };
}

/** What waits counts like what is in the queues of canisters; a request whose response has room counts there. */
export function waitingBytes({ message }: WaitingMessage): MessageBytes {
  if (message.kind === "refund" || message.deadlineSeconds === 0) return streamMemory(message);
  return { guaranteed: 0, bestEffort: messageBytes(message) };
}

/** Bytes of all messages to other subnets, for what the subnet grants messages. */
export function outgoingMemory({ streams }: Pick<SubnetState, "streams">): MessageBytes {
  let guaranteed = 0;
  let bestEffort = 0;
  for (const { messages, waiting } of streams.values()) {
    guaranteed += messages.bytes.guaranteed + waiting.bytes.guaranteed;
    bestEffort += waiting.bytes.bestEffort;
  }
  return { guaranteed, bestEffort };
}
