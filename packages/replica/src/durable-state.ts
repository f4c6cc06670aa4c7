// A subnet's state with its life on disk: each batch is made durable before it is executed, checkpoints keep the
// log short, a start loads the last checkpoint and executes the rest of the log again. So everything that anybody
// was ever shown can be derived again after a crash at any instruction.
import {
  describeModule,
  InstancePool,
  type InstancePoolOptions,
  prepareModule,
  REWRITER_VERSION,
  type SliceLimits,
} from "@atoll/embedder";
import { FeeSchedule, LongExecutions } from "@atoll/execution";
import { describeWholeState, processBatch, type RoundOutput, replayBatch, type StateMachine } from "@atoll/messaging";
import {
  BatchLog,
  CanonicalTree,
  CheckpointStore,
  Checkpoints,
  ModuleStore,
  newSubnetState,
  type PageStore,
  type SubnetConfig,
  type SubnetState,
} from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  decodeState,
  EnvironmentError,
  encodeState,
  type Height,
  invariant,
  type LogPort,
  type StoragePort,
} from "@atoll/types";

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

/** Some seconds of execution: as often a long start says how far it is. */
const PROGRESS_INSTRUCTIONS = 10_000_000_000;

const MISSING_CHECKPOINT =
  "The checkpoint files (state-*) in the state folder are missing, and the batch log is not. Nothing was changed; " +
  "restore a copy of the whole state folder, or start again with --clean, which deletes the state of this network.";

export interface DurableStateOptions {
  readonly config: SubnetConfig;
  /** DER of the network's root key. */
  readonly rootKey: Uint8Array;
  readonly pages: PageStore;
  /** Bounds of the live instances. */
  readonly instances?: InstancePoolOptions;
  /** A checkpoint at the latest after so many batches; for tests that need many of them. */
  readonly checkpointBatches?: number;
  /** Smaller slices, for tests of long executions that shall not take long. */
  readonly slices?: SliceLimits;
}

export interface DurableStatePorts {
  readonly storage: StoragePort;
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly log: LogPort;
  readonly crc32?: (bytes: Uint8Array, seed?: number) => number;
}

export class DurableState {
  readonly machine: StateMachine;
  readonly #checkpoints: Checkpoints;
  readonly #batches: BatchLog;
  readonly #log: LogPort;
  readonly #checkpointBatches: number;
  #instructions = 0;
  #executions = 0;
  #batchCount = 0;
  #logBytes = 0;

  constructor(options: DurableStateOptions, { storage, crypto, log, crc32 }: DurableStatePorts) {
    const checks = crc32 === undefined ? {} : { crc32 };
    const modules = new ModuleStore();
    const state = newSubnetState(options.config, modules, options.pages);
    this.#log = log;
    this.#checkpointBatches = options.checkpointBatches ?? CHECKPOINT_BATCHES;
    const store = CheckpointStore.open(storage, checks);
    this.#checkpoints = new Checkpoints(store);
    this.#batches = BatchLog.open(storage, { ...checks, checkpoint: store.height });
    this.machine = {
      state,
      pool: new InstancePool(options.instances),
      fees: new FeeSchedule(options.config),
      crypto,
      rootKey: options.rootKey,
      long: new LongExecutions(options.slices === undefined ? {} : { slices: options.slices }),
      tree: new CanonicalTree(),
    };
    if (this.#checkpoints.height === undefined) this.#begin(state);
    else this.#checkpoints.load(state);
    prepareAgain(modules, crypto);
  }

  /** The log first: from the first checkpoint on, a log that is not there is a log that was lost. */
  #begin(state: SubnetState): void {
    const next = this.#batches.nextHeight ?? 1;
    if (next !== 1) throw new EnvironmentError("STATE_CORRUPT", MISSING_CHECKPOINT);
    if (this.#batches.firstHeight === undefined) this.#batches.restartAt(1);
    this.#checkpoints.save(state);
  }

  /** Executes the batches logged after the checkpoint and describes the state that this leads to. */
  async start(): Promise<RoundOutput> {
    const { state } = this.machine;
    let told = 0;
    for (const { height, payload } of this.#batches.entries(state.height + 1)) {
      if (height !== state.height + 1) {
        throw new EnvironmentError(
          "STATE_CORRUPT",
          `The batch log goes on at height ${height}, but the checkpoint is at ${state.height}.`,
        );
      }
      const batch = decodeState(payload) as Batch;
      await this.machine.long.runSlice();
      this.#count(batch, payload.length, replayBatch(this.machine, batch));
      if (this.#instructions < told + PROGRESS_INSTRUCTIONS) continue;
      told = this.#instructions;
      const last = (this.#batches.nextHeight ?? 1) - 1;
      this.#log.log("info", `Executing again what came after the last checkpoint: batch ${height} of ${last}.`);
    }
    return describeWholeState(this.machine);
  }

  /** Durable first, executed second. Waits for the slice of a long execution that comes between the two rounds. */
  async execute(batch: Batch): Promise<RoundOutput> {
    const agreed = this.#isCheckpointDue() ? { ...batch, isCheckpoint: true } : batch;
    const payload = encodeState(agreed);
    this.#batches.append(agreed.height, payload);
    this.#batches.sync();
    await this.machine.long.runSlice();
    const output = processBatch(this.machine, agreed);
    this.#count(agreed, payload.length, output);
    if (agreed.isCheckpoint === true) this.checkpoint();
    return output;
  }

  /** Lets the slice that is due run while nothing else is to do. */
  async runAhead(): Promise<void> {
    await this.machine.long.runSlice();
  }

  /** Undefined before the first. */
  get checkpointHeight(): Height | undefined {
    return this.#checkpoints.height;
  }

  checkpoint(): void {
    const { state } = this.machine;
    // What is between two slices is in no checkpoint; the batches that led to it are in the log.
    if (this.#checkpoints.height === state.height || this.machine.long.size > 0) return;
    try {
      this.#checkpoints.save(state);
      this.#batches.dropBefore(state.height + 1);
      this.#checkpoints.compact();
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      // The batches are safe in the log; the next checkpoint will include what this one would have.
      this.#log.log("warning", `No checkpoint could be written: ${error.message}`);
    }
    this.#instructions = 0;
    this.#executions = 0;
    this.#batchCount = 0;
    this.#logBytes = 0;
  }

  close(): void {
    this.checkpoint();
    this.#batches.close();
  }

  #count(batch: Batch, bytes: number, { instructions, executions }: ReturnType<typeof replayBatch>): void {
    this.#batchCount++;
    this.#executions += Math.max(executions, batch.ingress.length);
    this.#logBytes += bytes;
    this.#instructions += instructions;
  }

  #batchesOfLongest(): number {
    const { fees, long } = this.machine;
    return CHECKPOINT_WAITS_FOR_LONGEST * Math.ceil(fees.limits.install / long.limits.slice);
  }

  #isCheckpointDue(): boolean {
    if (this.machine.long.size > 0) {
      const patience = CHECKPOINT_PATIENCE * this.#checkpointBatches;
      return this.#batchCount >= Math.min(this.#batchesOfLongest(), patience);
    }
    return (
      this.#instructions >= CHECKPOINT_INSTRUCTIONS ||
      this.#executions >= CHECKPOINT_EXECUTIONS ||
      this.#batchCount >= this.#checkpointBatches ||
      this.#logBytes >= CHECKPOINT_LOG_BYTES
    );
  }
}

/** What another version of the rewriter prepared is made anew from the uploaded bytes. */
function prepareAgain(modules: ModuleStore, crypto: Pick<CryptoPort, "sha256">): void {
  for (const module of [...modules.all()]) {
    if (describeModule(module).rewriterVersion === REWRITER_VERSION) continue;
    const prepared = prepareModule(module.uploaded, crypto);
    invariant(prepared.ok, `the installed module ${module.hash} is not accepted by this version`);
    modules.replacePrepared(prepared.module.stored);
  }
}
