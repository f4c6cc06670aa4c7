// Snapshots that share pages with canisters, against plain maps: random writes, snapshots, loads, uploads, deletions,
// checkpoints and restarts, with readers that lag behind. Nobody sees another's writes, no page is lost, none is kept.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  addSnapshot,
  type CanisterSnapshot,
  canisterOfSnapshot,
  forkMemory,
  nextSnapshotId,
  removeAllSnapshots,
  removeSnapshot,
} from "../src/canister-snapshot.ts";
import type { CanisterState } from "../src/canister-state.ts";
import { Checkpoints } from "../src/checkpoint.ts";
import { readSlot } from "../src/page-store.ts";
import { PageTable } from "../src/page-table.ts";
import type { MemoryDelta, PagedMemory } from "../src/paged-memory.ts";
import { CheckpointStore } from "../src/store/checkpoint-store.ts";
import { MemoryStorage } from "../src/store/memory-storage.ts";
import { newMemory, type SubnetState, touch } from "../src/subnet-state.ts";
import { addCanister, emptyState, filled, idAt, moduleNamed } from "./full-state.ts";

/** In one leaf, in neighbours, and far away. */
const PAGES = [0, 1, 63, 64, 5000, 131_071_999];
type Content = Map<number, number>;

function contentOf(read: (page: number) => Uint8Array | undefined): Content {
  const content: Content = new Map();
  for (const page of PAGES) {
    const bytes = read(page);
    const fill = bytes?.[0] ?? 0;
    assert.ok(bytes === undefined || bytes.every((byte) => byte === fill), `page ${page} is torn`);
    if (fill !== 0) content.set(page, fill);
  }
  return content;
}

const sorted = (content: Content): Content => new Map([...content].sort(([a], [b]) => a - b));
const contentOfMemory = (memory: PagedMemory): Content => contentOf((page) => memory.read(page));

/** What a query thread makes of the deltas of one canister's heap, some rounds late. */
class Reader {
  #table = new PageTable();
  readonly #deltas: { height: number; delta: MemoryDelta; expected: Content }[] = [];

  post(height: number, delta: MemoryDelta, expected: Content): void {
    this.#deltas.push({ height, delta, expected: new Map(expected) });
  }

  advance(state: SubnetState, height: number): void {
    let expected: Content | undefined;
    while (this.#deltas[0] !== undefined && this.#deltas[0].height <= height) {
      const next = this.#deltas.shift() as { delta: MemoryDelta; expected: Content };
      if (next.delta.replaced) this.#table = new PageTable();
      const { changes } = next.delta;
      for (let i = 0; i < changes.length; i += 2) this.#table.set(changes[i] as number, changes[i + 1] as number);
      expected = next.expected;
    }
    Atomics.store(state.pages.heights, 0, height);
    if (expected !== undefined) this.#expected = expected;
  }

  check(state: SubnetState): void {
    assert.deepEqual(
      contentOf((page) => readSlot(state.pages, this.#table.get(page))),
      sorted(this.#expected),
      "what a reader sees",
    );
  }

  #expected: Content = new Map();
}

const canister = fc.nat(1);
const page = fc.constantFrom(...PAGES);
const fill = fc.integer({ min: 1, max: 255 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), canister, page, fill }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const), canister }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("load" as const), canister, from: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("begin upload" as const), canister }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("upload" as const), from: fc.nat(20), page, fill }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), from: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("round" as const), lag: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("checkpoint" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Two canisters, their snapshots, and what each of them should hold. */
class World {
  readonly storage = new MemoryStorage();
  state = emptyState();
  checkpoints = new Checkpoints(CheckpointStore.open(this.storage, { segmentBytes: 64 * 1024 }));
  readonly heaps: [Content, Content] = [new Map(), new Map()];
  snapshots = new Map<string, Content>();
  readers = [new Reader(), new Reader()];
  /** As of the last checkpoint. */
  saved: { heaps: Content[]; snapshots: Map<string, Content> } | undefined;

  constructor() {
    this.state.height = 1;
    Atomics.store(this.state.pages.heights, 0, 0);
    for (const index of [0, 1]) {
      const made = addCanister(this.state, index, moduleNamed("one"));
      const execution = made.execution as NonNullable<CanisterState["execution"]>;
      execution.heap.discard(1);
      execution.heap = newMemory(this.state, made);
    }
  }

  canister(index: number): CanisterState {
    return this.state.canisters.get(idAt(index)) as CanisterState;
  }

  heap(index: number): PagedMemory {
    return this.canister(index).execution?.heap as PagedMemory;
  }

  pick(from: number): { owner: CanisterState; snapshot: CanisterSnapshot } | undefined {
    const all = [0, 1].flatMap((index) =>
      [...this.canister(index).snapshots.values()].map((snapshot) => ({ owner: this.canister(index), snapshot })),
    );
    return all[from % Math.max(1, all.length)];
  }

  take(step: Step): void {
    switch (step.kind) {
      case "write":
        this.heap(step.canister).write(step.page, filled(step.fill), this.state.height);
        this.heaps[step.canister as 0 | 1].set(step.page, step.fill);
        touch(this.state, this.canister(step.canister));
        return;
      case "take":
        this.add(step.canister, false);
        return;
      case "begin upload":
        this.add(step.canister, true);
        return;
      case "load":
        this.load(step.canister as 0 | 1, step.from);
        return;
      case "upload": {
        const found = this.pick(step.from);
        if (found === undefined || found.snapshot.source !== "metadata_upload") return;
        found.snapshot.heap.writeBytes(step.page * 4096, filled(step.fill), this.state.height);
        this.snapshots.get(found.snapshot.id)?.set(step.page, step.fill);
        touch(this.state, found.owner);
        return;
      }
      case "delete": {
        const found = this.pick(step.from);
        if (found === undefined) return;
        removeSnapshot(this.state, found.owner, found.snapshot);
        this.snapshots.delete(found.snapshot.id);
        touch(this.state, found.owner);
        return;
      }
      case "round":
        this.round(step.lag);
        return;
      case "checkpoint":
        this.round(0);
        this.checkpoints.save(this.state);
        this.checkpoints.compact();
        this.saved = {
          heaps: this.heaps.map((each) => new Map(each)),
          snapshots: new Map([...this.snapshots].map(([id, each]) => [id, new Map(each)])),
        };
        return;
      case "restart":
        this.restart();
        return;
    }
  }

  add(index: number, isUpload: boolean): void {
    const made = this.canister(index);
    const { stable } = made.execution as NonNullable<CanisterState["execution"]>;
    const id = nextSnapshotId(made);
    addSnapshot(this.state, made, {
      id,
      source: isUpload ? "metadata_upload" : "taken_from_canister",
      takenAt: this.state.time,
      canisterVersion: 1,
      module: { kind: "stored", hash: made.execution?.moduleHash as string },
      heap: isUpload ? newMemory(this.state, made) : forkMemory(made, this.heap(index)),
      stable: forkMemory(made, stable),
      globals: [],
      certifiedData: new Uint8Array(),
      globalTimer: undefined,
      lowMemoryHook: undefined,
      chunkStore: new Map(),
      size: 0,
    });
    this.snapshots.set(id, isUpload ? new Map() : new Map(this.heaps[index as 0 | 1]));
    touch(this.state, made);
  }

  load(index: 0 | 1, from: number): void {
    const found = this.pick(from);
    if (found === undefined) return;
    const made = this.canister(index);
    const heap = forkMemory(made, found.snapshot.heap);
    heap.replace(this.heap(index), this.state.height);
    (made.execution as NonNullable<CanisterState["execution"]>).heap = heap;
    this.heaps[index] = new Map(this.snapshots.get(found.snapshot.id));
    touch(this.state, made);
  }

  round(lag: number): void {
    this.state.pages.reclaim();
    for (const [index, reader] of this.readers.entries()) {
      const delta = this.heap(index).takeDelta();
      reader.post(this.state.height, delta, this.heaps[index as 0 | 1]);
    }
    const seen = Math.max(Atomics.load(this.state.pages.heights, 0), this.state.height - lag);
    for (const reader of this.readers) reader.advance(this.state, seen);
    this.state.height++;
  }

  restart(): void {
    if (this.saved === undefined) return;
    this.checkpoints = new Checkpoints(CheckpointStore.open(this.storage, { segmentBytes: 64 * 1024 }));
    this.state = emptyState();
    this.checkpoints.load(this.state);
    for (const index of [0, 1] as const) this.heaps[index] = new Map(this.saved.heaps[index]);
    this.snapshots = new Map([...this.saved.snapshots].map(([id, each]) => [id, new Map(each)]));
    this.readers = [new Reader(), new Reader()];
    Atomics.store(this.state.pages.heights, 0, this.state.height - 1);
  }

  check(): void {
    for (const index of [0, 1] as const) {
      assert.deepEqual(contentOfMemory(this.heap(index)), sorted(this.heaps[index]), `canister ${index}`);
      for (const [id, { heap }] of this.canister(index).snapshots) {
        assert.deepEqual(contentOfMemory(heap), sorted(this.snapshots.get(id) as Content), `snapshot ${id}`);
      }
    }
    for (const reader of this.readers) reader.check(this.state);
  }

  /** Everything given back: nothing may be left. */
  end(): void {
    for (const index of [0, 1]) {
      const made = this.canister(index);
      removeAllSnapshots(this.state, made);
      made.execution?.heap.discard(this.state.height);
      made.execution?.stable.discard(this.state.height);
    }
    Atomics.store(this.state.pages.heights, 0, -1);
    this.state.pages.reclaim();
    assert.equal(this.state.pages.slotsInUse, 0);
  }
}

describe("snapshots and canisters", () => {
  test("keep their own content whatever happens to the others, on disk too", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.take(each);
          world.check();
        }
        world.end();
      }),
      { numRuns: 100 },
    );
  });
});

describe("a snapshot", () => {
  test("shares every page until somebody writes, then all but that one", () => {
    const state = emptyState();
    const made = addCanister(state, 0, moduleNamed("one"));
    const heap = newMemory(state, made);
    for (let page = 0; page < 1000; page++) heap.write(page, filled(page % 255), 1);
    const before = state.pages.slotsInUse;
    const snapshot = forkMemory(made, heap);
    assert.equal(state.pages.slotsInUse, before);
    heap.write(5, filled(1), 1);
    assert.equal(state.pages.slotsInUse, before + 1);
    assert.deepEqual([...snapshot.pagesUnlike(heap)], [5]);
  });

  test("that is taken and deleted for ever needs no more room", () => {
    const state = emptyState();
    const made = addCanister(state, 0);
    const heap = newMemory(state, made);
    for (let height = 1; height < 1000; height++) {
      for (const page of [0, 1, 64]) heap.write(page, filled(height % 255), height);
      const snapshot = forkMemory(made, heap);
      heap.write(1, filled(7), height);
      snapshot.discard(height);
      heap.takeDelta();
      state.pages.reclaim();
    }
    assert.ok(state.pages.slotsInUse < 20, `${state.pages.slotsInUse} slots`);
  });

  test("has an id of its number and its canister", () => {
    const made = addCanister(emptyState(), 7);
    assert.equal(nextSnapshotId(made), `${"0".repeat(16)}${made.id}`);
    const second = nextSnapshotId(made);
    assert.equal(second, `${"0".repeat(15)}1${made.id}`);
    const bytes = Uint8Array.from(second.match(/../g) as string[], (hex) => Number.parseInt(hex, 16));
    assert.equal(canisterOfSnapshot(bytes), made.id);
    assert.equal(canisterOfSnapshot(new Uint8Array(8)), undefined);
    assert.equal(canisterOfSnapshot(new Uint8Array(38)), undefined);
  });
});
