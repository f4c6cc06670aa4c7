// Messages from one subnet to another, as both agree on them: the header of a stream and a slice of its messages.
// Indices are 64-bit on the wire; here they are numbers, exact to 2^53.
import type { PrincipalId } from "./ids.ts";
import type { CanisterMessage } from "./messages.ts";
import type { Cycles } from "./units.ts";

/** Why a message was not inducted, as the receiving subnet signals it. */
export type RejectReason =
  | "canister_migrating"
  | "canister_not_found"
  | "canister_stopped"
  | "canister_stopping"
  | "queue_full"
  | "out_of_memory"
  | "unknown";

export interface RejectSignal {
  readonly reason: RejectReason;
  readonly index: number;
}

/** What a subnet certifies of its stream to another one. */
export interface StreamHeader {
  /** Index of the first message that is still there, and of the next one to come. */
  readonly begin: number;
  readonly end: number;
  /** Messages of the reverse stream below this index have been inducted, or are among `rejectSignals`. */
  readonly signalsEnd: number;
  /** In ascending order of their indices. */
  readonly rejectSignals: readonly RejectSignal[];
  readonly flags: number;
}

/** Cycles of a best-effort message that was dropped on its way back to who sent them. */
export interface Refund {
  readonly kind: "refund";
  readonly receiver: PrincipalId;
  readonly cycles: Cycles;
}

export type StreamMessage = CanisterMessage | Refund;

/** A part of the stream of another subnet to ours: its certificate has been checked, its messages follow each other. */
export interface StreamSlice {
  readonly from: PrincipalId;
  readonly header: StreamHeader;
  /** Index of the first of `messages`. */
  readonly firstIndex: number;
  readonly messages: readonly StreamMessage[];
}
