// How long the transport waits, and how much of it strangers and peers may use. The protocol says how often to give a sign
// of life and when to give up on a peer (section 21.1); the other numbers are ours.

export interface TlsLimits {
  /** Something is said at least this often. */
  readonly aliveMs: number;
  /** A connection on which nothing was heard for so long is dead. */
  readonly deadMs: number;
  /** A peer that has not read what waits for it for so long is disconnected. */
  readonly stuckMs: number;
  /** From the first byte to both sides being known. */
  readonly handshakeMs: number;
  /** Pause before the next attempt: doubled each time, and shortened by chance by up to a half. */
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
  /** A peer that broke the rules stays away for so long. */
  readonly banMs: number;
  /** Bytes that wait for a peer to read, by lane. */
  readonly controlBuffer: number;
  readonly bulkBuffer: number;
  /** Connections of those who have not yet shown who they are: together, and of one address. */
  readonly strangers: number;
  readonly strangersPerAddress: number;
  /** Attempts of one address: at once, and per second after that. */
  readonly attemptsAtOnce: number;
  readonly attemptsPerSecond: number;
}

export const DEFAULT_TLS_LIMITS: TlsLimits = {
  aliveMs: 1000,
  deadMs: 5000,
  stuckMs: 30_000,
  handshakeMs: 5000,
  minPauseMs: 250,
  maxPauseMs: 5000,
  banMs: 10_000,
  controlBuffer: 1024 * 1024,
  bulkBuffer: 4 * 1024 * 1024,
  strangers: 256,
  strangersPerAddress: 128,
  attemptsAtOnce: 400,
  attemptsPerSecond: 50,
};
