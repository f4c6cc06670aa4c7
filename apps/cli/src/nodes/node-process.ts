// A node of a subnet of many on this machine: threads that execute and answer queries, sockets to the other nodes, the
// registry, and the replica between them.
import { checkNodeRecord, createChainKeyCrypto, type NodeKeys, RecordRegistry } from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import { createOutcallClient, nodeClock, nodeEntropy, type StateFolder } from "@atoll/host-node";
import { Gossip } from "@atoll/p2p";
import { createTlsTransport, type TlsTransport } from "@atoll/p2p/transport";
import { createHttpHandler, type Executor, SliceServer } from "@atoll/replica";
import {
  type ConsensusReplica,
  type ConsensusReplicaOptions,
  createConsensusReplica,
} from "@atoll/replica/consensus/consensus-replica";
import {
  type CryptoPort,
  EnvironmentError,
  type LogPort,
  type NodeRecord,
  type PrincipalId,
  type Time,
} from "@atoll/types";
import type { HttpHandler } from "@atoll/types/http";
import { eventLines } from "../event-lines.ts";
import { fatal } from "../signals.ts";
import { type QueryThread, startQueryThread } from "../threads/query-calls.ts";
import { createThreadExecutor } from "../threads/thread-executor.ts";
import { nodeTimer } from "../timer.ts";
import { driveNode, type NodeDrive } from "./drive-node.ts";
import { type GenesisFacts, PROTOCOL_VERSION } from "./genesis-steps.ts";
import { isLoopback, type NodeConfig } from "./node-config.ts";
import { withHeights } from "./node-heights.ts";
import { logEvent } from "./node-log.ts";
import { createNodeMetrics, type NodeMetrics } from "./node-metrics.ts";
import { operatorHandler } from "./operator-api.ts";
import { openSubnetState, setStateAside } from "./own-state.ts";
import { keepDelegation, type RootDelegation } from "./root-delegation.ts";
import { createSubnetNodes, type SubnetNodes, streamHandler } from "./stream-api.ts";
import { tellSupervisor } from "./supervised.ts";

export interface NodeParts {
  readonly config: NodeConfig;
  readonly keys: NodeKeys;
  readonly nodeId: PrincipalId;
  readonly genesis: GenesisFacts;
  /** Of this program. */
  readonly version: string;
}

export interface NodePlaces {
  readonly crypto: CryptoPort;
  readonly folder: StateFolder;
  readonly log: LogPort;
}

/** Between two attempts to connect with a node on this machine. */
const LOCAL_PAUSE_MS = 500;

/** Monotonic, in ns. */
const monotonic = (): Time => process.hrtime.bigint();

export class NodeProcess {
  /** The HTTP interface. */
  readonly api: HttpHandler;
  /** Metrics and registry records. */
  readonly operatorApi: HttpHandler;
  readonly #replica: ConsensusReplica;
  readonly #gossip: Gossip;
  readonly #transport: TlsTransport;
  readonly #queries: QueryThread;
  readonly #log: LogPort;
  readonly #certifiedMoved: () => void;
  readonly #others: SubnetNodes | undefined;
  readonly #delegation: RootDelegation | undefined;
  readonly #executor: Executor;
  #drive: NodeDrive | undefined;
  #checkpointHeight = 0;

  constructor(parts: NodeParts, places: NodePlaces) {
    const { config, keys, nodeId, genesis, version } = parts;
    const { crypto, folder, log } = places;
    this.#log = log;
    const registry = openRegistry(genesis, folder, crypto);
    const metrics = createNodeMetrics();
    this.#queries = startQueryThread(fatal);
    this.#transport = createTlsTransport({
      self: nodeId,
      seed: keys.signingSeed,
      listen: config.p2p,
      nodeRecord: (node) => nodeRecord(registry, node, config.addresses),
      log,
      // On one machine it costs next to nothing to look for a node that is being started again.
      ...(isLoopback(config.p2p.host) && { limits: { maxPauseMs: LOCAL_PAUSE_MS } }),
    });
    const ports = { transport: this.#transport, entropy: nodeEntropy, now: monotonic };
    this.#gossip = new Gossip({ self: nodeId }, ports);
    this.#others = otherSubnets(genesis, config);
    this.#delegation = this.#others && delegationOf(genesis, this.#others, crypto, log);
    const executor = openExecutor(genesis, places, this.#queries);
    this.#executor = executor;
    this.#replica = createConsensusReplica(
      {
        ...replicaOptions(parts, places, metrics),
        onPeers: (nodes) => this.#gossip.setPeers(nodes),
        ...(this.#others && { peers: this.#others }),
        ...(this.#delegation && { delegation: this.#delegation.source }),
      },
      {
        clock: { now: () => ({ wall: nodeClock.now(), monotonic: monotonic() }) },
        entropy: nodeEntropy,
        crypto,
        consensusCrypto: createChainKeyCrypto(keys, { crypto, entropy: nodeEntropy }),
        registry,
        poolStorage: folder.part("pool"),
        network: this.#gossip,
        log,
      },
      executor,
    );
    const { backend } = this.#replica;
    const options = { timer: nodeTimer, log, implementation: { version: `atoll ${version}` }, topology: true };
    const heights = withHeights(createHttpHandler(backend, options), () => backend.certifiedState()?.height ?? 0);
    this.api = heights.handler;
    const slices = new SliceServer(() => backend.certifiedState(), nodeTimer);
    this.#certifiedMoved = () => {
      heights.moved();
      slices.moved();
    };
    this.operatorApi = operatorHandler({
      registry,
      metrics: () =>
        metrics.metrics({
          status: this.#replica.status(),
          health: backend.health(),
          peers: this.#gossip.statistics(),
          gossip: this.#gossip.size(),
          registryVersion: registry.latestVersion(),
          checkpointHeight: this.#checkpointHeight,
        }),
      onAdded: () => this.#replica.onWork?.(),
      streams: streamHandler(slices),
    });
  }

  get p2pPort(): number {
    return this.#transport.port;
  }

  /** Loads the state, connects with the other nodes, and goes on. */
  async start(): Promise<void> {
    await this.#replica.start();
    const told = this.#executor.onStateHash;
    this.#executor.onStateHash = (height, stateHash) => {
      this.#checkpointHeight = height;
      told?.(height, stateHash);
    };
    this.#gossip.start(this.#replica.peerHandler);
    await this.#transport.start(this.#gossip);
    const parts = [this.#replica, this.#gossip];
    this.#drive = driveNode(parts, { now: monotonic, log: this.#log, after: this.#certifiedMoved });
  }

  async stop(): Promise<void> {
    this.#drive?.stop();
    this.#delegation?.stop();
    this.#others?.stop();
    this.#gossip.stop();
    await this.#transport.close();
    await this.#replica.stop();
    await this.#queries.stop();
  }
}

/** Of the newest version that has the node. */
function nodeRecord(
  registry: RecordRegistry,
  node: PrincipalId,
  addresses: NodeConfig["addresses"],
): NodeRecord | undefined {
  for (let version = registry.latestVersion(); version > 0; version--) {
    const record = registry.record(version)?.nodes.find(({ nodeId }) => nodeId === node);
    if (record !== undefined) return { ...record, address: addresses.get(node) ?? record.address };
  }
  return undefined;
}

/** Undefined: there are none. */
function otherSubnets({ config: { subnetId, topology } }: GenesisFacts, config: NodeConfig): SubnetNodes | undefined {
  return topology && createSubnetNodes(subnetId, config.subnets, () => performance.now());
}

/** Of the root subnet there is none. */
function delegationOf(
  { config: { subnetId, publicKey, topology }, rootKey }: GenesisFacts,
  others: SubnetNodes,
  crypto: CryptoPort,
  log: LogPort,
): RootDelegation | undefined {
  const { rootSubnetId } = topology ?? {};
  if (rootSubnetId === undefined || rootSubnetId === subnetId) return undefined;
  return keepDelegation({
    ...{ rootKey, rootSubnetId, subnetId, publicKey, crypto, log },
    ask: (request) => others.ask(rootSubnetId, request),
    now: Date.now,
  });
}

function replicaOptions(
  { config, keys, nodeId, genesis }: NodeParts,
  { folder, log }: NodePlaces,
  metrics: NodeMetrics,
): ConsensusReplicaOptions {
  return {
    config: genesis.config,
    rootKey: genesis.rootKey,
    rootSubnetId: genesis.config.topology?.rootSubnetId ?? genesis.config.subnetId,
    nodeId,
    nodeSecret: keys.signingSeed,
    protocolVersion: PROTOCOL_VERSION,
    genesis: genesis.catchUpPackage,
    // Who develops has servers on this machine, mostly without certificates.
    outcalls: createOutcallClient({ plainHttp: isLoopback(config.p2p.host) ? "loopback" : "never" }),
    onEvent(event) {
      metrics.noteEvent(event);
      logEvent(log, event);
    },
    onRound({ height, events }) {
      metrics.noteRound();
      const lines = linesOf(events, `@${height}`);
      if (lines.length > 0) tellSupervisor({ kind: "round", height, lines });
    },
    onQueryEvents(events) {
      const lines = linesOf(events, "query");
      if (lines.length > 0) tellSupervisor({ kind: "query", lines });
    },
    onDiverged() {
      setStateAside(folder);
      fatal(new EnvironmentError("DIVERGED", "The state of this node is not that of the subnet; it begins anew."));
    },
    onFailure: fatal,
  };
}

function linesOf(events: readonly RoundEvent[], when: string): string[] {
  return events.flatMap((event) => eventLines(event, when));
}

/** The records that the node knows, the first one from the genesis file. */
function openRegistry({ record, registryKey }: GenesisFacts, folder: StateFolder, crypto: CryptoPort): RecordRegistry {
  const registry = new RecordRegistry(
    {
      operatorKey: registryKey,
      subnetId: record.record.subnetId,
      checkNode: (node) => checkNodeRecord(node, crypto) === undefined,
    },
    { storage: folder.part("registry"), crypto, now: monotonic },
  );
  const outcome = registry.add(record);
  if (outcome.kind !== "refused") return registry;
  const sentence = `The registry record in the genesis file cannot be used: ${outcome.why}.`;
  throw new EnvironmentError("BAD_GENESIS", sentence);
}

function openExecutor({ config, rootKey }: GenesisFacts, { folder, log }: NodePlaces, queries: QueryThread): Executor {
  return createThreadExecutor({
    config,
    rootKey,
    storagePath: openSubnetState(folder),
    recording: undefined,
    subnetCount: 1,
    checkpointBatches: undefined,
    agreedCheckpoints: true,
    log,
    queries,
    onCrash: fatal,
  });
}
