// The end of a round: what was sent to canisters of other subnets goes into the streams, in the order in which it was
// sent, as far as there is room; the rest waits. What has waited too long is given up: a request whose response must be
// delivered is answered after five minutes, best-effort messages are dropped at their deadline and their cycles go back.
// Consensus and chain-key, 16.3; checklist 6.3.
import {
  deliverResponse,
  hostOf,
  type Round,
  refundDropped,
  rejectRequest,
  routeRequest,
  traceNotExecuted,
} from "@atoll/execution";
import { hasRoom, pushMessage, type SubnetState, streamTo, type WaitingMessage } from "@atoll/state";
import {
  NS_PER_SECOND,
  type PrincipalId,
  REQUEST_LIFETIME_NS,
  RejectCode,
  type StreamMessage,
  type SubnetType,
  type Time,
} from "@atoll/types";

export function buildStreams({ state }: Round): void {
  for (const id of subnetsThatWait(state)) {
    const stream = streamTo(state, id);
    const type = typeOf(state, id);
    for (let next = stream.waiting.peek(); next !== undefined; next = stream.waiting.peek()) {
      if (!hasRoom(stream, type, next.message.kind)) break;
      stream.waiting.shift();
      pushMessage(stream, next.message);
    }
  }
}

function typeOf({ topology }: SubnetState, id: PrincipalId): SubnetType {
  return topology.subnets.find(({ subnetId }) => subnetId === id)?.type ?? "application";
}

/** Gives up what has waited too long. Looked for once a second of subnet time; `before`: the time of the last round. */
export function expireWaitingMessages(round: Round, before: Time): void {
  const { state } = round;
  if (state.time / NS_PER_SECOND === before / NS_PER_SECOND) return;
  for (const id of subnetsThatWait(state)) {
    for (const { message } of streamTo(state, id).waiting.extract((each) => isLate(each, state.time))) {
      if (message.kind === "response") refundDropped(round, message.originator, message.refund);
      if (message.kind !== "request") continue;
      if (message.deadlineSeconds !== 0) {
        const item = { kind: "request", request: message, since: state.time } as const;
        traceNotExecuted(round, item, "The deadline passed before it could be sent.");
        refundDropped(round, message.sender, message.payment);
      } else rejectRequest(round, message, RejectCode.SYS_TRANSIENT, "Request timed out.");
    }
  }
}

function isLate({ message, since }: WaitingMessage, now: Time): boolean {
  if (message.kind === "refund") return false;
  if (message.deadlineSeconds !== 0) return now > BigInt(message.deadlineSeconds) * NS_PER_SECOND;
  return message.kind === "request" && since + REQUEST_LIFETIME_NS <= now;
}

/** Messages that wait for a subnet which hosts their receivers no longer go where these are now. */
export function rerouteWaitingMessages(round: Round): void {
  for (const id of subnetsThatWait(round.state)) {
    const isElsewhere = ({ message }: WaitingMessage): boolean => hostOf(round, receiverOf(message)) !== id;
    for (const { message } of streamTo(round.state, id).waiting.extract(isElsewhere)) sendAgain(round, message);
  }
}

/** Sends a message once more, by what is known now of who hosts its receiver. */
export function sendAgain(round: Round, message: StreamMessage): void {
  if (message.kind === "request") routeRequest(round, message, hostOf(round, message.receiver));
  else if (message.kind === "response") deliverResponse(round, message);
  else refundDropped(round, message.receiver, message.cycles);
}

export function receiverOf(message: StreamMessage): PrincipalId {
  return message.kind === "response" ? message.originator : message.receiver;
}

/** Whether the next round could send something that waits: what a round gives up after its streams are built, say. */
export function canBuildStreams(state: SubnetState): boolean {
  return subnetsThatWait(state).some((id) => {
    const stream = state.streams.get(id);
    const next = stream?.waiting.peek();
    return stream !== undefined && next !== undefined && hasRoom(stream, typeOf(state, id), next.message.kind);
  });
}

/** When messages that wait are looked at again; undefined: none do. */
export function nextWaitingCheck(state: SubnetState): Time | undefined {
  return subnetsThatWait(state).length === 0 ? undefined : (state.time / NS_PER_SECOND + 1n) * NS_PER_SECOND;
}

function subnetsThatWait({ streams }: SubnetState): PrincipalId[] {
  const waiting: PrincipalId[] = [];
  for (const [id, stream] of streams) if (stream.waiting.length > 0) waiting.push(id);
  return waiting.sort();
}
