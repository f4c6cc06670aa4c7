// The pool of artifacts: one for all kinds. What peers sent and nobody has checked is `unvalidated`; what this node vouches
// for is `validated`, is broadcast, and survives a restart. Roles read the pool and answer with changes; one loop applies
// them. Section 3. (The interface; ArtifactPool in artifact-pool.ts is the implementation.)
import type { Height, PrincipalId, Time } from "@atoll/types";
import type { Artifact, ArtifactId, ArtifactKind, ArtifactOf } from "./artifacts.ts";
import type { ChainTips } from "./chain-tips.ts";

/** Wall-clock time that never goes back, and monotonic time. A delay has passed when either says so. */
export interface Instant {
  readonly wall: Time;
  readonly monotonic: Time;
}

export interface Entry<A extends Artifact = Artifact> {
  readonly id: ArtifactId;
  readonly artifact: A;
  /** Length of its encoding. */
  readonly byteSize: number;
  /** When it came into this section. */
  readonly since: Instant;
  /** Who sent it; undefined: made here. */
  readonly peer: PrincipalId | undefined;
}

export interface PoolSection {
  get(id: ArtifactId): Entry | undefined;
  has(id: ArtifactId): boolean;
  /** Of one kind at one height, in the order in which they came. As long as nothing changes. */
  at<K extends ArtifactKind>(kind: K, height: Height): readonly Entry<ArtifactOf<K>>[];
  /** Lowest and highest height of a kind, as long as nothing changes; undefined: none is there. */
  range(kind: ArtifactKind): { readonly min: Height; readonly max: Height } | undefined;
  /** Heights of a kind that have any, ascending, within the bounds (inclusive). */
  heights(kind: ArtifactKind, from: Height, to: Height): readonly Height[];
  count(kind: ArtifactKind): number;
}

export interface Pool {
  /** Throws when there is no catch-up package. */
  readonly tips: ChainTips;
  readonly validated: PoolSection;
  readonly unvalidated: PoolSection;
}

/** What a role wants done with the pool. All changes of one answer are applied before the next role looks. */
export type Change =
  /** Made here: into the validated section, to be kept and broadcast. */
  | { readonly kind: "add"; readonly artifact: Artifact }
  /** Checked: from the unvalidated into the validated section. */
  | { readonly kind: "move"; readonly id: ArtifactId }
  | { readonly kind: "remove"; readonly section: "validated" | "unvalidated"; readonly id: ArtifactId }
  /** Dropped from the unvalidated section, and counted against the peer that sent it. */
  | { readonly kind: "invalid"; readonly id: ArtifactId; readonly why: string }
  /** All of these kinds (default: all) below a height. */
  | {
      readonly kind: "purge";
      readonly section: "validated" | "unvalidated";
      readonly below: Height;
      readonly kinds?: readonly ArtifactKind[];
    };
