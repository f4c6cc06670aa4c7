// A subnet of several nodes in the process of a test, or a network of such subnets: real keys dealt by the nodes themselves,
// real signatures, real state and Wasm, each node with its own disk in memory. Frames between nodes take a millisecond.
// Time is the machine's.
import assert from "node:assert/strict";
import { setImmediate, setTimeout } from "node:timers/promises";
import {
  type CatchUpPackage,
  type ConsensusCrypto,
  checkNodeRecord,
  createChainKeyCrypto,
  createGenesisDealings,
  createNodeKeys,
  decodeInitialDkgReply,
  type GenesisDealings,
  type GenesisKeys,
  genesisCatchUpPackage,
  genesisForSubnet,
  genesisKeys,
  lowThreshold,
  type NodeKeys,
  nodePublicKeys,
  RecordRegistry,
  signRegistryRecord,
} from "@atoll/consensus";
import { ed25519KeyToDer, subnetKeyToDer } from "@atoll/crypto";
import { createNodeCrypto, nodeEntropy, sha256 } from "@atoll/host-node";
import { Gossip } from "@atoll/p2p";
import { MemoryNetwork } from "@atoll/p2p/memory-transport";
import {
  createHttpHandler,
  delegationSource,
  InlineExecutor,
  type SlicePeers,
  SliceServer,
  toFetch,
} from "@atoll/replica";
import { type ConsensusReplica, createConsensusReplica } from "@atoll/replica/consensus/consensus-replica";
import { MemoryStorage, type SubnetConfig } from "@atoll/state";
import {
  type CanisterRange,
  type ConsensusSettings,
  type CryptoPort,
  canisterIdFromIndex,
  DEFAULT_CONSENSUS_SETTINGS,
  type LogPort,
  type NetworkTopology,
  type NodeRecord,
  type PrincipalId,
  type RegistryRecord,
  toHex,
} from "@atoll/types";
import { HttpAgent } from "@icp-sdk/core/agent";

export interface RunningNode {
  readonly id: PrincipalId;
  readonly replica: ConsensusReplica;
  readonly poolStorage: MemoryStorage;
  readonly registry: RecordRegistry;
  readonly fetch: typeof globalThis.fetch;
  /** Gives other subnets slices of the streams to them. */
  readonly slices: SliceServer;
  agent(): Promise<HttpAgent>;
  /** Ends it at once; its disk stays. */
  kill(): void;
}

interface Disk {
  readonly state: MemoryStorage;
  readonly pool: MemoryStorage;
  readonly registry: MemoryStorage;
}

/** A node with its keys, which need not run. */
export interface Member {
  readonly id: PrincipalId;
  readonly keys: NodeKeys;
  readonly record: NodeRecord;
  disk: Disk;
}

const MS = 1_000_000n;
const FAST_SETTINGS: ConsensusSettings = {
  ...DEFAULT_CONSENSUS_SETTINGS,
  unitDelay: 500n * MS,
  initialNotaryDelay: 30n * MS,
  dkgIntervalLength: 19,
  dkgDealingsPerBlock: 4,
  cupHoldBack: 2_000n * MS,
  registryStableAge: 200n * MS,
};

/** Nodes of one process check the same signatures and dealings: what one has found good or bad is so for all. */
const known = new Map<string, boolean>();
function once(check: () => boolean, ...parts: readonly Uint8Array[]): boolean {
  const key = parts.map((part) => toHex(sha256(part))).join(" ");
  const isValid = known.get(key) ?? check();
  known.set(key, isValid);
  return isValid;
}

async function oneForAll(): Promise<CryptoPort> {
  const crypto = await createNodeCrypto();
  const { verify, verifyAggregate } = crypto.bls;
  const bls = {
    ...crypto.bls,
    verify: (...parts: Parameters<typeof verify>) => once(() => verify(...parts), ...parts),
    verifyAggregate: (keys: readonly Uint8Array[], message: Uint8Array, signature: Uint8Array) =>
      once(() => verifyAggregate(keys, message, signature), ...keys, message, signature),
  };
  return { ...crypto, bls };
}

function nodeCrypto(keys: NodeKeys, crypto: CryptoPort): ConsensusCrypto {
  const own = createChainKeyCrypto(keys, { crypto, entropy: nodeEntropy });
  return {
    ...own,
    verifyDealing: (config, keysOf, dealer, content) =>
      once(() => own.verifyDealing(config, keysOf, dealer, content), content),
  };
}

const emptyDisk = (): Disk => ({
  state: new MemoryStorage(),
  pool: new MemoryStorage(),
  registry: new MemoryStorage(),
});

const ALL_IDS: CanisterRange = [canisterIdFromIndex(0n), canisterIdFromIndex(0xffff_ffff_ffff_ffffn)];

/** Sorted. */
function newMembers(count: number, crypto: CryptoPort): Member[] {
  const members = Array.from({ length: count }, () => {
    const keys = createNodeKeys(nodeEntropy);
    const record = { ...nodePublicKeys(keys, crypto), address: "", httpAddress: "" };
    return { id: record.nodeId, keys, record, disk: emptyDisk() };
  });
  return members.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The keys of a subnet with nobody before it: its nodes deal them to each other. */
function dealtAmong(members: readonly Member[], crypto: CryptoPort): GenesisKeys {
  const nodes = members.map(({ record }) => record);
  const cryptoOf = ({ keys }: Member) => nodeCrypto(keys, crypto);
  // More dealings than it takes would be made for nothing.
  const dealings = members
    .slice(0, lowThreshold(members.length))
    .map((member) => createGenesisDealings(member.id, nodes, 1, cryptoOf(member)) as GenesisDealings);
  const result = genesisKeys(nodes, 1, dealings, { crypto, consensusCrypto: cryptoOf(members[0] as Member) });
  if (!result.ok) throw new Error(result.error);
  return result.keys;
}

/** What a subnet of nodes begins with. */
interface Beginning {
  readonly crypto: CryptoPort;
  readonly members: readonly Member[];
  readonly record: RegistryRecord;
  readonly genesis: CatchUpPackage;
  /** DER. */
  readonly publicKey: Uint8Array;
  readonly range: CanisterRange;
}

function firstRecord(subnetId: PrincipalId, members: readonly Member[], settings: ConsensusSettings): RegistryRecord {
  return {
    version: 1,
    subnetId,
    nodes: members.map(({ record }) => record),
    settings,
    protocolVersion: "1",
    haltAtCupHeight: false,
    isHalted: false,
  };
}

/** Of new nodes that nobody knows. */
function freshBeginning(
  count: number,
  settings: ConsensusSettings,
  crypto: CryptoPort,
  range: CanisterRange,
): Beginning {
  const members = newMembers(count, crypto);
  const { low, high, publicKey, subnetId } = dealtAmong(members, crypto);
  const record = firstRecord(subnetId, members, settings);
  const genesis = genesisCatchUpPackage({ record, time: BigInt(Date.now()) * MS, low, high });
  return { crypto, members, record, genesis, publicKey: subnetKeyToDer(publicKey), range };
}

/** Every other subnet of a network, by the place of the subnet itself. */
interface Others {
  readonly topology: NetworkTopology;
  readonly root: ManyNodes;
  readonly peers: SlicePeers;
}

export class ManyNodes {
  readonly subnetId: PrincipalId;
  readonly range: CanisterRange;
  readonly nodes = new Map<PrincipalId, RunningNode>();
  readonly problems: string[] = [];
  /** DER. */
  readonly #publicKey: Uint8Array;
  #others: Others | undefined;
  readonly #crypto: CryptoPort;
  readonly #members: readonly Member[];
  readonly #record: RegistryRecord;
  readonly #genesis: CatchUpPackage;
  readonly #operator: Uint8Array;
  readonly #network: MemoryNetwork;
  #stopped = false;
  #moving: Promise<void>;

  static async start(count: number, settings: ConsensusSettings = FAST_SETTINGS): Promise<ManyNodes> {
    return ManyNodes.#startAll(freshBeginning(count, settings, await oneForAll(), ALL_IDS));
  }

  /** Nodes that knew nothing of each other, as the subnet that `setup_initial_dkg` has made keys for: `reply`. */
  static async startDealt(members: readonly Member[], reply: Uint8Array): Promise<ManyNodes> {
    const { subnetId, publicKey } = decodeInitialDkgReply(reply) ?? assert.fail("these are no keys");
    const record = firstRecord(subnetId, members, FAST_SETTINGS);
    const genesis = genesisForSubnet({ record, time: BigInt(Date.now()) * MS, reply });
    const crypto = await oneForAll();
    return ManyNodes.#startAll({ crypto, members, record, genesis, publicKey, range: ALL_IDS });
  }

  static async #startAll(beginning: Beginning): Promise<ManyNodes> {
    const subnet = new ManyNodes(beginning);
    for (const { id } of subnet.#members) await subnet.startNode(id);
    return subnet;
  }

  /**
   * Subnets of so many nodes, the first of which is the root. A slice that a node gives goes through `onSlice`; undefined:
   * this node never answers.
   */
  static async startNetwork(
    counts: readonly number[],
    onSlice: (node: PrincipalId, slice: Uint8Array) => Uint8Array | undefined,
  ): Promise<ManyNodes[]> {
    const crypto = await oneForAll();
    const subnets = counts.map((count, i) => {
      const [first, last] = [i * 1000, i * 1000 + 999].map((index) => canisterIdFromIndex(BigInt(index)));
      // No new keys are dealt while a test runs.
      const settings = { ...FAST_SETTINGS, dkgIntervalLength: 499 };
      return new ManyNodes(freshBeginning(count, settings, crypto, [first, last] as CanisterRange));
    });
    const [root] = subnets as [ManyNodes];
    const records = subnets.map((subnet) => {
      const { subnetId, type, publicKey, canisterRanges } = subnet.#config();
      return { subnetId, type, publicKey, canisterRanges };
    });
    records.sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1));
    const topology = { version: 1, rootSubnetId: root.subnetId, subnets: records };
    for (const subnet of subnets) {
      let turn = 0;
      const slice: SlicePeers["slice"] = async (source, question) => {
        const others = [...(subnets.find(({ subnetId }) => subnetId === source)?.nodes.values() ?? [])];
        const asked = others[turn++ % others.length];
        if (asked === undefined) throw new Error("nobody is there");
        const given = await asked.slices.answer(subnet.subnetId, question);
        const bytes = given && onSlice(asked.id, given);
        return bytes === undefined && given !== undefined
          ? new Promise(() => undefined)
          : bytes && { bytes, refuse: () => undefined };
      };
      subnet.#others = { topology, root, peers: { slice } };
      for (const { id } of subnet.#members) await subnet.startNode(id);
    }
    return subnets;
  }

  private constructor({ crypto, members, record, genesis, publicKey, range }: Beginning) {
    this.#crypto = crypto;
    this.range = range;
    this.#members = members;
    this.#record = record;
    this.subnetId = record.subnetId;
    this.#publicKey = publicKey;
    this.#genesis = genesis;
    this.#operator = nodeEntropy.randomBytes(32);
    this.#network = new MemoryNetwork({
      random: Math.random,
      minDelay: MS,
      maxDelay: 2n * MS,
      loss: 0,
      repetition: 0,
      window: 1 << 24,
    });
    this.#moving = this.#move();
  }

  /** Of the network. */
  get rootKey(): Uint8Array {
    const { root } = this.#others ?? { root: this };
    return root.#publicKey;
  }

  get ids(): readonly PrincipalId[] {
    return this.#members.map(({ id }) => id);
  }

  node(place: number): RunningNode {
    return this.nodes.get(this.ids[place] as PrincipalId) as RunningNode;
  }

  async startNode(id: PrincipalId, { isEmpty = false, protocolVersion = "1" } = {}): Promise<RunningNode> {
    const member = this.#members.find((each) => each.id === id) as Member;
    if (isEmpty) member.disk = emptyDisk();
    const crypto = this.#crypto;
    const { disk, keys } = member;
    const registry = new RecordRegistry(
      {
        subnetId: this.#record.subnetId,
        operatorKey: crypto.ed25519PublicKey(this.#operator),
        checkNode: (node) => checkNodeRecord(node, crypto) === undefined,
      },
      { storage: disk.registry, crypto, now: () => process.hrtime.bigint() },
    );
    registry.add(signRegistryRecord(crypto, this.#operator, this.#record));
    const transport = this.#network.join(id);
    const now = () => process.hrtime.bigint();
    const gossip = new Gossip({ self: id }, { transport, entropy: nodeEntropy, now });
    const config = this.#config();
    const executor = new InlineExecutor(
      { config, rootKey: this.rootKey, agreedCheckpoints: true },
      { storage: disk.state, crypto: { sha256 }, log: this.#log(id) },
    );
    let slices: SliceServer | undefined;
    const replica = createConsensusReplica(
      {
        config,
        rootKey: this.rootKey,
        rootSubnetId: config.topology?.rootSubnetId ?? config.subnetId,
        nodeId: id,
        nodeSecret: keys.signingSeed,
        protocolVersion,
        genesis: this.#genesis,
        ...this.#amongOthers(),
        onCertified: () => slices?.moved(),
        onPeers: (peers) => gossip.setPeers(peers),
        onDiverged: (height, why) => this.problems.push(`diverged at ${height}: ${why}`),
        onFailure: (error) => this.problems.push(String((error as Error).stack)),
        onEvent: (event) => {
          if (event.kind === "alarm") this.problems.push(event.what);
          if (event.kind === "invalid") this.problems.push(`${event.what}: ${event.why}`);
        },
      },
      {
        clock: { now: () => ({ wall: BigInt(Date.now()) * MS, monotonic: process.hrtime.bigint() }) },
        entropy: nodeEntropy,
        crypto,
        consensusCrypto: nodeCrypto(keys, crypto),
        registry,
        poolStorage: disk.pool,
        network: gossip,
        log: this.#log(id),
      },
      executor,
    );
    slices = new SliceServer(() => replica.backend.certifiedState(), timer);
    const loop = keepStepping(gossip, replica, (error) => this.problems.push(String((error as Error).stack)));
    transport.start(gossip);
    await replica.start();
    gossip.start(replica.peerHandler);
    loop.begin();
    const api = createHttpHandler(replica.backend, { timer, log: this.#log(id) });
    const answer = toFetch(api);
    const fetch = ((input: Request | URL | string, init?: RequestInit) =>
      answer(new Request(input, init))) as typeof globalThis.fetch;
    const running: RunningNode = {
      id,
      replica,
      poolStorage: disk.pool,
      registry,
      fetch,
      slices,
      agent: () => HttpAgent.create({ host: "http://localhost:8000", fetch, rootKey: this.rootKey }),
      kill: () => {
        loop.stop();
        gossip.stop();
        this.nodes.delete(id);
      },
    };
    this.nodes.set(id, running);
    return running;
  }

  /** Nodes that belong to no subnet yet and do not run, by the next version of the registry. */
  addUnassigned(count: number): { readonly newcomers: readonly Member[]; readonly registryVersion: number } {
    const newcomers = newMembers(count, this.#crypto);
    const unassigned = newcomers.map(({ record }) => record);
    return { newcomers, registryVersion: this.changeRegistry({ unassigned }) };
  }

  /** The next version of the registry, which one node is told of. */
  changeRegistry(change: Partial<RegistryRecord>): number {
    const { registry, replica } = this.node(0);
    const version = registry.latestVersion() + 1;
    const next = { ...this.#record, ...change, version };
    const added = registry.add(signRegistryRecord(this.#crypto, this.#operator, next));
    assert.equal(added.kind, "added");
    replica.onWork?.();
    return version;
  }

  async stop(): Promise<void> {
    for (const { kill } of [...this.nodes.values()]) kill();
    this.#stopped = true;
    await this.#moving;
  }

  #config(): SubnetConfig {
    const { subnetId, nodes } = this.#record;
    return {
      subnetId,
      type: "application",
      publicKey: this.#publicKey,
      nodes: nodes.map(({ nodeId, signingKey }) => ({ nodeId, publicKey: ed25519KeyToDer(signingKey) })),
      canisterRanges: [this.range],
      feeNodes: 13,
      provisional: true,
      ...(this.#others && { topology: this.#others.topology }),
    };
  }

  #amongOthers() {
    if (this.#others === undefined) return {};
    const { root, peers } = this.#others;
    if (root === this) return { peers };
    const rootState = () => [...root.nodes.values()][0]?.replica.backend.certifiedState();
    return { peers, delegation: delegationSource(rootState, this.subnetId) };
  }

  #log(id: PrincipalId): LogPort {
    return {
      log: (level, message, fields) => {
        if (level === "error" || level === "warning")
          this.problems.push(`${id.slice(0, 6)} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
      },
    };
  }

  async #move(): Promise<void> {
    while (!this.#stopped) {
      this.#network.advance(process.hrtime.bigint());
      const next = this.#network.nextTime();
      if (next === undefined || next > process.hrtime.bigint()) await setTimeout(1);
      else await setImmediate();
    }
  }
}

const timer = {
  after: (ms: number, callback: () => void) => {
    const handle = globalThis.setTimeout(callback, ms);
    return () => clearTimeout(handle);
  },
};

/** The driver of a node: steps what has work, and what is due. */
function keepStepping(gossip: Gossip, replica: ConsensusReplica, onFailure: (error: unknown) => void) {
  let isStopped = true;
  let isSoon = false;
  let waiting: NodeJS.Timeout | undefined;
  const run = (): void => {
    isSoon = false;
    if (isStopped) return;
    clearTimeout(waiting);
    try {
      const wakes = [replica.step(), gossip.step()];
      const wake = wakes.reduce((one, other) => (one < other ? one : other));
      const delay = Number(wake - process.hrtime.bigint()) / 1e6;
      waiting = globalThis.setTimeout(run, Math.max(0, Math.min(delay, 1000)));
    } catch (error) {
      onFailure(error);
    }
  };
  const soon = (): void => {
    if (isSoon) return;
    isSoon = true;
    globalThis.setImmediate(run);
  };
  replica.onWork = soon;
  gossip.onWork = soon;
  return {
    begin: () => {
      isStopped = false;
      soon();
    },
    stop: () => {
      isStopped = true;
      clearTimeout(waiting);
    },
  };
}
