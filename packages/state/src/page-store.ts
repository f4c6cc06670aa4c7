// Where the 4 KiB pages of all canister memories live: slabs of 32 pages, handed out page by page as slots.
// Slots written in earlier rounds are never overwritten, so a reader (a query thread) that holds the page tables
// of height h sees exactly the state of height h while later rounds run. A slot that was replaced in round h is
// free again as soon as every reader has moved on to h.
// A store can be copied at the cost of a reference per slab: what is in use then is written by neither side again.
import { type Height, invariant, OS_PAGE_BYTES } from "@atoll/types";

/** Few, as hundreds of small states live in one process. */
export const SLOTS_PER_SLAB = 32;
const SLAB_BYTES = SLOTS_PER_SLAB * OS_PAGE_BYTES;
/** Slabs are allocated together, twice as many each time, up to 16 MiB: pages side by side have one buffer. */
const MAX_SLABS_AT_ONCE = 128;
const MAX_READERS = 16;

/** Number of a page in the store. 0 is the page of zeros, which has no bytes of its own. */
export type Slot = number;

/** What a reader needs: the slabs (shared with its thread) and its own line in the table of heights. */
export interface PageReader {
  readonly slabs: Uint8Array[];
  /** One height per reader; -1 while the reader is not there. */
  readonly heights: Int32Array;
}

/** A slab as its stores see it: while there are several, what was in use when they parted is not written. */
interface SharedSlab {
  stores: number;
}

export class PageStore implements PageReader {
  slabs: Uint8Array[] = [];
  readonly heights: Int32Array;
  /** Called with each new slab, so that readers on other threads get it too. */
  onNewSlab: ((slab: Uint8Array) => void) | undefined;
  readonly #shared: boolean;
  #sharing: SharedSlab[] = [];
  /** Slots of each slab that hold a page or wait for readers. */
  #used: number[] = [];
  #slotsInUse = 0;
  #slabsAtOnce = 1;
  #free: Slot[] = [];
  /** Slots that would be free if no other store had their slab. */
  #frozen: Slot[] = [];
  /** How many tables hold a slot beside the first, by slab; none where no table shares anything. */
  #shares: (Uint32Array | undefined)[] = [];
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
    return this.#slotsInUse;
  }

  allocate(): Slot {
    if (this.#free.length === 0 && this.#next >= this.slabs.length * SLOTS_PER_SLAB) this.#makeRoom();
    const slot = this.#free.pop() ?? this.#next++;
    this.#slotsInUse++;
    const slab = Math.floor(slot / SLOTS_PER_SLAB);
    this.#used[slab] = (this.#used[slab] as number) + 1;
    return slot;
  }

  /** A store of the same slots. Either one may go on, and be released, at any time: neither sees what the other writes. */
  fork(): PageStore {
    invariant(!this.#shared, "a page store that other threads read cannot be copied");
    const copy = new PageStore({ shared: false });
    for (const slab of this.#sharing) slab.stores++;
    copy.slabs = [...this.slabs];
    copy.#sharing = [...this.#sharing];
    copy.#used = [...this.#used];
    copy.#slotsInUse = this.#slotsInUse;
    copy.#shares = this.#shares.map((shares) => shares?.slice());
    copy.#retired = this.#retired.map(({ height, slots }) => ({ height, slots: [...slots] }));
    copy.heights.set(this.heights);
    // What is free now stays with this store alone.
    copy.#next = copy.slabs.length * SLOTS_PER_SLAB;
    return copy;
  }

  /** Gives the slabs back to the stores that have them too; this one must not be used afterwards. */
  release(): void {
    for (const slab of this.#sharing) slab.stores--;
    this.#sharing = [];
    this.slabs = [];
  }

  #makeRoom(): void {
    this.#thaw();
    if (this.#free.length > 0) return;
    const count = this.#slabsAtOnce;
    this.#slabsAtOnce = Math.min(2 * count, MAX_SLABS_AT_ONCE);
    const buffer = allocate(count * SLAB_BYTES, this.#shared);
    this.#next = Math.max(1, this.slabs.length * SLOTS_PER_SLAB);
    for (let i = 0; i < count; i++) {
      const slab = new Uint8Array(buffer, i * SLAB_BYTES, SLAB_BYTES);
      this.slabs.push(slab);
      this.#sharing.push({ stores: 1 });
      this.#used.push(0);
      this.onNewSlab?.(slab);
    }
  }

  /** Frees slots of slabs that no other store has any more, or of which nothing is left here: they get new bytes. */
  #thaw(): void {
    const frozen = this.#frozen;
    this.#frozen = [];
    for (const slot of frozen) {
      const slab = Math.floor(slot / SLOTS_PER_SLAB);
      let sharing = this.#sharing[slab] as SharedSlab;
      if (sharing.stores > 1 && this.#used[slab] === 0) {
        sharing.stores--;
        sharing = { stores: 1 };
        this.#sharing[slab] = sharing;
        this.slabs[slab] = new Uint8Array(SLAB_BYTES);
      }
      (sharing.stores > 1 ? this.#frozen : this.#free).push(slot);
    }
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
      for (const slot of entry.slots.reverse()) this.#putBack(slot);
      done++;
    }
    if (done > 0) this.#retired = this.#retired.slice(done);
  }

  #putBack(slot: Slot): void {
    const slab = Math.floor(slot / SLOTS_PER_SLAB);
    this.#slotsInUse--;
    this.#used[slab] = (this.#used[slab] as number) - 1;
    ((this.#sharing[slab] as SharedSlab).stores > 1 ? this.#frozen : this.#free).push(slot);
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
