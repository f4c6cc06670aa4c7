// How much a node holds for its peers, asks of them and does for them. All memory that a peer can cause is bounded by
// these, whatever it sends; a peer above a rate is slowed down by not being answered, so that its own retries wait
// longer and longer. Section 21.2; most numbers are ours.

/**
 * Monotonic time and how long something takes: much is done with it for each message, which a bigint is too slow for. What is
 * above 2^53, after more than a hundred days, is right but for some ns.
 */
export type Nanoseconds = number;
export const NEVER: Nanoseconds = Number.POSITIVE_INFINITY;

/** Parts of an answer. A frame has at most one. */
export const CHUNK_BYTES = 256 * 1024;
/** Above this a frame holds one chunk and nothing else. */
export const MAX_CONTROL_FRAME_BYTES = 64 * 1024;
/** Larger frames are refused by every transport. */
export const MAX_FRAME_BYTES = CHUNK_BYTES + 4096;
/** In UTF-16. An id of a consensus artifact has about 100. */
export const MAX_ID_LENGTH = 192;
export const MAX_QUESTION_BYTES = 60 * 1024;
/** Of an artifact or an answer: a block with the largest payload that is taken (8 MiB), and what is around it. */
export const MAX_ANSWER_BYTES = 9 * 1024 * 1024;
/** Artifacts up to this size are sent at once instead of their ids. */
export const MAX_INLINE_BYTES = 1024;
/** Of slots, in one node's table. */
export const MAX_SLOTS = 30_000;

export interface GossipLimits {
  /** Retries: the first after this long, or later when acknowledgements take longer; doubled each time up to `maxRetry`. */
  readonly minRetry: Nanoseconds;
  readonly maxRetry: Nanoseconds;
  /** Acknowledgements wait so long for a frame that goes there anyhow. */
  readonly ackDelay: Nanoseconds;
  /**
   * What a peer probably has from elsewhere, or makes by itself, is offered to it after so long and the time of a way there
   * and back (at most twice as long), if it does not offer it by then. But of two nodes one is the first (which, depends on the
   * artifact): it offers what it makes at once, and what came from others after half of this.
   */
  readonly relayDelay: Nanoseconds;
  /** Peers are told so late that a slot is empty, unless it holds something else by then. Half of that, with other news. */
  readonly emptyDelay: Nanoseconds;
  /** What was not wanted is asked about again this often. */
  readonly reconsider: Nanoseconds;
  /** A fetch is given up after this long, doubled with each attempt up to `maxFetch`. */
  readonly minFetch: Nanoseconds;
  readonly maxFetch: Nanoseconds;
  /** A question is given up when so long nothing came. */
  readonly answer: Nanoseconds;
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

const MS = 1_000_000;
export const SECOND: Nanoseconds = 1000 * MS;

export const DEFAULT_GOSSIP_LIMITS: GossipLimits = {
  minRetry: 250 * MS,
  maxRetry: 60 * SECOND,
  ackDelay: 50 * MS,
  relayDelay: 100 * MS,
  emptyDelay: 20 * SECOND,
  reconsider: 250 * MS,
  minFetch: 5 * SECOND,
  maxFetch: 120 * SECOND,
  answer: 10 * SECOND,
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
