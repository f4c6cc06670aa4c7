// What the canisters of a subnet use together: memory, compute, messages. The totals are kept beside the state and
// brought up to date by the canisters that changed, so that no check has to look at all of them. The same look at a
// changed canister tells what it costs from now on, and when it will be frozen or out of cycles if nothing happens.
// Checklist 3.4, 3.5, 5.2.
import {
  type CanisterState,
  type CanisterUsage,
  NO_USAGE,
  outgoingMemory,
  RESPONSE_RESERVATION,
  resourcesOf,
  type SubnetState,
} from "@atoll/state";
import { type Cycles, MAX_INGRESS_BYTES_SYSTEM, type Time } from "@atoll/types";
import type { FeeSchedule } from "./fees.ts";
import { messageMemory } from "./message-memory.ts";
import { memoryMetrics, type Round } from "./round.ts";

const NS_PER_DAY = 86_400_000_000_000n;
const SECONDS_PER_DAY = 86_400n;
/** Charges are kept for so long: a canister that nothing happens to pays at least this often. */
export const CHARGES_KEPT_NS = 3_600_000_000_000n;

/** Brings totals, running costs and payments due up to date. Costs what was touched since the last call. */
export function measureUsage(round: Pick<Round, "state" | "fees">): void {
  const { state } = round;
  for (const id of state.unmeasured) {
    const canister = state.canisters.get(id);
    const next = canister === undefined ? undefined : usageOf(state, canister);
    replaceUsage(state, id, next);
    if (canister === undefined || next === undefined) continue;
    const messages = next.guaranteedMessages + next.bestEffortMessages;
    canister.idleBurn = round.fees.nominal.idleBurn(next.bytes, canister.settings, messages);
    const due = paymentDue(round.fees, canister, next.bytes, messages);
    if (due === undefined) state.paymentsDue.delete(id);
    else state.paymentsDue.set(id, due);
  }
  state.unmeasured.clear();
}

function usageOf(state: SubnetState, canister: CanisterState): CanisterUsage {
  const { total } = memoryMetrics(state, canister);
  const messages = messageMemory(canister);
  return {
    bytes: total,
    allocatedBytes: Math.max(total, Number(canister.settings.memoryAllocation)),
    computeAllocation: canister.settings.computeAllocation,
    guaranteedMessages: messages.guaranteed,
    bestEffortMessages: messages.bestEffort,
  };
}

function replaceUsage({ usage, metrics }: SubnetState, id: CanisterState["id"], next: CanisterUsage | undefined): void {
  const previous = usage.canisters.get(id) ?? NO_USAGE;
  const now = next ?? NO_USAGE;
  for (const part of Object.keys(NO_USAGE) as (keyof CanisterUsage)[]) usage.total[part] += now[part] - previous[part];
  if (next === undefined) usage.canisters.delete(id);
  else usage.canisters.set(id, next);
  metrics.canisterStateBytes = usage.total.bytes;
}

/** When the canister must pay at the latest if nothing happens to it. */
function paymentDue(fees: FeeSchedule, canister: CanisterState, bytes: number, messages: number): Time | undefined {
  const perDay = fees.nominal.idleBurnPerDay(bytes, canister.settings, messages);
  if (perDay === 0n) return undefined;
  const latest = canister.chargedAt + CHARGES_KEPT_NS / 2n + spread(canister);
  const real = fees.idleBurnPerDay(bytes, canister.settings, messages);
  if (real === 0n) return latest;
  const funds = canister.cycles + canister.reservedCycles;
  const lasts = (amount: Cycles): Time => canister.chargedAt + (amount * NS_PER_DAY) / real;
  const unfrozen =
    (real * canister.settings.freezingThreshold) / SECONDS_PER_DAY + fees.ingress(MAX_INGRESS_BYTES_SYSTEM);
  const times = [latest, lasts(funds), ...(funds > unfrozen ? [lasts(funds - unfrozen)] : [])];
  return times.reduce((first, time) => (time < first ? time : first));
}

/** Different for each canister, so that those that were made together do not all pay in one round. */
function spread({ id }: CanisterState): Time {
  let hash = 0;
  for (const character of id) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return (CHARGES_KEPT_NS / 2n / 4096n) * BigInt(hash % 4096);
}

/** Bytes of execution memory that nobody uses and nobody was promised. */
export function availableMemory(round: Pick<Round, "state" | "fees">): number {
  measureUsage(round);
  return Math.max(0, resourcesOf(round.state.config).memoryCapacity - round.state.usage.total.allocatedBytes);
}

/** Calls for whose response there is room; system subnets have room for all. */
export function guaranteedCallsLeft(round: Pick<Round, "state" | "fees">): number {
  if (round.state.config.type === "system") return Number.POSITIVE_INFINITY;
  return Math.floor(guaranteedMemoryLeft(round) / RESPONSE_RESERVATION);
}

/** Bytes for messages whose response must be delivered that nothing has taken or reserved. */
export function guaranteedMemoryLeft(round: Pick<Round, "state" | "fees">): number {
  measureUsage(round);
  const { state } = round;
  const used = state.usage.total.guaranteedMessages + outgoingMemory(state).guaranteed;
  return resourcesOf(state.config).guaranteedMessageMemory - used;
}

/** Cycles to be reserved for `bytes` more memory, after `taken` others that the totals do not hold yet. */
export function storageReservation(round: Pick<Round, "state" | "fees">, bytes: number, taken = 0): Cycles {
  const { config, usage } = round.state;
  const { memoryCapacity, memoryThreshold } = resourcesOf(config);
  measureUsage(round);
  return round.fees.storageReservation(usage.total.allocatedBytes + taken, bytes, memoryThreshold, memoryCapacity);
}
