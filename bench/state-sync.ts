// What taking over a state costs: a node with nothing fetches one from a node with all of it, in this process, with
// folders on the disk. Both sides are counted: reading, hashing, checking, keeping, committing, and loading the state.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { createNodeCrypto, NodeStorage, nodeEntropy, sha256 } from "@atoll/host-node";
import { InlineExecutor, makeSecrets, StateSync, soloReplicaOptions } from "@atoll/replica";
import {
  type Batch,
  type CanisterId,
  canisterIdFromIndex,
  type Intervention,
  MANAGEMENT_CANISTER,
  type PrincipalId,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { median, ownCpu, type Row, spread } from "./measure.ts";
import { heapCanister } from "./rollback.ts";

const MIB = 1024 * 1024;
const log = { log: () => undefined };
const PEER = "01".repeat(29) as PrincipalId;

type Config = ReturnType<typeof soloReplicaOptions>["config"];

export async function benchStateSync({ short }: { readonly short: boolean }): Promise<readonly Row[]> {
  const [mebibytes, windows] = short ? [4, 2] : [96, 7];
  const crypto = await createNodeCrypto();
  const { config } = soloReplicaOptions(makeSecrets(nodeEntropy, crypto), crypto);
  const folder = mkdtempSync(join(tmpdir(), "atoll-"));
  const open = (): Promise<Node> => Node.open(config, mkdtempSync(join(folder, "node-")));
  const source = await open();
  await source.fill(mebibytes);
  const ratios: number[] = [];
  const rates: number[] = [];
  for (let window = 0; window < windows; window++) {
    const node = await open();
    const before = ownCpu();
    await takeOver(node, source);
    const cost = ownCpu() - before;
    ratios.push(cost / hashingCost(mebibytes));
    rates.push(mebibytes / (cost / 1e6));
  }
  const changed = await source.changePages();
  await source.executor.stop();
  rmSync(folder, { recursive: true });
  return [
    {
      name: "state-sync",
      what: `a state of ${mebibytes} MiB is taken over from another node, both sides together`,
      baseline: "SHA-256 of as many bytes",
      ...spread(ratios),
      goal: 20,
      laterGoal: 10,
      notes: [
        `${median(rates).toFixed(0)} MiB for a second of CPU of both sides`,
        `${(changed / 1000).toFixed(1)} ms of CPU for a round with its checkpoint and state hash when 10 pages have changed`,
      ],
    },
  ];
}

class Node {
  readonly executor: InlineExecutor;
  hash: Uint8Array = new Uint8Array();
  height = 0;
  #time = 1_800_000_000_000_000_000n;

  static async open(config: Config, path: string): Promise<Node> {
    const node = new Node(config, path);
    await node.executor.start();
    return node;
  }

  private constructor(config: Config, path: string) {
    const rootKey = config.publicKey;
    const ports = { storage: new NodeStorage(path), crypto: { sha256 }, crc32, log };
    this.executor = new InlineExecutor({ config, rootKey, agreedCheckpoints: true }, ports);
    this.executor.onStateHash = (_, hash) => {
      this.hash = hash;
    };
  }

  /** A canister with so much stable memory, of random bytes. */
  async fill(mebibytes: number): Promise<void> {
    const id = canisterIdFromIndex(0n);
    await this.#message(MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", CREATE, id);
    await this.#message(MANAGEMENT_CANISTER, "install_code", install(id), id);
    await this.#batch({ interventions: [contentOf(id, randomBytes(mebibytes * MIB))] });
    await this.#batch({ isCheckpoint: true });
  }

  /** CPU, in microseconds, of a round with a checkpoint and its hash, when ten pages have changed since the last one. */
  async changePages(): Promise<number> {
    const id = canisterIdFromIndex(0n);
    await this.#message(id, "keep", new Uint8Array(), id);
    const before = ownCpu();
    await this.#batch({ isCheckpoint: true });
    return ownCpu() - before;
  }

  async #message(receiver: PrincipalId, methodName: string, arg: Uint8Array, about: CanisterId): Promise<void> {
    const requestId = Buffer.from(randomBytes(32)).toString("hex");
    const common = { requestId, sender: "04" as PrincipalId, receiver, effectiveCanisterId: about };
    const expiry = this.#time + 100_000_000_000n;
    await this.#batch({ ingress: [{ ...common, methodName, arg, expiry, byteSize: 100 + arg.length }] });
    const status = this.executor.durable.machine.state.ingressHistory.get(requestId)?.status;
    if (status?.state !== "replied") throw new Error(`${methodName}: ${JSON.stringify(status)}`);
  }

  async #batch(content: Partial<Batch>): Promise<void> {
    this.#time += 1_000_000_000n;
    const randomness = new Uint8Array(32);
    const batch: Batch = { height: ++this.height, time: this.#time, randomness, ingress: [], ...content };
    this.executor.advance((await this.executor.execute(batch)).height);
  }
}

async function takeOver(node: Node, source: Node): Promise<void> {
  const { executor } = node;
  const ask = async (_: PrincipalId, question: Uint8Array): Promise<Uint8Array> => {
    const answer = await source.executor.serveState(question);
    if (answer === undefined) throw new Error("the node with the state refuses");
    return answer;
  };
  const clock = { now: () => process.hrtime.bigint() };
  const sync = new StateSync({ executor, ask, peers: () => [PEER], clock, entropy: nodeEntropy, log });
  await new Promise<void>((resolve) => {
    sync.onDone = () => resolve();
    sync.fetch(source.height, source.hash);
  });
  const whole = await sync.install();
  if (whole === undefined || whole === "later" || whole.height !== source.height)
    throw new Error("the state was not taken over");
  executor.advance(whole.height);
  await executor.stop();
}

/** CPU of SHA-256 over so many bytes, a MiB at a time, in microseconds. */
function hashingCost(mebibytes: number): number {
  const bytes = randomBytes(MIB);
  const before = ownCpu();
  for (let i = 0; i < mebibytes; i++) sha256(bytes);
  return ownCpu() - before;
}

const CREATE = new Uint8Array(IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 15n] }]));

function install(id: CanisterId): Uint8Array {
  const mode = IDL.Variant({ install: IDL.Null });
  const type = IDL.Record({ mode, canister_id: IDL.Principal, wasm_module: IDL.Vec(IDL.Nat8), arg: IDL.Vec(IDL.Nat8) });
  const canister_id = Principal.fromHex(id);
  const wasm_module = heapCanister(MIB);
  return new Uint8Array(IDL.encode([type], [{ mode: { install: null }, canister_id, wasm_module, arg: [] }]));
}

function contentOf(canister: CanisterId, content: Uint8Array): Intervention {
  return { kind: "set_stable_memory", canister, content };
}
