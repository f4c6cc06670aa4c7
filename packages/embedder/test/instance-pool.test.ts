// The pool of live instances: bounded in number and in the bytes of heap pages that they hold, the least recently used
// goes first, and what was thrown away comes back as it was committed.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { PagedMemory, PageStore, type StoredModule } from "@atoll/state";
import { type CanisterId, canisterIdFromIndex, OS_PAGE_BYTES } from "@atoll/types";
import { InstanceBudget } from "../src/instance-budget.ts";
import { InstancePool } from "../src/instance-pool.ts";
import type { LiveInstance } from "../src/live-instance.ts";
import { PageSet } from "../src/page-set.ts";
import { prepareModule } from "../src/prepared-module.ts";
import { fromText } from "./wasm/running.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const id = (index: number): CanisterId => canisterIdFromIndex(BigInt(index));

function moduleOf(text: string): StoredModule {
  const prepared = prepareModule(fromText(text), { sha256 });
  assert.ok(prepared.ok);
  return prepared.module.stored;
}

const MODULE = moduleOf(`(module (memory 16) (global (mut i32) (i32.const 7)) (func (export "canister_init")))`);

/** A heap with `pages` pages that are not zeros. */
function heapOf(pages: number): PagedMemory {
  const heap = new PagedMemory("m", new PageStore({ shared: false }));
  heap.wasmPages = 16;
  for (let page = 0; page < pages; page++) heap.write(page, new Uint8Array(OS_PAGE_BYTES).fill(1), 1);
  return heap;
}

const source = (pages: number) => ({ module: MODULE, heap: heapOf(pages), globals: [7] });
const present = (pool: InstancePool): number[] => [0, 1, 2, 3, 4].filter((index) => pool.has(id(index)));

describe("the instance pool", () => {
  test("keeps so many instances, those used last", () => {
    const pool = new InstancePool({ maxInstances: 2 });
    for (const index of [0, 1, 0, 2]) pool.get(id(index), source(1));
    assert.deepEqual(present(pool), [0, 2]);
    assert.equal(pool.size, 2);
  });

  test("counts one with a 64-bit memory for two", () => {
    const wide = { ...source(1), module: moduleOf(`(module (memory i64 16))`), globals: [] };
    const pool = new InstancePool({ maxInstances: 4 });
    for (const index of [0, 1, 2]) pool.get(id(index), wide);
    assert.deepEqual(present(pool), [1, 2]);
    pool.drop(id(2));
    for (const index of [3, 4]) pool.get(id(index), source(1));
    assert.deepEqual(present(pool), [1, 3, 4]);
  });

  test("shares its bounds with the pools that have the same budget", () => {
    const budget = new InstanceBudget({ maxInstances: 3, maxBytes: 8 * OS_PAGE_BYTES });
    const [one, other] = [new InstancePool({ budget }), new InstancePool({ budget })];
    for (const index of [0, 1]) one.get(id(index), source(1));
    for (const index of [0, 2]) other.get(id(index), source(1));
    assert.deepEqual([present(one), present(other)], [[1], [0, 2]]);
    one.get(id(1), source(1));
    other.get(id(3), source(7));
    assert.deepEqual([present(one), present(other)], [[1], [3]], "the bytes of both count, the latest use decides");
    other.clear();
    assert.deepEqual([budget.size, budget.bytes, other.size], [1, OS_PAGE_BYTES, 0]);
    one.clear();
    assert.deepEqual([budget.size, budget.bytes], [0, 0]);
  });

  test("shares compiled code with the pools that have the same budget, and keeps so much of it", () => {
    const budget = new InstanceBudget({ maxModules: 2 });
    let compilations = 0;
    const bytes = (): Uint8Array => {
      compilations++;
      return MODULE.prepared;
    };
    const first = budget.compiled("a", bytes);
    budget.compiled("b", bytes);
    assert.equal(budget.compiled("a", bytes), first);
    budget.compiled("c", bytes);
    assert.equal(budget.compiled("a", bytes), first, "what was used last stays");
    assert.equal(compilations, 3);
    budget.compiled("b", bytes);
    assert.equal(compilations, 4);
  });

  test("gives up what it holds when there is no room for another one", () => {
    const pool = new InstancePool();
    pool.get(id(0), source(1));
    const heap = heapOf(1);
    let failures = 1;
    const full = {
      wasmPages: 16,
      read: (page: number) => heap.read(page),
      pages: () => {
        if (failures-- > 0) throw new RangeError("could not allocate memory");
        return heap.pages();
      },
    };
    const live = pool.get(id(1), { ...source(1), heap: full });
    assert.equal(live.bytes()[0], 1);
    assert.deepEqual(present(pool), [1]);
    failures = 2;
    assert.throws(() => pool.get(id(2), { ...source(1), heap: full }), RangeError);
  });

  test("keeps so many bytes of heap pages, however many instances they are", () => {
    const pool = new InstancePool({ maxBytes: 10 * OS_PAGE_BYTES });
    for (const index of [0, 1, 2]) pool.get(id(index), source(3));
    assert.deepEqual(present(pool), [0, 1, 2]);
    assert.equal(pool.bytes, 9 * OS_PAGE_BYTES);
    pool.get(id(3), source(3));
    assert.deepEqual(present(pool), [1, 2, 3]);
    pool.get(id(4), source(20));
    assert.deepEqual(present(pool), [4], "one that is too large is alone");
    pool.drop(id(4));
    assert.equal(pool.bytes, 0);
  });

  test("counts the pages that an instance writes while it lives, once each", () => {
    const pool = new InstancePool({ maxBytes: 10 * OS_PAGE_BYTES });
    pool.get(id(0), source(2));
    const live = pool.get(id(1), source(2));
    for (const page of [0, 1, 5, 6, 5]) live.writePage(page, new Uint8Array(OS_PAGE_BYTES));
    assert.equal(pool.bytes, 6 * OS_PAGE_BYTES);
    for (let page = 0; page < 10; page++) live.writePage(page, undefined);
    assert.equal(pool.bytes, 12 * OS_PAGE_BYTES, "zeros take memory as well");
    pool.get(id(1), source(2));
    assert.deepEqual(present(pool), [1]);
    assert.equal(pool.bytes, 10 * OS_PAGE_BYTES);
  });

  test("does not count an instance that it has let go", () => {
    const pool = new InstancePool({ maxInstances: 1 });
    const live = pool.get(id(0), source(1));
    pool.get(id(1), source(1));
    live.writePage(3, undefined);
    assert.equal(pool.bytes, OS_PAGE_BYTES);
    pool.put(id(0), live);
    assert.equal(pool.bytes, 2 * OS_PAGE_BYTES);
    pool.put(id(0), live);
    assert.equal(pool.bytes, 2 * OS_PAGE_BYTES);
  });

  test("a heap grows in place to what was committed elsewhere", () => {
    for (const text of [`(module (memory 1))`, `(module (memory i64 1))`]) {
      const live: LiveInstance = new InstancePool().fresh({ module: moduleOf(text), heap: heapOf(1) });
      assert.ok(live.growTo(16));
      assert.ok(live.growTo(20));
      live.writePage(319, new Uint8Array(OS_PAGE_BYTES).fill(9));
      assert.equal(live.bytes()[20 * 65_536 - 1], 9);
      assert.equal(live.growTo(19), false);
    }
    const none = new InstancePool().fresh({ module: moduleOf("(module)"), heap: heapOf(0) });
    assert.equal(none.growTo(1), false);
  });
});

test("a set of pages takes any page of the largest heap", () => {
  const set = new PageSet();
  const pages = [0, 7, 8, 63, 64, 65, 1_572_863];
  for (const page of pages) assert.equal(set.add(page), true);
  for (const page of pages) assert.equal(set.add(page), false);
  assert.equal(set.count, pages.length);
});
