// Every part of a state is in the one list that says how it is saved and how it is copied, and what the list says of
// saving is what checkpoints do. A copy has every part, and shares none that can be changed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeState } from "@atoll/types";
import { Checkpoints } from "../src/checkpoint.ts";
import { forkState, STATE_PARTS } from "../src/fork-state.ts";
import { PageStore } from "../src/page-store.ts";
import { TableCopies } from "../src/page-table.ts";
import { PagedMemory } from "../src/paged-memory.ts";
import { CheckpointStore } from "../src/store/checkpoint-store.ts";
import { MemoryStorage } from "../src/store/memory-storage.ts";
import { filled, fullState } from "./full-state.ts";

/** In the meta record because the records of their part do not tell: the number of the next outcall. */
const BESIDE = ["nextOutcall"];

describe("the parts of a state", () => {
  test("are all in the list, and saved where it says", () => {
    const state = fullState();
    assert.deepEqual(Object.keys(STATE_PARTS).sort(), Object.keys(state).sort());
    const store = CheckpointStore.open(new MemoryStorage(), {});
    new Checkpoints(store).save(state);
    const parts = Object.entries(STATE_PARTS).filter(([, { saved }]) => saved === "meta");
    const meta = Object.keys(decodeState(store.meta) as object).filter((key) => !BESIDE.includes(key));
    assert.deepEqual(meta.sort(), parts.map(([part]) => part).sort());
  });

  test("are not shared by a copy where they can change", () => {
    const state = fullState();
    const copy = forkState(state, state.pages.fork());
    assert.deepEqual(Object.keys(copy).sort(), Object.keys(state).sort());
    const shared: string[] = [];
    compare("", state, copy, shared);
    assert.deepEqual(shared, []);
  });
});

/** Notes every container that both sides have. Those below settings, messages and so on are never changed in place. */
function compare(path: string, one: unknown, other: unknown, shared: string[]): void {
  if (typeof one !== "object" || one === null || one instanceof Uint8Array) return;
  if (IMMUTABLE.some((part) => path.endsWith(part))) return;
  if (one === other) {
    shared.push(path);
    return;
  }
  if (one instanceof Map && other instanceof Map) {
    for (const [key, item] of one) compare(`${path}.*`, item, other.get(key), shared);
  } else if (!Array.isArray(one) && !(one instanceof Set)) {
    for (const [name, item] of Object.entries(one)) {
      compare(`${path}.${name}`, item, (other as Record<string, unknown>)[name], shared);
    }
  }
}

const IMMUTABLE = [
  ".config",
  ".topology",
  ".nodes",
  ".settings",
  ".status",
  ".queryStats",
  ".idleBurn",
  ".pendingExecution",
  ".callbacks.*",
  ".globals",
  ".origin",
  ".module",
  ".usage.canisters.*",
  // Of pages, whose tests are below.
  ".heap",
  ".stable",
];

describe("a fork of a page store", () => {
  const memoryWith = (store: PageStore, pages: number): PagedMemory => {
    const memory = new PagedMemory("m", store);
    for (let page = 0; page < pages; page++) memory.write(page, filled(page % 251), 1);
    memory.takeDelta();
    return memory;
  };

  test("sees nothing of what either side writes, not even to pages of a round that goes on", () => {
    const store = new PageStore({ shared: false });
    const memory = new PagedMemory("m", store);
    memory.write(3, filled(1), 1);
    const child = store.fork();
    const copy = memory.copy(child, new TableCopies());
    memory.write(3, filled(2), 1);
    assert.equal(copy.read(3)?.[0], 1);
    copy.write(3, filled(3), 1);
    assert.deepEqual([memory.read(3)?.[0], copy.read(3)?.[0]], [2, 3]);
  });

  test("gives the slots back when one of the two is gone, whichever it is", () => {
    for (const isParentGone of [true, false]) {
      const store = new PageStore({ shared: false });
      const memory = memoryWith(store, 100);
      const child = store.fork();
      const copy = memory.copy(child, new TableCopies());
      const [stays, goes] = isParentGone ? [child, store] : [store, child];
      const left = isParentGone ? copy : memory;
      goes.release();
      const before = stays.bytes;
      for (let round = 2; round < 50; round++) {
        for (let page = 0; page < 100; page++) left.write(page, filled(round), round);
        left.takeDelta();
        stays.reclaim();
      }
      assert.equal(stays.slotsInUse, 100);
      assert.ok(stays.bytes <= 3 * before, `${stays.bytes} bytes of ${before}`);
    }
  });

  test("takes no more and more room while both live and write", () => {
    const store = new PageStore({ shared: false });
    const memory = memoryWith(store, 100);
    const child = store.fork();
    const copy = memory.copy(child, new TableCopies());
    for (let round = 2; round < 100; round++) {
      for (let page = 0; page < 100; page++) {
        memory.write(page, filled(round), round);
        copy.write(page, filled(round + 100), round);
      }
      for (const each of [memory, copy]) each.takeDelta();
      for (const each of [store, child]) each.reclaim();
    }
    for (const [each, fill] of [
      [memory, 99],
      [copy, 199],
    ] as const) {
      for (const [, bytes] of each.pages()) assert.equal(bytes[7], fill);
    }
    assert.ok(store.bytes < 4_000_000 && child.bytes < 4_000_000, `${store.bytes} and ${child.bytes}`);
  });
});
