// Which page of a memory lies in which slot of the page store. Tables share their leaves until one of them writes: a
// snapshot of a memory of any size costs nothing before that, and what two memories have in common is known without
// looking at the pages. Readers' tables share nothing.
import type { Slot } from "./page-store.ts";

const LEAF_PAGES = 64;

/** The slots of 64 pages, and then how many other roots hold this leaf. */
type Leaf = Uint32Array;

interface Root {
  readonly leaves: Map<number, Leaf>;
  /** Tables with this root. */
  owners: number;
}

/**
 * A sparse table from page index to slot; absent means zeros. Leaves are small, because most canisters use a few pages
 * here and there, and a page at the far end of 500 GiB costs one leaf like any other.
 */
export class PageTable {
  #root: Root = { leaves: new Map(), owners: 1 };
  /** The leaf used last: pages are mostly visited one after the other. */
  #lastIndex = -1;
  #last: Leaf | undefined;
  #count = 0;

  /** Number of pages that are not zeros. */
  get count(): number {
    return this.#count;
  }

  get(page: number): Slot {
    return this.#leaf(Math.floor(page / LEAF_PAGES))?.[page % LEAF_PAGES] ?? 0;
  }

  /** `retain` is told of every slot that a second leaf holds from now on, because this one was shared. */
  set(page: number, slot: Slot, retain?: (slot: Slot) => void): void {
    const index = Math.floor(page / LEAF_PAGES);
    let leaf = this.#leaf(index);
    if (leaf === undefined && slot === 0) return;
    this.#ownRoot();
    if (leaf === undefined) {
      leaf = new Uint32Array(LEAF_PAGES + 1);
      this.#replaceLeaf(index, leaf);
    } else if (leaf[LEAF_PAGES] !== 0) {
      leaf[LEAF_PAGES] = (leaf[LEAF_PAGES] as number) - 1;
      leaf = leaf.slice();
      leaf[LEAF_PAGES] = 0;
      this.#replaceLeaf(index, leaf);
      for (const each of leaf) if (each !== 0) retain?.(each);
    }
    const at = page % LEAF_PAGES;
    this.#count += Number(slot !== 0) - Number(leaf[at] !== 0);
    leaf[at] = slot;
  }

  /** A table of the same content that shares everything with this one. */
  fork(): PageTable {
    const copy = new PageTable();
    this.#root.owners++;
    copy.#root = this.#root;
    copy.#count = this.#count;
    return copy;
  }

  /** The same table in another store, where nothing that it shares is shared with this one. */
  copy(copies: TableCopies): PageTable {
    const copy = new PageTable();
    copy.#root = copies.root(this.#root);
    copy.#count = this.#count;
    return copy;
  }

  /** Gives up the leaves; `release` is told of the slots of those that nobody else has. Not to be used afterwards. */
  drop(release: (slot: Slot) => void): void {
    const root = this.#root;
    this.#root = { leaves: new Map(), owners: 1 };
    if (--root.owners > 0) return;
    for (const leaf of root.leaves.values()) {
      if (leaf[LEAF_PAGES] !== 0) leaf[LEAF_PAGES] = (leaf[LEAF_PAGES] as number) - 1;
      else for (const slot of leaf) if (slot !== 0) release(slot);
    }
  }

  /** All pages that are not zeros, in ascending order. */
  *entries(): Generator<[page: number, slot: Slot]> {
    const { leaves } = this.#root;
    for (const index of [...leaves.keys()].sort((a, b) => a - b)) {
      const leaf = leaves.get(index) as Leaf;
      for (let at = 0; at < LEAF_PAGES; at++) {
        const slot = leaf[at] as number;
        if (slot !== 0) yield [index * LEAF_PAGES + at, slot];
      }
    }
  }

  /** Pages with another slot than in `before`, with the slot here, in ascending order. Shared leaves cost nothing. */
  *changesSince(before: PageTable): Generator<[page: number, slot: Slot]> {
    const [here, there] = [this.#root.leaves, before.#root.leaves];
    if (here === there) return;
    const indexes = [...here.keys()].filter((index) => here.get(index) !== there.get(index));
    for (const index of there.keys()) if (!here.has(index)) indexes.push(index);
    for (const index of indexes.sort((a, b) => a - b)) {
      const [ours, theirs] = [here.get(index), there.get(index)];
      for (let at = 0; at < LEAF_PAGES; at++) {
        const slot = ours?.[at] ?? 0;
        if (slot !== (theirs?.[at] ?? 0)) yield [index * LEAF_PAGES + at, slot];
      }
    }
  }

  #ownRoot(): void {
    const root = this.#root;
    if (root.owners === 1) return;
    root.owners--;
    for (const leaf of root.leaves.values()) leaf[LEAF_PAGES] = (leaf[LEAF_PAGES] as number) + 1;
    this.#root = { leaves: new Map(root.leaves), owners: 1 };
  }

  #leaf(index: number): Leaf | undefined {
    if (index !== this.#lastIndex) {
      this.#last = this.#root.leaves.get(index);
      this.#lastIndex = index;
    }
    return this.#last;
  }

  #replaceLeaf(index: number, leaf: Leaf): void {
    this.#root.leaves.set(index, leaf);
    this.#lastIndex = index;
    this.#last = leaf;
  }
}

/** Tables of one store as those of another: what they share with each other there, they share here. */
export class TableCopies {
  readonly #roots = new Map<Root, Root>();
  readonly #leaves = new Map<Leaf, Leaf>();

  root(root: Root): Root {
    let copy = root.owners > 1 ? this.#roots.get(root) : undefined;
    if (copy !== undefined) copy.owners++;
    else {
      copy = { leaves: new Map(), owners: 1 };
      for (const [index, leaf] of root.leaves) copy.leaves.set(index, this.#leaf(leaf));
      if (root.owners > 1) this.#roots.set(root, copy);
    }
    return copy;
  }

  #leaf(leaf: Leaf): Leaf {
    const isShared = leaf[LEAF_PAGES] !== 0;
    let copy = isShared ? this.#leaves.get(leaf) : undefined;
    if (copy !== undefined) copy[LEAF_PAGES] = (copy[LEAF_PAGES] as number) + 1;
    else {
      copy = leaf.slice();
      copy[LEAF_PAGES] = 0;
      if (isShared) this.#leaves.set(leaf, copy);
    }
    return copy;
  }
}
