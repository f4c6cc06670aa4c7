// Copies a stretch of a paged memory out of the store. Reading stable memory is what canisters with much data do most,
// so pages that lie side by side in a slab are copied in one piece, and a few bytes one by one: a view costs more.
import { OS_PAGE_BYTES } from "@atoll/types";
import { offsetOf, type PageReader, SLOTS_PER_SLAB, type Slot, slabOf } from "./page-store.ts";

/** From so many bytes on a copy by the engine is faster than a loop. */
const BY_ENGINE = 64;

export interface SlotTable {
  /** Slot of a page; 0 is the page of zeros. */
  get(page: number): Slot;
}

/** Copies the bytes [offset, offset + size) of a memory to `target` at `at`. */
export function copyRange(
  reader: PageReader,
  table: SlotTable,
  target: Uint8Array,
  at: number,
  offset: number,
  size: number,
): void {
  let done = 0;
  while (done < size) {
    const page = Math.floor((offset + done) / OS_PAGE_BYTES);
    const within = (offset + done) % OS_PAGE_BYTES;
    const slot = table.get(page);
    let length = OS_PAGE_BYTES - within;
    for (let next = 1; length < size - done && continues(slot, next, table.get(page + next)); next++) {
      length += OS_PAGE_BYTES;
    }
    length = Math.min(length, size - done);
    if (slot === 0) target.fill(0, at + done, at + done + length);
    else copyBytes(slabOf(reader, slot), offsetOf(slot) + within, target, at + done, length);
    done += length;
  }
}

/** Whether the page `distance` pages after one in `slot` lies right behind it, in the same slab. */
function continues(slot: Slot, distance: number, next: Slot): boolean {
  if (slot === 0) return next === 0;
  return next === slot + distance && next % SLOTS_PER_SLAB !== 0;
}

/** Copies `source[from, from + length)` to `target` at `at`. */
export function copyBytes(source: Uint8Array, from: number, target: Uint8Array, at: number, length: number): void {
  if (length < BY_ENGINE) for (let i = 0; i < length; i++) target[at + i] = source[from + i] as number;
  else target.set(source.subarray(from, from + length), at);
}
