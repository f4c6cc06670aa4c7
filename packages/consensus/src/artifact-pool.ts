// The pool of one node: what peers sent, bounded for each of them, and what this node vouches for. Changes of roles are
// applied here, at once for the roles that follow; what they did since the last `commit` can be taken back as a whole,
// because what could not be written to the disk must not have happened. Sections 3 and 21.2.
import type { PrincipalId } from "@atoll/types";
import { nameArtifact } from "./artifact-id.ts";
import { type Artifact, type ArtifactId, encodeArtifact, heightOf } from "./artifacts.ts";
import { MAX_UNVALIDATED_ALIKE, MAX_UNVALIDATED_BYTES, MAX_UNVALIDATED_COUNT } from "./bounds.ts";
import type { Change, Instant, Pool } from "./pool.ts";
import { type PoolEntry, Section } from "./pool-section.ts";

/** What came of a change, in order. */
export interface PoolEvent {
  readonly kind: "validated" | "retracted" | "invalid";
  readonly entry: PoolEntry;
  /** Of "invalid". */
  readonly why?: string;
}

interface Usage {
  count: number;
  bytes: number;
}

export interface Applied {
  /** Whether anything changed: a role that asks for what is there already must not keep the loop going. */
  readonly changed: boolean;
  readonly events: readonly PoolEvent[];
}

export class ArtifactPool implements Pool {
  #changes = 0;
  readonly validated = new Section("validated", (bit) => this.#noteChange(bit));
  readonly unvalidated = new Section("unvalidated", (bit) => this.#noteChange(bit));
  readonly #usage = new Map<PrincipalId, Usage>();
  readonly #sha256: (data: Uint8Array) => Uint8Array;
  /** The opposite of each operation since the last commit. */
  #undo: (() => void)[] = [];

  constructor(sha256: (data: Uint8Array) => Uint8Array) {
    this.#sha256 = sha256;
  }

  entryOf(artifact: Artifact, bytes: Uint8Array, since: Instant, peer: PrincipalId | undefined): PoolEntry {
    const { id, hash } = nameArtifact(artifact, bytes, this.#sha256);
    return { id, artifact, bytes, hash, byteSize: bytes.length, since, peer };
  }

  /** Into the unvalidated section. False: the peer has sent as much as may wait. */
  receive(entry: PoolEntry & { readonly peer: PrincipalId }): boolean {
    const usage = this.#usageOf(entry.peer);
    if (usage.count >= MAX_UNVALIDATED_COUNT || usage.bytes + entry.byteSize > MAX_UNVALIDATED_BYTES) return false;
    if (this.#alike(entry) >= MAX_UNVALIDATED_ALIKE) return false;
    this.#insertUnvalidated(entry);
    return true;
  }

  /** What has changed since this was asked last, as bits of `changeBit`. */
  takeChanges(): number {
    const changes = this.#changes;
    this.#changes = 0;
    return changes;
  }

  #noteChange(bit: number): void {
    this.#changes |= bit;
  }

  /** What was read from the disk. */
  restore(entry: PoolEntry): void {
    this.validated.insert(entry);
  }

  apply(changes: readonly Change[], now: Instant): Applied {
    const events: PoolEvent[] = [];
    let changed = false;
    for (const change of changes) changed = this.#change(change, now, events) || changed;
    return { changed, events };
  }

  /** What was applied so far stays. */
  commit(): void {
    this.#undo = [];
  }

  /** Takes back what was applied since the last commit. */
  rollback(): void {
    for (const step of this.#undo.reverse()) step();
    this.#undo = [];
  }

  #change(change: Change, now: Instant, events: PoolEvent[]): boolean {
    switch (change.kind) {
      case "add":
        return this.#validate(
          this.entryOf(change.artifact, encodeArtifact(change.artifact), now, undefined),
          now,
          events,
        );
      case "move": {
        const entry = this.#removeUnvalidated(change.id);
        if (entry === undefined) return false;
        this.#validate(entry, now, events);
        return true;
      }
      case "remove":
        if (change.section === "unvalidated") return this.#removeUnvalidated(change.id) !== undefined;
        return this.#retract(change.id, events);
      case "invalid": {
        const entry = this.#removeUnvalidated(change.id);
        if (entry === undefined) return false;
        events.push({ kind: "invalid", entry, why: change.why });
        return true;
      }
      case "purge": {
        const old = this[change.section].below(change.below, change.kinds);
        for (const { id } of old)
          if (change.section === "validated") this.#retract(id, events);
          else this.#removeUnvalidated(id);
        return old.length > 0;
      }
    }
  }

  #validate(entry: PoolEntry, now: Instant, events: PoolEvent[]): boolean {
    const validated: PoolEntry = { ...entry, since: now };
    if (!this.validated.insert(validated)) return false;
    this.#undo.push(() => void this.validated.remove(entry.id));
    this.#removeUnvalidated(entry.id);
    events.push({ kind: "validated", entry: validated });
    return true;
  }

  #retract(id: ArtifactId, events: PoolEvent[]): boolean {
    const entry = this.validated.remove(id);
    if (entry === undefined) return false;
    this.#undo.push(() => void this.validated.insert(entry));
    events.push({ kind: "retracted", entry });
    return true;
  }

  #insertUnvalidated(entry: PoolEntry): void {
    if (!this.unvalidated.insert(entry) || entry.peer === undefined) return;
    const usage = this.#usageOf(entry.peer);
    usage.count++;
    usage.bytes += entry.byteSize;
  }

  #removeUnvalidated(id: ArtifactId): PoolEntry | undefined {
    const entry = this.unvalidated.remove(id);
    if (entry?.peer === undefined) return entry;
    const usage = this.#usageOf(entry.peer);
    usage.count--;
    usage.bytes -= entry.byteSize;
    if (usage.count === 0) this.#usage.delete(entry.peer);
    this.#undo.push(() => this.#insertUnvalidated(entry));
    return entry;
  }

  /** How much of the same kind waits already that its peer sent for its height. */
  #alike({ artifact, peer }: PoolEntry): number {
    const { kind } = artifact;
    // Dealings come from all dealers for the height of one summary; they are checked one by one.
    if (kind === "dkg-dealing") return 0;
    const isOnce = kind === "catch-up-package";
    const heights = isOnce ? this.unvalidated.heights(kind, 0, Number.MAX_SAFE_INTEGER) : [heightOf(artifact)];
    let count = 0;
    for (const height of heights)
      for (const entry of this.unvalidated.at(kind, height)) if (entry.peer === peer) count++;
    return count;
  }

  #usageOf(peer: PrincipalId): Usage {
    let usage = this.#usage.get(peer);
    if (usage === undefined) {
      usage = { count: 0, bytes: 0 };
      this.#usage.set(peer, usage);
    }
    return usage;
  }
}
