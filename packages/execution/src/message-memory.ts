// How much memory the messages of a canister take: what is in its queue, and room for the largest response on both sides
// of each call whose response must be delivered. Counted beside the state, as looking at all open calls for each message
// would take the longer the more there are. Checklist 3.4.
import { type CallContext, type CanisterState, type MessageBytes, RESPONSE_RESERVATION } from "@atoll/state";
import { guaranteedCallsOf } from "./open-calls.ts";

/** Bytes of a canister's messages: in its queue, and reserved for responses on both sides of its open calls. */
export function messageMemory(canister: CanisterState): MessageBytes {
  const queued = canister.input.bytes;
  const reserved = guaranteedCallsOf(canister) + unansweredCalls(canister);
  return {
    guaranteed: Math.max(0, queued.guaranteed + reserved * RESPONSE_RESERVATION),
    bestEffort: queued.bestEffort,
  };
}

const unanswered = new WeakMap<CanisterState["callContexts"], number>();

/** Calls under way that owe somebody a response that must be delivered. */
function unansweredCalls({ callContexts }: CanisterState): number {
  let count = unanswered.get(callContexts);
  if (count === undefined) {
    count = 0;
    for (const context of callContexts.values()) if (owesResponse(context)) count++;
    unanswered.set(callContexts, count);
  }
  return count;
}

/** Counts a context that was opened (+1), or the one that is about to be answered (-1). */
export function countUnanswered(canister: CanisterState, context: CallContext, change: 1 | -1): void {
  if (!owesResponse(context)) return;
  const known = unanswered.get(canister.callContexts);
  if (known !== undefined) unanswered.set(canister.callContexts, known + change);
}

function owesResponse({ origin, responded }: CallContext): boolean {
  return !responded && origin.kind === "canister" && origin.request.deadlineSeconds === 0;
}
