// The pool of one node: what peers sent, bounded for each of them, and what this node vouches for. Changes of roles are
// applied here, at once for the roles that follow; what they did since the last `commit` can be taken back as a whole,
// because what could not be written to the disk must not have happened. Sections 3 and 21.2.
import type { Height, PrincipalId } from "@atoll/types";
import { nameArtifact } from "./artifact-id.ts";
import { type Artifact, type ArtifactId, encodeArtifact, heightOf } from "./artifacts.ts";
import { MAX_UNVALIDATED_ALIKE, MAX_UNVALIDATED_BYTES, MAX_UNVALIDATED_COUNT } from "./bounds.ts";
import { type ChainTips, chainTips, KINDS_OF_TIPS } from "./chain-tips.ts";
import type { Change, Instant, Pool } from "./pool.ts";
import { changeBit, type PoolEntry, Section } from "./pool-section.ts";

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

/** What can be taken back: "dropped" is gone from the unvalidated section. */
interface Operation {
  readonly kind: "validated" | "retracted" | "dropped";
  readonly entry: PoolEntry;
}

const OF_TIPS = KINDS_OF_TIPS.reduce((bits, kind) => bits | changeBit("validated", kind), 0);

export class ArtifactPool implements Pool {
  #changes = 0;
  #tips: ChainTips | undefined;
  #hasOtherTips = true;
  readonly validated = new Section("validated", (bit) => this.#noteChange(bit));
  readonly unvalidated = new Section("unvalidated", (bit) => this.#noteChange(bit));
  readonly #usage = new Map<PrincipalId, Usage>();
  readonly #sha256: (data: Uint8Array) => Uint8Array;
  /** Each operation since the last commit. */
  #done: Operation[] = [];

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

  get tips(): ChainTips {
    if (!this.#hasOtherTips && this.#tips !== undefined) return this.#tips;
    this.#tips = chainTips(this, this.#tips);
    this.#hasOtherTips = false;
    return this.#tips;
  }

  #noteChange(bit: number): void {
    this.#changes |= bit;
    if ((bit & OF_TIPS) !== 0) this.#hasOtherTips = true;
  }

  /** What was read from the disk. */
  restore(entry: PoolEntry): void {
    this.validated.insert(entry);
  }

  /** `events`: is told what came of each change, in order. */
  apply(changes: readonly Change[], now: Instant, events: PoolEvent[] = []): void {
    for (const change of changes) this.#change(change, now, events);
  }

  /** What was applied so far stays. */
  commit(): void {
    if (this.#done.length > 0) this.#done = [];
  }

  /** Takes back what was applied since the last commit. */
  rollback(): void {
    const done = this.#done;
    this.#done = [];
    for (const { kind, entry } of done.reverse())
      if (kind === "validated") this.validated.remove(entry.id);
      else if (kind === "retracted") this.validated.insert(entry);
      else this.#insertUnvalidated(entry);
  }

  #change(change: Change, now: Instant, events: PoolEvent[]): void {
    switch (change.kind) {
      case "add": {
        const entry = this.entryOf(change.artifact, encodeArtifact(change.artifact), now, undefined);
        if (this.#validate(entry, events)) this.#removeUnvalidated(entry.id);
        return;
      }
      case "move": {
        const entry = this.#removeUnvalidated(change.id);
        if (entry === undefined) return;
        const { id, artifact, bytes, hash, byteSize, peer } = entry;
        this.#validate({ id, artifact, bytes, hash, byteSize, since: now, peer }, events);
        return;
      }
      case "remove":
        if (change.section === "unvalidated") this.#removeUnvalidated(change.id);
        else this.#retract(change.id, events);
        return;
      case "invalid": {
        const entry = this.#removeUnvalidated(change.id);
        if (entry !== undefined) events.push({ kind: "invalid", entry, why: change.why });
        return;
      }
      case "purge":
        for (const { id } of this[change.section].below(change.below, change.kinds))
          if (change.section === "validated") this.#retract(id, events);
          else this.#removeUnvalidated(id);
    }
  }

  #validate(entry: PoolEntry, events: PoolEvent[]): boolean {
    if (!this.validated.insert(entry)) return false;
    const event = { kind: "validated", entry } as const;
    this.#done.push(event);
    events.push(event);
    return true;
  }

  #retract(id: ArtifactId, events: PoolEvent[]): void {
    const entry = this.validated.remove(id);
    if (entry === undefined) return;
    const event = { kind: "retracted", entry } as const;
    this.#done.push(event);
    events.push(event);
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
    this.#done.push({ kind: "dropped", entry });
    return entry;
  }

  /** How much of the same kind waits already that its peer sent for its height. */
  #alike({ artifact, peer }: PoolEntry): number {
    const { kind } = artifact;
    // Dealings come from all dealers for the height of one summary; they are checked one by one.
    if (kind === "dkg-dealing") return 0;
    const countAt = (height: Height): number => {
      let count = 0;
      for (const entry of this.unvalidated.at(kind, height)) if (entry.peer === peer) count++;
      return count;
    };
    if (kind !== "catch-up-package") return countAt(heightOf(artifact));
    const heights = this.unvalidated.heights(kind, 0, Number.MAX_SAFE_INTEGER);
    return heights.reduce((count, height) => count + countAt(height), 0);
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
