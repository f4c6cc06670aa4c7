// One section of the pool: artifacts by id, and by kind and height, so that no role ever looks through all of them.
// Section 3.
import type { Height } from "@atoll/types";
import {
  ARTIFACT_KINDS,
  type Artifact,
  type ArtifactId,
  type ArtifactKind,
  type ArtifactOf,
  heightOf,
} from "./artifacts.ts";
import type { Entry, Instant, PoolSection } from "./pool.ts";

/** An entry with its encoding, which was made once. */
export interface PoolEntry extends Entry {
  readonly bytes: Uint8Array;
  /** SHA-256 of these. */
  readonly hash: Uint8Array;
  since: Instant;
}

/** The artifacts of one kind. Heights are sorted; most additions come at the end. */
interface KindIndex {
  readonly heights: Height[];
  readonly entries: Map<Height, PoolEntry[]>;
  /** The first and the last of them, where there are any. */
  readonly range: { min: Height; max: Height };
  count: number;
  /** Of a change in it. */
  readonly bit: number;
}

const ORDINALS = new Map(ARTIFACT_KINDS.map((kind, ordinal) => [kind, ordinal]));

/** What changed, as bits: the kinds of the validated section by their places in `ARTIFACT_KINDS`, then the unvalidated ones. */
export function changeBit(section: "validated" | "unvalidated", kind: ArtifactKind): number {
  const ordinal = ORDINALS.get(kind) as number;
  return 1 << (section === "validated" ? ordinal : ordinal + ARTIFACT_KINDS.length);
}

const NONE: readonly never[] = [];

export class Section implements PoolSection {
  readonly #byId = new Map<ArtifactId, PoolEntry>();
  readonly #byKind: Readonly<Record<ArtifactKind, KindIndex>>;
  readonly #onChange: (bit: number) => void;

  /** `onChange`: is told what changes, as `changeBit` has it. */
  constructor(name: "validated" | "unvalidated", onChange: (bit: number) => void) {
    this.#onChange = onChange;
    const index = (kind: ArtifactKind): KindIndex => ({
      heights: [],
      entries: new Map(),
      range: { min: 0, max: 0 },
      count: 0,
      bit: changeBit(name, kind),
    });
    this.#byKind = Object.fromEntries(ARTIFACT_KINDS.map((kind) => [kind, index(kind)])) as Record<
      ArtifactKind,
      KindIndex
    >;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: ArtifactId): PoolEntry | undefined {
    return this.#byId.get(id);
  }

  has(id: ArtifactId): boolean {
    return this.#byId.has(id);
  }

  all(): IterableIterator<PoolEntry> {
    return this.#byId.values();
  }

  at<K extends ArtifactKind>(kind: K, height: Height): readonly Entry<ArtifactOf<K>>[] {
    const found: readonly Entry[] = this.#byKind[kind].entries.get(height) ?? NONE;
    return found as readonly Entry<ArtifactOf<K>>[];
  }

  range(kind: ArtifactKind): { readonly min: Height; readonly max: Height } | undefined {
    const { heights, range } = this.#byKind[kind];
    return heights.length === 0 ? undefined : range;
  }

  heights(kind: ArtifactKind, from: Height, to: Height): readonly Height[] {
    const { heights } = this.#byKind[kind];
    if (heights.length === 0 || (heights[heights.length - 1] as Height) < from) return NONE;
    const start = firstAtLeast(heights, from);
    let end = start;
    while (end < heights.length && (heights[end] as Height) <= to) end++;
    return start === end ? NONE : heights.slice(start, end);
  }

  count(kind: ArtifactKind): number {
    return this.#byKind[kind].count;
  }

  /** False: it is there already. */
  insert(entry: PoolEntry): boolean {
    if (this.#byId.has(entry.id)) return false;
    this.#byId.set(entry.id, entry);
    const index = this.#byKind[entry.artifact.kind];
    const height = heightOf(entry.artifact);
    const there = index.entries.get(height);
    if (there === undefined) {
      index.entries.set(height, [entry]);
      const place = firstAtLeast(index.heights, height);
      if (place === index.heights.length) index.heights.push(height);
      else index.heights.splice(place, 0, height);
      setRange(index);
    } else there.push(entry);
    index.count++;
    this.#onChange(index.bit);
    return true;
  }

  remove(id: ArtifactId): PoolEntry | undefined {
    const entry = this.#byId.get(id);
    if (entry === undefined) return undefined;
    this.#byId.delete(id);
    const index = this.#byKind[entry.artifact.kind];
    const height = heightOf(entry.artifact);
    const there = index.entries.get(height) as PoolEntry[];
    if (there.length > 1) there.splice(there.indexOf(entry), 1);
    else {
      index.entries.delete(height);
      const place = firstAtLeast(index.heights, height);
      if (place === 0) index.heights.shift();
      else index.heights.splice(place, 1);
      setRange(index);
    }
    index.count--;
    this.#onChange(index.bit);
    return entry;
  }

  /** What is below a height, of these kinds or of all. */
  below(height: Height, kinds: readonly ArtifactKind[] | undefined): PoolEntry[] {
    const found: PoolEntry[] = [];
    for (const kind of kinds ?? ARTIFACT_KINDS)
      for (const at of this.heights(kind, 0, height - 1)) found.push(...(this.at(kind, at) as readonly PoolEntry[]));
    return found;
  }
}

/** The kind and height that an id names; undefined: it is no id. */
export function parseArtifactId(
  id: ArtifactId,
): { readonly kind: Artifact["kind"]; readonly height: Height } | undefined {
  const parts = /^([a-z-]{1,40})\/(0|[1-9][0-9]{0,15})\/[0-9a-f]{64}$/.exec(id);
  const kind = parts?.[1];
  const height = Number(parts?.[2]);
  if (kind === undefined || !ORDINALS.has(kind as ArtifactKind) || !Number.isSafeInteger(height)) return undefined;
  return { kind: kind as Artifact["kind"], height };
}

function setRange({ heights, range }: KindIndex): void {
  range.min = heights[0] ?? 0;
  range.max = heights[heights.length - 1] ?? 0;
}

function firstAtLeast(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  if (high > 0 && (sorted[high - 1] as number) < value) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
