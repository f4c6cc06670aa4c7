// The recording of one subnet that lives on disk: a file that grows with it, so that it takes no memory but that of the
// state's hash tree, and that goes on where it was when the subnet starts again. A batch is in the log of the subnet
// before it is executed, and in the recording after it: what a kill has cut off there is made up from the log.
import type { RoundOutput } from "@atoll/messaging";
import { applyChanges, EMPTY_TREE, type Labels, rootHash } from "@atoll/state";
import {
  type Batch,
  type CryptoPort,
  EnvironmentError,
  type Height,
  invariant,
  type PrincipalId,
  type StoragePort,
} from "@atoll/types";
import { type BatchRecorder, type RecordedGenesis, type RecordingEntry, requireNew } from "./recording.ts";
import { encodeRecord, growingStart, openRecording } from "./recording-file.ts";

export interface AppendingRecorderPorts {
  readonly storage: StoragePort;
  readonly crypto: Pick<CryptoPort, "sha256">;
  readonly crc32?: (bytes: Uint8Array) => number;
}

export class AppendingRecorder implements BatchRecorder {
  readonly #name: string;
  readonly #ports: AppendingRecorderPorts;
  #tree: Labels = EMPTY_TREE;
  /** What the file begins with; undefined: there is none yet. */
  #genesis: RecordedGenesis | undefined;
  #entries = 0;
  #height: Height = 0;
  #rootHash: Uint8Array | undefined;
  /** Executed again at the start, and not recorded yet. */
  #missed: { readonly subnet: PrincipalId; readonly batch: Batch } | undefined;
  /** Of a file that ended before: from here on it is written anew. */
  #cutAt: number | undefined;
  #unwritten: Uint8Array[] = [];
  #isSynced = true;

  /** `name`: of the file. Throws EnvironmentError when it is there and no recording that can go on. */
  constructor(name: string, ports: AppendingRecorderPorts) {
    this.#name = name;
    this.#ports = ports;
    const { storage } = ports;
    const size = storage.size(name) ?? 0;
    // A kill at the very beginning leaves an empty file.
    if (size === 0) return;
    const source = { size, read: (at: number, length: number) => storage.read(name, at, length) };
    try {
      this.#resume(openRecording(source, ports.crc32));
    } catch (error) {
      if (!(error instanceof EnvironmentError) || error.code !== "RECORDING") throw error;
      throw new EnvironmentError(error.code, `The recording ${name} cannot go on: ${error.message}`, { cause: error });
    }
  }

  #resume(file: ReturnType<typeof openRecording>): void {
    const [first] = file.read();
    const { last } = file;
    this.#cutAt = first === undefined ? 0 : file.endAt;
    if (first === undefined) return;
    const isOne = first.kind === "genesis" && last !== undefined && last.kind !== "fork";
    if (!isOne) throw refused(`${this.#name} is not the recording of one subnet`);
    this.#genesis = first;
    this.#entries = file.entries;
    if (last.kind === "batch") [this.#height, this.#rootHash] = [Number(last.batch?.height), last.rootHash];
  }

  caughtUp(subnet: PrincipalId, batch: Batch): void {
    if (this.#genesis === undefined || batch.height <= this.#height) return;
    if (batch.height !== this.#height + 1) throw this.#gap(batch.height);
    // Its hash is unknown unless it is the last.
    if (this.#missed !== undefined) this.#put({ kind: "batch", ...this.#missed });
    this.#missed = { subnet, batch };
    this.#height = batch.height;
  }

  begin(
    { config, rootKey, slices }: RecordedGenesis,
    { height, treeChanges }: Pick<RoundOutput, "height" | "treeChanges">,
  ): void {
    this.#tree = applyChanges(this.#tree, treeChanges);
    const hash = rootHash(this.#tree, this.#ports.crypto.sha256);
    if (this.#genesis === undefined) {
      requireNew(height);
      this.#genesis = { config, rootKey, ...(slices && { slices }) };
      this.#unwritten.push(growingStart());
      this.#put({ kind: "genesis", ...this.#genesis });
    } else {
      this.#mustBe(config.subnetId, config.publicKey, rootKey);
      if (this.#height !== height) throw this.#gap(height + 1);
      if (this.#missed !== undefined) this.#put({ kind: "batch", ...this.#missed, rootHash: hash });
      else if (this.#rootHash !== undefined && !isEqual(this.#rootHash, hash)) {
        throw refused(`${this.#name} has another state at height ${height} than this network`);
      }
      this.#missed = undefined;
    }
    // Only now it is certain that the file is this network's.
    if (this.#cutAt !== undefined) this.#ports.storage.truncate(this.#name, this.#cutAt);
    this.sync();
  }

  add(subnet: PrincipalId, batch: Batch, { treeChanges }: Pick<RoundOutput, "treeChanges">): void {
    invariant(this.#genesis !== undefined, "a subnet begins before its batches");
    this.#tree = applyChanges(this.#tree, treeChanges);
    this.#put({ kind: "batch", subnet, batch, rootHash: rootHash(this.#tree, this.#ports.crypto.sha256) });
    this.#height = batch.height;
    try {
      this.settle();
    } catch (error) {
      // The batch is executed: `settle` tries again before the next one, and tells then.
      if (!(error instanceof EnvironmentError)) throw error;
    }
  }

  settle(): void {
    if (this.#unwritten.length === 0) return;
    this.#ports.storage.append(this.#name, this.#unwritten);
    this.#unwritten = [];
    this.#isSynced = false;
  }

  sync(): void {
    this.settle();
    if (this.#isSynced) return;
    this.#ports.storage.sync(this.#name);
    this.#isSynced = true;
  }

  close(): void {
    if (this.#genesis === undefined || this.#missed !== undefined) return;
    this.#unwritten.push(...encodeRecord({ kind: "end", entries: this.#entries }, this.#ports.crc32));
    this.sync();
  }

  #put(entry: RecordingEntry): void {
    this.#unwritten.push(...encodeRecord(entry, this.#ports.crc32));
    this.#entries++;
  }

  #mustBe(subnetId: PrincipalId, publicKey: Uint8Array, rootKey: Uint8Array): void {
    const { config, rootKey: recordedRoot } = this.#genesis as RecordedGenesis;
    const isSame =
      config?.subnetId === subnetId && isEqual(config.publicKey, publicKey) && isEqual(recordedRoot, rootKey);
    if (!isSame) throw refused(`${this.#name} is of another network`);
  }

  #gap(next: Height): EnvironmentError {
    return refused(`${this.#name} ends at height ${this.#height}, and this network goes on with height ${next}`);
  }
}

function refused(why: string): EnvironmentError {
  return new EnvironmentError(
    "RECORDING",
    `The recording cannot go on: ${why}; start without --record, or record a new network in another folder.`,
  );
}

/** `one` is from a file. */
function isEqual(one: unknown, other: Uint8Array): boolean {
  return one instanceof Uint8Array && one.length === other.length && one.every((byte, i) => byte === other[i]);
}
