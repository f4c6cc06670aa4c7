// How many calls are open: of a canister to each receiver (their queue has 500 places), and on the whole subnet
// (callbacks, and memory reserved for responses that must not get lost). Counting them for each call would take the
// longer the more there are, so the counts are kept beside the state: indexes that can be rebuilt from it at any time.
// Checklist 3.4.
import { type Callback, type CanisterState, type SubnetState, TimerIndex } from "@atoll/state";
import type { CanisterId, Time } from "@atoll/types";

/** Beyond their own 50, canisters share so many callbacks. */
const MAX_CALLBACKS = 1_000_000;
const SECOND_NS = 1_000_000_000n;

/** Names a callback of the subnet; in the order of canisters, then of the calls that they made. */
type CallbackKey = `${CanisterId} ${string}`;

interface Totals {
  all: number;
  /** Calls with a deadline that nobody has answered yet, and when it will have passed. */
  readonly unanswered: TimerIndex<CallbackKey>;
}

interface OpenCalls {
  readonly byReceiver: Map<CanisterId, number>;
  /** Those whose response must be delivered. */
  guaranteed: number;
}

const byCanister = new WeakMap<CanisterState["callbacks"], OpenCalls>();
const bySubnet = new WeakMap<SubnetState["canisters"], Totals>();

/** Calls of `canister` to `receiver` that are not answered yet. */
export function openCallsTo({ callbacks }: CanisterState, receiver: CanisterId): number {
  return openCallsOf(callbacks).byReceiver.get(receiver) ?? 0;
}

/** Calls of `canister` whose response must be delivered and has not been read yet. */
export function guaranteedCallsOf({ callbacks }: CanisterState): number {
  return openCallsOf(callbacks).guaranteed;
}

/** Callbacks that the subnet has room for. */
export function callsLeft(state: SubnetState): number {
  return MAX_CALLBACKS - totalsOf(state).all;
}

export function addCallback(state: SubnetState, { id, callbacks }: CanisterState, callback: Callback): void {
  const totals = totalsOf(state);
  totals.all++;
  if (callback.deadlineSeconds !== 0) totals.unanswered.set(keyOf(id, callback.id), expiryOf(callback));
  countOpen(openCallsOf(callbacks), callback, 1);
  callbacks.set(callback.id, callback);
}

export function removeCallback(state: SubnetState, { id, callbacks }: CanisterState, callback: Callback): void {
  totalsOf(state).all--;
  noteAnswered(state, id, callback.id);
  countOpen(openCallsOf(callbacks), callback, -1);
  callbacks.delete(callback.id);
}

/** Tells that a response waits in the queue of `canister`: the call has no deadline any more. */
export function noteAnswered(state: SubnetState, canister: CanisterId, callbackId: number): void {
  totalsOf(state).unanswered.delete(keyOf(canister, callbackId));
}

/** Calls whose deadline has passed before anybody answered them, in the order of their deadlines. */
export function expiredCalls(state: SubnetState): [CanisterState, Callback][] {
  const expired: [CanisterState, Callback][] = [];
  for (const key of totalsOf(state).unanswered.due(state.time)) {
    const [id, number] = key.split(" ") as [CanisterId, string];
    const canister = state.canisters.get(id);
    const callback = canister?.callbacks.get(Number(number));
    if (canister !== undefined && callback !== undefined) expired.push([canister, callback]);
  }
  return expired;
}

/** The first time at which a call expires; undefined: none is bounded. */
export function nextDeadline({ state }: { readonly state: SubnetState }): Time | undefined {
  return totalsOf(state).unanswered.earliest;
}

function keyOf(canister: CanisterId, callbackId: number): CallbackKey {
  return `${canister} ${String(callbackId).padStart(16, "0")}`;
}

/** The deadline itself is still in time. */
function expiryOf({ deadlineSeconds }: Callback): Time {
  return BigInt(deadlineSeconds) * SECOND_NS + 1n;
}

function openCallsOf(callbacks: CanisterState["callbacks"]): OpenCalls {
  let open = byCanister.get(callbacks);
  if (open === undefined) {
    open = { byReceiver: new Map(), guaranteed: 0 };
    for (const callback of callbacks.values()) countOpen(open, callback, 1);
    byCanister.set(callbacks, open);
  }
  return open;
}

function countOpen(open: OpenCalls, { receiver, deadlineSeconds }: Callback, change: 1 | -1): void {
  const left = (open.byReceiver.get(receiver) ?? 0) + change;
  if (left > 0) open.byReceiver.set(receiver, left);
  else open.byReceiver.delete(receiver);
  if (deadlineSeconds === 0) open.guaranteed += change;
}

function totalsOf({ canisters }: SubnetState): Totals {
  let totals = bySubnet.get(canisters);
  if (totals === undefined) {
    totals = { all: 0, unanswered: new TimerIndex() };
    for (const canister of canisters.values()) addAll(totals, canister);
    bySubnet.set(canisters, totals);
  }
  return totals;
}

function addAll(totals: Totals, { id, callbacks, input }: CanisterState): void {
  if (callbacks.size === 0) return;
  const answered = new Set<number>();
  for (const item of input) if (item.kind === "response") answered.add(item.response.callbackId);
  for (const callback of callbacks.values()) {
    totals.all++;
    if (callback.deadlineSeconds === 0 || answered.has(callback.id)) continue;
    totals.unanswered.set(keyOf(id, callback.id), expiryOf(callback));
  }
}
