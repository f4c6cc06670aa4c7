// Where the 4 KiB pages of all canister memories live: slabs of 16 MiB, handed out page by page as slots.
// Slots written in earlier rounds are never overwritten, so a reader (a query thread) that holds the page tables
// of height h sees exactly the state of height h while later rounds run. A slot that was replaced in round h is
// free again as soon as every reader has moved on to h.
import { type Height, invariant, OS_PAGE_BYTES } from "@atoll/types";

export const SLOTS_PER_SLAB = 4096;
const SLAB_BYTES = SLOTS_PER_SLAB * OS_PAGE_BYTES;
const MAX_READERS = 16;

/** Number of a page in the store. 0 is the page of zeros, which has no bytes of its own. */
export type Slot = number;

/** What a reader needs: the slabs (shared with its thread) and its own line in the table of heights. */
export interface PageReader {
  readonly slabs: Uint8Array[];
  /** One height per reader; -1 while the reader is not there. */
  readonly heights: Int32Array;
}

export class PageStore implements PageReader {
  readonly slabs: Uint8Array[] = [];
  readonly heights: Int32Array;
  /** Called with each new slab, so that readers on other threads get it too. */
  onNewSlab: ((slab: Uint8Array) => void) | undefined;
  readonly #shared: boolean;
  readonly #free: Slot[] = [];
  /** How many tables hold a slot beside the first, by slab; none where no table shares anything. */
  readonly #shares: (Uint32Array | undefined)[] = [];
  /** Slots waiting for readers, oldest first, with the height at which they were replaced. */
  #retired: { height: Height; slots: Slot[] }[] = [];
  #next: Slot = 1;

  /** With `shared`, slabs are SharedArrayBuffers that other threads can map. */
  constructor(options: { shared: boolean }) {
    this.#shared = options.shared;
    this.heights = new Int32Array(allocate(MAX_READERS * 4, options.shared)).fill(-1);
  }

  /** Bytes held in slabs. */
  get bytes(): number {
    return this.slabs.length * SLAB_BYTES;
  }

  /** Slots that hold a page of some table, or wait for readers. */
  get slotsInUse(): number {
    return this.#next - 1 - this.#free.length;
  }

  allocate(): Slot {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#next >= this.slabs.length * SLOTS_PER_SLAB) {
      const slab = new Uint8Array(allocate(SLAB_BYTES, this.#shared));
      this.slabs.push(slab);
      this.onNewSlab?.(slab);
    }
    return this.#next++;
  }

  /** One more table holds the slot: it is free when `retire` was called once more. */
  retain(slot: Slot): void {
    if (slot === 0) return;
    const slab = Math.floor(slot / SLOTS_PER_SLAB);
    this.#shares[slab] ??= new Uint32Array(SLOTS_PER_SLAB);
    const shares = this.#shares[slab];
    shares[slot % SLOTS_PER_SLAB] = (shares[slot % SLOTS_PER_SLAB] as number) + 1;
  }

  /** Gives back a slot that readers below `height` may still use. */
  retire(slot: Slot, height: Height): void {
    if (slot === 0) return;
    const shares = this.#shares[Math.floor(slot / SLOTS_PER_SLAB)];
    const others = shares?.[slot % SLOTS_PER_SLAB] ?? 0;
    if (shares !== undefined && others > 0) {
      shares[slot % SLOTS_PER_SLAB] = others - 1;
      return;
    }
    const last = this.#retired.at(-1);
    if (last?.height === height) last.slots.push(slot);
    else this.#retired.push({ height, slots: [slot] });
  }

  /** Makes retired slots free that no reader needs any more. Called once a round. */
  reclaim(): void {
    let oldest = Number.MAX_SAFE_INTEGER;
    for (let i = 0; i < MAX_READERS; i++) {
      const height = Atomics.load(this.heights, i);
      if (height >= 0 && height < oldest) oldest = height;
    }
    let done = 0;
    for (const entry of this.#retired) {
      if (entry.height > oldest) break;
      // The first to come back is the first to be used again: pages written side by side go on lying side by side.
      for (const slot of entry.slots.reverse()) this.#free.push(slot);
      done++;
    }
    if (done > 0) this.#retired = this.#retired.slice(done);
  }

  write(slot: Slot, page: Uint8Array): void {
    invariant(slot !== 0, "the page of zeros cannot be written");
    slabOf(this, slot).set(page, offsetOf(slot));
  }
}

/** The bytes of a page as a view that must not be kept; undefined for the page of zeros. */
export function readSlot(reader: PageReader, slot: Slot): Uint8Array | undefined {
  if (slot === 0) return undefined;
  const offset = offsetOf(slot);
  return slabOf(reader, slot).subarray(offset, offset + OS_PAGE_BYTES);
}

/** Copies a page to `target` at `offset`. */
export function copySlot(reader: PageReader, slot: Slot, target: Uint8Array, offset: number): void {
  const page = readSlot(reader, slot);
  if (page === undefined) target.fill(0, offset, offset + OS_PAGE_BYTES);
  else target.set(page, offset);
}

export function slabOf(reader: PageReader, slot: Slot): Uint8Array {
  const slab = reader.slabs[Math.floor(slot / SLOTS_PER_SLAB)];
  invariant(slab !== undefined, `page slot ${slot} lies outside the store`);
  return slab;
}

export function offsetOf(slot: Slot): number {
  return (slot % SLOTS_PER_SLAB) * OS_PAGE_BYTES;
}

function allocate(bytes: number, shared: boolean): ArrayBuffer | SharedArrayBuffer {
  return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}
