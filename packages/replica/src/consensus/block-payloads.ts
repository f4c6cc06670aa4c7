// Everything about what the blocks of a subnet of many nodes carry, in one place for the replica: messages and shares that
// come from peers go in, and so does every executed round; payloads for consensus and batches for the executor come out.
import type { ConsensusCrypto, DeliveredBatch, PayloadPort } from "@atoll/consensus";
import type { RoundEvent } from "@atoll/execution";
import type {
  Batch,
  CryptoPort,
  LogPort,
  NetworkTopology,
  NodeRecord,
  OutcallClient,
  PeerNetwork,
  PrincipalId,
  RegistryPort,
  RequestId,
  Time,
} from "@atoll/types";
import type { SubmitOutcome, SubnetDescription } from "../backend.ts";
import type { ExecutedRound, Executor } from "../executor.ts";
import { parseIngress } from "../ingress-message.ts";
import type { SlicePeers } from "../xnet/slice-peers.ts";
import { type BatchOfPorts, batchOf } from "./batch-of.ts";
import { ExecutedFacts } from "./executed-facts.ts";
import { IngressAuthenticator } from "./ingress-authenticator.ts";
import { decodeOutcallShare, OUTCALL_SHARE_TAG, outcallShareId } from "./outcall-share.ts";
import { OutcallShares } from "./outcall-shares.ts";
import { PastPayloads } from "./past-payloads.ts";
import { PayloadBuilder } from "./payload-builder.ts";
import { ingressArtifactId, SharedIngressPool } from "./shared-ingress-pool.ts";
import { SlicePool } from "./slice-pool.ts";
import { expectationsOf } from "./slice-section.ts";

export interface BlockPayloadsOptions {
  readonly self: PrincipalId;
  readonly subnet: Pick<SubnetDescription, "subnetId" | "type" | "canisterRanges">;
  /** DER: what canister signatures in requests may go back to. */
  readonly rootKeys: readonly Uint8Array[];
  /** The subnets of the network, the same for as long as it lives; without it there is this one alone. */
  readonly topology?: NetworkTopology | undefined;
  /** The nodes of other subnets; without them no slices are fetched. */
  readonly peers?: SlicePeers | undefined;
  /** Called when something came in that `step` should look at soon. */
  readonly onWork?: (() => void) | undefined;
  /** Makes this node's HTTPS outcalls; without it they are left to the others. */
  readonly outcalls?: OutcallClient | undefined;
  readonly onQueryEvents?: ((events: readonly RoundEvent[]) => void) | undefined;
  /** Told of what takes more faulty nodes than there may be. */
  readonly alarm: (what: string) => void;
}

export interface BlockPayloadsPorts {
  readonly crypto: CryptoPort;
  readonly consensusCrypto: Pick<ConsensusCrypto, "signBasic" | "verifyBasic">;
  readonly registry: RegistryPort;
  readonly network: Pick<PeerNetwork, "publish" | "retract">;
  /** Transform functions run here. */
  readonly executor: Pick<Executor, "query">;
  /** Wall-clock time. */
  readonly now: () => Time;
  readonly log: LogPort;
}

const EXPIRY_INTERVAL_NS = 5_000_000_000n;
/** Envelopes are CBOR maps or tagged ones. */
const FIRST_CBOR_MAP = 0xa0;
const NO_PEERS: SlicePeers = { slice: () => Promise.resolve(undefined) };

export class BlockPayloads {
  /** What consensus builds blocks with and checks them by. */
  readonly port: PayloadPort;
  readonly #own: PrincipalId;
  readonly #ports: BlockPayloadsPorts;
  readonly #facts = new ExecutedFacts();
  readonly #authenticator: IngressAuthenticator;
  readonly #ingress: SharedIngressPool;
  readonly #slices: SlicePool;
  readonly #outcalls: OutcallShares;
  readonly #batchPorts: BatchOfPorts;
  readonly #topology: NetworkTopology | undefined;
  #nextExpiry: Time = 0n;

  constructor(options: BlockPayloadsOptions, ports: BlockPayloadsPorts) {
    const { self, subnet, rootKeys, topology, peers, alarm } = options;
    const { crypto, registry, network, now, log } = ports;
    const own = subnet.subnetId;
    this.#own = own;
    this.#ports = ports;
    const authenticator = new IngressAuthenticator({ subnet, rootKeys }, crypto);
    const past = new PastPayloads(own, crypto, authenticator);
    const facts = this.#facts;
    const isExecuted = (requestId: RequestId): boolean => facts.hasIngress(requestId);
    const nodes = () => this.#nodes().length;
    const ingress = new SharedIngressPool({ nodes, isExecuted }, { network, now }, authenticator);
    const others = peers && topology?.subnets.map(({ subnetId }) => subnetId).filter((id) => id !== own);
    const slices = new SlicePool(own, others ?? [], peers ?? NO_PEERS, { crypto, log });
    slices.onFetched = options.onWork;
    const node = (id: PrincipalId) => this.#nodes().find(({ nodeId }) => nodeId === id);
    const { onQueryEvents, outcalls: client } = options;
    const outcalls = new OutcallShares({ self, subnetId: own, node, client, onQueryEvents }, ports);
    const parts = { own, facts, registry, authenticator, past, ingress, slices, outcalls, crypto, log };
    this.port = new PayloadBuilder({ ...parts, topology });
    this.#topology = topology;
    this.#authenticator = authenticator;
    this.#ingress = ingress;
    this.#slices = slices;
    this.#outcalls = outcalls;
    this.#batchPorts = { own, authenticator, past, registry, crypto, alarm };
  }

  /** An envelope that was authenticated here when it came over HTTP: broadcast, and offered to the blocks of this node. */
  submit(envelope: Uint8Array): SubmitOutcome {
    return this.#ingress.submit(envelope);
  }

  /** Messages that wait for a block. */
  get waitingIngress(): number {
    return this.#ingress.size;
  }

  /** A message that this node has authenticated, by the hash of its envelope in hex. */
  envelope(digest: string): Uint8Array | undefined {
    return this.#authenticator.byDigest(digest);
  }

  /** Whether an artifact of a peer belongs here and not to consensus: by its id, or by its bytes. */
  isOurs(idOrArtifact: string | Uint8Array): boolean {
    if (typeof idOrArtifact === "string") return /^(ingress|outcall)\//.test(idOrArtifact);
    const [first = 0] = idOrArtifact;
    return first === OUTCALL_SHARE_TAG || first >= FIRST_CBOR_MAP;
  }

  /** Artifacts that are received next. */
  prepare(peer: PrincipalId, artifacts: readonly Uint8Array[]): void {
    const envelopes = artifacts.filter((artifact) => (artifact[0] ?? 0) >= FIRST_CBOR_MAP);
    if (envelopes.length > 1) this.#ingress.prepare(peer, envelopes);
  }

  receive(peer: PrincipalId, id: string, artifact: Uint8Array): "taken" | "unwanted" | "invalid" {
    const pool = artifact[0] === OUTCALL_SHARE_TAG ? this.#outcalls : this.#ingress;
    return pool.receive(peer, id, artifact);
  }

  wants(id: string): boolean {
    return id.startsWith("outcall/") ? this.#outcalls.wants(id) : this.#ingress.wants(id);
  }

  /** Empty: the bytes are no artifact. */
  idOf(artifact: Uint8Array): string {
    const { sha256 } = this.#ports.crypto;
    const share = decodeOutcallShare(artifact);
    if (share !== undefined) return outcallShareId(share.outcall, artifact, sha256);
    const result = parseIngress(artifact, sha256);
    return result.ok ? ingressArtifactId(result.parsed.message) : "";
  }

  /** After each executed round; with `whole`, what `Executor.start` gave, or the state that took its place. */
  noteRound(
    round: Pick<ExecutedRound, "height" | "access" | "streams" | "outcalls">,
    how?: { readonly whole: boolean },
  ): void {
    this.#facts.note(round, how);
    for (const { id, origin } of round.access.requests) if (origin !== undefined) this.#ingress.remove(id);
    this.#outcalls.note(round.outcalls, how);
  }

  /** What a delivered block has executed. `prevStateHash` is for the caller to add. */
  batchOf(delivered: DeliveredBatch): Batch {
    return batchOf(delivered, this.#batchPorts);
  }

  /** Drops what has expired and begins the fetches that are due; gives the wall-clock time of the next call at the latest. */
  step(): Time {
    const time = this.#ports.now();
    if (time >= this.#nextExpiry) {
      this.#ingress.expire();
      this.#nextExpiry = time + EXPIRY_INTERVAL_NS;
    }
    const facts = this.#facts;
    const context = { facts, topology: this.#topology, context: { certifiedHeight: facts.height } };
    const fetch = this.#slices.step(time, (source) => expectationsOf(context, this.#own, source, []));
    return fetch !== undefined && fetch < this.#nextExpiry ? fetch : this.#nextExpiry;
  }

  #nodes(): readonly NodeRecord[] {
    const { registry } = this.#ports;
    return registry.record(registry.latestVersion())?.nodes ?? [];
  }
}
