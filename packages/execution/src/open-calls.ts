// How many calls are open: of a canister to each receiver (their queue has 500 places), and on the whole subnet
// (callbacks, and memory reserved for responses that must not get lost). Counting them for each call would take the
// longer the more there are, so the counts are kept beside the state: indexes that can be rebuilt from it at any time.
// Checklist 3.4.
import type { Callback, CanisterState, SubnetState } from "@atoll/state";
import type { CanisterId } from "@atoll/types";

/** Beyond their own 50, canisters share so many callbacks. */
const MAX_CALLBACKS = 1_000_000;
/** 15 GiB for guaranteed responses of at most 2 MiB each. */
const MAX_GUARANTEED_CALLS = 15 * 512;

interface Totals {
  all: number;
  guaranteed: number;
  /** How many of each canister's calls have a deadline; canisters with none are not in it. */
  readonly bounded: Map<CanisterId, number>;
}

const byCanister = new WeakMap<CanisterState["callbacks"], Map<CanisterId, number>>();
const bySubnet = new WeakMap<SubnetState["canisters"], Totals>();

/** Calls of `canister` to `receiver` that are not answered yet. */
export function openCallsTo({ callbacks }: CanisterState, receiver: CanisterId): number {
  return receiversOf(callbacks).get(receiver) ?? 0;
}

/** Calls that the subnet has room for. */
export function callsLeft(state: SubnetState): { readonly all: number; readonly guaranteed: number } {
  const { all, guaranteed } = totalsOf(state);
  return { all: MAX_CALLBACKS - all, guaranteed: MAX_GUARANTEED_CALLS - guaranteed };
}

export function addCallback(state: SubnetState, { id, callbacks }: CanisterState, callback: Callback): void {
  count(totalsOf(state), id, callback, 1);
  const receivers = receiversOf(callbacks);
  receivers.set(callback.receiver, (receivers.get(callback.receiver) ?? 0) + 1);
  callbacks.set(callback.id, callback);
}

export function removeCallback(state: SubnetState, { id, callbacks }: CanisterState, callback: Callback): void {
  count(totalsOf(state), id, callback, -1);
  const receivers = receiversOf(callbacks);
  const left = (receivers.get(callback.receiver) ?? 0) - 1;
  if (left > 0) receivers.set(callback.receiver, left);
  else receivers.delete(callback.receiver);
  callbacks.delete(callback.id);
}

/** Calls with a deadline that nobody has answered yet, by canister and in the order in which they were made. */
export function* boundedCalls(state: SubnetState): Generator<[CanisterState, Callback]> {
  for (const id of [...totalsOf(state).bounded.keys()].sort()) {
    const canister = state.canisters.get(id);
    if (canister === undefined) continue;
    const answered = new Set<number>();
    for (const item of canister.input) if (item.kind === "response") answered.add(item.response.callbackId);
    for (const callback of canister.callbacks.values()) {
      if (callback.deadlineSeconds !== 0 && !answered.has(callback.id)) yield [canister, callback];
    }
  }
}

function receiversOf(callbacks: CanisterState["callbacks"]): Map<CanisterId, number> {
  let receivers = byCanister.get(callbacks);
  if (receivers === undefined) {
    receivers = new Map();
    for (const { receiver } of callbacks.values()) receivers.set(receiver, (receivers.get(receiver) ?? 0) + 1);
    byCanister.set(callbacks, receivers);
  }
  return receivers;
}

function totalsOf({ canisters }: SubnetState): Totals {
  let totals = bySubnet.get(canisters);
  if (totals === undefined) {
    totals = { all: 0, guaranteed: 0, bounded: new Map() };
    for (const { id, callbacks } of canisters.values()) {
      for (const callback of callbacks.values()) count(totals, id, callback, 1);
    }
    bySubnet.set(canisters, totals);
  }
  return totals;
}

function count(totals: Totals, id: CanisterId, callback: Callback, change: 1 | -1): void {
  totals.all += change;
  if (callback.deadlineSeconds === 0) {
    totals.guaranteed += change;
    return;
  }
  const bounded = (totals.bounded.get(id) ?? 0) + change;
  if (bounded > 0) totals.bounded.set(id, bounded);
  else totals.bounded.delete(id);
}
