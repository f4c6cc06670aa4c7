// The tree of all messages that one message of a user has caused, over all subnets: which canister did what for it, whom
// it called, what was answered, and what all of that took. Built from what rounds trace (packages/execution/src/trace.ts);
// request ids and callback ids connect what happened on different subnets.
import type { TracedCall, TracedExecution, TracedOrigin, TraceEvent } from "@atoll/execution";
import {
  type CanisterId,
  type Cycles,
  type ErrorCode,
  type Height,
  type PrincipalId,
  RejectCode,
  type RequestId,
  type ResponsePayload,
} from "@atoll/types";

/** What one round of one subnet has traced. */
export interface TracedRound {
  readonly subnet: PrincipalId;
  readonly height: Height;
  readonly events: readonly TraceEvent[];
}

/** One execution of a node: its entry point, or a callback of it. */
export interface TreeExecution {
  /** The canister of its node; of an installation the one that got the code. */
  readonly canister: CanisterId;
  readonly subnet: PrincipalId;
  readonly height: Height;
  readonly methodName: string;
  readonly instructions: number;
  readonly cyclesConsumed: Cycles;
  readonly cyclesBefore: Cycles;
  readonly cyclesAfter: Cycles;
  readonly heapPages: number;
  readonly stablePages: number;
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly log: readonly Uint8Array[];
}

/** One call with everything that it set off. */
export interface MessageNode {
  readonly canister: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  readonly sender: PrincipalId;
  /** The caller's callback; undefined for the user's message. */
  readonly callbackId: number | undefined;
  /** Sent along with the call, and what came back. */
  readonly cycles: Cycles;
  readonly refund: Cycles | undefined;
  /** Undefined: not yet. */
  readonly answer: ResponsePayload | undefined;
  /** The caller's deadline passed first: it was told SYS_UNKNOWN, whatever came later. */
  readonly hasExpired: boolean;
  /** Why it never ran. */
  readonly notExecuted: string | undefined;
  /** Where it ran, or was refused; undefined: it has not arrived. */
  readonly subnet: PrincipalId | undefined;
  readonly height: Height | undefined;
  /** Of this node alone. */
  readonly instructions: number;
  readonly cyclesConsumed: Cycles;
  readonly executions: readonly TreeExecution[];
  /** In the order in which they were called. */
  readonly children: readonly MessageNode[];
}

export interface MessageFigures {
  readonly instructions: number;
  /** For executing and sending messages, and burned; taking the user's message in included. */
  readonly cyclesConsumed: Cycles;
  readonly messages: number;
  readonly byCanister: ReadonlyMap<CanisterId, { readonly instructions: number; readonly cyclesConsumed: Cycles }>;
}

/** The tree of a message; undefined: no round has seen it. `rounds` may come from several subnets, each in order. */
export function messageTree(rounds: readonly TracedRound[], requestId: RequestId): MessageNode | undefined {
  const index = indexOf(rounds);
  const ingress = index.ingress.get(requestId);
  if (ingress === undefined) return undefined;
  const { receiver, methodName, arg, sender, cycles } = ingress;
  const call = { callbackId: undefined, receiver, methodName, arg, cycles: 0n };
  return nodeOf(index, { kind: "ingress", requestId }, call, sender, cycles);
}

/** Sums over the whole tree. */
export function figuresOf(root: MessageNode): MessageFigures {
  const byCanister = new Map<CanisterId, { instructions: number; cyclesConsumed: Cycles }>();
  const count = (id: CanisterId, instructions: number, cyclesConsumed: Cycles): void => {
    const own = byCanister.get(id) ?? { instructions: 0, cyclesConsumed: 0n };
    own.instructions += instructions;
    own.cyclesConsumed += cyclesConsumed;
    byCanister.set(id, own);
  };
  const figures = { instructions: 0, cyclesConsumed: 0n, messages: 0 };
  const waiting = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const { instructions, cyclesConsumed } = node;
    for (const each of node.executions) count(each.canister, each.instructions, each.cyclesConsumed);
    count(
      node.canister,
      0,
      node.executions.reduce((rest, each) => rest - each.cyclesConsumed, cyclesConsumed),
    );
    figures.instructions += instructions;
    figures.cyclesConsumed += cyclesConsumed;
    figures.messages++;
    waiting.push(...node.children);
  }
  return { ...figures, byCanister };
}

interface Placed<Event> {
  readonly subnet: PrincipalId;
  readonly height: Height;
  readonly event: Event;
}

interface TraceIndex {
  readonly ingress: Map<RequestId, Extract<TraceEvent, { kind: "ingress" }>>;
  /** By the message that began them, and by the call context of their canister. */
  readonly first: Map<string, Placed<TracedExecution>>;
  readonly ofContext: Map<string, Placed<TracedExecution>[]>;
  readonly answers: Map<string, Placed<Extract<TraceEvent, { kind: "answer" }>>>;
  readonly expired: Set<string>;
  readonly notExecuted: Map<string, Placed<string>>;
}

function indexOf(rounds: readonly TracedRound[]): TraceIndex {
  const index: TraceIndex = {
    ingress: new Map(),
    first: new Map(),
    ofContext: new Map(),
    answers: new Map(),
    expired: new Set(),
    notExecuted: new Map(),
  };
  for (const { subnet, height, events } of rounds) {
    for (const event of events) add(index, event, { subnet, height });
  }
  return index;
}

function add(index: TraceIndex, event: TraceEvent, place: Omit<Placed<unknown>, "event">): void {
  switch (event.kind) {
    case "ingress":
      index.ingress.set(event.requestId, event);
      return;
    case "execution":
      addExecution(index, { ...place, event });
      return;
    case "answer": {
      // Later ones come too late.
      const key = keyOf(event.to);
      if (!index.answers.has(key)) index.answers.set(key, { ...place, event });
      return;
    }
    case "expired":
      index.expired.add(keyOf(event.to));
      return;
    case "not_executed": {
      const { message } = event;
      if (message.kind !== "ingress" && message.kind !== "request") return;
      const key = keyOf(message);
      if (!index.notExecuted.has(key)) index.notExecuted.set(key, { ...place, event: event.reason });
    }
  }
}

function addExecution(index: TraceIndex, placed: Placed<TracedExecution>): void {
  const { message, canister, callContextId } = placed.event;
  if (message.kind === "ingress" || message.kind === "request") index.first.set(keyOf(message), placed);
  if (callContextId === undefined) return;
  const key = contextKey(canister, callContextId);
  const executions = index.ofContext.get(key);
  if (executions === undefined) index.ofContext.set(key, [placed]);
  else executions.push(placed);
}

type NodeCall = Omit<TracedCall, "callbackId" | "deadlineSeconds"> & Pick<MessageNode, "callbackId">;

/** Calls are as deep as canisters make them: the stack of this function is not. */
function nodeOf(
  index: TraceIndex,
  origin: TracedOrigin,
  call: NodeCall,
  sender: PrincipalId,
  induction: Cycles,
): MessageNode {
  const root = begin(index, origin, call, sender, induction);
  const waiting = [root];
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
    const { canister } = parent.node;
    for (const { event } of parent.executions) {
      for (const each of event.calls) {
        const child = begin(index, { kind: "request", sender: canister, callbackId: each.callbackId }, each, canister);
        parent.children.push(child.node);
        waiting.push(child);
      }
    }
  }
  return root.node;
}

interface OpenNode {
  readonly node: MessageNode;
  readonly children: MessageNode[];
  readonly executions: readonly Placed<TracedExecution>[];
}

function begin(index: TraceIndex, origin: TracedOrigin, call: NodeCall, sender: PrincipalId, induction = 0n): OpenNode {
  const key = keyOf(origin);
  const first = index.first.get(key);
  const contextId = first?.event.callContextId;
  const ofContext = first && contextId !== undefined && index.ofContext.get(contextKey(call.receiver, contextId));
  const executions = ofContext || (first === undefined ? [] : [first]);
  const answer = index.answers.get(key);
  const hasExpired = index.expired.has(key);
  const refused = index.notExecuted.get(key);
  const place = first ?? refused ?? answer;
  const children: MessageNode[] = [];
  const node: MessageNode = {
    canister: call.receiver,
    methodName: call.methodName,
    arg: call.arg,
    sender,
    callbackId: call.callbackId,
    cycles: call.cycles,
    refund: answer?.event.refund,
    answer: answer?.event.payload ?? (hasExpired ? EXPIRED : undefined),
    hasExpired,
    notExecuted: first === undefined ? refused?.event : undefined,
    subnet: place?.subnet,
    height: place?.height,
    instructions: executions.reduce((sum, { event }) => sum + event.instructions, 0),
    cyclesConsumed: executions.reduce((sum, { event }) => sum + event.cyclesConsumed, induction),
    executions: executions.map(shown),
    children,
  };
  return { node, children, executions };
}

const EXPIRED: ResponsePayload = {
  kind: "reject",
  code: RejectCode.SYS_UNKNOWN,
  message: "Call deadline has expired.",
};

function shown({ subnet, height, event }: Placed<TracedExecution>): TreeExecution {
  const { canister, methodName, instructions, cyclesConsumed, cyclesBefore, cyclesAfter } = event;
  const { heapPages, stablePages, error, log } = event;
  const cycles = { cyclesConsumed, cyclesBefore, cyclesAfter };
  return { canister, subnet, height, methodName, instructions, ...cycles, heapPages, stablePages, error, log };
}

function keyOf(origin: TracedOrigin): string {
  return origin.kind === "ingress" ? origin.requestId : `${origin.sender} ${origin.callbackId}`;
}

function contextKey(canister: CanisterId, callContextId: number): string {
  return `${canister} context ${callContextId}`;
}
