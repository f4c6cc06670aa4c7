// What the two halves of a state sync say to each other: the one that talks to peers (state-sync.ts) and the one that has
// the state (state-fetch.ts), which may be on another thread. Plain data. Consensus and chain-key facts, 11.3.
import type { Height } from "@atoll/types";

/** For any peer. */
export interface StateQuestion {
  /** Unique within the fetching of one state. */
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** `room`: how many more questions may be open. */
export type StateFetchStep =
  /** Also: go on, in place of a state of lower height, or begin again. */
  | { readonly kind: "begin"; readonly height: Height; readonly hash: Uint8Array; readonly room: number }
  | {
      readonly kind: "answer";
      readonly height: Height;
      /** Of the question. */
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly room: number;
    }
  | { readonly kind: "abandon" };

export interface StateFetchReply {
  /** Of an answer: "bad" is never the fault of anybody but the peer who gave it. */
  readonly verdict?: "good" | "bad";
  readonly questions: readonly StateQuestion[];
  /** Chunks that are here, of all that were missing. */
  readonly chunks: number;
  readonly of: number;
  /** Nothing is missing. */
  readonly isComplete: boolean;
}
