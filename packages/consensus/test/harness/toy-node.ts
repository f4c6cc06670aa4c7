// What stands behind the ports of consensus in its tests: a state that is a chain of hashes, payloads that say their height, and
// execution as slow as a test wants it. Nothing of it is a stand-in for a part of consensus.
import type {
  BatchPort,
  BlockContext,
  Certification,
  DeliveredBatch,
  PastPayload,
  PayloadPort,
  StatePort,
  StateToCertify,
} from "@atoll/consensus";
import { reconstructRoot } from "@atoll/crypto";
import { encodeHashTree, type HashTree, type Height, toHex } from "@atoll/types";

type Sha256 = (data: Uint8Array) => Uint8Array;
const text = (value: string) => new TextEncoder().encode(value);

/** The state after a batch, and the proof of its height. */
interface ToyState {
  readonly height: Height;
  readonly rootHash: Uint8Array;
  readonly witness: Uint8Array;
}

/** What state sync would fetch: the states that some node has computed, by height and hash. */
export type ToyArchive = Map<string, ToyState>;

export class ToyNode implements StatePort, BatchPort, PayloadPort {
  /** Batches wait until this is called or `isSlow` is not set. */
  isSlow = false;
  /** Heights of the batches that were executed, in order. */
  readonly delivered: DeliveredBatch[] = [];
  divergedAt: Height | undefined;
  fetches = 0;
  readonly #sha256: Sha256;
  readonly #archive: ToyArchive;
  readonly #states = new Map<Height, ToyState>();
  readonly #early = new Map<Height, Certification>();
  #queue: DeliveredBatch[] = [];
  #executed: Height = 0;
  #certified: Height = 0;
  #nextBatch: Height = 1;

  constructor(sha256: Sha256, archive: ToyArchive) {
    this.#sha256 = sha256;
    this.#archive = archive;
    this.#states.set(0, stateOf(0, new Uint8Array(32), sha256));
  }

  expected(): Height {
    return this.#nextBatch;
  }

  room(): number {
    return 16 - this.#queue.length;
  }

  deliver(batch: DeliveredBatch): void {
    if (batch.height !== this.#nextBatch) throw new Error(`batch ${batch.height} instead of ${this.#nextBatch}`);
    this.#nextBatch++;
    this.#queue.push(batch);
    if (!this.isSlow) this.execute(1);
  }

  execute(count: number): void {
    for (const batch of this.#queue.splice(0, count)) {
      const before = this.#states.get(batch.height - 1) as ToyState;
      const content = [
        toHex(before.rootHash),
        batch.height,
        batch.time,
        toHex(batch.randomness),
        batch.batch && toHex(batch.batch),
      ];
      const state = stateOf(batch.height, this.#sha256(text(content.join())), this.#sha256);
      this.#states.set(batch.height, state);
      this.#archive.set(toHex(this.stateHashOf(state)), state);
      this.#executed = batch.height;
      this.delivered.push(batch);
      const early = this.#early.get(batch.height);
      if (early !== undefined) this.certified(early);
    }
  }

  executedHeight(): Height {
    return this.#executed;
  }

  certifiedHeight(): Height {
    return this.#certified;
  }

  toCertify(): readonly StateToCertify[] {
    const states: StateToCertify[] = [];
    for (let height = this.#certified + 1; height <= this.#executed; height++) {
      const state = this.#states.get(height);
      if (state !== undefined) states.push(state);
    }
    return states;
  }

  rootHash(height: Height): Uint8Array | undefined {
    return this.#states.get(height)?.rootHash;
  }

  certified(certification: Certification): void {
    const { height } = certification;
    if (height > this.#executed) this.#early.set(height, certification);
    else this.#certified = Math.max(this.#certified, height);
    for (const old of this.#states.keys()) if (old < this.#certified - 300) this.#states.delete(old);
  }

  stateHash(height: Height): Uint8Array | undefined {
    const state = this.#states.get(height);
    return state === undefined || height === 0 ? undefined : this.stateHashOf(state);
  }

  stateHashes(): number {
    return this.#executed;
  }

  remoteDkgRequests() {
    return [];
  }

  fetchState(height: Height, stateHash: Uint8Array): void {
    const state = this.#archive.get(toHex(stateHash));
    if (state === undefined || state.height !== height || height <= this.#executed) return;
    this.fetches++;
    this.#queue = [];
    this.#states.set(height, state);
    this.#executed = height;
    this.#certified = height;
    this.#nextBatch = height + 1;
  }

  diverged(height: Height): void {
    this.divergedAt = height;
  }

  build(height: Height, context: BlockContext, past: readonly PastPayload[]): Uint8Array {
    return text(`${height}/${context.certifiedHeight}/${past.length}`);
  }

  validate(height: Height, batch: Uint8Array, context: BlockContext, past: readonly PastPayload[]) {
    const isRight = toHex(batch) === toHex(this.build(height, context, past));
    return isRight ? "valid" : "invalid";
  }

  private stateHashOf(state: ToyState): Uint8Array {
    return this.#sha256(state.rootHash);
  }
}

function stateOf(height: Height, content: Uint8Array, sha256: Sha256): ToyState {
  const leaf: HashTree = { kind: "leaf", value: leb128(height) };
  const metadata: HashTree = {
    kind: "labeled",
    label: text("metadata"),
    child: { kind: "labeled", label: text("height"), child: leaf },
  };
  const tree: HashTree = { kind: "fork", left: { kind: "pruned", hash: content }, right: metadata };
  return { height, rootHash: reconstructRoot(tree, sha256), witness: encodeHashTree(tree) };
}

function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
