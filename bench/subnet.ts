// A subnet of one node in this process, without HTTP: batches go straight to the executor that tests and browsers use.
// Its storage is memory, so that no disk is measured.
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import {
  type ExecutedRound,
  InlineExecutor,
  makeSecrets,
  type ReplicaOptions,
  soloReplicaOptions,
} from "@atoll/replica";
import { MemoryStorage, rootHash } from "@atoll/state";
import {
  ANONYMOUS,
  type Batch,
  type CanisterId,
  type CryptoPort,
  canisterIdFromIndex,
  type IngressMessage,
  MANAGEMENT_CANISTER,
  principalToBytes,
  type StoragePort,
  toHex,
} from "@atoll/types";
import { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import { NO_STATE, nextTree, type TreeAtHeight } from "../packages/replica/src/certified-tree.ts";

const ROUND_NS = 10_000_000n;
const TTL_NS = 240_000_000_000n;
const PER_BATCH = 500;

export interface BenchSubnetOptions {
  /** Default: memory. */
  readonly storage?: StoragePort;
  /** Of the subnet whose state the storage holds. */
  readonly secrets?: ReturnType<typeof makeSecrets>;
}

export class BenchSubnet {
  readonly executor: InlineExecutor;
  readonly options: ReplicaOptions;
  readonly crypto: CryptoPort;
  tree: TreeAtHeight = NO_STATE;
  lastRound: ExecutedRound | undefined;
  #time = BigInt(Date.now()) * 1_000_000n;
  #height = 0;

  static async create(options: BenchSubnetOptions = {}): Promise<BenchSubnet> {
    const subnet = new BenchSubnet(await createNodeCrypto(), options);
    const whole = await subnet.executor.start();
    subnet.#height = whole.height;
    if (whole.time > subnet.#time) subnet.#time = whole.time;
    subnet.tree = nextTree(subnet.tree, whole);
    subnet.executor.advance(whole.height);
    return subnet;
  }

  private constructor(crypto: CryptoPort, { storage = new MemoryStorage(), secrets, ...limits }: BenchSubnetOptions) {
    this.crypto = crypto;
    this.options = soloReplicaOptions(secrets ?? makeSecrets(nodeEntropy, crypto), crypto);
    const { config, rootKey } = this.options;
    const log = { log: () => undefined };
    this.executor = new InlineExecutor({ config, rootKey, ...limits }, { storage, crypto: { sha256 }, crc32, log });
  }

  get machine() {
    return this.executor.durable.machine;
  }

  rootHash(): Uint8Array {
    return rootHash(this.tree.tree, sha256);
  }

  message(receiver: CanisterId, methodName: string, arg: Uint8Array, effectiveCanisterId = receiver): IngressMessage {
    return {
      requestId: toHex(randomBytes(32)),
      sender: ANONYMOUS,
      receiver,
      effectiveCanisterId,
      methodName,
      arg,
      expiry: this.#time + TTL_NS,
      byteSize: 300 + arg.length,
    };
  }

  /** Everything that one round costs a node but the signature; true: messages are left. */
  async round(ingress: readonly IngressMessage[]): Promise<boolean> {
    this.#time += ROUND_NS;
    const batch: Batch = {
      height: ++this.#height,
      time: this.#time,
      randomness: nodeEntropy.randomBytes(32),
      ingress: [...ingress],
    };
    const round = await this.executor.execute(batch);
    this.lastRound = round;
    this.tree = nextTree(this.tree, round);
    this.rootHash();
    this.executor.advance(round.height);
    return round.hasMoreWork;
  }

  /** Rounds until the messages are all executed; throws the first reject. */
  async call(messages: readonly IngressMessage[]): Promise<void> {
    for (let at = 0; at < messages.length; at += PER_BATCH) {
      let more = await this.round(messages.slice(at, at + PER_BATCH));
      while (more) more = await this.round([]);
    }
    for (const { requestId } of messages) {
      const status = this.machine.state.ingressHistory.get(requestId)?.status;
      if (status?.state !== "replied")
        throw new Error(status?.state === "rejected" ? status.error.message : status?.state);
    }
  }

  /** `count` more canisters, all with the same module. */
  async deploy(count: number, wasm: Uint8Array): Promise<CanisterId[]> {
    const first = this.machine.state.nextCanisterIndex;
    const ids = Array.from({ length: count }, (_, i) => canisterIdFromIndex(first + BigInt(i)));
    const create = IDL.encode([IDL.Record({ amount: IDL.Opt(IDL.Nat) })], [{ amount: [10n ** 15n] }]);
    await this.call(
      ids.map(() => this.message(MANAGEMENT_CANISTER, "provisional_create_canister_with_cycles", create)),
    );
    await this.call(ids.map((id) => this.message(MANAGEMENT_CANISTER, "install_code", installArgument(id, wasm), id)));
    return ids;
  }
}

const INSTALL = IDL.Record({
  mode: IDL.Variant({ install: IDL.Null }),
  canister_id: IDL.Principal,
  wasm_module: IDL.Vec(IDL.Nat8),
  arg: IDL.Vec(IDL.Nat8),
});

function installArgument(id: CanisterId, wasm: Uint8Array): Uint8Array {
  const canister_id = Principal.fromUint8Array(principalToBytes(id));
  const value = { mode: { install: null }, canister_id, wasm_module: wasm, arg: new Uint8Array() };
  return new Uint8Array(IDL.encode([INSTALL], [value]));
}
