// A second state that is equal to a first one, byte for byte, and independent of it from then on: what a test kit
// prepares once and hands to each test. Memories share their pages until one side writes; what is never changed in place
// is shared for good; everything else is copied, so the cost follows the number of canisters and messages, not bytes.
// This is also the one list of all parts of a state: who adds one says here how it is saved and how it is copied.
import { InvariantViolation } from "@atoll/types";
import type { CanisterSnapshot } from "./canister-snapshot.ts";
import type { CanisterState, ExecutionState } from "./canister-state.ts";
import type { PageStore } from "./page-store.ts";
import { TableCopies } from "./page-table.ts";
import type { PagedMemory } from "./paged-memory.ts";
import type { Stream } from "./stream.ts";
import type { SubnetState } from "./subnet-state.ts";

interface Fork {
  readonly pages: PageStore;
  readonly tables: TableCopies;
  /** Memories that the state has more than once. */
  readonly memories: Map<PagedMemory, PagedMemory>;
}

type Copy<T> = (value: T, fork: Fork) => T;
type Copies<State> = { readonly [Part in keyof State]-?: Copy<State[Part]> };

/**
 * Where a checkpoint has a part: in its meta record under the same name, in records of its own, or nowhere, because it
 * is found out again from the others or given by whoever opens the state.
 */
type Saved = "meta" | "records" | "rebuilt" | "given";

/** Never changed in place: both sides have the same object. */
const same = <T>(value: T): T => value;
const copiedSet = <T>(set: Set<T>): Set<T> => new Set(set);
const copiedList = <T>(list: T[]): T[] => [...list];
const copiedMap = <K, V>(map: Map<K, V>): Map<K, V> => new Map(map);
const forked = <T extends { fork(): T }>(part: T): T => part.fork();

export const STATE_PARTS: {
  readonly [Part in keyof SubnetState]-?: { readonly saved: Saved; readonly copy: Copy<SubnetState[Part]> };
} = {
  config: { saved: "given", copy: same },
  height: { saved: "records", copy: same },
  time: { saved: "meta", copy: same },
  randomness: { saved: "meta", copy: same },
  prevStateHash: { saved: "meta", copy: same },
  nodes: { saved: "meta", copy: same },
  canisters: { saved: "records", copy: copyCanisters },
  nextCanisterIndex: { saved: "meta", copy: same },
  retiredIds: { saved: "meta", copy: copiedSet },
  modules: { saved: "records", copy: forked },
  pages: { saved: "given", copy: (_, fork) => fork.pages },
  ingressHistory: { saved: "records", copy: forked },
  metrics: { saved: "meta", copy: copyPlain },
  pendingRandomness: { saved: "meta", copy: copiedList },
  initialDkgs: { saved: "meta", copy: copiedList },
  outcalls: { saved: "records", copy: forked },
  topology: { saved: "meta", copy: same },
  streams: { saved: "records", copy: copyStreams },
  charges: { saved: "meta", copy: copiedList },
  blockmakers: { saved: "meta", copy: copyPlain },
  managementQueue: { saved: "meta", copy: copiedList },
  serviceReceived: { saved: "meta", copy: same },
  interventions: { saved: "meta", copy: copyPlain },
  withInput: { saved: "rebuilt", copy: copiedSet },
  withPending: { saved: "rebuilt", copy: copiedSet },
  withHeartbeat: { saved: "rebuilt", copy: copiedSet },
  withTimer: { saved: "rebuilt", copy: forked },
  stopping: { saved: "rebuilt", copy: copiedSet },
  stopTimeouts: { saved: "rebuilt", copy: forked },
  usage: { saved: "rebuilt", copy: ({ total, canisters }) => ({ total: { ...total }, canisters: new Map(canisters) }) },
  unmeasured: { saved: "rebuilt", copy: copiedSet },
  paymentsDue: { saved: "rebuilt", copy: forked },
  withDebit: { saved: "rebuilt", copy: copiedSet },
  withLowMemoryHook: { saved: "rebuilt", copy: copiedSet },
  touched: { saved: "rebuilt", copy: copiedSet },
  touchedStreams: { saved: "rebuilt", copy: copiedSet },
  changedSinceCheckpoint: { saved: "rebuilt", copy: copiedSet },
  streamsChangedSinceCheckpoint: { saved: "rebuilt", copy: copiedSet },
};

const CANISTER_PARTS: Copies<CanisterState> = {
  id: same,
  settings: same,
  status: same,
  cycles: same,
  reservedCycles: same,
  version: same,
  certifiedData: same,
  globalTimer: same,
  createdAt: same,
  installedAt: same,
  execution: (execution, fork) => execution && copyExecution(execution, fork),
  memoriesMade: same,
  chunkStore: copiedMap,
  snapshots: copySnapshots,
  snapshotsMade: same,
  history: ({ total, entries }) => ({ total, entries: [...entries] }),
  logs: ({ nextIndex, records }) => ({ nextIndex, records: [...records] }),
  queryStats: same,
  input: forked,
  pendingExecution: same,
  inductionDebt: same,
  callContexts: (contexts) => new Map([...contexts].map(([id, context]) => [id, { ...context }])),
  nextCallContextId: same,
  callbacks: copiedMap,
  nextCallbackId: same,
  nextTurn: same,
  lowMemoryHook: same,
  consumed: copyPlain,
  chargedAt: same,
  idleBurn: same,
  heapDeltaDebit: same,
  installCodeDebit: same,
  serviceReceived: same,
};

/** Between two rounds. `pages` is a fork of the state's page store. */
export function forkState(state: SubnetState, pages: PageStore): SubnetState {
  const copies = Object.fromEntries(Object.entries(STATE_PARTS).map(([part, { copy }]) => [part, copy]));
  const fork: Fork = { pages, tables: new TableCopies(), memories: new Map() };
  return copyParts(copies as unknown as Copies<SubnetState>, state, fork);
}

function copyParts<State extends object>(copies: Copies<State>, state: State, fork: Fork): State {
  // As a copy of the whole it has the shape that the engine knows: the code that runs on it stays fast.
  const copy: State = { ...state };
  // By the parts that are there: one that no list knows is not left out in silence.
  for (const part of Object.keys(state) as (keyof State)[]) {
    const copyOf = copies[part] as Copies<State>[keyof State] | undefined;
    if (copyOf === undefined) throw new InvariantViolation(`nobody says how the part ${String(part)} is copied`);
    copy[part] = copyOf(state[part], fork);
  }
  return copy;
}

function copyCanisters(canisters: SubnetState["canisters"], fork: Fork): SubnetState["canisters"] {
  return new Map([...canisters].map(([id, canister]) => [id, copyParts(CANISTER_PARTS, canister, fork)]));
}

const STREAM_PARTS: Copies<Stream> = {
  begin: same,
  messages: forked,
  bytes: same,
  refunds: same,
  signalsEnd: same,
  rejectSignals: copiedList,
  waiting: forked,
};

function copyStreams(streams: SubnetState["streams"], fork: Fork): SubnetState["streams"] {
  return new Map([...streams].map(([id, stream]) => [id, copyParts(STREAM_PARTS, stream, fork)]));
}

function copyExecution(execution: ExecutionState, fork: Fork): ExecutionState {
  return { ...execution, heap: copyMemory(execution.heap, fork), stable: copyMemory(execution.stable, fork) };
}

function copySnapshots(snapshots: CanisterState["snapshots"], fork: Fork): CanisterState["snapshots"] {
  return new Map([...snapshots].map(([id, snapshot]) => [id, copySnapshot(snapshot, fork)]));
}

function copySnapshot(snapshot: CanisterSnapshot, fork: Fork): CanisterSnapshot {
  const { module } = snapshot;
  return {
    ...snapshot,
    heap: copyMemory(snapshot.heap, fork),
    stable: copyMemory(snapshot.stable, fork),
    module: module.kind === "stored" ? module : { ...module, bytes: copyMemory(module.bytes, fork) },
    chunkStore: new Map(snapshot.chunkStore),
  };
}

function copyMemory(memory: PagedMemory, { pages, tables, memories }: Fork): PagedMemory {
  const copy = memories.get(memory) ?? memory.copy(pages, tables);
  memories.set(memory, copy);
  return copy;
}

/** Plain data, with everything in it that could be changed in place; bytes never are. */
function copyPlain<T>(value: T): T {
  return copyAny(value) as T;
}

function copyAny(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(copyAny);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, copyAny(item)]));
  if (value instanceof Set) return new Set(value);
  if (Object.getPrototypeOf(value) !== Object.prototype) throw new InvariantViolation("a plain part holds an object");
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyAny(item)]));
}
