// The state that queries run against: the subnet as of the last certified round, on the reading side. It may live
// on another thread than the state itself; it is told after each round what changed (`StateDelta`) and shares the
// memory pages, which are never overwritten while a reader may look at them.

import type { StablePages } from "@atoll/embedder";
import {
  allocationCost,
  type CanisterSettings,
  type CanisterState,
  type ConsumedCycles,
  copyRange,
  type GlobalValue,
  type IdleBurn,
  type LogRecord,
  type MemoryDelta,
  type PageReader,
  PageTable,
  type QueryStats,
  readSlot,
  type StoredModule,
  type SubnetConfig,
  type SubnetState,
  takeReservedFirst,
} from "@atoll/state";
import type { CanisterId, Cycles, Height, Time } from "@atoll/types";
import type { FeeSchedule } from "../fees.ts";
import { isReadyForMigration } from "../management/canister-status.ts";
import { messageMemory } from "../message-memory.ts";
import { type MemoryMetrics, memoryMetrics } from "../round.ts";

/** What queries need to know of a canister. */
export interface CanisterView {
  readonly id: CanisterId;
  readonly settings: CanisterSettings;
  readonly status: CanisterState["status"]["kind"];
  readonly cycles: Cycles;
  readonly reservedCycles: Cycles;
  readonly version: number;
  readonly globalTimer: Time;
  readonly memory: MemoryMetrics;
  readonly readyForMigration: boolean;
  readonly queryStats: QueryStats;
  readonly consumed: ConsumedCycles;
  readonly messageBytes: number;
  readonly chargedAt: Time;
  readonly idleBurn: IdleBurn;
  readonly moduleHash: string | undefined;
  readonly globals: readonly GlobalValue[];
}

export interface CanisterDelta {
  readonly id: CanisterId;
  /** undefined: the canister is gone. */
  readonly view: CanisterView | undefined;
  readonly heap: MemoryDelta | undefined;
  readonly stable: MemoryDelta | undefined;
  readonly logs: LogDelta;
}

/** Records that this round added, and the first index that is still kept: what was printed long ago is not told again. */
export interface LogDelta {
  readonly firstIndex: bigint;
  readonly added: readonly LogRecord[];
}

/** What one round changed, for readers. Plain data. */
export interface StateDelta {
  readonly height: Height;
  readonly time: Time;
  readonly canisters: readonly CanisterDelta[];
  /** When storage and compute were charged lately. */
  readonly charges: readonly Time[];
  readonly newModules: readonly StoredModule[];
  readonly goneModules: readonly string[];
}

export class MemoryView implements StablePages {
  wasmPages = 0;
  #table = new PageTable();
  readonly #reader: PageReader;

  constructor(reader: PageReader) {
    this.#reader = reader;
  }

  /** The same memory for a reader of the same slots. */
  fork(reader: PageReader): MemoryView {
    const copy = new MemoryView(reader);
    copy.wasmPages = this.wasmPages;
    copy.#table = this.#table.fork();
    return copy;
  }

  read(page: number): Uint8Array | undefined {
    return readSlot(this.#reader, this.#table.get(page));
  }

  copyTo(target: Uint8Array, at: number, offset: number, size: number): void {
    copyRange(this.#reader, this.#table, target, at, offset, size);
  }

  *pages(): Generator<[number, Uint8Array]> {
    for (const [page, slot] of this.#table.entries()) yield [page, readSlot(this.#reader, slot) as Uint8Array];
  }

  apply(delta: MemoryDelta): void {
    if (delta.replaced) this.#table = new PageTable();
    this.wasmPages = delta.wasmPages;
    for (let i = 0; i < delta.changes.length; i += 2) {
      this.#table.set(delta.changes[i] as number, delta.changes[i + 1] as number);
    }
  }
}

export interface QueryCanister {
  view: CanisterView;
  logs: readonly LogRecord[];
  readonly heap: MemoryView;
  readonly stable: MemoryView;
}

function memoryBytesOf({ view }: QueryCanister): number {
  return view.memory.total;
}

/** Bytes beside heap and stable memory. */
export function otherMemoryBytesOf({ memory }: CanisterView): number {
  return memory.total - memory.wasmMemory - memory.stableMemory;
}

export interface QueryState {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  height: Height;
  time: Time;
  charges: readonly Time[];
  readonly canisters: Map<CanisterId, QueryCanister>;
  readonly modules: Map<string, StoredModule>;
  readonly reader: PageReader;
}

export function newQueryState(config: SubnetConfig, rootKey: Uint8Array, reader: PageReader): QueryState {
  return { config, rootKey, height: 0, time: 0n, charges: [], canisters: new Map(), modules: new Map(), reader };
}

/** The same state for a fork; `reader` has the same slots. Views and records are never changed in place. */
export function forkQueryState(state: QueryState, reader: PageReader): QueryState {
  const forkOf = ({ view, logs, heap, stable }: QueryCanister): QueryCanister => {
    return { view, logs, heap: heap.fork(reader), stable: stable.fork(reader) };
  };
  const canisters = new Map([...state.canisters].map(([id, canister]) => [id, forkOf(canister)]));
  return { ...state, canisters, modules: new Map(state.modules), reader };
}

/** The canister as it is now: what it owes for storage and compute since it was last touched has been paid. */
export function queryCanister(state: QueryState, id: CanisterId): QueryCanister | undefined {
  const canister = state.canisters.get(id);
  const last = state.charges.at(-1);
  if (canister === undefined || last === undefined || canister.view.chargedAt >= last) return canister;
  const { view } = canister;
  const { storage, compute } = allocationCost(state.charges, view.chargedAt, view.idleBurn);
  const balance = { cycles: view.cycles, reservedCycles: view.reservedCycles };
  const cost = state.config.costSchedule === "free" ? 0n : storage + compute;
  // It owes this until the end of an execution of many rounds.
  if (cost > balance.cycles + balance.reservedCycles) return canister;
  takeReservedFirst(balance, cost);
  const { memory, computeAllocation } = view.consumed;
  const consumed = { ...view.consumed, memory: memory + storage, computeAllocation: computeAllocation + compute };
  canister.view = { ...view, ...balance, consumed, chargedAt: last };
  return canister;
}

/** Balance below which the canister is frozen. */
export function queryFreezingThreshold(fees: FeeSchedule, canister: QueryCanister): Cycles {
  return fees.freezingThreshold(canister.view, memoryBytesOf(canister), canister.view.messageBytes);
}

/** Brings the state to the height of `delta`. */
export function applyStateDelta(state: QueryState, delta: StateDelta): void {
  state.height = delta.height;
  state.time = delta.time;
  state.charges = delta.charges;
  for (const module of delta.newModules) state.modules.set(module.hash, module);
  for (const change of delta.canisters) {
    if (change.view === undefined) {
      state.canisters.delete(change.id);
      continue;
    }
    let canister = state.canisters.get(change.id);
    const hasLostItsCode = change.view.moduleHash === undefined && canister?.view.moduleHash !== undefined;
    if (canister === undefined || hasLostItsCode) {
      const { logs } = canister ?? { logs: [] };
      canister = { view: change.view, logs, heap: new MemoryView(state.reader), stable: new MemoryView(state.reader) };
      state.canisters.set(change.id, canister);
    }
    canister.view = change.view;
    applyLogDelta(canister, change.logs);
    if (change.heap !== undefined) canister.heap.apply(change.heap);
    if (change.stable !== undefined) canister.stable.apply(change.stable);
  }
  for (const hash of delta.goneModules) state.modules.delete(hash);
}

function applyLogDelta(canister: QueryCanister, { firstIndex, added }: LogDelta): void {
  const isKept = canister.logs[0] === undefined || canister.logs[0].index >= firstIndex;
  if (isKept && added.length === 0) return;
  const kept = isKept ? canister.logs : canister.logs.filter(({ index }) => index >= firstIndex);
  canister.logs = added.length === 0 ? kept : [...kept, ...added];
}

const NO_BYTES = new Uint8Array();

/**
 * Ends a round for the readers: everything that was touched since the last call. `whole`: for readers that know nothing
 * yet.
 */
export function takeStateDelta(
  state: SubnetState,
  changedModules: readonly string[],
  { whole }: { readonly whole: boolean },
): StateDelta {
  const canisters: CanisterDelta[] = [];
  for (const id of state.touched) {
    const canister = state.canisters.get(id);
    const execution = canister?.execution;
    canisters.push({
      id,
      view: canister && viewOf(canister, memoryMetrics(state, canister)),
      heap: execution?.heap.takeDelta(),
      stable: execution?.stable.takeDelta(),
      logs: canister === undefined ? NO_LOGS : logDelta(canister.logs, whole ? undefined : state.time),
    });
  }
  const present = changedModules.map((hash) => [hash, state.modules.get(hash)] as const);
  return {
    height: state.height,
    time: state.time,
    canisters,
    charges: [...state.charges],
    // Nobody reads the uploaded bytes on the query side; they are as large as everything else together.
    newModules: present.flatMap(([, module]) => (module === undefined ? [] : [{ ...module, uploaded: NO_BYTES }])),
    goneModules: present.flatMap(([hash, module]) => (module === undefined ? [hash] : [])),
  };
}

const NO_LOGS: LogDelta = { firstIndex: 0n, added: [] };

/** Records of `time`, which is that of one round alone; all of them when no time is given. */
function logDelta({ nextIndex, records }: CanisterState["logs"], time: Time | undefined): LogDelta {
  let first = time === undefined ? 0 : records.length;
  while (first > 0 && records[first - 1]?.time === time) first--;
  return { firstIndex: records[0]?.index ?? nextIndex, added: first === records.length ? [] : records.slice(first) };
}

function viewOf(canister: CanisterState, memory: MemoryMetrics): CanisterView {
  const { guaranteed, bestEffort } = messageMemory(canister);
  return {
    id: canister.id,
    settings: canister.settings,
    status: canister.status.kind,
    cycles: canister.cycles,
    reservedCycles: canister.reservedCycles,
    version: canister.version,
    globalTimer: canister.globalTimer,
    memory,
    messageBytes: guaranteed + bestEffort,
    chargedAt: canister.chargedAt,
    idleBurn: canister.idleBurn,
    readyForMigration: isReadyForMigration(canister),
    queryStats: canister.queryStats,
    // A copy: the state goes on counting.
    consumed: { ...canister.consumed },
    moduleHash: canister.execution?.moduleHash,
    globals: canister.execution?.globals ?? [],
  };
}
