// Stepping through a call: rounds of one execution each, up to the next point at which its canister waits for an answer.
// What happens between two awaits happens at once on the Internet Computer; in between anything may.
import type { InFlightMessage } from "@atoll/execution";
import { type FlightMessage, showMessage } from "./messages-in-flight.ts";
import type { Session } from "./session.ts";
import type { SubmittedCall } from "./submitted-call.ts";

const MAX_EXECUTIONS = 1_000;

export async function runToNextAwait(session: Session, call: SubmittedCall<unknown>): Promise<FlightMessage[]> {
  const before = awaitsOf(session, call);
  for (let rounds = 0; rounds < MAX_EXECUTIONS; rounds++) {
    await session.engine.tick({ maxExecutions: 1 });
    if (call.isAnswered) return [];
    const awaits = awaitsOf(session, call);
    const isNew = awaits.some((callback) => !before.includes(callback));
    if (isNew) return calledBy(session, call, awaits);
  }
  throw new Error(`the call reached no await in ${MAX_EXECUTIONS} rounds: ${session.whyUnanswered()}`);
}

/** Callbacks that the call's own context waits for. */
function awaitsOf(session: Session, call: SubmittedCall<unknown>): readonly number[] {
  return contextOf(session, call)?.awaits ?? [];
}

function contextOf(session: Session, { message }: SubmittedCall<unknown>): InFlightMessage | undefined {
  const isIt = ({ place, requestId }: InFlightMessage) => place === "awaiting" && requestId === message.requestId;
  return session.engine.messagesInFlight().get(message.subnet)?.find(isIt);
}

/** The calls themselves where they are on this subnet, else what their caller knows of them. */
function calledBy(session: Session, call: SubmittedCall<unknown>, awaits: readonly number[]): FlightMessage[] {
  const { canister } = call.called;
  const all = [...session.engine.messagesInFlight()].flatMap(([subnet, each]) => each.map((m) => [subnet, m] as const));
  return awaits.flatMap((awaited) => {
    const named = all.filter(([, { kind, from, callbackId }]) => {
      return kind === "request" && from === canister && callbackId === awaited;
    });
    const found = named.find(([, { place }]) => place !== "called") ?? named[0];
    return found === undefined ? [] : [showMessage(session, ...found)];
  });
}
