// One subnet of a test network: a replica that executes in this thread, with keys drawn from the subnet's seed. Its
// signature is that of one node, its fees and its tree are those of the number of nodes that its kind has.
import { InstanceBudget } from "@atoll/embedder";
import {
  type ExecutedRound,
  InlineExecutor,
  type Recorder,
  Replica,
  type ReplicaOptions,
  type SubnetPeers,
} from "@atoll/replica";
import type { SubnetConfig } from "@atoll/state";
import type { ClockPort, CryptoPort, LogPort, PrincipalId, StoragePort } from "@atoll/types";
import { SeededEntropy } from "./seeded-entropy.ts";
import { drawKeys, subnetConfig } from "./subnet-config.ts";
import { SUBNET_KINDS, type SubnetKind } from "./subnet-kinds.ts";

export interface SubnetSpec {
  readonly kind: SubnetKind;
  /** 32 bytes that its keys are drawn from; two subnets of a network must not have the same. Default: by its place. */
  readonly seed?: Uint8Array;
  /** "benchmarking": no execution is too long. */
  readonly instructions?: "production" | "benchmarking";
  readonly costSchedule?: "normal" | "free";
  readonly subnetAdmins?: readonly PrincipalId[];
  /** Give the root subnet the id that it has on the public network, which is not that of its key. */
  readonly publicId?: boolean;
}

/** What a subnet is, before it runs. */
export interface SubnetGenesis {
  readonly kind: SubnetKind;
  readonly seed: Uint8Array;
  readonly spec: SubnetSpec;
  readonly config: SubnetConfig;
  /** Of the subnet's key, which in a test network one node has whole. */
  readonly secret: Uint8Array;
  readonly nodeSecret: Uint8Array;
}

export interface NetworkSubnet extends SubnetGenesis {
  readonly id: PrincipalId;
  readonly replica: Replica;
  readonly executor: InlineExecutor;
  /** What its replica draws from. */
  readonly entropy: SeededEntropy;
}

/** Networks of one process share what it has of live instances. */
const budget = new InstanceBudget();

const ENDLESS = { update: 1e15, query: 1e15, install: 1e15, round: 1e15 };

/** `place`: how many ranges of ids the network has given out. */
export function makeGenesis(spec: SubnetSpec, seed: Uint8Array, place: number, crypto: CryptoPort): SubnetGenesis {
  const { kind, publicId = false } = spec;
  // Also from a page, and from tests that nobody has checked the types of.
  if (!Object.hasOwn(SUBNET_KINDS, kind))
    throw new TypeError(`"${kind}" is not a kind of subnet; there is: ${Object.keys(SUBNET_KINDS).join(", ")}`);
  const keys = drawKeys(SUBNET_KINDS[kind].nodes, new SeededEntropy(seed, crypto));
  const config: SubnetConfig = {
    ...subnetConfig({ kind, keys, place, publicId }, crypto),
    ...(spec.costSchedule && { costSchedule: spec.costSchedule }),
    ...(spec.subnetAdmins && { subnetAdmins: spec.subnetAdmins }),
    ...(spec.instructions === "benchmarking" && { resources: { instructions: ENDLESS } }),
  };
  return { kind, seed, spec, config, secret: keys.secret, nodeSecret: keys.nodeSecrets[0] as Uint8Array };
}

export interface SubnetPorts {
  readonly clock: ClockPort;
  readonly crypto: CryptoPort;
  readonly log: LogPort;
}

export interface SubnetSurroundings {
  readonly rootKey: Uint8Array;
  readonly rootSubnetId: PrincipalId;
  readonly delegation: ReplicaOptions["delegation"];
  readonly peers: SubnetPeers;
  readonly onRound: (round: ExecutedRound) => void;
  readonly onQueryEvents: NonNullable<ReplicaOptions["onQueryEvents"]>;
  /** None: in memory only. */
  readonly storage: StoragePort | undefined;
  /** Have rounds tell of each execution. */
  readonly trace: boolean;
  readonly recorder: Recorder | undefined;
}

/** The subnet, not started yet. */
export function makeSubnet(genesis: SubnetGenesis, around: SubnetSurroundings, ports: SubnetPorts): NetworkSubnet {
  const { config } = genesis;
  const { rootKey, rootSubnetId, delegation, peers, onRound, onQueryEvents, storage, trace, recorder } = around;
  const executor = new InlineExecutor(
    { config, rootKey, instances: { budget }, trace, ...(recorder && { recorder }) },
    { ...(storage && { storage }), crypto: ports.crypto, log: ports.log },
  );
  const entropy = new SeededEntropy(ports.crypto.sha256(genesis.seed), ports.crypto);
  const node = config.nodes[0];
  if (node === undefined) throw new TypeError("a subnet has nodes");
  const replica = new Replica(
    {
      config,
      rootKey,
      rootSubnetId,
      nodeId: node.nodeId,
      nodeSecret: genesis.nodeSecret,
      share: { nodeIndex: 0, secret: genesis.secret },
      threshold: 1,
      peers,
      onRound,
      onQueryEvents,
      ...(delegation && { delegation }),
    },
    { ...ports, entropy },
    executor,
  );
  return { ...genesis, id: config.subnetId, replica, executor, entropy };
}

/** The same subnet once more, as it is now, for another network. */
export function forkSubnet(
  subnet: NetworkSubnet,
  around: Pick<SubnetSurroundings, "delegation" | "peers" | "onRound" | "onQueryEvents" | "recorder">,
  ports: SubnetPorts,
): NetworkSubnet {
  const { delegation, peers, onRound, onQueryEvents, recorder } = around;
  const executor = subnet.executor.fork({ ...(recorder && { recorder }) });
  const entropy = subnet.entropy.fork();
  const surroundings = { peers, onRound, onQueryEvents, ...(delegation && { delegation }) };
  return { ...subnet, executor, entropy, replica: subnet.replica.fork(surroundings, { ...ports, entropy }, executor) };
}
