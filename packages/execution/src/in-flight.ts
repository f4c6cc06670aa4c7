// Every message that is under way on a subnet, as plain data, for people and tests that look into a network: what waits
// in queues, what is held, what runs in slices, and the calls that wait for an answer. Only run on demand: it visits the
// canisters that have something. Arguments are the state's own bytes, to be read and not kept.
import type { Callback, CallContext, CanisterState, InputItem, ManagementCaller, SubnetState } from "@atoll/state";
import {
  type CanisterId,
  type Cycles,
  MANAGEMENT_CANISTER,
  type PrincipalId,
  type RequestId,
  type ResponsePayload,
  type StreamMessage,
} from "@atoll/types";

export interface InFlightMessage {
  readonly place: /** In its receiver's queue. */
    | "input"
    /** Put aside by a test. */
    | "held"
    /** Its execution takes many rounds, and has begun. */
    | "executing"
    /** On its way to another subnet: in the stream under the index `number`, or waiting for room in it. */
    | "stream"
    /** Asks the web. */
    | "outcall"
    /** A call to the management canister that waits for its turn, or is answered in a later round. */
    | "management"
    /** Its receiver stops, and has something left to do before. */
    | "stopping"
    /** Executed as far as it goes: its call context waits for the calls in `awaits`. */
    | "awaiting"
    /** A call that was sent and is not answered: where it is now, another entry or another subnet knows. */
    | "called";
  readonly kind: "ingress" | "request" | "response" | "task" | "refund";
  readonly from: PrincipalId;
  readonly to: CanisterId;
  /** Of a response: undefined. */
  readonly methodName: string | undefined;
  /** The argument, or the data of a reply; undefined where the state does not keep it any more. */
  readonly arg: Uint8Array | undefined;
  readonly reject?: Extract<ResponsePayload, { readonly kind: "reject" }>;
  /** Not accepted yet, or to be refunded. */
  readonly cycles: Cycles;
  /** Seconds since 1970; 0: none. */
  readonly deadlineSeconds: number;
  /** Of a held message and of an outcall: its number; of one in a stream: its index. */
  readonly number?: number;
  readonly requestId?: RequestId;
  /** Names a request, and the response to it, together with who called. */
  readonly callbackId?: number;
  readonly callContextId?: number;
  /** Callbacks of the receiver that have not come back. */
  readonly awaits?: readonly number[];
}

export function messagesInFlight(state: SubnetState): InFlightMessage[] {
  const messages: InFlightMessage[] = [];
  for (const id of [...state.canisters.keys()].sort()) {
    const canister = state.canisters.get(id);
    if (canister === undefined) continue;
    for (const item of canister.input) messages.push(ofItem("input", canister.id, item));
    messages.push(...executing(canister), ...contexts(canister), ...stopping(canister));
  }
  for (const [number, { receiver, item }] of state.interventions.held) {
    messages.push({ ...ofItem("held", receiver, item), number });
  }
  for (const { caller, methodName, arg } of state.managementQueue) {
    messages.push(ofManagementCall("management", caller, methodName, arg));
  }
  for (const { request } of state.pendingRandomness) {
    messages.push(ofManagementCall("management", { kind: "canister", request }, request.methodName, request.arg));
  }
  for (const { request } of state.initialDkgs) {
    const caller = { kind: "canister", request: { ...request, arg: NO_ARG } } as const;
    messages.push(ofManagementCall("management", caller, request.methodName, undefined));
  }
  for (const { outcall, request } of state.outcalls.contexts()) {
    const call = ofManagementCall(
      "outcall",
      { kind: "canister", request: { ...request, arg: NO_ARG } },
      "http_request",
      undefined,
    );
    messages.push({ ...call, number: outcall.outcall });
  }
  for (const id of [...state.streams.keys()].sort()) messages.push(...inStream(state, id));
  return messages;
}

const NO_ARG = new Uint8Array();

function inStream({ streams, config }: SubnetState, subnet: PrincipalId): InFlightMessage[] {
  const stream = streams.get(subnet);
  if (stream === undefined) return [];
  const messages = [...stream.messages].map((message, i): InFlightMessage => {
    return { ...ofStreamMessage(config.subnetId, message), number: stream.begin + i };
  });
  for (const { message } of stream.waiting) messages.push(ofStreamMessage(config.subnetId, message));
  return messages;
}

function ofStreamMessage(from: PrincipalId, message: StreamMessage): InFlightMessage {
  if (message.kind === "request") {
    return ofItem("stream", message.receiver, { kind: "request", request: message, since: 0n });
  }
  if (message.kind === "response") {
    return ofItem("stream", message.originator, { kind: "response", response: message });
  }
  const common = { kind: "refund", methodName: undefined, arg: undefined, deadlineSeconds: 0 } as const;
  return { place: "stream", from, to: message.receiver, cycles: message.cycles, ...common };
}

function ofItem(place: "input" | "held" | "executing" | "stream", to: CanisterId, item: InputItem): InFlightMessage {
  if (item.kind === "ingress") {
    const { sender: from, methodName, arg, requestId } = item.message;
    return { place, kind: "ingress", from, to, methodName, arg, cycles: 0n, deadlineSeconds: 0, requestId };
  }
  if (item.kind === "request") {
    const { sender: from, methodName, arg, payment: cycles, deadlineSeconds, callbackId } = item.request;
    return { place, kind: "request", from, to, methodName, arg, cycles, deadlineSeconds, callbackId };
  }
  const { respondent: from, payload, refund: cycles, deadlineSeconds, callbackId } = item.response;
  const common = { place, kind: "response", from, to, methodName: undefined, cycles, deadlineSeconds } as const;
  if (payload.kind === "reply") return { ...common, arg: payload.data, callbackId };
  return { ...common, arg: undefined, reject: payload, callbackId };
}

function executing({ id, pendingExecution: pending }: CanisterState): InFlightMessage[] {
  switch (pending?.kind) {
    case undefined:
      return [];
    case "call":
      return [{ ...ofItem("executing", id, pending.item), callContextId: pending.callContextId }];
    case "response": {
      const { response, callback } = pending;
      const message = ofItem("executing", id, { kind: "response", response });
      return [{ ...message, callContextId: callback.callContextId }];
    }
    case "install":
      return [ofManagementCall("executing", pending.caller, "install_code", pending.arg)];
    case "task":
      return [{ ...ofTask("executing", id, pending.callContextId), methodName: pending.task }];
  }
}

/** Open call contexts with what they wait for, and the calls themselves. */
function contexts(canister: CanisterState): InFlightMessage[] {
  const open: InFlightMessage[] = [];
  const awaited = new Map<number, number[]>();
  for (const { id, callContextId } of canister.callbacks.values()) {
    awaited.set(callContextId, [...(awaited.get(callContextId) ?? []), id]);
  }
  for (const context of canister.callContexts.values()) {
    const awaits = awaited.get(context.id);
    if (awaits === undefined) continue;
    open.push({ ...ofContext(canister.id, context), awaits });
  }
  for (const callback of canister.callbacks.values()) open.push(ofCallback(canister.id, callback));
  return open;
}

function ofContext(to: CanisterId, { id, origin, availableCycles }: CallContext): InFlightMessage {
  if (origin.kind === "task") return ofTask("awaiting", to, id);
  const common = { place: "awaiting", to, arg: undefined, cycles: availableCycles, callContextId: id } as const;
  if (origin.kind === "ingress") {
    const { sender: from, requestId } = origin;
    return { ...common, kind: "ingress", from, methodName: undefined, deadlineSeconds: 0, requestId };
  }
  const { sender: from, methodName, deadlineSeconds, callbackId } = origin.request;
  return { ...common, kind: "request", from, methodName, deadlineSeconds, callbackId };
}

function ofCallback(from: CanisterId, callback: Callback): InFlightMessage {
  const { id: callbackId, receiver: to, cyclesSent: cycles, deadlineSeconds, callContextId } = callback;
  const common = { kind: "request", from, to, methodName: undefined, arg: undefined } as const;
  return { place: "called", ...common, cycles, deadlineSeconds, callbackId, callContextId };
}

function ofTask(place: "executing" | "awaiting", to: CanisterId, callContextId: number): InFlightMessage {
  const common = { kind: "task", from: MANAGEMENT_CANISTER, to, methodName: undefined, arg: undefined } as const;
  return { place, ...common, cycles: 0n, deadlineSeconds: 0, callContextId };
}

function stopping({ status }: CanisterState): InFlightMessage[] {
  if (status.kind !== "stopping") return [];
  return status.waiters.map(({ call }) => ofManagementCall("stopping", call, "stop_canister", undefined));
}

function ofManagementCall(
  place: "management" | "executing" | "stopping" | "outcall",
  caller: ManagementCaller,
  methodName: string,
  arg: Uint8Array | undefined,
): InFlightMessage {
  const common = { place, to: MANAGEMENT_CANISTER, methodName, arg };
  if (caller.kind === "ingress") {
    const { sender: from, requestId } = caller;
    return { ...common, kind: "ingress", from, cycles: 0n, deadlineSeconds: 0, requestId };
  }
  const { sender: from, payment: cycles, deadlineSeconds, callbackId } = caller.request;
  return { ...common, kind: "request", from, cycles, deadlineSeconds, callbackId };
}
