// What a test does to a state beside sending messages. Part of the batch, so that a recorded test can be run again to
// the same bytes. Only networks for tests and development take them.
import type { RejectCode } from "./errors.ts";
import type { CanisterId, PrincipalId } from "./ids.ts";
import type { Cycles } from "./units.ts";

export type Intervention =
  | { readonly kind: "add_cycles"; readonly canister: CanisterId; readonly amount: Cycles }
  /** A balance of any size: none at all to see a canister run out of cycles. */
  | { readonly kind: "set_cycles"; readonly canister: CanisterId; readonly amount: Cycles }
  /** Takes the place of all stable memory, which grows or shrinks to whole pages of 64 KiB. */
  | { readonly kind: "set_stable_memory"; readonly canister: CanisterId; readonly content: Uint8Array }
  /** From now on puts messages aside that match, before their receiver has them. The result tells the rule's number. */
  | { readonly kind: "hold"; readonly rule: HoldRule }
  /** Ends a rule, or all of them; what is held stays so. */
  | { readonly kind: "unhold"; readonly rule?: number }
  /** Delivers held messages in the order of the list. */
  | { readonly kind: "release"; readonly numbers: readonly number[] }
  /** Answers a held message in place of its receiver; a held response is delivered as this reject instead. */
  | { readonly kind: "reject_held"; readonly number: number; readonly code: RejectCode; readonly message: string }
  /** Loses a held message as the protocol may lose it: one with a deadline. */
  | { readonly kind: "drop_held"; readonly number: number }
  /** The next execution of the canister, or the next of that kind, calls `ic0.trap` before anything else. */
  | { readonly kind: "trap_next"; readonly canister: CanisterId; readonly on?: TrapTarget; readonly message: string }
  /**
   * Takes up places in the queue from one canister to another, as if so many calls were open: with all 500, every
   * `ic0.call_perform` fails until fewer places are taken. 0 gives the queue back.
   */
  | {
      readonly kind: "fill_queue";
      readonly sender: CanisterId;
      readonly receiver: CanisterId;
      readonly places: number;
    };

/** What is left out matches everything. */
export interface HoldRule {
  readonly receiver?: CanisterId;
  readonly sender?: PrincipalId;
  /** Of an ingress message or a request; a rule with one holds no responses. */
  readonly methodName?: string;
  /** "response": an answer to a canister, addressed to who called. */
  readonly messageKind?: "ingress" | "request" | "response";
  /** The rule ends after so many messages. */
  readonly atMost?: number;
}

export type TrapTarget =
  | { readonly kind: "method"; readonly name: string }
  /** Reply and reject callbacks. */
  | { readonly kind: "callback" }
  | { readonly kind: "cleanup" }
  | { readonly kind: "task" };

/** What became of an intervention: a refused one has changed nothing. */
export type InterventionResult =
  /** `rule`: the number of a new hold rule. */
  { readonly ok: true; readonly rule?: number } | { readonly ok: false; readonly error: string };
