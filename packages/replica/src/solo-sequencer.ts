// Decides the next batch when there is nobody to agree with: a subnet of one node. A block is due as soon as there
// is something to do; otherwise one a second keeps the certified time fresh. Consensus takes this place when a
// subnet has several nodes.
import {
  type Batch,
  type CanisterQueryStats,
  type EntropyPort,
  type Height,
  type InitialDkgRequest,
  type InitialDkgResponse,
  MAX_CANISTERS,
  type PrincipalId,
  RejectCode,
  type Time,
} from "@atoll/types";
import type { ExecutedRound } from "./executor.ts";
import type { IngressPool } from "./ingress-pool.ts";

const IDLE_INTERVAL_NS = 1_000_000_000n;
const HEARTBEAT_INTERVAL_NS = 500_000_000n;
const RETRY_NS = 1_000_000_000n;
const MAX_MESSAGES_PER_BLOCK = 1000;
const MAX_BYTES_PER_BLOCK = 4 * 1024 * 1024;
const MAX_QUERY_STATS_PER_BLOCK = 1000;
const MAX_WAITING_QUERY_STATS = 2 * MAX_CANISTERS;

/** What whoever makes the block puts into a batch beside messages. */
export type BatchContent = Partial<Omit<Batch, "height" | "time" | "randomness" | "ingress" | "queryStats">>;

export class SoloSequencer {
  readonly #pool: IngressPool;
  readonly #entropy: EntropyPort;
  readonly #blockmaker: NonNullable<Batch["blockmaker"]>;
  /** Figures that no executed batch has taken along yet. */
  #queryStats: readonly CanisterQueryStats[] = [];
  /** Keys for other subnets that canisters ask for: one node alone makes none. */
  #remoteDkgs: readonly InitialDkgRequest[] = [];
  #height: Height = 0;
  #time: Time = 0n;
  #hasMoreWork = false;
  #stateWakeAt: Time | undefined;
  #notBefore: Time = 0n;

  constructor(pool: IngressPool, entropy: EntropyPort, nodeId: PrincipalId) {
    this.#pool = pool;
    this.#entropy = entropy;
    this.#blockmaker = { proposer: nodeId, failed: [] };
  }

  /** Goes on from the same batch, with messages and randomness of its own. */
  fork(pool: IngressPool, entropy: EntropyPort): SoloSequencer {
    const fork = new SoloSequencer(pool, entropy, this.#blockmaker.proposer);
    fork.#queryStats = this.#queryStats;
    fork.#remoteDkgs = this.#remoteDkgs;
    fork.#height = this.#height;
    fork.#time = this.#time;
    fork.#hasMoreWork = this.#hasMoreWork;
    fork.#stateWakeAt = this.#stateWakeAt;
    return fork;
  }

  /** Whether a batch is due now. */
  isDue(now: Time): boolean {
    return now >= this.#notBefore && now >= this.#dueAt(now);
  }

  /** The next batch, with what the driver wants in it. */
  nextBatch(now: Time, content: BatchContent = {}): Batch {
    const time = now > this.#time ? now : this.#time + 1n;
    // An intervention is no round: messages wait for the next one.
    const runsMessages = content.interventions === undefined;
    return {
      height: this.#height + 1,
      time,
      randomness: this.#entropy.randomBytes(32),
      ingress: runsMessages ? this.#pool.select(time, MAX_MESSAGES_PER_BLOCK, MAX_BYTES_PER_BLOCK) : [],
      blockmaker: this.#blockmaker,
      ...(this.#queryStats.length > 0 &&
        runsMessages && { queryStats: this.#queryStats.slice(0, MAX_QUERY_STATS_PER_BLOCK) }),
      ...(this.#remoteDkgs.length > 0 && runsMessages && { remoteDkgs: this.#remoteDkgs.map(refused) }),
      ...content,
    };
  }

  /** Something beside messages and the state itself waits for a batch. */
  wantsBatch(): void {
    this.#hasMoreWork = true;
  }

  /** Takes figures for the batches to come. */
  addQueryStats(stats: readonly CanisterQueryStats[]): void {
    this.#queryStats = [...this.#queryStats, ...stats].slice(-MAX_WAITING_QUERY_STATS);
  }

  /** A batch was executed: the next one follows it. */
  ended(round: Pick<ExecutedRound, "height" | "time" | "hasMoreWork" | "wakeAt" | "remoteDkgs">, batch?: Batch): void {
    this.#queryStats = this.#queryStats.slice(batch?.queryStats?.length ?? 0);
    this.#height = round.height;
    this.#time = round.time;
    this.#remoteDkgs = round.remoteDkgs;
    this.#hasMoreWork = round.hasMoreWork || round.remoteDkgs.length > 0;
    this.#stateWakeAt = round.wakeAt;
    this.#notBefore = 0n;
  }

  /** When to ask for the next batch at the latest. */
  wakeAt(now: Time): Time {
    const due = this.#dueAt(now);
    return due > this.#notBefore ? due : this.#notBefore;
  }

  /** The last batch could not be executed; gives when to try again. */
  retryAt(now: Time): Time {
    this.#notBefore = now + RETRY_NS;
    return this.#notBefore;
  }

  #dueAt(now: Time): Time {
    if (this.#hasMoreWork || this.#pool.size > 0) return now;
    const idle = this.#time + IDLE_INTERVAL_NS;
    if (this.#stateWakeAt === undefined) return idle;
    const paced = this.#stateWakeAt <= this.#time ? this.#time + HEARTBEAT_INTERVAL_NS : this.#stateWakeAt;
    return paced < idle ? paced : idle;
  }
}

function refused({ target }: InitialDkgRequest): InitialDkgResponse {
  const message = "The root subnet has one node, which makes no keys for other subnets.";
  return { target, result: { kind: "reject", code: RejectCode.CANISTER_REJECT, message } };
}
