// What the next slice from another subnet must be like: it follows the slices that are agreed on already, executed or
// not, and it brings no more than there is room for. Consensus and chain-key, 16.5.

import type { StreamPosition } from "@atoll/messaging";
import { MAX_STREAM_SIGNALS, type StreamSlice, type SubnetType, SYSTEM_SUBNET_STREAM_MESSAGES } from "@atoll/types";

export interface SliceExpectations {
  /** Index of the first message; it is also how far our signals have come. */
  readonly messageIndex: number;
  /** Signals for our messages below this index have been seen. */
  readonly signalIndex: number;
  /** There is no message of ours at or above this index that anybody could signal. */
  readonly ownEnd: number;
  /** How many messages may come. */
  readonly messageLimit: number;
}

/** What the next slice depends on of one before. */
export interface TakenSlice {
  readonly header: Pick<StreamSlice["header"], "signalsEnd">;
  readonly messages: { readonly length: number };
}

/** Where a stream stands that has never been used. */
const NO_STREAM: Omit<StreamPosition, "subnet"> = { begin: 0, end: 0, signalsEnd: 0 };

/**
 * `types`: of the two subnets, and whether ours is the root: system subnets take in no more than they can answer.
 * `own`: our stream to that subnet in the latest state; `past`: slices from it that were agreed on since, in order.
 */
export function sliceExpectations(
  types: { readonly own: SubnetType; readonly source: SubnetType; readonly ownIsRoot: boolean },
  own: Omit<StreamPosition, "subnet"> = NO_STREAM,
  past: readonly TakenSlice[] = [],
): SliceExpectations {
  const last = past.at(-1);
  const taken = past.reduce((sum, { messages }) => sum + messages.length, 0);
  const isThrottled = types.own === "system" && (types.ownIsRoot || types.source !== "system");
  const open = own.end - own.begin;
  return {
    messageIndex: own.signalsEnd + taken,
    signalIndex: last?.header.signalsEnd ?? own.begin,
    ownEnd: own.end,
    messageLimit: isThrottled ? Math.max(0, SYSTEM_SUBNET_STREAM_MESSAGES - open) : MAX_STREAM_SIGNALS,
  };
}
