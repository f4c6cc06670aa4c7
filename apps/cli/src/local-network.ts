// The network that the program runs, in one of two forms: one subnet that is its own root and hosts all canister ids, or
// several of which the NNS is the root. Both look the same to the rest of the program. A subnet's keys are on disk before
// the subnet is, and others hear of it when it serves.
import type { StateFolder } from "@atoll/host-node";
import { knowOwnSignatures } from "@atoll/pocket-ic/own-signatures";
import { subnetConfig, topologyOf } from "@atoll/pocket-ic/subnet-config";
import { defaultSubnetOf, SUBNET_KINDS, type SubnetKind } from "@atoll/pocket-ic/subnet-kinds";
import {
  createHttpHandler,
  createNetworkHandler,
  type DescribedSubnet,
  delegationSource,
  developmentAnswer,
  type ExecutedRound,
  type HttpInterfaceOptions,
  type Replica,
  type ReplicaOptions,
  soloReplicaOptions,
} from "@atoll/replica";
import type { SubnetConfig } from "@atoll/state";
import {
  type CanisterId,
  EnvironmentError,
  type LogPort,
  type NetworkTopology,
  type PrincipalId,
  subnetOf,
} from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import { type NetworkSecrets, readOrMakeNetwork, type SubnetSecrets } from "./network-secrets.ts";
import { LOCAL_KINDS, MAX_SUBNETS, type StartOptions } from "./options.ts";
import { noteBegun, readOrMakeSecrets, SUBNET } from "./secrets.ts";
import { createNode, type NodeSurroundings, type SubnetNode } from "./subnet-node.ts";

export interface LocalNetwork {
  /** DER. */
  readonly rootKey: Uint8Array;
  readonly subnets: readonly { readonly id: PrincipalId; readonly kind: SubnetKind; readonly name: string }[];
  /** The HTTP interface of all of it. */
  readonly api: HttpHandler;
  /** Where new canisters go. */
  readonly defaultReplica: Replica;
  replicaOf(canister: CanisterId): Replica | undefined;
  /** Loads the state of all subnets. */
  load(): Promise<void>;
  /** Moves it on from now on; resolves when all of it can be asked. */
  run(): Promise<void>;
  stop(): Promise<void>;
}

export type NetworkSurroundings = Omit<NodeSurroundings, "folder"> & { readonly http: HttpInterfaceOptions };

/** The network in the folder, or a new one. Throws EnvironmentError when it is not whole, or not the one asked for. */
export function openNetwork(
  folder: StateFolder,
  options: Pick<StartOptions, "subnets" | "sample">,
  around: NetworkSurroundings,
): LocalNetwork {
  const secrets = readOrMakeNetwork(folder, options);
  if (secrets === undefined) return soloNetwork(folder, options, around);
  return new SubnetNetwork(secrets, { ...around, folder });
}

const NOT_EXTENDED =
  "This network is one subnet that hosts all canister ids, which cannot get others beside it: start one with --subnet, " +
  "in a state folder of its own.";

function soloNetwork(folder: StateFolder, options: { sample: boolean }, around: NetworkSurroundings): LocalNetwork {
  const { crypto, http } = around;
  const replicaOptions = soloReplicaOptions(readOrMakeSecrets(folder, crypto, options), crypto);
  const node = createNode(SUBNET, replicaOptions, 1, { ...around, folder });
  const { replica } = node;
  const handle = createHttpHandler(replica.backend, { ...http, topology: true });
  const development = {
    subnets: () => [],
    defaultSubnet: () => node.id,
    addSubnet: async () => ({ refused: NOT_EXTENDED }),
  };
  return {
    rootKey: replicaOptions.rootKey,
    subnets: [{ id: node.id, kind: "application", name: SUBNET }],
    api: async (request) => {
      const isAsked = request.target.startsWith("/_/subnets");
      return (isAsked && (await developmentAnswer(development, request))) || handle(request);
    },
    defaultReplica: replica,
    replicaOf: () => replica,
    async load() {
      await replica.start();
      noteBegun(folder);
    },
    async run() {
      node.run();
      await replica.firstCertified;
    },
    async stop() {
      await node.stop();
      await around.queries.stop();
    },
  };
}

/** A subnet that belongs to the network, or is about to. */
interface Member extends SubnetNode {
  readonly kind: SubnetKind;
  readonly config: SubnetConfig;
}

class SubnetNetwork implements LocalNetwork {
  readonly api: HttpHandler;
  readonly #secrets: NetworkSecrets;
  readonly #around: NodeSurroundings;
  readonly #root: Member;
  /** In the order in which they came, the root subnet first. */
  #members: readonly Member[] = [];
  #topology: NetworkTopology;
  /** With the one that is about to belong to it. */
  readonly #running = new Map<PrincipalId, Member>();
  /** What each was when it was loaded, until it runs. */
  readonly #loaded = new Map<PrincipalId, ExecutedRound>();
  #adding: Promise<unknown> = Promise.resolve();
  #waitingForRound: (() => void)[] = [];

  constructor(secrets: NetworkSecrets, around: NodeSurroundings & { readonly http: HttpInterfaceOptions }) {
    this.#secrets = secrets;
    this.#around = { ...around, crypto: { ...around.crypto, bls: knowOwnSignatures(around.crypto.bls) } };
    const [root, ...others] = secrets.subnets;
    if (root === undefined) throw new TypeError("a network has a root subnet");
    this.#root = this.#makeMember(root);
    this.#members = [this.#root, ...others.map((subnet) => this.#makeMember(subnet))];
    this.#topology = this.#topologyWith(this.#members);
    this.api = createNetworkHandler(
      {
        topology: () => this.#topology,
        backend: (id) => this.#running.get(id)?.replica.backend,
        defaultSubnet: () => this.#default.id,
        development: {
          subnets: () => this.#members.map((member) => this.#describe(member)),
          addSubnet: (kind) => this.#inTurn(() => this.#addSubnet(kind)),
        },
      },
      around.http,
    );
  }

  get rootKey(): Uint8Array {
    return this.#root.config.publicKey;
  }

  get subnets(): LocalNetwork["subnets"] {
    return this.#members;
  }

  get defaultReplica(): Replica {
    return this.#default.replica;
  }

  replicaOf(canister: CanisterId): Replica | undefined {
    const id = subnetOf(this.#topology, canister)?.subnetId;
    return id && this.#running.get(id)?.replica;
  }

  async load(): Promise<void> {
    await this.#load(this.#members);
  }

  async run(): Promise<void> {
    await this.#run(this.#members, this.#topology);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((member) => member.stop()));
    await this.#around.queries.stop();
  }

  get #default(): Member {
    return defaultSubnetOf(this.#members) ?? this.#root;
  }

  #makeMember({ name, kind, place, secret, node: nodeSecret }: SubnetSecrets): Member {
    const { crypto } = this.#around;
    const keys = { secret, nodeSecrets: [nodeSecret] };
    const config = subnetConfig({ kind, keys, place }, crypto);
    const isRoot = kind === "nns";
    const root = isRoot ? config : this.#root.config;
    const [ownNode] = config.nodes;
    if (ownNode === undefined) throw new TypeError("a subnet has a node");
    const options: ReplicaOptions = {
      config,
      rootKey: root.publicKey,
      rootSubnetId: root.subnetId,
      nodeId: ownNode.nodeId,
      nodeSecret,
      share: { nodeIndex: 0, secret },
      threshold: 1,
      peers: {
        slice: (source, from, most) => this.#running.get(source)?.replica.streamSlice(config.subnetId, from, most),
      },
      ...(!isRoot && {
        delegation: delegationSource(() => this.#root.replica.backend.certifiedState(), config.subnetId),
      }),
    };
    const onRound: NodeSurroundings["onRound"] = (_, round) => {
      this.#around.onRound(name, round);
      this.#tellNeighbours(config.subnetId, round);
      for (const resolve of this.#waitingForRound.splice(0)) resolve();
    };
    const log: LogPort = {
      log: (level, message, ...more) => this.#around.log.log(level, `Subnet ${name}: ${message}`, ...more),
    };
    const node = createNode(name, options, this.#secrets.subnets.length, { ...this.#around, log, onRound });
    const member: Member = { ...node, kind, config };
    this.#running.set(member.id, member);
    return member;
  }

  #topologyWith(members: readonly Member[]): NetworkTopology {
    // No subnet ever goes, so that their number tells the versions apart after a restart too.
    return topologyOf(members.length, this.#root, members);
  }

  async #load(members: readonly Member[]): Promise<void> {
    const load = async ({ id, name, replica }: Member): Promise<void> => {
      try {
        this.#loaded.set(id, await replica.start());
      } catch (error) {
        throw error instanceof EnvironmentError ? inSubnet(name, error) : error;
      }
    };
    await Promise.all(members.map(load));
    this.#secrets.noteBegun(members.map(({ name }) => name));
  }

  /** Those to whom the streams of a subnet have moved on take what is new into their next blocks. */
  #tellNeighbours(id: PrincipalId, { streams }: Pick<ExecutedRound, "streams">): void {
    for (const { subnet, ...news } of streams) this.#running.get(subnet)?.replica.streamMoved(id, news);
  }

  /** Resolves when the first state of all of them is certified, and goes back to the root key. */
  async #run(members: readonly Member[], topology: NetworkTopology): Promise<void> {
    for (const member of members) {
      member.replica.setTopology(topology);
      member.run();
    }
    await Promise.all(members.map(({ replica }) => replica.firstCertified));
    // What was on its way when the network ended goes on.
    for (const { id } of members) {
      const whole = this.#loaded.get(id);
      if (whole !== undefined) this.#tellNeighbours(id, whole);
      this.#loaded.delete(id);
    }
    for (const other of this.#members) if (!members.includes(other)) other.replica.setTopology(topology);
    while (members.some(({ replica }) => replica.backend.health() !== "healthy")) await this.#nextRound();
  }

  #nextRound(): Promise<void> {
    return new Promise((resolve) => {
      this.#waitingForRound.push(resolve);
    });
  }

  async #addSubnet(text: string): Promise<DescribedSubnet | { readonly refused: string }> {
    const kind = LOCAL_KINDS.find((known) => known === text);
    if (kind === undefined) {
      return { refused: `"${text}" is not a kind of subnet: give ${LOCAL_KINDS.join(", ")}.` };
    }
    if (SUBNET_KINDS[kind].named !== undefined && this.#members.some((member) => member.kind === kind)) {
      return { refused: `A network has one ${kind} subnet, and it is there already.` };
    }
    if (this.#members.length >= MAX_SUBNETS) {
      return { refused: `A local network has at most ${MAX_SUBNETS} subnets.` };
    }
    try {
      return this.#describe(await this.#add(kind));
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      return { refused: `The subnet could not be added: ${error.message}` };
    }
  }

  async #add(kind: SubnetKind): Promise<Member> {
    const isNew = (known: SubnetSecrets) =>
      known.kind === kind && !this.#members.some(({ name }) => name === known.name);
    // There is one when an earlier attempt failed after its keys were written.
    if (!this.#secrets.subnets.some(isNew)) this.#secrets.add([kind]);
    const member = this.#makeMember(this.#secrets.subnets.find(isNew) as SubnetSecrets);
    try {
      const members = [...this.#members, member];
      const topology = this.#topologyWith(members);
      await this.#load([member]);
      await this.#run([member], topology);
      this.#members = members;
      this.#topology = topology;
      return member;
    } catch (error) {
      this.#running.delete(member.id);
      await member.stop();
      throw error;
    }
  }

  #describe({ id, kind, config }: Member): DescribedSubnet {
    const { publicKey, canisterRanges } = config;
    const seed = this.#around.crypto.sha256(publicKey);
    return { subnetId: id, kind: SUBNET_KINDS[kind].label, seed, canisterRanges };
  }

  /** One after the other. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#adding.then(operation);
    this.#adding = result.catch(() => undefined);
    return result;
  }
}

/** What is wrong with a file is said by its name, which every subnet has. */
function inSubnet(name: string, error: EnvironmentError): EnvironmentError {
  return new EnvironmentError(error.code, `Subnet ${name}: ${error.message}`, { cause: error });
}
