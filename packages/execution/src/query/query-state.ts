// The state that queries run against: the subnet as of the last certified round, on the reading side. It may live
// on another thread than the state itself; it is told after each round what changed (`StateDelta`) and shares the
// memory pages, which are never overwritten while a reader may look at them.

import type { MemoryPages } from "@atoll/embedder";
import {
  type CanisterSettings,
  type CanisterState,
  type GlobalValue,
  type MemoryDelta,
  type PageReader,
  PageTable,
  readSlot,
  type StoredModule,
  type SubnetConfig,
  type SubnetState,
} from "@atoll/state";
import { type CanisterId, type Cycles, type Height, type Time, WASM_PAGE_BYTES } from "@atoll/types";

/** What queries need to know of a canister. */
export interface CanisterView {
  readonly id: CanisterId;
  readonly settings: CanisterSettings;
  readonly status: CanisterState["status"]["kind"];
  readonly cycles: Cycles;
  readonly reservedCycles: Cycles;
  readonly version: number;
  readonly globalTimer: Time;
  readonly otherMemoryBytes: number;
  readonly moduleHash: string | undefined;
  readonly globals: readonly GlobalValue[];
}

export interface CanisterDelta {
  readonly id: CanisterId;
  /** undefined: the canister is gone. */
  readonly view: CanisterView | undefined;
  readonly heap: MemoryDelta | undefined;
  readonly stable: MemoryDelta | undefined;
}

/** What one round changed, for readers. Plain data. */
export interface StateDelta {
  readonly height: Height;
  readonly time: Time;
  readonly canisters: readonly CanisterDelta[];
  readonly newModules: readonly StoredModule[];
  readonly goneModules: readonly string[];
}

export class MemoryView implements MemoryPages {
  wasmPages = 0;
  #table = new PageTable();
  readonly #reader: PageReader;

  constructor(reader: PageReader) {
    this.#reader = reader;
  }

  read(page: number): Uint8Array | undefined {
    return readSlot(this.#reader, this.#table.get(page));
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
  readonly heap: MemoryView;
  readonly stable: MemoryView;
}

export function memoryBytesOf({ heap, stable, view }: QueryCanister): number {
  return (heap.wasmPages + stable.wasmPages) * WASM_PAGE_BYTES + view.otherMemoryBytes;
}

export interface QueryState {
  readonly config: SubnetConfig;
  readonly rootKey: Uint8Array;
  height: Height;
  time: Time;
  readonly canisters: Map<CanisterId, QueryCanister>;
  readonly modules: Map<string, StoredModule>;
  readonly reader: PageReader;
}

export function newQueryState(config: SubnetConfig, rootKey: Uint8Array, reader: PageReader): QueryState {
  return { config, rootKey, height: 0, time: 0n, canisters: new Map(), modules: new Map(), reader };
}

/** Brings the state to the height of `delta`. */
export function applyStateDelta(state: QueryState, delta: StateDelta): void {
  state.height = delta.height;
  state.time = delta.time;
  for (const module of delta.newModules) state.modules.set(module.hash, module);
  for (const change of delta.canisters) {
    if (change.view === undefined) {
      state.canisters.delete(change.id);
      continue;
    }
    let canister = state.canisters.get(change.id);
    const hasLostItsCode = change.view.moduleHash === undefined && canister?.view.moduleHash !== undefined;
    if (canister === undefined || hasLostItsCode) {
      canister = { view: change.view, heap: new MemoryView(state.reader), stable: new MemoryView(state.reader) };
      state.canisters.set(change.id, canister);
    }
    canister.view = change.view;
    if (change.heap !== undefined) canister.heap.apply(change.heap);
    if (change.stable !== undefined) canister.stable.apply(change.stable);
  }
  for (const hash of delta.goneModules) state.modules.delete(hash);
}

const NO_BYTES = new Uint8Array();

/** Ends a round for the readers: everything that was touched since the last call. */
export function takeStateDelta(
  state: SubnetState,
  otherMemoryBytes: (canister: CanisterState) => number,
  changedModules: readonly string[],
): StateDelta {
  const canisters: CanisterDelta[] = [];
  for (const id of state.touched) {
    const canister = state.canisters.get(id);
    const execution = canister?.execution;
    canisters.push({
      id,
      view: canister && viewOf(canister, otherMemoryBytes(canister)),
      heap: execution?.heap.takeDelta(),
      stable: execution?.stable.takeDelta(),
    });
  }
  const present = changedModules.map((hash) => [hash, state.modules.get(hash)] as const);
  return {
    height: state.height,
    time: state.time,
    canisters,
    // Nobody reads the uploaded bytes on the query side; they are as large as everything else together.
    newModules: present.flatMap(([, module]) => (module === undefined ? [] : [{ ...module, uploaded: NO_BYTES }])),
    goneModules: present.flatMap(([hash, module]) => (module === undefined ? [hash] : [])),
  };
}

function viewOf(canister: CanisterState, otherMemoryBytes: number): CanisterView {
  return {
    id: canister.id,
    settings: canister.settings,
    status: canister.status.kind,
    cycles: canister.cycles,
    reservedCycles: canister.reservedCycles,
    version: canister.version,
    globalTimer: canister.globalTimer,
    otherMemoryBytes,
    moduleHash: canister.execution?.moduleHash,
    globals: canister.execution?.globals ?? [],
  };
}
