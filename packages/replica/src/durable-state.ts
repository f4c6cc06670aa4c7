// A subnet's state and the machine that executes on it. With a storage it is durable: a batch is on the disk before it
// is executed (state-on-disk.ts), and a start loads what is there. Without one it lives in memory only, as in test
// networks: the same code, and nothing is kept of a round but the state that it led to.
import {
  describeModule,
  InstancePool,
  type InstancePoolOptions,
  prepareModule,
  REWRITER_VERSION,
  type SliceLimits,
} from "@atoll/embedder";
import { FeeSchedule, LongExecutions, measureUsage } from "@atoll/execution";
import {
  describeWholeState,
  forkMachine,
  processBatch,
  type RoundOutput,
  replayBatch,
  type StateMachine,
} from "@atoll/messaging";
import {
  CanonicalTree,
  forgetChanges,
  ModuleStore,
  newSubnetState,
  type PageStore,
  type StoredModule,
  type SubnetConfig,
} from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  EnvironmentError,
  type Height,
  invariant,
  type LogPort,
  type StoragePort,
} from "@atoll/types";
import { StateOnDisk } from "#state-on-disk";
import type { BatchRecorder } from "./recording.ts";
import type { AgreedCheckpoints } from "./state-sync/agreed-checkpoints.ts";

/** Some seconds of execution: as often a long start says how far it is. */
const PROGRESS_INSTRUCTIONS = 10_000_000_000;

export interface DurableStateOptions {
  readonly config: SubnetConfig;
  /** DER of the network's root key. */
  readonly rootKey: Uint8Array;
  readonly pages: PageStore;
  /** Bounds of the live instances. */
  readonly instances?: InstancePoolOptions;
  /** A checkpoint at the latest after so many batches; for tests that need many of them. */
  readonly checkpointBatches?: number;
  /**
   * Checkpoints come where batches say so and nowhere else: the nodes of a subnet of many agree on them, and on the hash
   * of each.
   */
  readonly agreedCheckpoints?: boolean;
  /** Smaller slices, for tests of long executions that shall not take long. */
  readonly slices?: SliceLimits;
  /** Rounds tell what happened to each message: for test kits, as it takes memory. */
  readonly trace?: boolean;
  /** Told of the first state and of each batch. The state must be a new one, or one that it goes on from. */
  readonly recorder?: BatchRecorder;
}

export interface DurableStatePorts {
  /** None: the state lives in memory only. */
  readonly storage?: StoragePort;
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly log: LogPort;
  readonly crc32?: (bytes: Uint8Array, seed?: number) => number;
}

export class DurableState {
  readonly machine: StateMachine;
  readonly #disk: StateOnDisk | undefined;
  readonly #log: LogPort;
  readonly #options: DurableStateOptions;
  readonly #isFork: boolean;

  /** `forked`: the machine of a fork, which lives in memory only. */
  constructor(options: DurableStateOptions, { storage, crypto, log, crc32 }: DurableStatePorts, forked?: StateMachine) {
    this.#options = options;
    this.#log = log;
    this.#isFork = forked !== undefined;
    if (forked !== undefined) {
      this.machine = forked;
      return;
    }
    const modules = new ModuleStore();
    const state = newSubnetState(options.config, modules, options.pages);
    const fees = new FeeSchedule(options.config);
    const long = new LongExecutions(options.slices === undefined ? {} : { slices: options.slices });
    if (storage !== undefined) {
      const { checkpointBatches } = options;
      const longest = Math.ceil(fees.limits.install / long.limits.slice);
      const disk = {
        longest,
        ...(checkpointBatches !== undefined && { checkpointBatches }),
        isAgreed: options.agreedCheckpoints === true,
        prepare: (uploaded: Uint8Array) => preparedModule(uploaded, crypto),
      };
      this.#disk = new StateOnDisk(state, disk, { storage, log, sha256: crypto.sha256, ...(crc32 && { crc32 }) });
    }
    this.machine = {
      state,
      pool: new InstancePool(options.instances),
      fees,
      crypto,
      rootKey: options.rootKey,
      long,
      tree: new CanonicalTree(),
      ...(options.trace === undefined ? {} : { trace: options.trace }),
    };
    prepareAgain(modules, crypto);
  }

  /** What the nodes of the subnet agree on and give each other; none where checkpoints are not agreed, or without a disk. */
  get agreed(): AgreedCheckpoints | undefined {
    return this.#disk?.agreed;
  }

  /**
   * Takes over a state that was fetched. True: this object has nothing more to do, and a new one goes on from the disk.
   * False: something is missing, or this state is as far already; nothing has changed.
   */
  installFetched(height: Height): boolean {
    if (this.#disk === undefined || height <= this.machine.state.height) return false;
    if (!this.#disk.installFetched(height)) return false;
    this.machine.pool.clear();
    return true;
  }

  /** Executes the batches logged after the checkpoint and describes the state that this leads to. */
  async start(): Promise<RoundOutput> {
    this.#disk?.agreed?.start();
    if (this.#disk !== undefined) await this.#catchUp(this.#disk);
    // What a fork has published already, whoever starts it has not seen.
    if (this.#isFork) return describeWholeState({ ...this.machine, tree: new CanonicalTree() });
    const whole = describeWholeState(this.machine);
    this.#options.recorder?.begin(this.#options, whole);
    return whole;
  }

  /** The same state once more, in memory only; `options.pages` is a fork of this one's. Between two rounds. */
  fork(options: DurableStateOptions): DurableState {
    const { crypto } = this.machine;
    const { pages } = options;
    const pool = new InstancePool(options.instances);
    return new DurableState(options, { crypto, log: this.#log }, forkMachine(this.machine, pages, pool));
  }

  async #catchUp(disk: StateOnDisk): Promise<void> {
    let [instructions, told] = [0, 0];
    for (const batch of disk.batchesAfter(this.machine.state.height)) {
      await this.machine.long.runSlice();
      const work = replayBatch(this.machine, batch);
      disk.count(batch, work);
      if (batch.isCheckpoint === true && disk.agreed !== undefined) this.#checkpointAgain(disk);
      this.#options.recorder?.caughtUp?.(this.#options.config.subnetId, batch);
      instructions += work.instructions;
      if (instructions < told + PROGRESS_INSTRUCTIONS) continue;
      told = instructions;
      const text = `Executing again what came after the last checkpoint: batch ${batch.height} of ${disk.lastHeight}.`;
      this.#log.log("info", text);
    }
  }

  /** The process ended before it could be written, and the subnet wants its hash. */
  #checkpointAgain(disk: StateOnDisk): void {
    // As after a round whose output somebody takes: what canisters use is a part of their records.
    measureUsage(this.machine);
    disk.checkpoint(this.machine.state, { keepsLog: true });
  }

  /** Durable first, executed second. Waits for the slice of a long execution that comes between the two rounds. */
  async execute(batch: Batch): Promise<RoundOutput> {
    const agreed = this.#decidesOnCheckpoint() ? { ...batch, isCheckpoint: true } : batch;
    this.#options.recorder?.settle?.();
    this.#disk?.append(agreed);
    await this.machine.long.runSlice();
    const output = processBatch(this.machine, agreed);
    this.#disk?.count(agreed, output);
    this.#options.recorder?.add(this.#options.config.subnetId, agreed, output);
    if (this.#disk === undefined) forgetChanges(this.machine.state);
    else if (agreed.isCheckpoint === true) this.checkpoint();
    return output;
  }

  #decidesOnCheckpoint(): boolean {
    if (this.#options.agreedCheckpoints === true) return false;
    return this.#disk?.isCheckpointDue(this.machine.long.size > 0) === true;
  }

  /** Lets the slice that is due run while nothing else is to do. */
  async runAhead(): Promise<void> {
    await this.machine.long.runSlice();
  }

  /** Undefined before the first. */
  get checkpointHeight(): Height | undefined {
    return this.#disk?.checkpointHeight;
  }

  checkpoint(): void {
    const { state, long } = this.machine;
    // What is between two slices is in no checkpoint; the batches that led to it are in the log.
    if (this.#disk === undefined || this.#disk.checkpointHeight === state.height || long.size > 0) return;
    // The log of the batches ends here: what the recording has not got by now it will never get.
    this.#withRecorder((recorder) => recorder.sync?.());
    this.#disk.checkpoint(state);
  }

  /** Ends: nothing can be executed afterwards. */
  close(): void {
    this.#withRecorder((recorder) => recorder.close?.());
    if (this.#options.agreedCheckpoints !== true) this.checkpoint();
    this.#disk?.close();
    this.machine.pool.clear();
  }

  /** The state does not suffer from a recording that cannot be written. */
  #withRecorder(act: (recorder: BatchRecorder) => void): void {
    const { recorder } = this.#options;
    try {
      if (recorder !== undefined) act(recorder);
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#log.log("warning", `The recording may not be whole: ${error.message}`);
    }
  }
}

/** What another version of the rewriter prepared is made anew from the uploaded bytes. */
function prepareAgain(modules: ModuleStore, crypto: Pick<CryptoPort, "sha256">): void {
  for (const module of [...modules.all()]) {
    if (describeModule(module).rewriterVersion === REWRITER_VERSION) continue;
    modules.replacePrepared(preparedModule(module.uploaded, crypto));
  }
}

function preparedModule(uploaded: Uint8Array, crypto: Pick<CryptoPort, "sha256">): StoredModule {
  const prepared = prepareModule(uploaded, crypto);
  invariant(prepared.ok, "an installed module is not accepted by this version");
  return prepared.module.stored;
}
