// All cycles of a subnet: what balances, messages and open calls hold, and what was consumed. What was minted is this sum,
// whatever happens in between.
import type { InputItem } from "@atoll/state";
import type * as s from "../../execution/test/semantics/machine.ts";

export function cyclesIn({ machine: { state } }: s.Machine): bigint {
  let sum = state.metrics.consumedCycles;
  const waiting = state.managementQueue.map(({ caller }) => caller);
  for (const { item } of state.interventions.held.values()) sum += cyclesOf(item);
  for (const canister of state.canisters.values()) {
    sum += canister.cycles + canister.reservedCycles;
    for (const item of canister.input) sum += cyclesOf(item);
    for (const context of canister.callContexts.values()) sum += context.availableCycles;
    for (const callback of canister.callbacks.values()) sum += callback.prepaidExecution + callback.prepaidResponse;
    const { pendingExecution: pending, status } = canister;
    if (pending?.kind === "response") sum += pending.callback.prepaidExecution;
    else if (pending?.kind === "install") waiting.push(pending.caller);
    else if (pending !== undefined) sum += pending.prepaid;
    if (status.kind === "stopping") waiting.push(...status.waiters.map(({ call }) => call));
  }
  for (const { request } of state.pendingRandomness) sum += request.payment;
  for (const caller of waiting) if (caller.kind === "canister") sum += caller.request.payment;
  return sum;
}

function cyclesOf(item: InputItem): bigint {
  if (item.kind === "request") return item.request.payment;
  return item.kind === "response" ? item.response.refund : 0n;
}
