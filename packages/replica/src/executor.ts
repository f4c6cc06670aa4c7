// Where execution happens. The replica hands batches down and gets back what a round changed; whether that is a
// call on the same thread (tests, simulator, browser) or a message to another one (a node) is the driver's choice.
import type { QueryCall, QueryOutcome } from "@atoll/execution";
import type { RoundOutput } from "@atoll/messaging";
import type { Batch, CanisterQueryStats, Height, IngressMessage, UserError } from "@atoll/types";
import type { StateFetchReply, StateFetchStep } from "./state-sync/fetch-steps.ts";

/** A round as the replica sees it; what queries run on stays with the executor. */
export type ExecutedRound = Omit<RoundOutput, "delta">;

export interface Executor {
  /** Loads the state, executes what was logged after the last checkpoint, and describes the whole of it. */
  start(): Promise<ExecutedRound>;
  /** Makes the batch durable, then executes it. Rejects with EnvironmentError when it could not be made durable. */
  execute(batch: Batch): Promise<ExecutedRound>;
  /** Queries see the state of `height` from now on: it is certified. */
  advance(height: Height): void;
  /** Runs on the state last advanced to. */
  query(call: QueryCall): Promise<QueryOutcome>;
  /** The checks on a message before it enters a block; undefined lets it in. */
  filter(message: IngressMessage): Promise<UserError | undefined>;
  /** What queries took since the last call, by canister. */
  takeQueryStats(): Promise<readonly CanisterQueryStats[]>;
  /**
   * Told the root of the manifest of each checkpoint, the one after the start included, some time after its round and
   * before the next checkpoint. Only where checkpoints are agreed.
   */
  onStateHash: ((height: Height, stateHash: Uint8Array) => void) | undefined;
  /** Answers what a peer's state sync asks about a checkpoint. Undefined: refused, as it is not here or makes no sense. */
  serveState(question: Uint8Array): Promise<Uint8Array | undefined>;
  /** One step of fetching a state from peers. Rejects with EnvironmentError when the disk fails. */
  fetchState(step: StateFetchStep): Promise<StateFetchReply>;
  /**
   * Begins anew from the state that was fetched, which the round describes as a whole, as after a start. Queries see it
   * when `advance` comes to its height. Undefined: something of it is missing; nothing has changed.
   */
  installState(height: Height): Promise<ExecutedRound | undefined>;
  /** Writes a checkpoint, where checkpoints are not agreed, and ends. */
  stop(): Promise<void>;
}
