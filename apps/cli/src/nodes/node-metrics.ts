// What a node says of itself to those who watch it: how far it has got, whom it is connected with, what waits, what it
// takes. All of it is known anyway; nothing is counted for the sake of being shown but rounds and events.
import type { ConsensusEvent } from "@atoll/consensus";
import type { PeerStatistics } from "@atoll/p2p";
import type { ConsensusReplicaStatus } from "@atoll/replica/consensus/consensus-replica";
import { type PrincipalId, principalToText } from "@atoll/types";
import type { Metric, MetricValue } from "./prometheus.ts";

interface NodeFacts {
  readonly status: ConsensusReplicaStatus;
  readonly health: string;
  readonly peers: ReadonlyMap<PrincipalId, Readonly<PeerStatistics>>;
  /** Artifacts that are broadcast, and offers of peers that are kept. */
  readonly gossip: { readonly active: number; readonly offeredSlots: number; readonly offeredIds: number };
  readonly registryVersion: number;
  /** Of the newest checkpoint whose hash is known. */
  readonly checkpointHeight: number;
}

export interface NodeMetrics {
  noteRound(): void;
  noteEvent(event: ConsensusEvent): void;
  metrics(facts: NodeFacts): readonly Metric[];
}

export function createNodeMetrics(): NodeMetrics {
  let rounds = 0;
  const events = new Map<string, number>();
  return {
    noteRound: () => void rounds++,
    noteEvent: ({ kind }) => void events.set(kind, (events.get(kind) ?? 0) + 1),
    metrics: (facts) => [
      ...heights(facts),
      counter("atoll_rounds_total", "Batches executed since the start of this process.", [{ value: rounds }]),
      counter(
        "atoll_consensus_events_total",
        "What consensus said happened since the start of this process.",
        [...events].sort().map(([kind, value]) => ({ labels: { kind }, value })),
      ),
      ...stateSync(facts.status),
      ...peers(facts),
      ...process_(),
    ],
  };
}

function heights({ status, health, registryVersion, checkpointHeight }: NodeFacts): Metric[] {
  const at: Readonly<Record<string, number>> = {
    notarized: status.notarizedHeight,
    finalized: status.finalizedHeight,
    beacon: status.beaconHeight,
    executed: status.executedHeight,
    certified: status.certifiedHeight,
    catch_up: status.catchUpHeight,
    checkpoint: checkpointHeight,
  };
  return [
    gauge(
      "atoll_height",
      "How far this node has got, by step of the protocol.",
      Object.entries(at).map(([step, value]) => ({ labels: { step }, value })),
    ),
    gauge("atoll_healthy", "1: it answers clients.", [{ value: health === "healthy" ? 1 : 0 }]),
    gauge("atoll_halted", "1: the subnet has been told to stop.", [{ value: status.isHalted ? 1 : 0 }]),
    gauge(
      "atoll_awaited_version",
      "1: the subnet stops for an upgrade to this version of the protocol.",
      status.awaitedVersion === undefined ? [] : [{ labels: { version: status.awaitedVersion }, value: 1 }],
    ),
    gauge("atoll_registry_version", "Newest registry version known, and the one in force.", [
      { labels: { version: "known" }, value: registryVersion },
      { labels: { version: "in_force" }, value: status.registryVersion },
    ]),
    gauge("atoll_ingress_waiting", "Messages that wait for a block.", [{ value: status.waitingIngress }]),
  ];
}

function stateSync({ fetching }: ConsensusReplicaStatus): Metric[] {
  return [
    gauge("atoll_state_sync_height", "Height of the state that is being fetched; 0: none.", [
      { value: fetching?.height ?? 0 },
    ]),
    gauge("atoll_state_sync_chunks", "Chunks of that state.", [
      { labels: { chunks: "here" }, value: fetching?.chunks ?? 0 },
      { labels: { chunks: "all" }, value: fetching?.of ?? 0 },
    ]),
  ];
}

const PER_PEER = [
  ["atoll_peer_bytes_received_total", "bytesReceived", "Bytes of frames from a peer."],
  ["atoll_peer_bytes_sent_total", "bytesSent", "Bytes of frames to a peer."],
  ["atoll_peer_frames_received_total", "framesReceived", "Frames from a peer."],
  ["atoll_peer_frames_sent_total", "framesSent", "Frames to a peer."],
  ["atoll_peer_connections_total", "connections", "Connections made with a peer."],
  ["atoll_peer_artifacts_received_total", "artifactsReceived", "Artifacts from a peer."],
  ["atoll_peer_invalid_artifacts_total", "invalidArtifacts", "Artifacts from a peer that were invalid."],
  ["atoll_peer_broken_rules_total", "brokenRules", "What no honest node sends."],
  ["atoll_peer_slowed_down_total", "slowedDown", "Messages of a peer above its quota."],
  ["atoll_peer_retries_total", "retries", "Updates sent to a peer again."],
] as const satisfies readonly (readonly [string, keyof PeerStatistics, string])[];

function peers({ peers: all, gossip }: NodeFacts): Metric[] {
  const of = (value: (statistics: Readonly<PeerStatistics>) => number): MetricValue[] =>
    [...all].map(([peer, statistics]) => ({ labels: { peer: principalToText(peer) }, value: value(statistics) }));
  return [
    gauge(
      "atoll_peer_connected",
      "1: connected.",
      of(({ isConnected }) => (isConnected ? 1 : 0)),
    ),
    gauge(
      "atoll_peer_backlog",
      "Slots that a peer has to be told of.",
      of(({ backlog }) => backlog),
    ),
    ...PER_PEER.map(([name, field, help]) =>
      counter(
        name,
        help,
        of((statistics) => statistics[field]),
      ),
    ),
    gauge("atoll_gossip_slots", "Artifacts that are broadcast, and what peers offer.", [
      { labels: { kind: "active" }, value: gossip.active },
      { labels: { kind: "offered" }, value: gossip.offeredSlots },
      { labels: { kind: "offered_ids" }, value: gossip.offeredIds },
    ]),
  ];
}

/** By the names that all programs have these under. */
function process_(): Metric[] {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    gauge("process_resident_memory_bytes", "Memory of this process.", [{ value: rss }]),
    gauge("nodejs_heap_size_used_bytes", "Heap of the main thread.", [{ value: heapUsed }]),
    counter("process_cpu_seconds_total", "CPU time of this process.", [{ value: (user + system) / 1e6 }]),
    gauge("process_start_time_seconds", "Start of this process, in seconds since 1970.", [
      { value: Math.round(Date.now() / 1000 - process.uptime()) },
    ]),
  ];
}

function gauge(name: string, help: string, values: readonly MetricValue[]): Metric {
  return { name, kind: "gauge", help, values };
}

function counter(name: string, help: string, values: readonly MetricValue[]): Metric {
  return { name, kind: "counter", help, values };
}
