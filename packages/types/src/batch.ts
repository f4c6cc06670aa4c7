// A batch is everything a round of execution depends on besides the state: the agreed content of one block.
// Same state + same batch = same bytes. Written to the batch log before it is executed.
import type { IngressMessage } from "./messages.ts";
import type { Height, Time } from "./units.ts";

export interface Batch {
  readonly height: Height;
  /** Strictly increasing from batch to batch. */
  readonly time: Time;
  /** 32 bytes that nobody could predict when the messages of this batch were sent. */
  readonly randomness: Uint8Array;
  readonly ingress: readonly IngressMessage[];
}
