// What a role sees: `role(context) -> changes`. A role reads, and says what shall change; it keeps nothing to itself, but for
// caches that could be dropped at any time. When it would act later without anything new coming in, it says when.
import type { Height, PrincipalId } from "@atoll/types";
import type { Change, Instant, Pool } from "./pool.ts";
import type { ConsensusPorts } from "./ports.ts";

export interface RoleContext extends ConsensusPorts {
  readonly self: PrincipalId;
  readonly subnetId: PrincipalId;
  readonly protocolVersion: string;
  readonly now: Instant;
  readonly pool: Pool;
  /** The role has something to do at that time, and not before unless the pool changes. */
  wakeAt(at: Instant): void;
  /** Something that operators and checkers should know: it changes nothing. */
  note(event: ConsensusEvent): void;
}

export type Role = (context: RoleContext) => readonly Change[];

/** What happened, for logs, metrics and the invariant checkers of the simulator. */
export type ConsensusEvent =
  | {
      readonly kind: "signed";
      readonly what: string;
      readonly height: Height;
      readonly hash: string;
      readonly rank?: number;
    }
  | { readonly kind: "notarized" | "finalized"; readonly height: Height; readonly hash: string; readonly rank: number }
  | { readonly kind: "beacon" | "tape" | "certified" | "catch-up"; readonly height: Height; readonly hash: string }
  | { readonly kind: "delivered"; readonly height: Height }
  | { readonly kind: "equivocation"; readonly height: Height; readonly node: PrincipalId }
  | { readonly kind: "invalid"; readonly peer: PrincipalId; readonly what: string; readonly why: string }
  | { readonly kind: "dkg"; readonly height: Height; readonly what: string }
  /** `version`: of the protocol, if it stops for an upgrade. */
  | { readonly kind: "halting" | "halted"; readonly height: Height; readonly version: string | undefined }
  /** The subnet has gone on with that version of the protocol, and this node cannot follow. */
  | { readonly kind: "outdated"; readonly height: Height; readonly version: string }
  | { readonly kind: "alarm"; readonly what: string };
