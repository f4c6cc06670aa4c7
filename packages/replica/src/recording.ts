// A recording: for each subnet what it began as, and every batch with the root hash of the state tree after it, in the
// order in which they were executed. Whoever has it can execute it all again and find the first height that differs.
//
// How to record a network: make one `Recorder` for it, give it to the executor of each subnet as option `recorder`
// (`new InlineExecutor({ config, rootKey, recorder }, ports)`), and take `recorder.file()` between two rounds. For a fork
// of the network, `const copy = recorder.fork()` and then `executor.fork({ recorder: copy })` for each subnet, all between
// the same two rounds: what was recorded so far is shared. `appending-recorder.ts` is for networks that live on disk;
// `recording-file.ts` has the format, `replay-recording.ts` executes it.
import type { SliceLimits } from "@atoll/embedder";
import type { RoundOutput } from "@atoll/messaging";
import { applyChanges, EMPTY_TREE, type Labels, rootHash, type SubnetConfig } from "@atoll/state";
import { type Batch, type CryptoPort, EnvironmentError, type Height, invariant, type PrincipalId } from "@atoll/types";
import { encodeRecording } from "./recording-file.ts";

/** What a subnet begins as. */
export interface RecordedGenesis {
  readonly config: SubnetConfig;
  /** DER of the network's root key. */
  readonly rootKey: Uint8Array;
  readonly slices?: SliceLimits;
}

export type RecordingEntry =
  | ({ readonly kind: "genesis" } & RecordedGenesis)
  | {
      readonly kind: "batch";
      readonly subnet: PrincipalId;
      readonly batch: Batch;
      /** After it. None where a batch was recorded only when it had been executed again: a later one tells. */
      readonly rootHash?: Uint8Array;
    }
  /** The network was forked here: executions between two slices began again from their inputs. */
  | { readonly kind: "fork" };

/** What a subnet is recorded by, as its state sees it. */
export interface BatchRecorder {
  /** The subnet has started; `whole` describes its state. Throws EnvironmentError when the recording cannot have it. */
  begin(genesis: RecordedGenesis, whole: Pick<RoundOutput, "height" | "treeChanges">): void;
  /** A batch was executed. Never throws. */
  add(subnet: PrincipalId, batch: Batch, output: Pick<RoundOutput, "treeChanges">): void;
  /** Before `begin`: a batch was executed again. Throws EnvironmentError when there is a gap before it. */
  caughtUp?(subnet: PrincipalId, batch: Batch): void;
  /** Before each batch: throws EnvironmentError when what was added could not be written and still cannot. */
  settle?(): void;
  /** What was added so far is on the disk to stay when it returns. Throws EnvironmentError. */
  sync?(): void;
  /** Nothing follows in this process. Throws EnvironmentError. */
  close?(): void;
}

/** A stretch of a recording. Those that others go on from never change again. */
interface Stretch {
  readonly before: Stretch | undefined;
  readonly own: RecordingEntry[];
}

export class Recorder implements BatchRecorder {
  readonly #crypto: Pick<CryptoPort, "sha256">;
  #last: Stretch = { before: undefined, own: [] };
  readonly #trees = new Map<PrincipalId, Labels>();
  #batches = 0;

  constructor(crypto: Pick<CryptoPort, "sha256">) {
    this.#crypto = crypto;
  }

  /** Number of batches recorded so far. */
  get batches(): number {
    return this.#batches;
  }

  /** A subnet starts; `whole` describes its first state. Executors call it. Throws EnvironmentError for an older one. */
  begin({ config, rootKey, slices }: RecordedGenesis, whole: Pick<RoundOutput, "height" | "treeChanges">): void {
    requireNew(whole.height);
    invariant(!this.#trees.has(config.subnetId), "a subnet is recorded once");
    this.#trees.set(config.subnetId, applyChanges(EMPTY_TREE, whole.treeChanges));
    this.#last.own.push({ kind: "genesis", config, rootKey, ...(slices && { slices }) });
  }

  /** A batch was executed. Executors call it. */
  add(subnet: PrincipalId, batch: Batch, { treeChanges }: Pick<RoundOutput, "treeChanges">): void {
    const before = this.#trees.get(subnet);
    invariant(before !== undefined, "a batch of a subnet that is not recorded");
    const tree = applyChanges(before, treeChanges);
    this.#trees.set(subnet, tree);
    this.#batches++;
    this.#last.own.push({ kind: "batch", subnet, batch, rootHash: rootHash(tree, this.#crypto.sha256) });
  }

  /** For a fork of the network, made between two rounds of it. */
  fork(): Recorder {
    const copy = new Recorder(this.#crypto);
    if (this.#last.own.length > 0) this.#last = { before: this.#last, own: [] };
    copy.#last = { before: this.#last.before, own: [{ kind: "fork" }] };
    for (const [subnet, tree] of this.#trees) copy.#trees.set(subnet, tree);
    copy.#batches = this.#batches;
    return copy;
  }

  /** Everything recorded so far, in order. */
  *entries(): Generator<RecordingEntry> {
    const stretches: Stretch[] = [];
    for (let each: Stretch | undefined = this.#last; each !== undefined; each = each.before) stretches.push(each);
    for (const { own } of stretches.reverse()) yield* own;
  }

  /** The bytes of a file. */
  file(): Uint8Array {
    return encodeRecording(this.entries());
  }
}

/** Throws EnvironmentError for a subnet that has executed batches already. */
export function requireNew(height: Height): void {
  if (height === 0) return;
  throw new EnvironmentError(
    "RECORDING",
    `A recording begins with the first batch of a network, and this one is at height ${height} already: ` +
      "record a new network.",
  );
}
