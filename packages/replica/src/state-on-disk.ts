// A state's life on disk: each batch in the log before it is executed, checkpoints that keep the log short. So
// everything that anybody was ever shown can be derived again after a crash at any instruction: the last checkpoint,
// and the rest of the log executed again.
import type { RoundOutput } from "@atoll/messaging";
import {
  BatchLog,
  CheckpointStore,
  Checkpoints,
  FETCHED_KEY,
  type Sha256,
  type StoredModule,
  type SubnetState,
} from "@atoll/state";
import {
  type Batch,
  decodeState,
  EnvironmentError,
  encodeState,
  type Height,
  type LogPort,
  RESTART_NEEDED,
  type StoragePort,
} from "@atoll/types";
import { AgreedCheckpoints } from "./state-sync/agreed-checkpoints.ts";

/**
 * A checkpoint is due after this much work since the last one, so that a start after a crash never repeats more than
 * a second or two of it.
 */
const CHECKPOINT_INSTRUCTIONS = 2_000_000_000;
const CHECKPOINT_EXECUTIONS = 20_000;
const CHECKPOINT_BATCHES = 2000;
const CHECKPOINT_LOG_BYTES = 32 * 1024 * 1024;
/**
 * A checkpoint drops what executions of many rounds did so far, so while there are any it waits; but not for ever. After
 * this many times the batches that the longest of all executions takes, at least the oldest has ended: it gets every
 * other slice.
 */
const CHECKPOINT_WAITS_FOR_LONGEST = 4;
/** The same as a multiple of what was asked for instead of the usual number of batches. */
const CHECKPOINT_PATIENCE = 8;

const MISSING_CHECKPOINT =
  "The checkpoint files (state-*) in the state folder are missing, and the batch log is not. Nothing was changed; " +
  "restore a copy of the whole state folder, or start again with --clean, which deletes the state of this network.";

export interface DiskPorts {
  readonly storage: StoragePort;
  readonly log: LogPort;
  readonly sha256: Sha256;
  readonly crc32?: (bytes: Uint8Array, seed?: number) => number;
}

export interface DiskOptions {
  /** A checkpoint at the latest after so many batches; for tests that need many of them. */
  readonly checkpointBatches?: number;
  /** Batches that the longest of all executions takes. */
  readonly longest: number;
  /** The nodes of the subnet agree on checkpoints: they are hashed, and given to others. */
  readonly isAgreed?: boolean;
  /** For modules of a checkpoint that came from other nodes. */
  readonly prepare: (uploaded: Uint8Array) => StoredModule;
}

export class StateOnDisk {
  /** Only where checkpoints are agreed. */
  readonly agreed: AgreedCheckpoints | undefined;
  readonly #checkpoints: Checkpoints;
  readonly #batches: BatchLog;
  readonly #log: LogPort;
  readonly #checkpointBatches: number;
  readonly #longest: number;
  #instructions = 0;
  #executions = 0;
  #batchCount = 0;
  #logBytes = 0;
  /** Height of the fetched checkpoint that was committed here. */
  #installed: Height | undefined;

  /** Fills `state`, which is empty, with the last checkpoint; the first one is that of the empty state. */
  constructor(state: SubnetState, options: DiskOptions, { storage, log, crc32, sha256 }: DiskPorts) {
    const checks = crc32 === undefined ? {} : { crc32 };
    this.#log = log;
    this.#checkpointBatches = options.checkpointBatches ?? CHECKPOINT_BATCHES;
    this.#longest = options.longest;
    const { isAgreed = false, prepare } = options;
    const store = CheckpointStore.open(storage, { ...checks, keepsPrevious: isAgreed });
    this.#checkpoints = new Checkpoints(store, prepare);
    const isFetched = store.hasKey(FETCHED_KEY);
    this.#batches = BatchLog.open(storage, { ...checks, checkpoint: isFetched ? undefined : store.height });
    if (isFetched) this.#followFetched(store.height ?? 0);
    if (this.#checkpoints.height === undefined) this.#begin(state);
    else this.#checkpoints.load(state);
    if (isAgreed) this.agreed = new AgreedCheckpoints(store, { storage, sha256, log });
  }

  /** The process may have ended between the commit of a fetched checkpoint and the new beginning of the log. */
  #followFetched(height: Height): void {
    const { firstHeight = height + 2, nextHeight = 0 } = this.#batches;
    if (firstHeight > height + 1 || nextHeight < height + 1) this.#batches.restartAt(height + 1);
  }

  /**
   * Takes over the state that was fetched. False: something is missing; true: only a new start can go on from here. When it
   * throws, it can be called again, and nothing else may be executed here: the checkpoint may be in place already.
   */
  installFetched(height: Height): boolean {
    if (this.#installed !== height && this.agreed?.install(height) !== true) return false;
    this.#installed = height;
    this.#batches.restartAt(height + 1);
    return true;
  }

  /** The log first: from the first checkpoint on, a log that is not there is a log that was lost. */
  #begin(state: SubnetState): void {
    const next = this.#batches.nextHeight ?? 1;
    if (next !== 1) throw new EnvironmentError("STATE_CORRUPT", MISSING_CHECKPOINT);
    if (this.#batches.firstHeight === undefined) this.#batches.restartAt(1);
    this.#checkpoints.save(state);
  }

  /** The batches logged after `height`, in their order. */
  *batchesAfter(height: Height): Generator<Batch> {
    let expected = height + 1;
    for (const { height: found, payload } of this.#batches.entries(expected)) {
      if (found !== expected) {
        throw new EnvironmentError(
          "STATE_CORRUPT",
          `The batch log goes on at height ${found}, but the checkpoint is at ${expected - 1}.`,
        );
      }
      this.#logBytes += payload.length;
      yield decodeState(payload) as Batch;
      expected++;
    }
  }

  /** Of the last batch in the log. */
  get lastHeight(): Height {
    return (this.#batches.nextHeight ?? 1) - 1;
  }

  /** Undefined before the first. */
  get checkpointHeight(): Height | undefined {
    return this.#checkpoints.height;
  }

  /** Makes the batch durable. */
  append(batch: Batch): void {
    const payload = encodeState(batch);
    this.#batches.append(batch.height, payload);
    this.#batches.sync();
    this.#logBytes += payload.length;
  }

  /** Counts what executing a batch again after a crash would take. */
  count(batch: Batch, { instructions, executions }: Pick<RoundOutput, "instructions" | "executions">): void {
    this.#batchCount++;
    this.#executions += Math.max(executions, batch.ingress.length);
    this.#instructions += instructions;
  }

  /** `isExecuting`: executions are under way that a checkpoint would drop. */
  isCheckpointDue(isExecuting: boolean): boolean {
    if (isExecuting) {
      const patience = CHECKPOINT_PATIENCE * this.#checkpointBatches;
      return this.#batchCount >= Math.min(CHECKPOINT_WAITS_FOR_LONGEST * this.#longest, patience);
    }
    return (
      this.#instructions >= CHECKPOINT_INSTRUCTIONS ||
      this.#executions >= CHECKPOINT_EXECUTIONS ||
      this.#batchCount >= this.#checkpointBatches ||
      this.#logBytes >= CHECKPOINT_LOG_BYTES
    );
  }

  /** `keepsLog`: the batches that led here are being read. */
  checkpoint(state: SubnetState, { keepsLog = false } = {}): void {
    this.agreed?.hashAll();
    try {
      this.#checkpoints.save(state);
      this.agreed?.committed();
      if (!keepsLog) this.#batches.dropBefore(state.height + 1);
      this.#checkpoints.compact();
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      // A node of many is started again; alone on its machine it serves as long as it can.
      if (this.agreed !== undefined && error.code === RESTART_NEEDED) throw error;
      // The batches are safe in the log; the next checkpoint will include what this one would have.
      this.#log.log("warning", `No checkpoint could be written: ${error.message}`);
    }
    this.#instructions = 0;
    this.#executions = 0;
    this.#batchCount = 0;
    this.#logBytes = 0;
  }

  close(): void {
    this.#batches.close();
  }
}
