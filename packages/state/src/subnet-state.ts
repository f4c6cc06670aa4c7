// The replicated state of one subnet: what every node of it holds, byte for byte. `processBatch` is the only
// thing that changes it. Beside the state proper there are indexes that can be rebuilt from it (which canisters
// have work, which changed this round); they exist so that a round costs what it touches.
import {
  type CanisterId,
  type Cycles,
  canisterIdFromIndex,
  type Height,
  isInRange,
  MAX_INSTRUCTIONS_PER_INSTALL,
  MAX_INSTRUCTIONS_PER_QUERY,
  MAX_INSTRUCTIONS_PER_ROUND,
  MAX_INSTRUCTIONS_PER_UPDATE,
  MAX_SYSTEM_INSTRUCTIONS,
  type NetworkTopology,
  type PrincipalId,
  type Request,
  STOP_CANISTER_TIMEOUT_NS,
  SUBNET_MEMORY_CAPACITY,
  type SubnetNode,
  type SubnetType,
  type Time,
} from "@atoll/types";
import type { CanisterState, ManagementCaller } from "./canister-state.ts";
import { settleCharges } from "./cycles-account.ts";
import { IngressHistory } from "./ingress-history.ts";
import type { ModuleStore } from "./module-store.ts";
import type { InitialDkgContext } from "./open-initial-dkgs.ts";
import { OpenOutcalls } from "./open-outcalls.ts";
import type { PageStore } from "./page-store.ts";
import { PagedMemory } from "./paged-memory.ts";
import { noInterventions, type StandingInterventions } from "./standing-interventions.ts";
import type { Stream } from "./stream.ts";
import { TimerIndex } from "./timer-index.ts";

export interface SubnetConfig {
  readonly subnetId: PrincipalId;
  readonly type: SubnetType;
  /** DER of the subnet's BLS key (133 bytes). */
  readonly publicKey: Uint8Array;
  /** At the beginning: batches tell of changes. */
  readonly nodes: readonly SubnetNode[];
  /** Inclusive. */
  readonly canisterRanges: readonly (readonly [CanisterId, CanisterId])[];
  /** Those of them from which ids are given out; canisters get the others by name. Default: all. */
  readonly allocationRanges?: readonly (readonly [CanisterId, CanisterId])[];
  /** Number of nodes that fees are computed for; 13 is the schedule of the public network. */
  readonly feeNodes: number;
  /** "free": nothing is charged; what it would have cost is counted all the same. Default: "normal". */
  readonly costSchedule?: "normal" | "free";
  /** What differs from the defaults of `resourcesOf`. */
  readonly resources?: Partial<SubnetResources>;
  /** True on development networks: anybody may create canisters and cycles by the provisional methods. */
  readonly provisional: boolean;
  /** Principals that may act on all canisters of the subnet and create some; undefined: the subnet has no admins. */
  readonly subnetAdmins?: readonly PrincipalId[];
  /** The network that the subnet begins in; undefined: it is alone, and the root. */
  readonly topology?: NetworkTopology;
}

/** What the canisters of a subnet share, and what sharing costs. Settings, so that tests can have little of it. */
export interface SubnetResources {
  /** Cycles for a GiB and second on 13 nodes. The public documentation says 127,000, the replica 317,500. */
  readonly gibPerSecond: Cycles;
  /** Bytes of execution memory, allocations included. */
  readonly memoryCapacity: number;
  /** Bytes in use above which growing means reserving cycles. */
  readonly memoryThreshold: number;
  /** Bytes for messages whose response must be delivered, and for those that may be dropped. */
  readonly guaranteedMessageMemory: number;
  readonly bestEffortMessageMemory: number;
  /** Bytes of memory that a canister may write per round in the long run. */
  readonly heapDeltaPerRound: number;
  /** Instructions that a canister may spend on installations per round in the long run. */
  readonly installInstructionsPerRound: number;
  readonly instructions: InstructionLimits;
}

/** The most that one execution of a kind, and one round, may take. */
export interface InstructionLimits {
  /** Updates, callbacks and tasks. */
  readonly update: number;
  readonly query: number;
  readonly install: number;
  readonly round: number;
}

const APPLICATION_INSTRUCTIONS: InstructionLimits = {
  update: MAX_INSTRUCTIONS_PER_UPDATE,
  query: MAX_INSTRUCTIONS_PER_QUERY,
  install: MAX_INSTRUCTIONS_PER_INSTALL,
  round: MAX_INSTRUCTIONS_PER_ROUND,
};

/** Bytes (allocated: at least what was promised), percent of compute, bytes of messages of the two kinds. */
export interface CanisterUsage {
  readonly bytes: number;
  readonly allocatedBytes: number;
  readonly computeAllocation: number;
  readonly guaranteedMessages: number;
  readonly bestEffortMessages: number;
}

export interface ResourceUsage {
  readonly total: { -readonly [Part in keyof CanisterUsage]: CanisterUsage[Part] };
  readonly canisters: Map<CanisterId, CanisterUsage>;
}

export const NO_USAGE: CanisterUsage = {
  bytes: 0,
  allocatedBytes: 0,
  computeAllocation: 0,
  guaranteedMessages: 0,
  bestEffortMessages: 0,
};

const GIB = 1024 ** 3;
/** No limit: more than any canister does in a lifetime. */
const PLENTY = 1e15;

export function resourcesOf(config: Pick<SubnetConfig, "type" | "resources" | "provisional">): SubnetResources {
  const isSystem = config.type === "system";
  // Who develops installs again and again: no rates are limited there, as by other local networks.
  const isUnlimited = isSystem || config.provisional;
  return {
    gibPerSecond: 127_000n,
    memoryCapacity: SUBNET_MEMORY_CAPACITY,
    memoryThreshold: isSystem ? SUBNET_MEMORY_CAPACITY : 750 * GIB,
    guaranteedMessageMemory: 15 * GIB,
    bestEffortMessageMemory: 5 * GIB,
    heapDeltaPerRound: isUnlimited ? PLENTY : 75 * 1024 * 1024,
    installInstructionsPerRound: isUnlimited ? PLENTY : 2_000_000_000,
    instructions: isSystem ? MAX_SYSTEM_INSTRUCTIONS : APPLICATION_INSTRUCTIONS,
    ...config.resources,
  };
}

/** A call to the management canister that waits for its turn: its canister is busy, or another installation runs. */
export interface WaitingManagementCall {
  readonly caller: ManagementCaller;
  readonly methodName: string;
  readonly arg: Uint8Array;
  /** The canister that the call is about. */
  readonly canister: CanisterId | undefined;
  /** Of a user's message: it may not begin after that. */
  readonly expiry: Time | undefined;
}

/** A call to the management canister that is answered in a later round. */
export interface PendingRandomness {
  readonly request: Request;
}

/** Blocks proposed and missed by each node since genesis, as it was at the last block of a day (UTC). */
export interface BlockmakerDay {
  time: Time;
  readonly nodes: Map<PrincipalId, { proposed: number; failed: number }>;
}

export interface SubnetState {
  readonly config: SubnetConfig;
  height: Height;
  time: Time;
  /** Of the last batch. */
  randomness: Uint8Array;
  /** Root hash of the state tree of the height before, as the last batch had it. */
  prevStateHash: Uint8Array | undefined;
  /** The nodes of the subnet, as of the last batch that said so. */
  nodes: readonly SubnetNode[];
  readonly canisters: Map<CanisterId, CanisterState>;
  nextCanisterIndex: bigint;
  /** Ids at or above `nextCanisterIndex` of canisters that are gone: no id is ever given out twice. */
  retiredIds: Set<CanisterId>;
  readonly modules: ModuleStore;
  readonly pages: PageStore;
  readonly ingressHistory: IngressHistory;
  /** The subnets of the network and who hosts what, as of the last batch that said so. */
  topology: NetworkTopology;
  /** By the other subnet. */
  readonly streams: Map<PrincipalId, Stream>;
  /** Figures for /subnet/<id>/metrics, since genesis. */
  metrics: { updateTransactions: number; consumedCycles: bigint; canisterStateBytes: number };
  /** Calls of raw_rand, answered from the next batch's randomness. */
  pendingRandomness: PendingRandomness[];
  /** Calls of setup_initial_dkg that wait for their keys, in the order in which they came. */
  initialDkgs: InitialDkgContext[];
  /** HTTPS outcalls that are not answered yet. */
  readonly outcalls: OpenOutcalls;
  /** When storage and compute were charged lately: as far back as there is a canister that has not paid. */
  charges: Time[];
  /** Who proposed the blocks, day by day: the last day is the one that goes on. */
  blockmakers: BlockmakerDay[];
  /** In the order in which they came. */
  managementQueue: WaitingManagementCall[];
  /** What the canister with work that was served least has had (`CanisterState.serviceReceived`). */
  serviceReceived: number;
  /** What tests have asked for; nothing on other networks. */
  interventions: StandingInterventions;

  // Indexes.
  /** Canisters with something in their input queue. */
  readonly withInput: Set<CanisterId>;
  /** Canisters with an execution that takes many rounds. */
  readonly withPending: Set<CanisterId>;
  /** Running canisters whose module exports canister_heartbeat. */
  readonly withHeartbeat: Set<CanisterId>;
  /** Running canisters with a global timer set. */
  readonly withTimer: TimerIndex<CanisterId>;
  /** Canisters in status stopping. */
  readonly stopping: Set<CanisterId>;
  /** Those of them that somebody waits for, with the time at which the first to ask has waited too long. */
  readonly stopTimeouts: TimerIndex<CanisterId>;
  /** What canisters use and have been promised, all together and one by one. */
  readonly usage: ResourceUsage;
  /** Canisters that may differ from what `usage` holds. */
  readonly unmeasured: Set<CanisterId>;
  /** When a canister that nothing happens to must pay at the latest: it may be frozen, or run out of cycles. */
  readonly paymentsDue: TimerIndex<CanisterId>;
  /** Canisters that wait for a debit of theirs to decay, or whose low-memory hook has to run. */
  readonly withDebit: Set<CanisterId>;
  readonly withLowMemoryHook: Set<CanisterId>;
  /** Canisters that may differ from what readers and the tree know. */
  readonly touched: Set<CanisterId>;
  /** Canisters that may differ from the last checkpoint. */
  readonly changedSinceCheckpoint: Set<CanisterId>;
  /** The same of streams. */
  readonly touchedStreams: Set<PrincipalId>;
  readonly streamsChangedSinceCheckpoint: Set<PrincipalId>;
}

export function newSubnetState(config: SubnetConfig, modules: ModuleStore, pages: PageStore): SubnetState {
  return {
    config,
    height: 0,
    time: 0n,
    randomness: new Uint8Array(32),
    prevStateHash: undefined,
    nodes: config.nodes,
    canisters: new Map(),
    nextCanisterIndex: 0n,
    retiredIds: new Set(),
    modules,
    pages,
    ingressHistory: new IngressHistory(),
    topology: config.topology ?? soleSubnet(config),
    streams: new Map(),
    metrics: { updateTransactions: 0, consumedCycles: 0n, canisterStateBytes: 0 },
    pendingRandomness: [],
    initialDkgs: [],
    outcalls: new OpenOutcalls(),
    charges: [],
    blockmakers: [],
    managementQueue: [],
    serviceReceived: 0,
    interventions: noInterventions(),
    withInput: new Set(),
    withPending: new Set(),
    withHeartbeat: new Set(),
    withTimer: new TimerIndex(),
    stopping: new Set(),
    stopTimeouts: new TimerIndex(),
    usage: { total: { ...NO_USAGE }, canisters: new Map() },
    unmeasured: new Set(),
    paymentsDue: new TimerIndex(),
    withDebit: new Set(),
    withLowMemoryHook: new Set(),
    touched: new Set(),
    changedSinceCheckpoint: new Set(),
    touchedStreams: new Set(),
    streamsChangedSinceCheckpoint: new Set(),
  };
}

/** A network of one subnet. */
function soleSubnet({ subnetId, type, publicKey, canisterRanges }: SubnetConfig): NetworkTopology {
  return { version: 0, rootSubnetId: subnetId, subnets: [{ subnetId, type, publicKey, canisterRanges }] };
}

/**
 * Every change to a canister goes with this call, or readers, the tree and the disk miss it. The first one of a round
 * comes before the balance is looked at: it pays what is owed for storage and compute.
 */
export function touch(state: SubnetState, canister: CanisterState): void {
  settleCharges(state, canister);
  indexCanister(state, canister);
}

/** For those who only look at a balance: makes it what it is now. */
export function payCharges(state: SubnetState, canister: CanisterState): void {
  const last = state.charges.at(-1);
  if (last !== undefined && canister.chargedAt < last) touch(state, canister);
}

/** Brings the indexes up to date with the canister. */
export function indexCanister(state: SubnetState, canister: CanisterState): void {
  state.touched.add(canister.id);
  state.unmeasured.add(canister.id);
  state.changedSinceCheckpoint.add(canister.id);
  setMember(state.withInput, canister.id, canister.input.length > 0);
  setMember(state.withPending, canister.id, canister.pendingExecution !== undefined);
  setMember(state.stopping, canister.id, canister.status.kind === "stopping");
  setMember(state.withDebit, canister.id, canister.heapDeltaDebit > 0 || canister.installCodeDebit > 0);
  setTime(state.stopTimeouts, canister.id, stopTimeout(canister));
  // Tasks of a canister that is not running would be due all the time and never run.
  const isRunning = canister.status.kind === "running";
  const runsHook = isRunning && canister.execution !== undefined && canister.lowMemoryHook === "ready";
  setMember(state.withLowMemoryHook, canister.id, runsHook);
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
  const { withInput, withTimer, withHeartbeat, stopping, stopTimeouts, paymentsDue, withDebit, withLowMemoryHook } =
    state;
  for (const index of [withInput, withTimer, withHeartbeat, stopping, stopTimeouts]) index.delete(id);
  for (const index of [paymentsDue, withDebit, withLowMemoryHook, state.withPending]) index.delete(id);
  state.canisters.delete(id);
  if (!isBelowCounter(state, id)) state.retiredIds.add(id);
  state.unmeasured.add(id);
  state.touched.add(id);
  state.changedSinceCheckpoint.add(id);
}

/** A fresh memory for a canister, of no pages. */
export function newMemory(state: SubnetState, canister: CanisterState): PagedMemory {
  return new PagedMemory(`${canister.id}.${canister.memoriesMade++}`, state.pages);
}

/** The next canister id that this subnet gives out, or undefined when its ranges are used up. */
export function nextCanisterId(state: SubnetState): CanisterId | undefined {
  for (const [first, last] of allocationRanges(state.config)) {
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
  return state.canisters.has(id) || state.retiredIds.has(id) || isBelowCounter(state, id);
}

/** Of the ids that are given out in turn, one that was. */
function isBelowCounter({ config, nextCanisterIndex }: SubnetState, id: CanisterId): boolean {
  return id < canisterIdFromIndex(nextCanisterIndex) && allocationRanges(config).some((range) => isInRange(range, id));
}

function allocationRanges({ allocationRanges, canisterRanges }: SubnetConfig) {
  return allocationRanges ?? canisterRanges;
}

export function isInRanges(config: SubnetConfig, id: CanisterId): boolean {
  return config.canisterRanges.some((range) => isInRange(range, id));
}

function setMember(set: Set<CanisterId>, id: CanisterId, member: boolean): void {
  if (member) set.add(id);
  else set.delete(id);
}

function setTime(index: TimerIndex<CanisterId>, id: CanisterId, time: Time | undefined): void {
  if (time === undefined) index.delete(id);
  else index.set(id, time);
}
