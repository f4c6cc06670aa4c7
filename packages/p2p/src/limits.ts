// How much a node holds for its peers, asks of them and does for them. All memory that a peer can cause is bounded by
// these, whatever it sends; a peer above a rate is slowed down by not being answered, so that its own retries wait
// longer and longer. Section 21.2; most numbers are ours.
import { NS_PER_SECOND, type Time } from "@atoll/types";

/** Parts of an answer. A frame has at most one. */
export const CHUNK_BYTES = 256 * 1024;
/** Above this a frame holds one chunk and nothing else. */
export const MAX_CONTROL_FRAME_BYTES = 64 * 1024;
/** Larger frames are refused by every transport. */
export const MAX_FRAME_BYTES = CHUNK_BYTES + 4096;
/** In UTF-8. An id of a consensus artifact has about 100. */
export const MAX_ID_BYTES = 192;
export const MAX_QUESTION_BYTES = 60 * 1024;
/** Of an artifact or an answer: a block with the largest payload that is taken (8 MiB), and what is around it. */
export const MAX_ANSWER_BYTES = 9 * 1024 * 1024;
/** Artifacts up to this size are sent at once instead of their ids. */
export const MAX_INLINE_BYTES = 1024;
/** Of slots, in one node's table. */
export const MAX_SLOTS = 30_000;

export interface GossipLimits {
  /** Retries: the first after this long, or later when acknowledgements take longer; doubled each time up to `maxRetry`. */
  readonly minRetry: Time;
  readonly maxRetry: Time;
  /** Acknowledgements wait so long for a frame that goes there anyhow. */
  readonly ackDelay: Time;
  /** Small artifacts that came from a peer are offered to others after so long, if they do not have them by then. */
  readonly relayDelay: Time;
  /** Peers are told so late that a slot is empty, unless it holds something else by then. */
  readonly emptyDelay: Time;
  /** What was not wanted is asked about again this often. */
  readonly reconsider: Time;
  /** A fetch is given up after this long, doubled with each attempt up to `maxFetch`. */
  readonly minFetch: Time;
  readonly maxFetch: Time;
  /** A question is given up when so long nothing came. */
  readonly answer: Time;
  /** Slot updates to one peer that are not acknowledged. */
  readonly updatesInFlight: number;
  readonly updateBytesInFlight: number;
  /** From one peer. */
  readonly fetchesInFlight: number;
  readonly fetchBytesInFlight: number;
  /** To one peer. */
  readonly questionsInFlight: number;
  /** Of one peer, that are worked on or whose answers it is still taking. */
  readonly answersInFlight: number;
  readonly answerBytesInFlight: number;
  /** Per second and peer. */
  readonly updateRate: number;
  readonly questionRate: number;
  readonly servedByteRate: number;
  /** Points (a broken rule has 100, an invalid artifact 1) at which a peer is disconnected; one is forgotten per second. */
  readonly blame: number;
}

const MS = NS_PER_SECOND / 1000n;

export const DEFAULT_GOSSIP_LIMITS: GossipLimits = {
  minRetry: 250n * MS,
  maxRetry: 60n * NS_PER_SECOND,
  ackDelay: 50n * MS,
  relayDelay: 100n * MS,
  emptyDelay: NS_PER_SECOND,
  reconsider: 250n * MS,
  minFetch: 5n * NS_PER_SECOND,
  maxFetch: 120n * NS_PER_SECOND,
  answer: 10n * NS_PER_SECOND,
  updatesInFlight: 4096,
  updateBytesInFlight: 1024 * 1024,
  fetchesInFlight: 64,
  fetchBytesInFlight: 32 * 1024 * 1024,
  questionsInFlight: 32,
  answersInFlight: 128,
  answerBytesInFlight: 32 * 1024 * 1024,
  updateRate: 30_000,
  questionRate: 1000,
  servedByteRate: 256 * 1024 * 1024,
  blame: 200,
};
