// Executes a recording again, on fresh states in memory, and finds the first subnet and height whose state is another
// one than when it was recorded. The core is deterministic, so a difference is a defect: of the program, of the machine,
// or of the file.
import { InstanceBudget } from "@atoll/embedder";
import { applyChanges, EMPTY_TREE, type Labels, rootHash } from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  EnvironmentError,
  type Height,
  type PrincipalId,
  principalToText,
  toHex,
} from "@atoll/types";
import { InlineExecutor } from "./inline-executor.ts";
import type { RecordedGenesis, RecordingEntry } from "./recording.ts";
import { openRecording, type RecordingSource } from "./recording-file.ts";

export interface ReplayOutcome {
  readonly subnets: number;
  /** Batches that led to the recorded state. */
  readonly batches: number;
  /** What executing them took. */
  readonly instructions: number;
  /** Only of a file that grows: it ends after this height, and its last record is not there. */
  readonly unfinished?: {
    readonly height: Height;
    /** At the end of the file, and not a whole record. */
    readonly tornBytes: number;
  };
  /** undefined: everything is equal. */
  readonly difference?: {
    readonly subnet: PrincipalId;
    readonly height: Height;
    /** Root hashes of the state tree after that height, hex: as recorded, and as executed now. */
    readonly expected: string;
    readonly found: string;
  };
}

export interface ReplayOptions {
  readonly crypto: Pick<CryptoPort, "sha256">;
  /** A faster CRC-32 than ours, if there is. */
  readonly crc32?: (bytes: Uint8Array) => number;
  /** Told after each entry of the recording. */
  readonly onProgress?: (done: {
    readonly entries: number;
    readonly of: number;
    readonly instructions: number;
  }) => void;
}

interface Replayed {
  readonly executor: InlineExecutor;
  tree: Labels;
}

/** Stops at the first difference. Rejects with EnvironmentError for what is no recording, or a damaged one. */
export async function replayRecording(
  file: Uint8Array | RecordingSource,
  options: ReplayOptions,
): Promise<ReplayOutcome> {
  const { crypto, onProgress } = options;
  const recording = openRecording(file, options.crc32);
  const budget = new InstanceBudget();
  const subnets = new Map<PrincipalId, Replayed>();
  let [entries, batches, instructions, height] = [0, 0, 0, 0];
  for (const entry of recording.read()) {
    if (entry.kind === "genesis") await begin(subnets, entry, crypto, budget);
    else if (entry.kind === "fork")
      for (const { executor } of subnets.values()) executor.durable.machine.long.abortAll();
    else {
      const round = await execute(subnets, entry, crypto);
      instructions += round.instructions;
      ({ height } = entry.batch);
      const [expected, found] = [entry.rootHash && toHex(entry.rootHash), round.rootHash];
      if (expected !== undefined && expected !== found) {
        const difference = { subnet: entry.subnet, height, expected, found };
        return { subnets: subnets.size, batches, instructions, difference };
      }
      batches++;
    }
    entries++;
    onProgress?.({ entries, of: recording.entries, instructions });
  }
  for (const { executor } of subnets.values()) await executor.stop();
  const unfinished = recording.isEnded ? undefined : { height, tornBytes: recording.tornBytes };
  return { subnets: subnets.size, batches, instructions, ...(unfinished && { unfinished }) };
}

async function begin(
  subnets: Map<PrincipalId, Replayed>,
  { config, rootKey, slices }: RecordedGenesis,
  crypto: ReplayOptions["crypto"],
  budget: InstanceBudget,
): Promise<void> {
  await understood("The beginning of a subnet in the recording makes no sense", async () => {
    if (subnets.has(config.subnetId)) throw new TypeError("it is there twice");
    const options = { config, rootKey, instances: { budget }, ...(slices && { slices }) };
    const executor = new InlineExecutor(options, { crypto, log: { log: () => undefined } });
    const whole = await executor.start();
    executor.advance(whole.height);
    subnets.set(config.subnetId, { executor, tree: applyChanges(EMPTY_TREE, whole.treeChanges) });
  });
}

async function execute(
  subnets: ReadonlyMap<PrincipalId, Replayed>,
  { subnet, batch, rootHash: recorded }: Extract<RecordingEntry, { kind: "batch" }>,
  { sha256 }: ReplayOptions["crypto"],
): Promise<{ readonly rootHash: string; readonly instructions: number }> {
  return understood("A batch in the recording cannot be executed", async () => {
    const replayed = subnets.get(subnet);
    if (replayed === undefined) throw new TypeError("its subnet has not begun");
    if (recorded !== undefined && !(recorded instanceof Uint8Array)) throw new TypeError("it has no hash");
    const { executor } = replayed;
    checkOrder(subnet, batch, executor);
    const round = await executor.execute(batch);
    executor.advance(round.height);
    replayed.tree = applyChanges(replayed.tree, round.treeChanges);
    return { rootHash: toHex(rootHash(replayed.tree, sha256)), instructions: round.instructions };
  });
}

function checkOrder(subnet: PrincipalId, batch: Batch, { durable }: InlineExecutor): void {
  const { height, time } = durable.machine.state;
  const name = principalToText(subnet);
  if (batch.height !== height + 1) throw new TypeError(`height ${batch.height} follows ${height} on subnet ${name}`);
  if (batch.time <= time) throw new TypeError(`the time does not move on at height ${height + 1} of subnet ${name}`);
}

/** Whatever nonsense a file with good checksums holds is told as such. */
async function understood<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new EnvironmentError("RECORDING", `${what}: ${why}.`, { cause: error });
  }
}
