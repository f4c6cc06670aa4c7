// Too many messages whose response may be dropped: at the end of a round the largest are, until the others have room.
// Where a response is dropped the caller is told so; where a request is, the deadline will tell. Cycles that were on
// the way with a dropped message go back to the caller. Checklist 3.4, 6.3.
import {
  type CanisterState,
  type Fifo,
  inputBytes,
  outgoingMemory,
  resourcesOf,
  streamTo,
  touch,
  waitingBytes,
} from "@atoll/state";
import { type PrincipalId, RejectCode, type Response } from "@atoll/types";
import { measureUsage } from "./resource-usage.ts";
import { refundDropped } from "./responses.ts";
import type { Round } from "./round.ts";
import { traceNotExecuted } from "./trace.ts";

export function shedMessages(round: Round): void {
  const { state } = round;
  const limit = resourcesOf(state.config).bestEffortMessageMemory;
  const taken = (): number => {
    measureUsage(round);
    return state.usage.total.bestEffortMessages + outgoingMemory(state).bestEffort;
  };
  while (taken() > limit) {
    const canister = heaviest(round);
    const subnet = heaviestWaiting(round, canister?.input.bytes.bestEffort ?? SMALLEST);
    if (subnet !== undefined) shedWaiting(round, subnet);
    else if (canister !== undefined) shedLargest(round, canister);
    else return;
  }
}

/** The canister whose messages take most. Only asked when there are too many. */
function heaviest({ state }: Round): CanisterState | undefined {
  let found: CanisterState | undefined;
  for (const id of [...state.withInput].sort()) {
    const canister = state.canisters.get(id);
    if (canister === undefined || canister.input.bytes.bestEffort <= (found?.input.bytes.bestEffort ?? SMALLEST))
      continue;
    if (hasAnyWorthDropping(canister)) found = canister;
  }
  return found;
}

function hasAnyWorthDropping({ input }: CanisterState): boolean {
  for (const item of input) if (inputBytes(item).bestEffort > SMALLEST) return true;
  return false;
}

/** The subnet for which messages wait that take most, and more than so many bytes. */
function heaviestWaiting({ state }: Round, bytes: number): PrincipalId | undefined {
  let found: PrincipalId | undefined;
  let most = bytes;
  for (const [id, { waiting }] of [...state.streams].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (waiting.bytes.bestEffort <= most) continue;
    found = id;
    most = waiting.bytes.bestEffort;
  }
  return found;
}

function shedLargest(round: Round, canister: CanisterState): void {
  const item = takeLargest(canister.input, (each) => inputBytes(each).bestEffort);
  touch(round.state, canister);
  if (item !== undefined) traceNotExecuted(round, item, TOO_MANY);
  if (item?.kind === "request") refundDropped(round, item.request.sender, item.request.payment);
  if (item?.kind !== "response") return;
  refundDropped(round, canister.id, item.response.refund);
  canister.input.push({ kind: "response", response: dropped(item.response) });
}

/** Who waits for what is dropped on its way is told by the deadline. */
function shedWaiting(round: Round, subnet: PrincipalId): void {
  const message = takeLargest(streamTo(round.state, subnet).waiting, (each) => waitingBytes(each).bestEffort)?.message;
  if (message?.kind === "request") {
    traceNotExecuted(round, { kind: "request", request: message, since: round.state.time }, TOO_MANY);
    refundDropped(round, message.sender, message.payment);
  }
  if (message?.kind === "response") refundDropped(round, message.originator, message.refund);
}

function takeLargest<T>(queue: Fifo<T>, bytesOf: (item: T) => number): T | undefined {
  let largest = 0;
  for (const item of queue) largest = Math.max(largest, bytesOf(item));
  let isFound = false;
  const [item] = queue.extract((each) => {
    const isLargest = !isFound && bytesOf(each) === largest;
    isFound ||= isLargest;
    return isLargest;
  });
  return item;
}

/** What those are told who look into a network. */
const TOO_MANY = "It was dropped: there were too many messages with a deadline.";
const DROPPED = "Response was dropped.";
/** A message of no more bytes is not worth dropping: what would take the place of a response is as large. */
const SMALLEST = DROPPED.length;

function dropped(response: Response): Response {
  return { ...response, refund: 0n, payload: { kind: "reject", code: RejectCode.SYS_UNKNOWN, message: DROPPED } };
}
