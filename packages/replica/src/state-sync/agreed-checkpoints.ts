// The checkpoints of a node that shares its subnet with others: each has a manifest, whose root the subnet signs in a
// catch-up package; other nodes are given the newest one and the one before it, since the newer may have no package yet and
// a node may be in the middle of the older; and a state that others computed can take their place. It lives where the state
// is. Consensus and chain-key facts, section 11.
import {
  applyManifest,
  type CheckpointStore,
  type CheckpointView,
  chunkBytes,
  chunkHash,
  type Manifest,
  ManifestKeeper,
  manifestOfTable,
  type Sha256,
} from "@atoll/state";
import { EnvironmentError, type Height, invariant, type LogPort, type StoragePort } from "@atoll/types";
import type { StateFetchReply, StateFetchStep } from "./fetch-steps.ts";
import { FetchedChunks, hashKey } from "./fetched-chunks.ts";
import { type KeptManifest, readHashes, readSubManifest, removeHashes, writeHashes } from "./hashes-file.ts";
import { type ChunkName, decodeRequest, encodeChunks, MAX_ANSWER_BYTES, type StateRequest } from "./messages.ts";
import { StateFetch } from "./state-fetch.ts";

export interface AgreedCheckpointsPorts {
  readonly storage: StoragePort;
  readonly sha256: Sha256;
  readonly log: LogPort;
}

const NOTHING: StateFetchReply = { questions: [], chunks: 0, of: 0, isComplete: false };

export class AgreedCheckpoints {
  readonly #store: CheckpointStore;
  readonly #ports: AgreedCheckpointsPorts;
  readonly #keeper: ManifestKeeper;
  readonly #fetched: FetchedChunks;
  /** Of the last checkpoint and the one before, as far as they are made. */
  readonly #manifests = new Map<Height, KeptManifest>();
  /** The hashing that is under way. */
  #hashing: Generator<void, Manifest> | undefined;
  #fetch: StateFetch | undefined;
  /** Checkpoints of its own since the start. */
  #commits = 0;
  onStateHash: ((height: Height, stateHash: Uint8Array) => void) | undefined;

  /** `store` has a checkpoint. Call `hashSome` until it is done. */
  constructor(store: CheckpointStore, ports: AgreedCheckpointsPorts) {
    this.#store = store;
    this.#ports = ports;
    this.#keeper = new ManifestKeeper(ports.sha256);
    this.#fetched = new FetchedChunks(ports.storage, ports.sha256);
  }

  /** The hashes of the checkpoint that is there: as they were kept, or all of it hashed again. */
  start(): void {
    const { storage, sha256 } = this.#ports;
    const { height } = this.#view();
    const manifest = readHashes(storage, height, sha256);
    if (manifest !== undefined && this.#keeper.restore(height, manifest.table)) {
      removeHashes(storage, (other) => other !== height);
      this.#publish(height, manifest, manifest.table.length);
    } else this.#hashing = this.#keeper.manifest(this.#view());
  }

  /** A checkpoint was committed: its manifest is due. */
  committed(): void {
    invariant(this.#hashing === undefined, "the manifest of one checkpoint is made before the next one comes");
    // Chunks that the process before has left wait for as long as this node may have to fetch a state.
    if (++this.#commits > 1 && this.#fetch === undefined) this.#fetched.clear();
    const previous = this.#store.previous()?.height;
    for (const height of this.#manifests.keys()) if (height !== previous) this.#manifests.delete(height);
    this.#hashing = this.#keeper.manifest(this.#view(), this.#store.takeTouched());
  }

  /** Hashes one more chunk; false: there is nothing to hash. Throws STATE_CORRUPT for damage on the disk. */
  hashSome(): boolean {
    const step = this.#hashing?.next();
    if (step?.done !== true) return step !== undefined;
    this.#hashing = undefined;
    const { height } = this.#view();
    this.#publish(height, step.value, this.#keep(height, step.value));
    return false;
  }

  /** Before anything that needs the hashes of the last checkpoint. */
  hashAll(): void {
    while (this.hashSome());
  }

  /** Answers a peer; undefined: refused. */
  serve(question: Uint8Array): Uint8Array | undefined {
    const request = decodeRequest(question);
    const manifest = request && this.#manifests.get(request.height);
    if (request === undefined || manifest === undefined) return undefined;
    try {
      return this.#answer(request, manifest);
    } catch (error) {
      // A damaged or missing file: others have it.
      if (error instanceof EnvironmentError) return undefined;
      throw error;
    }
  }

  /** One step of fetching a state. Throws EnvironmentError when the disk fails, and for a state of another version. */
  fetch(step: StateFetchStep): StateFetchReply {
    if (step.kind === "abandon") {
      this.#fetch = undefined;
      this.#fetched.clear();
      return NOTHING;
    }
    this.hashAll();
    this.#fetched.open();
    if (step.kind === "begin") return this.#begin(step.height, step.hash).begin(step.room);
    return this.#fetch?.height === step.height ? this.#fetch.answer(step.id, step.bytes, step.room) : NOTHING;
  }

  /** Commits the fetched state as the last checkpoint; false: something of it is missing, and nothing has changed. */
  install(height: Height): boolean {
    this.hashAll();
    const fetch = this.#fetch;
    if (fetch?.height !== height || height <= this.#view().height || !fetch.planAgain()) return false;
    const { target } = fetch;
    invariant(target !== undefined, "a state that is complete has a manifest");
    const manifest = manifestOfTable(target.table, this.#ports.sha256);
    try {
      applyManifest(this.#store, height, this.#keeper.files, target.files, this.#sourceFor(fetch));
    } catch (error) {
      if (!(error instanceof ChunkLost)) throw error;
      this.#fetched.clear();
      return false;
    }
    this.#manifests.clear();
    this.#keep(height, manifest);
    this.#fetched.clear();
    this.#fetch = undefined;
    return true;
  }

  #begin(height: Height, hash: Uint8Array): StateFetch {
    if (this.#fetch?.height === height) return this.#fetch;
    const { sha256 } = this.#ports;
    this.#fetch = new StateFetch(height, hash, { sha256, fetched: this.#fetched, base: () => this.#keeper.files });
    return this.#fetch;
  }

  /** Chunks from where they are; what was checked once is checked again, as it has been on the disk since. */
  #sourceFor(fetch: StateFetch) {
    const { sha256 } = this.#ports;
    const local = fetch.localChunks();
    const view = this.#view();
    return ({ hash }: { readonly hash: Uint8Array }): Uint8Array => {
      const key = hashKey(hash);
      const place = local.get(key);
      const bytes = this.#fetched.read(key) ?? (place && chunkBytes(view, place.path, place.offset));
      if (bytes === undefined || !isEqual(chunkHash(sha256, bytes), hash)) throw new ChunkLost();
      return bytes;
    };
  }

  #view(): CheckpointView {
    const view = this.#store.view();
    invariant(view !== undefined, "there is always a checkpoint, that of the empty state");
    return view;
  }

  /** Gives the bytes of the table that are on the disk. */
  #keep(height: Height, manifest: Manifest): number {
    try {
      writeHashes(this.#ports.storage, height, manifest, this.#store.previous()?.height);
      return manifest.table.length;
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      this.#ports.log.log("warning", `The hashes of the checkpoint could not be kept: ${error.message}`);
      return 0;
    }
  }

  #publish(height: Height, { root, metaManifest }: Manifest, tableBytes: number): void {
    this.#manifests.set(height, { root, metaManifest, tableBytes });
    this.onStateHash?.(height, root);
  }

  #answer(request: StateRequest, manifest: KeptManifest): Uint8Array | undefined {
    switch (request.kind) {
      case "meta":
        return manifest.metaManifest;
      case "part":
        return readSubManifest(this.#ports.storage, request.height, request.part, manifest);
      case "chunks":
        return this.#chunks(request.height, request.chunks);
    }
  }

  #chunks(height: Height, names: readonly ChunkName[]): Uint8Array | undefined {
    const view = [this.#store.view(), this.#store.previous()].find((each) => each?.height === height);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (const { path, offset } of names) {
      const bytes = view && chunkBytes(view, path, offset);
      if (bytes === undefined) return undefined;
      size += bytes.length;
      if (size > MAX_ANSWER_BYTES) return undefined;
      chunks.push(bytes);
    }
    return encodeChunks(chunks);
  }
}

/** Of what was here, something is not: it has to be fetched again. */
class ChunkLost extends Error {
  override name = "ChunkLost";
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
