// A subnet's state with its life on disk: each batch is made durable before it is executed, checkpoints keep the
// log short, a start loads the last checkpoint and executes the rest of the log again. So everything that anybody
// was ever shown can be derived again after a crash at any instruction.
import {
  describeModule,
  InstancePool,
  type InstancePoolOptions,
  prepareModule,
  REWRITER_VERSION,
} from "@atoll/embedder";
import { FeeSchedule } from "@atoll/execution";
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
  invariant,
  type LogPort,
  type StoragePort,
} from "@atoll/types";

/**
 * A checkpoint is due after this much work since the last one, so that a start after a crash never repeats more than
 * a second or two of it.
 */
const CHECKPOINT_INSTRUCTIONS = 2_000_000_000;
const CHECKPOINT_MESSAGES = 20_000;
const CHECKPOINT_BATCHES = 2000;
const CHECKPOINT_LOG_BYTES = 32 * 1024 * 1024;

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
  #messages = 0;
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
      tree: new CanonicalTree(),
      memoryTotals: new Map(),
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
  start(): RoundOutput {
    const { state } = this.machine;
    for (const { height, payload } of this.#batches.entries(state.height + 1)) {
      if (height !== state.height + 1) {
        throw new EnvironmentError(
          "STATE_CORRUPT",
          `The batch log goes on at height ${height}, but the checkpoint is at ${state.height}.`,
        );
      }
      const batch = decodeState(payload) as Batch;
      this.#count(batch, payload.length, replayBatch(this.machine, batch));
    }
    return describeWholeState(this.machine);
  }

  /** Durable first, executed second. */
  execute(batch: Batch): RoundOutput {
    const payload = encodeState(batch);
    this.#batches.append(batch.height, payload);
    this.#batches.sync();
    const output = processBatch(this.machine, batch);
    this.#count(batch, payload.length, output.instructions);
    if (this.#isCheckpointDue()) this.checkpoint();
    return output;
  }

  checkpoint(): void {
    const { state } = this.machine;
    if (this.#checkpoints.height === state.height) return;
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
    this.#messages = 0;
    this.#batchCount = 0;
    this.#logBytes = 0;
  }

  close(): void {
    this.checkpoint();
    this.#batches.close();
  }

  #count(batch: Batch, bytes: number, instructions: number): void {
    this.#batchCount++;
    this.#messages += batch.ingress.length;
    this.#logBytes += bytes;
    this.#instructions += instructions;
  }

  #isCheckpointDue(): boolean {
    return (
      this.#instructions >= CHECKPOINT_INSTRUCTIONS ||
      this.#messages >= CHECKPOINT_MESSAGES ||
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
