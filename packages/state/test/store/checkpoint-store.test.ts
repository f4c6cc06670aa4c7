// The checkpoint store against a plain Map: random histories, crashes at every operation, every damaged bit, full
// disks, compaction.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError, InvariantViolation } from "@atoll/types/errors";
import fc from "fast-check";
import { CheckpointStore } from "../../src/store/checkpoint-store.ts";
import { type CrashKind, MachineStopped, MemoryStorage, type RandomBelow } from "../../src/store/memory-storage.ts";
import { CRASHES, damages, randomBytes, seeded } from "./seeded.ts";

const SMALL = { segmentBytes: 20_000, bufferBytes: 9000 };

function isCode(code: string, ...words: string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof EnvironmentError && error.code === code && words.every((word) => error.message.includes(word));
}

function segmentsOf(disk: MemoryStorage): string[] {
  return disk.list().filter((name) => name.endsWith(".seg"));
}

function page(fill: number): Uint8Array {
  return new Uint8Array(4096).fill(fill);
}

/** What a store should hold: plain maps. */
interface Model {
  height: number | undefined;
  meta: string;
  readonly keys: Map<string, string>;
  readonly memories: Map<string, Map<number, number>>;
}

const EMPTY: Model = { height: undefined, meta: "", keys: new Map(), memories: new Map() };

function copyOf(model: Model): Model {
  const memories = [...model.memories].map(([name, pages]) => [name, new Map(pages)] as const);
  return { ...model, keys: new Map(model.keys), memories: new Map(memories) };
}

/** Everything that a store answers, in the shape of the model; pages are told apart by one byte that fills them. */
function contentOf(store: CheckpointStore): Model {
  const keys = new Map(store.keys().map((key) => [key, hex(store.get(key))]));
  const memories = new Map<string, Map<number, number>>();
  for (const name of store.memories()) {
    const pages = new Map<number, number>();
    store.readPages(name, (index, bytes) => {
      assert.ok(bytes.length === 4096 && bytes.every((byte) => byte === bytes[0]));
      assert.ok(!pages.has(index), "each page once");
      pages.set(index, bytes[0] as number);
    });
    const indexes = [...store.pageIndexes(name)];
    assert.deepEqual(
      indexes,
      [...pages.keys()].sort((a, b) => a - b),
    );
    assert.equal(store.pageCount(name), indexes.length);
    for (const index of indexes) assert.deepEqual(store.readPage(name, index), page(pages.get(index) as number));
    memories.set(name, pages);
  }
  return { height: store.height, meta: hex(store.meta), keys, memories };
}

function hex(bytes: Uint8Array | undefined): string {
  assert.ok(bytes !== undefined);
  return Buffer.from(bytes).toString("hex");
}

function requireEqual(store: CheckpointStore, model: Model, label: string): void {
  assert.deepEqual(sorted(contentOf(store)), sorted(model), label);
}

function sorted(model: Model): unknown {
  const memories = [...model.memories].map(([name, pages]) => [name, [...pages].sort((a, b) => a[0] - b[0])]);
  return { ...model, keys: [...model.keys].sort(), memories: memories.sort() };
}

type Step =
  | { readonly do: "put"; readonly key: string; readonly size: number; readonly fill: number }
  | { readonly do: "delete"; readonly key: string }
  | { readonly do: "page"; readonly memory: string; readonly index: number; readonly fill: number }
  | { readonly do: "drop"; readonly memory: string }
  | { readonly do: "clone"; readonly memory: string; readonly source: string }
  | { readonly do: "commit" | "abort" | "compact" | "compactStep" | "reopen" };

const KEYS = ["", "a", "b", "canister/1", "canister/2", "\ufeffé"];
const MEMORIES = ["1/heap", "1/stable", "2/heap"];
const INDEXES = [0, 1, 1023, 1024, 2 ** 27, 2 ** 32 - 2];

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      key: fc.constantFrom(...KEYS),
      size: fc.constantFrom(0, 5, 3000, 30_000),
      fill: fc.nat(255),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), key: fc.constantFrom(...KEYS) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("page" as const),
      memory: fc.constantFrom(...MEMORIES),
      index: fc.constantFrom(...INDEXES),
      fill: fc.constantFrom(0, 1, 2, 3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("drop" as const), memory: fc.constantFrom(...MEMORIES) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("clone" as const),
      memory: fc.constantFrom(...MEMORIES),
      source: fc.constantFrom(...MEMORIES),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "commit" as const,
        "commit" as const,
        "abort" as const,
        "compact" as const,
        "compactStep" as const,
        "reopen" as const,
      ),
    }),
  },
);

/** Runs the steps on store and model alike. `onCommit` hears of each commit before and after it. */
class Run {
  readonly disk: MemoryStorage;
  store: CheckpointStore;
  committed: Model;
  pending: Model | undefined;

  constructor(disk: MemoryStorage, committed: Model) {
    this.disk = disk;
    this.committed = committed;
    this.store = CheckpointStore.open(disk, SMALL);
  }

  step(step: Step): void {
    if (step.do === "put" || step.do === "delete" || step.do === "page" || step.do === "drop" || step.do === "clone") {
      this.#write(step);
      return;
    }
    if (step.do === "reopen" || step.do === "abort" || step.do === "compact" || step.do === "compactStep") {
      if (this.pending !== undefined && step.do !== "reopen") this.store.abort();
      this.pending = undefined;
      if (step.do === "compact") this.store.compact(0.3);
      if (step.do === "compactStep") this.store.compactStep();
      if (step.do === "reopen") this.store = CheckpointStore.open(this.disk, SMALL);
      return;
    }
    if (this.pending === undefined) this.#begin();
    const pending = this.pending as Model | undefined;
    assert.ok(pending !== undefined);
    pending.height = (this.committed.height ?? 0) + 1;
    pending.meta = pending.height.toString(16).padStart(8, "0");
    this.store.commit(pending.height, Buffer.from(pending.meta, "hex"));
    this.committed = pending;
    this.pending = undefined;
  }

  /** Memories that the open transaction changed. */
  #written = new Set<string>();

  #begin(): void {
    this.store.begin();
    this.#written = new Set();
    this.pending = copyOf(this.committed);
  }

  #write(step: Exclude<Step, { do: "commit" | "abort" | "compact" | "compactStep" | "reopen" }>): void {
    if (this.pending === undefined) this.#begin();
    const { keys, memories } = this.pending as unknown as Model;
    if (step.do === "put") {
      const value = new Uint8Array(step.size).fill(step.fill);
      this.store.put(step.key, value);
      keys.set(step.key, hex(value));
    } else if (step.do === "delete") {
      this.store.delete(step.key);
      keys.delete(step.key);
    } else if (step.do === "page") {
      const bytes = page(step.fill);
      this.#written.add(step.memory);
      this.store.putPage(step.memory, step.index, bytes);
      bytes.fill(99);
      memories.set(step.memory, (memories.get(step.memory) ?? new Map()).set(step.index, step.fill));
    } else if (step.do === "clone") {
      // Only of a committed memory, before it is written to.
      const pages = this.committed.memories.get(step.source);
      if (pages === undefined || memories.has(step.memory) || this.#written.has(step.source)) return;
      this.store.cloneMemory(step.memory, step.source);
      memories.set(step.memory, new Map(pages));
      this.#written.add(step.memory);
    } else {
      this.#written.add(step.memory);
      this.store.dropMemory(step.memory);
      memories.delete(step.memory);
    }
  }
}

test("any history reads like a map, before and after it is opened again", () => {
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 30, maxLength: 60, size: "max" }), (steps) => {
      const run = new Run(new MemoryStorage(), copyOf(EMPTY));
      for (const step of steps) {
        run.step(step);
        if (step.do !== "page" && step.do !== "put") requireEqual(run.store, run.committed, "while running");
      }
      const reopened = CheckpointStore.open(run.disk, SMALL);
      requireEqual(reopened, run.committed, "opened again");
      assert.equal(reopened.size, run.store.size);
      assert.equal(reopened.garbageRatio, run.store.garbageRatio, "live bytes are counted the same by a scan");
    }),
    { numRuns: 150 },
  );
});

/** One life of the machine: opens, works until it stops; returns the states that may be found afterwards. */
function liveUntilStop(disk: MemoryStorage, committed: Model, steps: readonly Step[]): Model[] {
  let run: Run | undefined;
  try {
    run = new Run(disk, committed);
    for (const step of steps) run.step(step);
    return [run.committed];
  } catch (error) {
    if (!(error instanceof MachineStopped)) throw error;
    if (run === undefined) return [committed];
    const isCommitting = run.pending?.height !== run.committed.height;
    return run.pending !== undefined && isCommitting ? [run.committed, run.pending] : [run.committed];
  }
}

function requireOneOf(store: CheckpointStore, models: readonly Model[], label: string): Model {
  const found = models.find((model) => model.height === store.height);
  assert.ok(found !== undefined, `${label}: height ${store.height}`);
  requireEqual(store, found, label);
  return found;
}

test("a crash at every operation leaves exactly a committed state", () => {
  const histories = fc.sample(fc.array(STEP, { minLength: 60, maxLength: 60 }), { seed: 7, numRuns: 6 });
  for (const steps of histories) {
    for (const keep of CRASHES) {
      const whole = new MemoryStorage();
      liveUntilStop(whole, copyOf(EMPTY), steps);
      for (let stop = 0; stop < whole.operations; stop++) crashTwice(steps, keep, stop);
    }
  }
});

function crashTwice(steps: readonly Step[], keep: CrashKind, stop: number): void {
  const random = seeded(stop);
  const disk = new MemoryStorage();
  let models: Model[] = [copyOf(EMPTY)];
  for (let life = 0; life < 2; life++) {
    disk.stopAfter(life === 0 ? stop : random(12), random);
    models = liveUntilStop(disk, copyOf(models[0] as Model), steps);
    disk.crash({ keep: life === 0 ? keep : (CRASHES[random(3)] as CrashKind), random });
    const label = `${keep}, stop ${stop}, life ${life}`;
    models = [requireOneOf(CheckpointStore.open(disk, SMALL), models, label)];
    disk.crash({ keep: "synced", random });
    requireOneOf(CheckpointStore.open(disk, SMALL), models, `${label}, power cut after the start`);
  }
}

/** Two segments with a value, a memory, zero pages and garbage in them, kept small because each bit is tried. */
function smallDisk(): { disk: MemoryStorage; model: Model } {
  const run = new Run(new MemoryStorage(), copyOf(EMPTY));
  run.step({ do: "put", key: "a", size: 20, fill: 7 });
  run.step({ do: "put", key: "b", size: 20, fill: 7 });
  run.step({ do: "page", memory: "1/heap", index: 1, fill: 0 });
  run.step({ do: "commit" });
  run.step({ do: "delete", key: "b" });
  run.step({ do: "page", memory: "2/heap", index: 1, fill: 0 });
  run.step({ do: "drop", memory: "2/heap" });
  run.step({ do: "commit" });
  run.step({ do: "compactStep" });
  run.step({ do: "put", key: "c", size: 19_900, fill: 1 });
  run.step({ do: "put", key: "c", size: 3, fill: 1 });
  run.step({ do: "commit" });
  return { disk: run.disk, model: run.committed };
}

test("every changed bit and every cut is found and named, or harmless", () => {
  const { disk, model } = smallDisk();
  assert.equal(disk.list().length, 3, "two segments and the manifest");
  const big = segmentsOf(disk).find((file) => (disk.size(file) as number) > 19_000);
  assert.ok(big !== undefined);
  let found = 0;
  for (const { file, what, disk: damaged } of damages(disk)) {
    // The large record is garbage of one value: a sample of its bits will do.
    const byte = Number(/\d+ ?(?:bytes)?$/.exec(what)?.[0].replace(" bytes", "") ?? 0);
    if (file === big && byte > 300 && byte < 19_500 && byte % 97 !== 0) continue;
    assert.throws(
      () => requireEqual(CheckpointStore.open(damaged()), model, "damaged"),
      isCode("STATE_CORRUPT", file, "--clean"),
      `${file}, ${what}`,
    );
    found++;
  }
  assert.ok(found > 4000);
});

test("bytes that rot while the program runs are found by the one who reads them", () => {
  const run = new Run(new MemoryStorage(), copyOf(EMPTY));
  run.step({ do: "put", key: "a", size: 50, fill: 7 });
  run.step({ do: "page", memory: "1/heap", index: 1, fill: 2 });
  run.step({ do: "commit" });
  const file = segmentsOf(run.disk)[0] as string;
  const content = run.disk.read(file, 0, run.disk.size(file) as number);
  run.disk.replace(
    file,
    content.map((byte, i) => (i === 24 + 16 + 10 || i === content.length - 1 ? byte ^ 1 : byte)),
  );
  assert.throws(() => run.store.get("a"), isCode("STATE_CORRUPT", file));
  assert.throws(() => run.store.readPage("1/heap", 1), isCode("STATE_CORRUPT", file));
  assert.throws(() => run.store.readPages("1/heap", () => {}), isCode("STATE_CORRUPT", file));
  assert.throws(() => run.store.compactStep(), isCode("STATE_CORRUPT", file), "compaction does not bless it");
});

test("an older segment under a newer manifest is found", () => {
  const run = new Run(new MemoryStorage(), copyOf(EMPTY));
  run.step({ do: "put", key: "a", size: 50, fill: 7 });
  run.step({ do: "commit" });
  const other = new Run(new MemoryStorage(), copyOf(EMPTY));
  other.step({ do: "put", key: "a", size: 50, fill: 8 });
  other.step({ do: "commit" });
  const file = segmentsOf(run.disk)[0] as string;
  run.disk.replace(file, other.disk.read(file, 0, other.disk.size(file) as number));
  assert.throws(() => CheckpointStore.open(run.disk), isCode("STATE_CORRUPT", file, "checksum"));
});

test("a full disk fails the transaction, keeps the last commit, and the next one succeeds", () => {
  let failures = 0;
  for (let room = 4500; room < 60_000; room += 501) {
    const run = new Run(new MemoryStorage(), copyOf(EMPTY));
    run.step({ do: "page", memory: "1/heap", index: 0, fill: 1 });
    run.step({ do: "commit" });
    run.disk.capacity = room;
    const write = () => {
      run.store.begin();
      for (let index = 0; index < 12; index++) run.store.putPage("1/heap", index, page(2));
      run.store.commit(2, new Uint8Array(100));
    };
    try {
      write();
    } catch (error) {
      assert.ok(isCode("ENOSPC")(error), String(error));
      failures++;
      requireEqual(run.store, run.committed, `room ${room}`);
      requireEqual(CheckpointStore.open(run.disk.clone(), SMALL), run.committed, `room ${room}, opened again`);
      run.disk.capacity = Number.POSITIVE_INFINITY;
      write();
    }
    const pages = new Map(Array.from({ length: 12 }, (_, i) => [i, 2]));
    const model = { height: 2, meta: "00".repeat(100), keys: new Map(), memories: new Map([["1/heap", pages]]) };
    requireEqual(run.store, model, `room ${room}`);
    requireEqual(CheckpointStore.open(run.disk, SMALL), model, `room ${room}, opened again`);
  }
  assert.ok(failures > 50);
});

test("compaction keeps the folder in proportion to what lives in it", () => {
  const disk = new MemoryStorage();
  const store = CheckpointStore.open(disk, SMALL);
  const random: RandomBelow = seeded(5);
  const expected = new Map<number, number>();
  for (let height = 1; height <= 200; height++) {
    store.begin();
    for (let i = 0; i < 6; i++) {
      const index = random(20);
      expected.set(index, height & 255);
      store.putPage("1/heap", index, page(height & 255));
    }
    store.put("meta", randomBytes(500, random));
    store.commit(height, new Uint8Array(0));
    store.compact();
    assert.ok(store.garbageRatio <= 0.5);
  }
  const live = expected.size * 4112 + 600;
  assert.ok(store.size < 2 * live + 3 * SMALL.segmentBytes, `${store.size} bytes for ${live}`);
  assert.ok(segmentsOf(disk).length < 15);
  const reopened = CheckpointStore.open(disk, SMALL);
  assert.equal(reopened.height, 200);
  for (const [index, fill] of expected) assert.deepEqual(reopened.readPage("1/heap", index), page(fill));
});

test("a page of zeros takes sixteen bytes", () => {
  const disk = new MemoryStorage();
  const store = CheckpointStore.open(disk);
  store.begin();
  for (let index = 0; index < 10_000; index++) store.putPage("1/heap", index, page(0));
  store.commit(1, new Uint8Array(0));
  assert.ok(store.size < 10_000 * 16 + 100);
  assert.equal(store.pageCount("1/heap"), 10_000);
  assert.deepEqual(store.readPage("1/heap", 9999), page(0));
  assert.equal(store.readPage("1/heap", 10_000), undefined);
});

test("an abort after a commit, or after a transaction that failed, changes nothing", () => {
  const run = new Run(new MemoryStorage(), copyOf(EMPTY));
  run.store.abort();
  for (let fill = 1; fill <= 8; fill++) {
    run.step({ do: "page", memory: "1/heap", index: fill, fill });
    run.step({ do: "commit" });
    run.store.abort();
    requireEqual(run.store, run.committed, "running");
    requireEqual(CheckpointStore.open(run.disk.clone(), SMALL), run.committed, "opened again");
  }
  run.disk.capacity = 0;
  run.store.begin();
  assert.throws(() => run.store.put("a", new Uint8Array(30_000)), isCode("ENOSPC"));
  run.store.abort();
  requireEqual(CheckpointStore.open(run.disk.clone(), SMALL), run.committed, "opened again");
});

test("wrong use is refused", () => {
  const store = CheckpointStore.open(new MemoryStorage());
  assert.throws(() => store.put("a", page(0)), InvariantViolation);
  assert.throws(() => store.commit(1, page(0)), InvariantViolation);
  store.begin();
  assert.throws(() => store.begin(), InvariantViolation);
  assert.throws(() => store.putPage("1/heap", 0, new Uint8Array(4095)), InvariantViolation);
  store.abort();
  store.begin();
  assert.throws(() => store.putPage("1/heap", 2 ** 32 - 1, page(1)), InvariantViolation);
  store.begin();
  store.commit(5, page(0));
  store.begin();
  assert.throws(() => store.commit(4, page(0)), InvariantViolation);
});
