// The replicated state of one subnet: what every node of it holds, byte for byte. `processBatch` is the only
// thing that changes it. Beside the state proper there are indexes that can be rebuilt from it (which canisters
// have work, which changed this round); they exist so that a round costs what it touches.
import {
  type CanisterId,
  canisterIdFromIndex,
  type Height,
  type PrincipalId,
  type Request,
  STOP_CANISTER_TIMEOUT_NS,
  type Time,
} from "@atoll/types";
import type { CanisterState } from "./canister-state.ts";
import { IngressHistory } from "./ingress-history.ts";
import type { ModuleStore } from "./module-store.ts";
import type { PageStore } from "./page-store.ts";
import { PagedMemory } from "./paged-memory.ts";
import { TimerIndex } from "./timer-index.ts";

export interface SubnetConfig {
  readonly subnetId: PrincipalId;
  readonly type: "application" | "system" | "verified_application";
  /** DER of the subnet's BLS key (133 bytes). */
  readonly publicKey: Uint8Array;
  readonly nodes: readonly { readonly nodeId: PrincipalId; readonly publicKey: Uint8Array }[];
  /** Inclusive. */
  readonly canisterRanges: readonly (readonly [CanisterId, CanisterId])[];
  /** Number of nodes that fees are computed for; 13 is the schedule of the public network. */
  readonly feeNodes: number;
  /** True on development networks: anybody may create canisters and cycles by the provisional methods. */
  readonly provisional: boolean;
}

/** A call to the management canister that is answered in a later round. */
export interface PendingRandomness {
  readonly request: Request;
}

export interface SubnetState {
  readonly config: SubnetConfig;
  height: Height;
  time: Time;
  /** Of the last batch. */
  randomness: Uint8Array;
  readonly canisters: Map<CanisterId, CanisterState>;
  nextCanisterIndex: bigint;
  /** Ids at or above `nextCanisterIndex` of canisters that are gone: no id is ever given out twice. */
  retiredIds: Set<CanisterId>;
  readonly modules: ModuleStore;
  readonly pages: PageStore;
  readonly ingressHistory: IngressHistory;
  /** Figures for /subnet/<id>/metrics, since genesis. */
  metrics: { updateTransactions: number; consumedCycles: bigint; canisterStateBytes: number };
  /** Calls of raw_rand, answered from the next batch's randomness. */
  pendingRandomness: PendingRandomness[];

  // Indexes.
  /** Canisters with something in their input queue. */
  readonly withInput: Set<CanisterId>;
  /** Running canisters whose module exports canister_heartbeat. */
  readonly withHeartbeat: Set<CanisterId>;
  /** Running canisters with a global timer set. */
  readonly withTimer: TimerIndex<CanisterId>;
  /** Canisters in status stopping. */
  readonly stopping: Set<CanisterId>;
  /** Those of them that somebody waits for, with the time at which the first to ask has waited too long. */
  readonly stopTimeouts: TimerIndex<CanisterId>;
  /** Canisters that may differ from what readers and the tree know. */
  readonly touched: Set<CanisterId>;
  /** Canisters that may differ from the last checkpoint. */
  readonly changedSinceCheckpoint: Set<CanisterId>;
}

export function newSubnetState(config: SubnetConfig, modules: ModuleStore, pages: PageStore): SubnetState {
  return {
    config,
    height: 0,
    time: 0n,
    randomness: new Uint8Array(32),
    canisters: new Map(),
    nextCanisterIndex: 0n,
    retiredIds: new Set(),
    modules,
    pages,
    ingressHistory: new IngressHistory(),
    metrics: { updateTransactions: 0, consumedCycles: 0n, canisterStateBytes: 0 },
    pendingRandomness: [],
    withInput: new Set(),
    withHeartbeat: new Set(),
    withTimer: new TimerIndex(),
    stopping: new Set(),
    stopTimeouts: new TimerIndex(),
    touched: new Set(),
    changedSinceCheckpoint: new Set(),
  };
}

/** Every change to a canister goes with this call, or readers, the tree and the disk miss it. */
export function touch(state: SubnetState, canister: CanisterState): void {
  state.touched.add(canister.id);
  state.changedSinceCheckpoint.add(canister.id);
  setMember(state.withInput, canister.id, canister.input.length > 0);
  setMember(state.stopping, canister.id, canister.status.kind === "stopping");
  setTime(state.stopTimeouts, canister.id, stopTimeout(canister));
  // Tasks of a canister that is not running would be due all the time and never run.
  const isRunning = canister.status.kind === "running";
  setTime(state.withTimer, canister.id, isRunning && canister.globalTimer !== 0n ? canister.globalTimer : undefined);
  const module = canister.execution && state.modules.info(canister.execution.moduleHash);
  setMember(state.withHeartbeat, canister.id, isRunning && module?.hasHeartbeat === true);
}

/** When the first who asked for the canister to stop has waited too long. */
function stopTimeout({ status }: CanisterState): Time | undefined {
  const first = status.kind === "stopping" ? status.waiters[0] : undefined;
  return first && first.since + STOP_CANISTER_TIMEOUT_NS;
}

export function forgetCanister(state: SubnetState, id: CanisterId): void {
  const { withInput, withTimer, withHeartbeat, stopping, stopTimeouts } = state;
  for (const index of [withInput, withTimer, withHeartbeat, stopping, stopTimeouts]) index.delete(id);
  state.canisters.delete(id);
  if (!isBelowCounter(state, id)) state.retiredIds.add(id);
  state.touched.add(id);
  state.changedSinceCheckpoint.add(id);
}

/** A fresh memory for a canister, of no pages. */
export function newMemory(state: SubnetState, canister: CanisterState): PagedMemory {
  return new PagedMemory(`${canister.id}.${canister.memoriesMade++}`, state.pages);
}

/** The next canister id that this subnet gives out, or undefined when its ranges are used up. */
export function nextCanisterId(state: SubnetState): CanisterId | undefined {
  for (const [first, last] of state.config.canisterRanges) {
    for (;;) {
      const id = canisterIdFromIndex(state.nextCanisterIndex);
      if (id < first) state.nextCanisterIndex = BigInt(`0x${first.slice(0, 16)}`);
      else if (id > last) break;
      else if (state.canisters.has(id) || state.retiredIds.delete(id)) state.nextCanisterIndex++;
      else return id;
    }
  }
  return undefined;
}

/** True if there is a canister of that id, or ever was. */
export function isTakenId(state: SubnetState, id: CanisterId): boolean {
  return (
    state.canisters.has(id) || state.retiredIds.has(id) || (isInRanges(state.config, id) && isBelowCounter(state, id))
  );
}

function isBelowCounter(state: SubnetState, id: CanisterId): boolean {
  return id < canisterIdFromIndex(state.nextCanisterIndex);
}

export function isInRanges(config: SubnetConfig, id: CanisterId): boolean {
  return config.canisterRanges.some(([first, last]) => first.length === id.length && first <= id && id <= last);
}

function setMember(set: Set<CanisterId>, id: CanisterId, member: boolean): void {
  if (member) set.add(id);
  else set.delete(id);
}

function setTime(index: TimerIndex<CanisterId>, id: CanisterId, time: Time | undefined): void {
  if (time === undefined) index.delete(id);
  else index.set(id, time);
}
