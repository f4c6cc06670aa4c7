// Stable memory: the 64-bit calls, and the 32-bit ones of older canisters. Checklist 3.3 and 3.5,
// instruction-costs 4 and 5.
import { MAX_STABLE_MEMORY_BYTES, MAX_WASM64_PAGES, WASM_PAGE_BYTES } from "@atoll/types";
import type { Execution, Value } from "../execution.ts";
import { Trap } from "../execution-error.ts";
import { EVERY } from "../modes.ts";
import type { ApiTable } from "./api-function.ts";

const PAGES_4_GIB = 65_536;
const MAX_STABLE_PAGES = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;
const INSTRUCTIONS_PER_DIRTY_PAGE = 1000;

export const stableApi: ApiTable = {
  stable64_size: { modes: EVERY, cost: 0, run: (x) => BigInt(x.stable.wasmPages) },
  stable64_grow: {
    modes: EVERY,
    cost: 100,
    run: (x, pages) => BigInt(grow(x, Number(BigInt.asUintN(64, pages as bigint)), MAX_STABLE_PAGES)),
  },
  stable64_read: {
    modes: EVERY,
    cost: copyCost,
    run: (x, target, offset, size) => read(x, target as Value, offset as Value, size as Value),
  },
  stable64_write: {
    modes: EVERY,
    cost: copyCost,
    run: (x, offset, source, size) => write(x, offset as Value, source as Value, size as Value),
  },
  stable_size: { modes: EVERY, cost: 0, run: (x) => smallPages(x) },
  stable_grow: {
    modes: EVERY,
    cost: 100,
    run: (x, pages) => {
      smallPages(x);
      return grow(x, x.size(pages as Value), PAGES_4_GIB);
    },
  },
  stable_read: {
    modes: EVERY,
    cost: copyCost,
    run: (x, target, offset, size) => {
      // Of the four, only this one lets an empty access through whatever the size of the memory.
      if (x.size(size as Value) > 0) smallPages(x);
      return read(x, target as Value, offset as Value, size as Value);
    },
  },
  stable_write: {
    modes: EVERY,
    cost: copyCost,
    run: (x, offset, source, size) => {
      smallPages(x);
      // Unlike the other three, this one checks the offset of an empty write.
      checkStable(x, x.size(offset as Value), 0);
      return write(x, offset as Value, source as Value, size as Value);
    },
  },
};

/** In 64 bits, as the replica adds: a size of nearly 2^64 wraps around and is then refused by its bounds, not its cost. */
function copyCost(x: Execution, _to: Value, _from: Value, size: Value): number {
  if (typeof size === "number" || x.size(size) < Number.MAX_SAFE_INTEGER) return 20 + x.size(size);
  return Math.max(0, Number(BigInt.asIntN(64, size + 20n)));
}

/** `to` is in the heap, `from` in stable memory. */
function read(x: Execution, to: Value, from: Value, bytes: Value): undefined {
  const target = x.size(to);
  const offset = x.size(from);
  const size = x.size(bytes);
  if (size === 0) return undefined;
  checkStable(x, offset, size);
  checkAddress(x, target, size);
  x.stable.access(offset, size);
  checkHeap(x, target, size);
  x.stable.read(x.heap.bytes(), target, offset, size);
  x.heap.markDirty(target, size);
  return undefined;
}

/** `to` is in stable memory, `from` in the heap. Newly written pages are charged before the copy. */
function write(x: Execution, to: Value, from: Value, bytes: Value): undefined {
  const offset = x.size(to);
  const source = x.size(from);
  const size = x.size(bytes);
  if (size === 0) return undefined;
  checkStable(x, offset, size);
  checkAddress(x, source, size);
  x.stable.access(offset, size);
  const newPages = x.stable.pagesToDirty(offset, size);
  if (newPages > 0) x.charge(INSTRUCTIONS_PER_DIRTY_PAGE * newPages);
  checkHeap(x, source, size);
  x.stable.write(x.heap.bytes(), source, offset, size);
  return undefined;
}

function checkStable(x: Execution, offset: number, size: number): void {
  if (offset + size > x.stable.bytes) throw new Trap({ kind: "trapped", trap: "stable memory out of bounds" });
}

/** What no heap of this width can have. */
function checkAddress(x: Execution, at: number, size: number): void {
  const max = x.heap.is64 ? MAX_WASM64_PAGES * WASM_PAGE_BYTES : 2 ** 32 - 1;
  if (at > max || size > max) throw outsideOfHeap();
}

function checkHeap(x: Execution, at: number, size: number): void {
  if (at + size > x.heap.bytes().length) throw outsideOfHeap();
}

function outsideOfHeap(): Trap {
  return new Trap({ kind: "trapped", trap: "heap out of bounds" });
}

function smallPages(x: Execution): number {
  if (x.stable.wasmPages <= PAGES_4_GIB) return x.stable.wasmPages;
  throw new Trap({ kind: "trapped", trap: "32 bit stable memory api used on a memory larger than 4GB" });
}

function grow(x: Execution, pages: number, maxPages: number): number {
  if (x.stable.wasmPages + pages > Math.min(maxPages, MAX_STABLE_PAGES)) return -1;
  if (pages > 0 && !x.takeMemory(pages * WASM_PAGE_BYTES, false)) return -1;
  return x.stable.grow(pages) ?? -1;
}
