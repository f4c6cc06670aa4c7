// Stable memory during an execution, against plain bytes: whatever is read and written, over whatever is committed.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PagedMemory, PageStore } from "@atoll/state";
import { MAX_STABLE_MEMORY_BYTES, OS_PAGE_BYTES, STABLE_PAGES_QUERY, WASM_PAGE_BYTES } from "@atoll/types";
import fc from "fast-check";
import { Trap } from "../src/execution-error.ts";
import { StableMemory } from "../src/stable-memory.ts";

const PAGES = 12;
const BYTES = PAGES * OS_PAGE_BYTES;

/** Far away, so that positions do not fit 32 bits. */
const FAR = MAX_STABLE_MEMORY_BYTES - 2 * WASM_PAGE_BYTES;

interface Access {
  readonly kind: "read" | "write" | "commit" | "drop";
  readonly at: number;
  readonly size: number;
  readonly byte: number;
}

function run(accesses: readonly Access[]): void {
  const committed = new PagedMemory("m", new PageStore({ shared: false }));
  committed.wasmPages = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;
  let model = new Uint8Array(BYTES);
  let before = model.slice();
  let stable = new StableMemory(committed, STABLE_PAGES_QUERY);
  const heap = new Uint8Array(BYTES + 10);
  let height = 1;
  for (const { kind, at, byte, size: wanted } of accesses) {
    const size = Math.min(wanted, BYTES - at);
    if (kind === "read") {
      heap.fill(0xee);
      stable.access(FAR + at, size);
      stable.read(heap, 5, FAR + at, size);
      assert.deepEqual(heap.subarray(5, 5 + size), model.subarray(at, at + size));
      assert.deepEqual([heap[4], heap[5 + size]], [0xee, 0xee], "nothing beside it");
    } else if (kind === "write") {
      for (let i = 0; i < size; i++) model[at + i] = heap[7 + i] = (byte + i) & 0xff;
      stable.access(FAR + at, size);
      stable.write(heap, 7, FAR + at, size);
      assert.equal(stable.pagesToDirty(FAR + at, size), 0);
    } else {
      if (kind === "drop") model = before.slice();
      else for (const [page, content] of stable.written) committed.write(page, content, height);
      before = model.slice();
      height++;
      committed.takeDelta();
      stable = new StableMemory(committed, STABLE_PAGES_QUERY);
    }
  }
}

describe("stable memory", () => {
  test("reads what was written, in this execution or before, and nothing of one that was dropped", () => {
    const access = fc.record({
      kind: fc.constantFrom("read", "read", "write", "write", "commit", "drop") as fc.Arbitrary<Access["kind"]>,
      at: fc.integer({ min: 0, max: BYTES - 1 }),
      size: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: BYTES })),
      byte: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(fc.property(fc.array(access, { maxLength: 40 }), run), { numRuns: 100 });
  });

  test("counts each page that is touched once, read or written, and stops at the limit", () => {
    const committed = new PagedMemory("m", new PageStore({ shared: false }));
    committed.wasmPages = 100;
    const stable = new StableMemory(committed, 3);
    stable.access(OS_PAGE_BYTES - 1, 2);
    stable.access(0, 2 * OS_PAGE_BYTES);
    assert.equal(stable.pagesToDirty(OS_PAGE_BYTES - 1, 2), 2);
    stable.write(new Uint8Array(2), 0, OS_PAGE_BYTES - 1, 2);
    assert.equal(stable.pagesToDirty(0, 3 * OS_PAGE_BYTES), 1);
    stable.access(50 * OS_PAGE_BYTES, 1);
    assert.throws(() => stable.access(51 * OS_PAGE_BYTES, 1), Trap);
    stable.access(0, OS_PAGE_BYTES);
  });

  test("a stretch of any length is counted no further than the limit", () => {
    const committed = new PagedMemory("m", new PageStore({ shared: false }));
    committed.wasmPages = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;
    const stable = new StableMemory(committed, 10);
    assert.throws(() => stable.access(0, MAX_STABLE_MEMORY_BYTES), Trap);
  });
});
