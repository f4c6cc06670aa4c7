// A state on disk and back: which record holds which part. A checkpoint writes what changed since the last one and
// nothing else: changed canisters, changed pages, changed buckets of the ingress history, new modules. Records of equal
// states are equal to the byte, as nodes compare them by hash (manifest/); what only this program needs is apart.
// Restart = load the last checkpoint, then execute the logged batches that came after it.
import {
  type CanisterId,
  decodeState,
  encodeCanonicalState,
  encodeState,
  InvariantViolation,
  invariant,
  type NetworkTopology,
  OS_PAGE_BYTES,
  type PrincipalId,
  type RequestId,
  type SubnetNode,
} from "@atoll/types";
import {
  allChunks,
  type CanisterRecord,
  canisterOf,
  type MemoryRecord,
  memoriesOf,
  recordOf,
} from "./canister-record.ts";
import type { CanisterState } from "./canister-state.ts";
import type { IngressRecord } from "./ingress-history.ts";
import type { StoredModule } from "./module-store.ts";
import type { InitialDkgContext } from "./open-initial-dkgs.ts";
import type { OutcallContext } from "./open-outcalls.ts";
import type { PageSet } from "./page-set.ts";
import type { Slot } from "./page-store.ts";
import { PagedMemory } from "./paged-memory.ts";
import { FETCHED_KEY, PREPARED } from "./store/checkpoint-records.ts";
import type { CheckpointStore } from "./store/checkpoint-store.ts";
import { type StreamRecord, streamOf, streamRecord } from "./stream.ts";
import { indexCanister, type PendingRandomness, type SubnetState, type WaitingManagementCall } from "./subnet-state.ts";

interface MetaRecord {
  readonly time: bigint;
  readonly randomness: Uint8Array;
  readonly prevStateHash: Uint8Array | undefined;
  readonly nodes: readonly SubnetNode[];
  readonly nextCanisterIndex: bigint;
  /** Not in checkpoints of before there were retired ids. */
  readonly retiredIds?: CanisterId[];
  readonly pendingRandomness: PendingRandomness[];
  readonly initialDkgs: InitialDkgContext[];
  readonly nextOutcall: number;
  readonly charges: bigint[];
  readonly blockmakers: SubnetState["blockmakers"];
  readonly managementQueue: WaitingManagementCall[];
  readonly serviceReceived: number;
  readonly interventions: SubnetState["interventions"];
  readonly metrics: SubnetState["metrics"];
  readonly topology: NetworkTopology;
}

/** What the store holds of a canister, so that what went away can be deleted. */
interface SavedCanister {
  readonly memories: readonly string[];
  readonly chunks: readonly string[];
}

type BucketRecords = [RequestId, IngressRecord][];

/** Changes that the state has handed over and no commit holds yet: a checkpoint that fails must not lose them. */
interface OpenChanges {
  readonly modules: Set<string>;
  readonly buckets: Map<number, BucketRecords>;
  /** By memory id. */
  readonly pages: Map<string, PageSet>;
}

export class Checkpoints {
  readonly #store: CheckpointStore;
  readonly #prepare: ((uploaded: Uint8Array) => StoredModule) | undefined;
  readonly #saved = new Map<CanisterId, SavedCanister>();
  /** Outcalls that the store holds. */
  #savedOutcalls: ReadonlySet<number> = new Set();
  #open: OpenChanges = noChanges();
  /** While loading: where pages are that more than one memory has, by place on the disk. */
  readonly #slots = new Map<number, Slot>();

  /** `prepare`: for modules of a checkpoint that came from other nodes. */
  constructor(store: CheckpointStore, prepare?: (uploaded: Uint8Array) => StoredModule) {
    this.#store = store;
    this.#prepare = prepare;
  }

  /** Height of the last checkpoint, undefined before the first. */
  get height(): number | undefined {
    return this.#store.height;
  }

  /** Makes the state as it is now the last checkpoint, durably and at once. */
  save(state: SubnetState): void {
    const store = this.#store;
    for (const hash of state.modules.takeChanges()) this.#open.modules.add(hash);
    for (const [bucket, records] of state.ingressHistory.takeBucketChanges()) this.#open.buckets.set(bucket, records);
    const saved = new Map<CanisterId, SavedCanister | undefined>();
    store.begin();
    try {
      for (const hash of this.#open.modules) saveModule(store, hash, state.modules.get(hash));
      const changed = [...state.changedSinceCheckpoint].sort();
      const cloned = this.#cloneMemories(state, changed);
      for (const id of changed) {
        saved.set(id, this.#saveCanister(id, state.canisters.get(id), cloned));
      }
      for (const [bucket, records] of this.#open.buckets) {
        if (records.length === 0) store.delete(`ingress/${bucket}`);
        else store.put(`ingress/${bucket}`, encodeCanonicalState(records.sort(byRequestId)));
      }
      saveOutcalls(store, state, this.#savedOutcalls);
      for (const id of [...state.streamsChangedSinceCheckpoint].sort()) {
        const stream = state.streams.get(id);
        if (stream !== undefined) store.put(`stream/${id}`, encodeCanonicalState(streamRecord(stream)));
      }
      const meta: MetaRecord = {
        time: state.time,
        randomness: state.randomness,
        prevStateHash: state.prevStateHash,
        nodes: state.nodes,
        nextCanisterIndex: state.nextCanisterIndex,
        retiredIds: [...state.retiredIds].sort(),
        pendingRandomness: state.pendingRandomness,
        initialDkgs: state.initialDkgs,
        nextOutcall: state.outcalls.next,
        charges: state.charges,
        blockmakers: state.blockmakers,
        managementQueue: state.managementQueue,
        serviceReceived: state.serviceReceived,
        interventions: state.interventions,
        metrics: state.metrics,
        topology: state.topology,
      };
      store.delete(FETCHED_KEY);
      store.commit(state.height, encodeCanonicalState(meta));
    } catch (error) {
      store.abort();
      throw error;
    }
    state.changedSinceCheckpoint.clear();
    state.streamsChangedSinceCheckpoint.clear();
    this.#open = noChanges();
    this.#savedOutcalls = new Set(state.outcalls.numbers());
    for (const [id, canister] of saved) {
      if (canister === undefined) this.#saved.delete(id);
      else this.#saved.set(id, canister);
    }
  }

  /** Gives back the room of what later checkpoints replaced, once it is more than half of all. */
  compact(): void {
    if (this.#store.garbageRatio > 0.5) this.#store.compact();
  }

  /** Fills an empty state with the last checkpoint. */
  load(state: SubnetState): void {
    const store = this.#store;
    invariant(store.height !== undefined, "there is no checkpoint to load");
    const meta = decodeState(store.meta) as MetaRecord;
    state.height = store.height;
    state.time = meta.time;
    state.randomness = meta.randomness;
    state.prevStateHash = meta.prevStateHash;
    state.nodes = meta.nodes;
    state.nextCanisterIndex = meta.nextCanisterIndex;
    state.retiredIds = new Set(meta.retiredIds);
    state.pendingRandomness = meta.pendingRandomness;
    state.initialDkgs = meta.initialDkgs;
    const outcalls = [...store.keys("outcall/")].map((key) => read<OutcallContext>(store, key));
    state.outcalls.restore(outcalls, meta.nextOutcall);
    this.#savedOutcalls = new Set(state.outcalls.numbers());
    state.charges = meta.charges;
    state.blockmakers = meta.blockmakers;
    state.managementQueue = meta.managementQueue;
    state.serviceReceived = meta.serviceReceived;
    state.interventions = meta.interventions;
    state.topology = meta.topology;
    for (const key of store.keys("stream/")) {
      state.streams.set(key.slice("stream/".length) as PrincipalId, streamOf(read<StreamRecord>(store, key)));
    }
    // Counted anew from the memories, as everything else that can be.
    state.metrics = { ...meta.metrics, canisterStateBytes: 0 };
    for (const key of store.keys("ingress/")) {
      for (const [id, record] of read<[RequestId, IngressRecord][]>(store, key))
        state.ingressHistory.insert(id, record);
    }
    for (const key of store.keys("canister/")) this.#loadCanister(state, read<CanisterRecord>(store, key));
    state.modules.takeChanges();
    state.changedSinceCheckpoint.clear();
    this.#slots.clear();
  }

  /**
   * Memories that began as one that the store holds begin there as its clone, before anything is written to either: what
   * has changed since is among their changes. Gives their names.
   */
  #cloneMemories(state: SubnetState, ids: readonly CanisterId[]): ReadonlySet<string> {
    // Pages that a checkpoint which failed took from the memory that was cloned.
    const lost = new Map([...this.#open.pages].map(([id, pages]) => [id, pages.copy()]));
    const cloned = new Set<string>();
    for (const id of ids) {
      const canister = state.canisters.get(id);
      const known = this.#saved.get(id)?.memories ?? [];
      for (const memory of canister === undefined ? [] : memoriesOf(canister)) {
        const origin = memory.origins.find((each) => this.#isSaved(each));
        if (origin === undefined || known.includes(memory.id)) continue;
        // One without any page has no name in the store.
        if (this.#store.has(origin)) this.#store.cloneMemory(memory.id, origin);
        cloned.add(memory.id);
        const changes = this.#changedPages(memory);
        for (const each of memory.origins) {
          const pages = lost.get(each);
          if (pages !== undefined) changes.addAll(pages);
        }
      }
    }
    return cloned;
  }

  #isSaved(memory: string): boolean {
    const canister = memory.slice(0, memory.indexOf(".")) as CanisterId;
    return this.#saved.get(canister)?.memories.includes(memory) === true;
  }

  #saveCanister(
    id: CanisterId,
    canister: CanisterState | undefined,
    cloned: ReadonlySet<string>,
  ): SavedCanister | undefined {
    const store = this.#store;
    const saved = this.#saved.get(id) ?? { memories: [], chunks: [] };
    const memories = canister === undefined ? [] : memoriesOf(canister);
    const chunks = canister === undefined ? new Map<string, Uint8Array>() : allChunks(canister);
    for (const memory of saved.memories) {
      if (!memories.some((current) => current.id === memory)) store.dropMemory(memory);
    }
    for (const chunk of saved.chunks) if (!chunks.has(chunk)) store.delete(`chunk/${id}/${chunk}`);
    if (canister === undefined) {
      store.delete(`canister/${id}`);
      return undefined;
    }
    for (const [hash, chunk] of chunks) {
      if (!saved.chunks.includes(hash)) store.put(`chunk/${id}/${hash}`, chunk);
    }
    for (const memory of memories) {
      this.#saveMemory(memory, saved.memories.includes(memory.id) || cloned.has(memory.id));
    }
    store.put(`canister/${id}`, encodeCanonicalState(recordOf(canister)));
    return { memories: memories.map((memory) => memory.id), chunks: [...chunks.keys()] };
  }

  /** `isThere`: the store has the memory already, and lacks its changes. */
  #saveMemory(memory: PagedMemory, isThere: boolean): void {
    const changes = this.#changedPages(memory);
    // A memory that began as another one, which the store never had, has pages that it never wrote.
    const isWhole = !isThere && memory.origins.length > 0;
    const pages = isWhole ? [...memory.table.entries()].map(([page]) => page) : changes;
    for (const page of pages) this.#store.putPage(memory.id, page, memory.read(page) ?? ZEROS);
  }

  #changedPages(memory: PagedMemory): PageSet {
    const pages = memory.takeCheckpointChanges();
    const open = this.#open.pages.get(memory.id);
    if (open === undefined) {
      this.#open.pages.set(memory.id, pages);
      return pages;
    }
    open.addAll(pages);
    return open;
  }

  #loadCanister(state: SubnetState, record: CanisterRecord): void {
    const canister = canisterOf(record, {
      memory: (memory) => this.#loadMemory(state, memory),
      chunk: (hash) => bytesOf(this.#store, `chunk/${record.id}/${hash}`),
    });
    state.canisters.set(canister.id, canister);
    const { execution } = canister;
    if (execution !== undefined) this.#loadModule(state, execution.moduleHash, canister.id);
    for (const { id, module } of canister.snapshots.values()) {
      if (module.kind === "stored") this.#loadModule(state, module.hash, id);
    }
    indexCanister(state, canister);
    const memories = memoriesOf(canister).map((memory) => memory.id);
    this.#saved.set(canister.id, { memories, chunks: [...allChunks(canister).keys()] });
  }

  #loadModule(state: SubnetState, hash: string, user: string): void {
    state.modules.use(state.modules.get(hash) ?? this.#storedModule(hash), user);
  }

  #storedModule(hash: string): StoredModule {
    const uploaded = bytesOf(this.#store, `module/${hash}`);
    if (this.#store.hasKey(`${PREPARED}${hash}`)) {
      return { hash, uploaded, ...read<PreparedRecord>(this.#store, `${PREPARED}${hash}`) };
    }
    invariant(this.#prepare !== undefined, `the checkpoint has not what the program needs of the module ${hash}`);
    // Other nodes tell what was uploaded; what the program makes of it is kept from the next checkpoint on.
    this.#open.modules.add(hash);
    return this.#prepare(uploaded);
  }

  #loadMemory(state: SubnetState, record: MemoryRecord): PagedMemory {
    const memory = new PagedMemory(record.id, state.pages);
    memory.wasmPages = record.wasmPages;
    const isShared = this.#store.sharesPages(record.id);
    this.#store.readPages(record.id, (page, content, place) => {
      const known = isShared ? this.#slots.get(place) : undefined;
      if (known !== undefined) memory.restoreShared(page, known);
      else {
        const slot = memory.restore(page, content);
        if (isShared) this.#slots.set(place, slot);
      }
    });
    return memory;
  }
}

/** For a state without a disk: nobody will ever ask what changed since the last checkpoint. */
export function forgetChanges(state: SubnetState): void {
  for (const id of state.changedSinceCheckpoint) {
    const canister = state.canisters.get(id);
    if (canister !== undefined) for (const memory of memoriesOf(canister)) memory.forgetCheckpointChanges();
  }
  state.changedSinceCheckpoint.clear();
  state.modules.takeChanges();
  state.streamsChangedSinceCheckpoint.clear();
  state.ingressHistory.forgetBucketChanges();
}

const ZEROS = new Uint8Array(OS_PAGE_BYTES);

function noChanges(): OpenChanges {
  return { modules: new Set(), buckets: new Map(), pages: new Map() };
}

/** Local: what the program has made of a module, for itself. */
interface PreparedRecord extends Omit<StoredModule, "hash" | "uploaded"> {}

function saveModule(store: CheckpointStore, hash: string, module: StoredModule | undefined): void {
  if (module === undefined) {
    store.delete(`module/${hash}`);
    store.delete(`${PREPARED}${hash}`);
    return;
  }
  const { prepared, description, summary } = module;
  const record: PreparedRecord = { prepared, description, summary };
  store.put(`module/${hash}`, module.uploaded);
  store.put(`${PREPARED}${hash}`, encodeState(record));
}

function byRequestId([one]: [RequestId, IngressRecord], [other]: [RequestId, IngressRecord]): number {
  return one < other ? -1 : 1;
}

/** An outcall never changes: it is written once, and deleted when it has ended. */
function saveOutcalls(store: CheckpointStore, { outcalls }: SubnetState, saved: ReadonlySet<number>): void {
  for (const outcall of saved) if (outcalls.get(outcall) === undefined) store.delete(`outcall/${outcall}`);
  for (const outcall of outcalls.numbers()) {
    if (!saved.has(outcall)) store.put(`outcall/${outcall}`, encodeCanonicalState(outcalls.get(outcall)));
  }
}

function bytesOf(store: CheckpointStore, key: string): Uint8Array {
  const bytes = store.get(key);
  if (bytes === undefined) throw new InvariantViolation(`the checkpoint has no record ${key}`);
  return bytes;
}

function read<T>(store: CheckpointStore, key: string): T {
  return decodeState(bytesOf(store, key)) as T;
}
