// Nodes of a subnet that agree on batches and checkpoints without any consensus: each is given the same batches, with a
// checkpoint now and then. What a node is asked about its state goes straight to its executor.
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { nodeEntropy, sha256 } from "@atoll/host-node";
import { type ExecutedRound, InlineExecutor, StateSync } from "@atoll/replica";
import { MemoryStorage, rootHash } from "@atoll/state";
import { type Batch, type Height, type PrincipalId, type Time, toHex } from "@atoll/types";
import { batches, CONFIG, type Subnet, subnetOf } from "../subnet.ts";

const ROOT_KEY = new Uint8Array(133).fill(7);
const log = { log: () => undefined };

/** Every `interval`th batch is a summary: no messages, and a checkpoint. */
export function agreedBatches(seed: number, count: number, interval: number): Batch[] {
  return [...batches(seed, count)].map((batch) =>
    batch.height % interval === 0 ? { ...batch, ingress: [], isCheckpoint: true } : batch,
  );
}

export class TestNode {
  storage: MemoryStorage;
  subnet: Subnet | undefined;
  executor!: InlineExecutor;
  height: Height = 0;
  /** Of checkpoints, hex. */
  readonly hashes = new Map<Height, string>();

  constructor(storage = new MemoryStorage()) {
    this.storage = storage;
  }

  /** Loads what the storage holds. */
  async start(storage: MemoryStorage = this.storage): Promise<this> {
    this.executor = new InlineExecutor(
      { config: CONFIG, rootKey: ROOT_KEY, agreedCheckpoints: true },
      { storage, crypto: { sha256 }, log, crc32 },
    );
    this.executor.onStateHash = (height, hash) => this.hashes.set(height, toHex(hash));
    this.#begin(await this.executor.start());
    return this;
  }

  #begin(whole: ExecutedRound): void {
    this.executor.advance(whole.height);
    this.height = whole.height;
    this.subnet = subnetOf(this.executor, whole);
  }

  /** Executes what it has not executed of `history`; gives the root hash of the state tree. */
  async execute(history: readonly Batch[], to = history.length): Promise<string> {
    for (const batch of history.slice(this.height, to)) {
      const prevStateHash = rootHash((this.subnet as Subnet).tree, sha256);
      await (this.subnet as Subnet).execute({ ...batch, prevStateHash });
      this.height = batch.height;
    }
    return toHex(rootHash((this.subnet as Subnet).tree, sha256));
  }

  /** "kill": only what is on the disk remains. */
  async restart(how: "stop" | "kill"): Promise<void> {
    if (how === "stop") await this.executor.stop();
    this.storage = this.storage.clone();
    await this.start();
  }

  async take(whole: ExecutedRound): Promise<void> {
    this.#begin(whole);
  }

  hashAt(height: Height): Uint8Array {
    const hash = this.hashes.get(height);
    assert.ok(hash, `there is no hash of height ${height}`);
    return Uint8Array.from(Buffer.from(hash, "hex"));
  }
}

export type Answer = (question: Uint8Array) => Promise<Uint8Array | undefined>;

export interface Peers {
  readonly ids: PrincipalId[];
  readonly answers: Map<PrincipalId, Answer>;
}

export function peersOf(...answers: readonly Answer[]): Peers {
  const ids = answers.map((_, i) => `0${i + 1}`.repeat(29) as PrincipalId);
  return { ids, answers: new Map(ids.map((id, i) => [id, answers[i] as Answer])) };
}

export const honest =
  (node: TestNode): Answer =>
  (question) =>
    node.executor.serveState(question);

/** What a node has asked: of whom, and how many bytes it got. */
export interface Traffic {
  readonly asked: Map<PrincipalId, number>;
  bytes: number;
}

export interface Fetching {
  readonly sync: StateSync;
  readonly traffic: Traffic;
  /** Virtual monotonic time. */
  now: Time;
  /** Lets time pass until the state is here; throws after `seconds`. */
  finish(seconds?: number): Promise<void>;
}

export function fetching(node: TestNode, peers: Peers): Fetching {
  const traffic: Traffic = { asked: new Map(), bytes: 0 };
  let isDone = false;
  const ask = async (peer: PrincipalId, question: Uint8Array): Promise<Uint8Array> => {
    traffic.asked.set(peer, (traffic.asked.get(peer) ?? 0) + 1);
    const answer = await peers.answers.get(peer)?.(question);
    if (answer === undefined) throw new TypeError("refused");
    traffic.bytes += answer.length;
    return answer;
  };
  const fetch: Fetching = {
    traffic,
    now: 0n,
    sync: new StateSync({
      executor: node.executor,
      ask,
      peers: () => peers.ids,
      clock: { now: () => fetch.now },
      entropy: nodeEntropy,
      log,
    }),
    async finish(seconds = 300) {
      for (let i = 0; i < seconds * 4 && !isDone; i++) {
        fetch.sync.step(fetch.now);
        // What is answered at once is answered before time goes on.
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        fetch.now += 250_000_000n;
      }
      assert.ok(isDone, "the state is not here in time");
      isDone = false;
    },
  };
  fetch.sync.onDone = () => {
    isDone = true;
  };
  return fetch;
}

/** Takes over the state that `from` has at `height`. */
export async function syncTo(node: TestNode, height: Height, hash: Uint8Array, peers: Peers): Promise<Traffic> {
  const { sync, finish, traffic } = fetching(node, peers);
  sync.fetch(height, hash);
  await finish();
  const whole = await sync.install();
  assert.ok(whole !== undefined && whole !== "later", "everything is here");
  await node.take(whole);
  return traffic;
}
