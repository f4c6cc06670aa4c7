// Memories and the pages they share, against plain maps: readers that lag behind see exactly the state of their own
// height while later rounds write, replace and free; pages are used again when the last reader has moved on.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { copySlot, type PageReader, PageStore, readSlot, SLOTS_PER_SLAB } from "../src/page-store.ts";
import { PageTable } from "../src/page-table.ts";
import { type MemoryDelta, PagedMemory } from "../src/paged-memory.ts";

const PAGE_BYTES = 4096;
/** At the ends of the leaves of the table, and where only a memory of 500 GiB has one. */
const PAGES = [0, 1, 2, 1023, 1024, 5000, 131_071_999];
const filled = (fill: number): Uint8Array => new Uint8Array(PAGE_BYTES).fill(fill);
type Content = Map<number, number>;

/** Every page is filled with one byte. */
function contentOf(read: (page: number) => Uint8Array | undefined): Content {
  const content: Content = new Map();
  for (const page of PAGES) {
    const bytes = read(page);
    if (bytes === undefined) continue;
    assert.ok(
      bytes.every((byte) => byte === bytes[0]),
      `page ${page} is torn`,
    );
    content.set(page, bytes[0] as number);
  }
  return content;
}

/** What a query thread does with the deltas that it is sent. */
class Reader {
  height = 0;
  #table = new PageTable();
  readonly #store: PageReader;
  readonly #index: number;
  readonly #deltas: { height: number; delta: MemoryDelta }[] = [];

  constructor(store: PageReader, index: number) {
    this.#store = store;
    this.#index = index;
    Atomics.store(store.heights, index, 0);
  }

  post(height: number, delta: MemoryDelta): void {
    this.#deltas.push({ height, delta });
  }

  advance(height: number): void {
    while (this.#deltas[0] !== undefined && this.#deltas[0].height <= height) {
      const { delta } = this.#deltas.shift() as { delta: MemoryDelta };
      if (delta.replaced) this.#table = new PageTable();
      for (let i = 0; i < delta.changes.length; i += 2)
        this.#table.set(delta.changes[i] as number, delta.changes[i + 1] as number);
    }
    this.height = height;
    Atomics.store(this.#store.heights, this.#index, height);
  }

  content(): Content {
    return contentOf((page) => readSlot(this.#store, this.#table.get(page)));
  }
}

const write = fc.tuple(fc.constantFrom(...PAGES), fc.integer({ min: 1, max: 255 }));
const round = fc.record({
  writes: fc.array(write, { maxLength: 8 }),
  replace: fc.boolean(),
  /** How many rounds each reader stays behind after this one. */
  lags: fc.tuple(fc.nat(3), fc.nat(3)),
});

describe("readers", () => {
  for (const shared of [true, false]) {
    test(`see the state of their height (${shared ? "shared with other threads" : "in one thread"})`, () => {
      fc.assert(
        fc.property(fc.array(round, { maxLength: 12 }), (rounds) => {
          const store = new PageStore({ shared });
          const readers = [new Reader(store, 0), new Reader(store, 3)];
          const history: Content[] = [new Map()];
          let memory = new PagedMemory("m.0", store);
          let model: Content = new Map();
          for (const [i, { writes, replace, lags }] of rounds.entries()) {
            const height = i + 1;
            if (replace) {
              memory.discard(height);
              memory = new PagedMemory(`m.${height}`, store);
              model = new Map();
            }
            for (const [page, fill] of writes) {
              memory.write(page, filled(fill), height);
              model.set(page, fill);
            }
            store.reclaim();
            history.push(new Map(model));
            const delta = memory.takeDelta();
            for (const [index, reader] of readers.entries()) {
              reader.post(height, delta);
              reader.advance(Math.max(reader.height, height - (lags[index] as number)));
            }
            assert.deepEqual(
              contentOf((page) => memory.read(page)),
              sorted(model),
            );
            for (const reader of readers) assert.deepEqual(reader.content(), sorted(history[reader.height] as Content));
          }
        }),
        { numRuns: 25 },
      );
    });
  }

  test("that keep up let a memory be written for ever in a bounded store", () => {
    const store = new PageStore({ shared: false });
    const reader = new Reader(store, 0);
    const memory = new PagedMemory("m", store);
    for (let height = 1; height <= 2_000; height++) {
      for (const page of [1, 2, 3]) memory.write(page, filled(height % 255), height);
      store.reclaim();
      reader.post(height, memory.takeDelta());
      reader.advance(height);
    }
    assert.equal(store.bytes, SLOTS_PER_SLAB * PAGE_BYTES);
    assert.ok(store.allocate() < 20, "slots are used again");
  });

  test("that stay behind keep their pages", () => {
    const store = new PageStore({ shared: false });
    const reader = new Reader(store, 0);
    const memory = new PagedMemory("m", store);
    memory.write(1, filled(1), 1);
    reader.post(1, memory.takeDelta());
    reader.advance(1);
    for (let height = 2; height <= 500; height++) {
      memory.write(1, filled(height % 256), height);
      store.reclaim();
      reader.post(height, memory.takeDelta());
    }
    assert.deepEqual(reader.content(), new Map([[1, 1]]));
    reader.advance(300);
    assert.deepEqual(reader.content(), new Map([[1, 300 % 256]]));
  });
});

describe("a memory", () => {
  test("knows its pages since the last checkpoint, each once and in order", () => {
    const memory = new PagedMemory("m", new PageStore({ shared: false }));
    for (const page of [5000, 1, 1023, 1, 5000]) memory.write(page, filled(1), 1);
    memory.takeDelta();
    memory.write(0, filled(1), 2);
    assert.deepEqual([...memory.takeCheckpointChanges()], [0, 1, 1023, 5000]);
    assert.deepEqual([...memory.takeCheckpointChanges()], []);
    memory.restore(9, filled(3));
    assert.deepEqual([...memory.takeCheckpointChanges()], []);
    assert.deepEqual(memory.read(9), filled(3));
    assert.deepEqual(
      [...memory.pages()].map(([page]) => page),
      [0, 1, 9, 1023, 5000],
    );
  });

  test("has pages that are written together side by side in the store, however often", () => {
    const store = new PageStore({ shared: false });
    const memory = new PagedMemory("m", store);
    for (let height = 1; height < 10; height++) {
      for (let page = 0; page < 20; page++) memory.write(page, filled(height), height);
      memory.takeDelta();
      store.reclaim();
      const slots = [...memory.table.entries()].map(([, slot]) => slot);
      const first = slots[0] as number;
      assert.deepEqual(
        slots,
        slots.map((_, i) => first + i),
        `at height ${height}`,
      );
    }
    assert.equal(store.slotsInUse, 20);
  });

  test("copies any stretch, over pages of zeros and over the ends of slabs", () => {
    const store = new PageStore({ shared: false });
    const memory = new PagedMemory("m", store);
    const model = new Uint8Array(5000 * PAGE_BYTES);
    for (let page = 0; page < 5000; page++) {
      if (page % 7 === 3) continue;
      model.fill((page % 255) + 1, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      memory.write(page, filled((page % 255) + 1), 1);
    }
    const position = fc.integer({ min: 0, max: model.length - 1 });
    fc.assert(
      fc.property(position, fc.oneof(fc.nat(70), fc.nat(40 * PAGE_BYTES)), (at, wanted) => {
        const size = Math.min(wanted, model.length - at);
        const target = new Uint8Array(size + 2).fill(0xee);
        memory.copyTo(target, 1, at, size);
        assert.ok(Buffer.compare(target.subarray(1, size + 1), model.subarray(at, at + size)) === 0);
        assert.deepEqual([target[0], target[size + 1]], [0xee, 0xee]);
      }),
      { examples: [[4090 * PAGE_BYTES, 20 * PAGE_BYTES]] },
    );
  });

  test("reads zeros where nothing was written", () => {
    const store = new PageStore({ shared: false });
    const memory = new PagedMemory("m", store);
    assert.equal(memory.read(12), undefined);
    const target = filled(9);
    copySlot(store, memory.table.get(12), target, 0);
    assert.deepEqual(target, filled(0));
    memory.write(12, filled(4), 1);
    copySlot(store, memory.table.get(12), target, 0);
    assert.deepEqual(target, filled(4));
  });

  test("uses one slot for many writes to one page in a round", () => {
    const store = new PageStore({ shared: false });
    const memory = new PagedMemory("m", store);
    for (let i = 0; i < 100; i++) memory.write(3, filled(i), 1);
    assert.equal(store.allocate(), 2);
    assert.deepEqual(memory.read(3), filled(99));
  });

  test("of a slot outside the store is a broken invariant", () => {
    assert.throws(() => readSlot(new PageStore({ shared: false }), 5_000), /outside the store/);
    assert.throws(() => new PageStore({ shared: false }).write(0, filled(1)), /page of zeros/);
  });
});

function sorted(content: Content): Content {
  return new Map([...content].sort(([a], [b]) => a - b));
}
