// Too many messages whose response may be dropped: at the end of a round the largest are, until the others have room.
// Where a response is dropped the caller is told so; where a request is, the deadline will tell. Cycles that were on
// the way with a dropped message go back to the caller. Checklist 3.4, 6.3.
import { type CanisterState, inputBytes, resourcesOf, touch } from "@atoll/state";
import { RejectCode, type Response } from "@atoll/types";
import { measureUsage } from "./resource-usage.ts";
import { refundDropped } from "./responses.ts";
import type { Round } from "./round.ts";

export function shedMessages(round: Round): void {
  const { state } = round;
  measureUsage(round);
  const limit = resourcesOf(state.config).bestEffortMessageMemory;
  while (state.usage.total.bestEffortMessages > limit) {
    const canister = heaviest(round);
    if (canister === undefined) return;
    shedLargest(round, canister);
    touch(state, canister);
    measureUsage(round);
  }
}

/** The canister whose messages take most. Only asked when there are too many. */
function heaviest({ state }: Round): CanisterState | undefined {
  let found: CanisterState | undefined;
  for (const id of [...state.withInput].sort()) {
    const canister = state.canisters.get(id);
    if (canister === undefined || canister.input.bytes.bestEffort <= SMALLEST) continue;
    if (found === undefined || canister.input.bytes.bestEffort > found.input.bytes.bestEffort) found = canister;
  }
  return found;
}

function shedLargest(round: Round, canister: CanisterState): void {
  let largest = 0;
  for (const item of canister.input) largest = Math.max(largest, inputBytes(item).bestEffort);
  let isFound = false;
  const [item] = canister.input.extract((each) => {
    const isLargest = !isFound && inputBytes(each).bestEffort === largest;
    isFound ||= isLargest;
    return isLargest;
  });
  if (item?.kind === "request") refundDropped(round, item.request.sender, item.request.payment);
  if (item?.kind !== "response") return;
  refundDropped(round, canister.id, item.response.refund);
  canister.input.push({ kind: "response", response: dropped(item.response) });
}

const DROPPED = "Response was dropped.";
/** A canister with no more than this has nothing that is worth dropping. */
const SMALLEST = DROPPED.length;

function dropped(response: Response): Response {
  return { ...response, refund: 0n, payload: { kind: "reject", code: RejectCode.SYS_UNKNOWN, message: DROPPED } };
}
