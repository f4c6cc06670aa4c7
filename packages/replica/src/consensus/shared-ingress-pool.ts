// Messages of users that wait for a block of a subnet of many nodes. A message goes to one node, which authenticates it
// and broadcasts it, so that whoever makes the next block has it; everyone else authenticates it again. Peers are bounded
// each for itself: one that floods crowds out neither the others nor the users of this node. Section 21.5.
import {
  type CanisterId,
  type IngressMessage,
  MAX_INGRESS_TTL_NS,
  NS_PER_SECOND,
  PERMITTED_DRIFT_NS,
  type PeerNetwork,
  type PrincipalId,
  type RequestId,
  type Time,
} from "@atoll/types";
import type { SubmitOutcome } from "../backend.ts";
import type { AuthenticIngress, IngressAuthenticator } from "./ingress-authenticator.ts";

export interface SharedIngressPoolPorts {
  readonly network: Pick<PeerNetwork, "publish" | "retract">;
  /** Wall-clock time. */
  readonly now: () => Time;
}

export interface SharedIngressPoolOptions {
  /** Nodes of the subnet: they share the room there is for what peers send. */
  readonly nodes: () => number;
  /** Whether the state has, or had, a message: it cannot be executed again. */
  readonly isExecuted: (requestId: RequestId) => boolean;
}

interface Entry {
  readonly ingress: AuthenticIngress;
  /** Undefined: it came over HTTP. */
  readonly peer: PrincipalId | undefined;
}

interface Usage {
  count: number;
  bytes: number;
}

/** Of this node's own users. */
const MAX_OWN: Usage = { count: 10_000, bytes: 256 * 1024 * 1024 };
/** Of all peers together, and of one however many there are: a few messages of any size. */
const MAX_OF_PEERS: Usage = { count: 20_000, bytes: 256 * 1024 * 1024 };
const MIN_OF_PEER: Usage = { count: 100, bytes: 8 * 1024 * 1024 };

const PREFIX = "ingress/";

/** `ingress/<expiry in s>/<request id>`. */
export function ingressArtifactId({ expiry, requestId }: Pick<IngressMessage, "expiry" | "requestId">): string {
  return `${PREFIX}${expiry / NS_PER_SECOND}/${requestId}`;
}

export class SharedIngressPool {
  readonly #options: SharedIngressPoolOptions;
  readonly #ports: SharedIngressPoolPorts;
  readonly #authenticator: IngressAuthenticator;
  readonly #entries = new Map<RequestId, Entry>();
  /** In the order of their arrival, by the canister that is called. */
  readonly #queues = new Map<CanisterId, Map<RequestId, AuthenticIngress>>();
  readonly #usage = new Map<PrincipalId | undefined, Usage>();

  constructor(options: SharedIngressPoolOptions, ports: SharedIngressPoolPorts, authenticator: IngressAuthenticator) {
    this.#options = options;
    this.#ports = ports;
    this.#authenticator = authenticator;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(requestId: RequestId): AuthenticIngress | undefined {
    return this.#entries.get(requestId)?.ingress;
  }

  /** Canisters that are called, each with its messages, the oldest first. */
  queues(): ReadonlyMap<CanisterId, ReadonlyMap<RequestId, AuthenticIngress>> {
    return this.#queues;
  }

  /** An envelope that was authenticated here when it came over HTTP. It is broadcast until it is executed or expires. */
  submit(envelope: Uint8Array): SubmitOutcome {
    const ingress = this.#authenticator.admit(envelope);
    // No block could ever carry it: the user will see it expire, as if all nodes were overloaded.
    if (ingress === undefined) return "pool-full";
    const { message } = ingress;
    if (this.#entries.has(message.requestId) || this.#options.isExecuted(message.requestId)) return "duplicate";
    if (!this.#add(ingress, undefined)) return "pool-full";
    this.#ports.network.publish(ingressArtifactId(message), envelope);
    return "accepted";
  }

  /** What a peer broadcasts together, before each is received: no more of it than there is room for. */
  prepare(peer: PrincipalId, envelopes: readonly Uint8Array[]): void {
    const room = this.#roomOf(peer);
    const fresh = new Map<RequestId, Uint8Array>();
    for (const envelope of envelopes) {
      const requestId = this.#authenticator.requestIdOf(envelope);
      if (requestId === undefined || fresh.has(requestId)) continue;
      if (this.#entries.has(requestId) || this.#options.isExecuted(requestId)) continue;
      room.count--;
      room.bytes -= envelope.length;
      if (room.count < 0 || room.bytes < 0) break;
      fresh.set(requestId, envelope);
    }
    this.#authenticator.prepare([...fresh.values()], this.#ports.now(), peer);
  }

  /** What a peer broadcasts. `id` must be the one of its bytes. */
  receive(peer: PrincipalId, id: string, envelope: Uint8Array): "taken" | "unwanted" | "invalid" {
    const named = parseId(id);
    if (named === undefined) return "invalid";
    if (this.#entries.has(named.requestId) || this.#options.isExecuted(named.requestId)) return "taken";
    if (this.#isFull(peer, envelope.length)) return "unwanted";
    const verdict = this.#authenticator.check(envelope, this.#ports.now());
    if (verdict.kind === "untimely") return this.#isPast(named.expirySeconds) ? "taken" : "unwanted";
    if (verdict.kind === "invalid" || ingressArtifactId(verdict.ingress.message) !== id) return "invalid";
    return this.#add(verdict.ingress, peer) ? "taken" : "unwanted";
  }

  /** Whether an artifact known by its id should be fetched. */
  wants(id: string): boolean {
    const named = parseId(id);
    if (named === undefined || this.#isPast(named.expirySeconds)) return false;
    const latest = (this.#ports.now() + MAX_INGRESS_TTL_NS + PERMITTED_DRIFT_NS) / NS_PER_SECOND;
    if (named.expirySeconds > latest) return false;
    return !this.#entries.has(named.requestId) && !this.#options.isExecuted(named.requestId);
  }

  /** Executed, or of no use any more. */
  remove(requestId: RequestId): void {
    const entry = this.#entries.get(requestId);
    if (entry === undefined) return;
    const { message, envelope } = entry.ingress;
    this.#entries.delete(requestId);
    const queue = this.#queues.get(message.receiver);
    queue?.delete(requestId);
    if (queue?.size === 0) this.#queues.delete(message.receiver);
    const usage = this.#usageOf(entry.peer);
    usage.count--;
    usage.bytes -= envelope.length;
    if (usage.count === 0) this.#usage.delete(entry.peer);
    if (entry.peer === undefined) this.#ports.network.retract(ingressArtifactId(message));
  }

  /** Drops what no block can take any more. */
  expire(): void {
    const now = this.#ports.now();
    for (const { ingress } of this.#entries.values()) {
      const { message, delegatedUntil = now } = ingress;
      if (message.expiry < now || delegatedUntil < now) this.remove(message.requestId);
    }
  }

  #add(ingress: AuthenticIngress, peer: PrincipalId | undefined): boolean {
    const { message, envelope } = ingress;
    if (this.#isFull(peer, envelope.length)) return false;
    this.#entries.set(message.requestId, { ingress, peer });
    let queue = this.#queues.get(message.receiver);
    if (queue === undefined) {
      queue = new Map();
      this.#queues.set(message.receiver, queue);
    }
    queue.set(message.requestId, ingress);
    const usage = this.#usageOf(peer);
    usage.count++;
    usage.bytes += envelope.length;
    this.#usage.set(peer, usage);
    return true;
  }

  #isFull(peer: PrincipalId | undefined, bytes: number): boolean {
    const room = this.#roomOf(peer);
    return room.count < 1 || room.bytes < bytes;
  }

  #roomOf(peer: PrincipalId | undefined): Usage {
    const usage = this.#usageOf(peer);
    const most = peer === undefined ? MAX_OWN : this.#shareOfPeer();
    return { count: most.count - usage.count, bytes: most.bytes - usage.bytes };
  }

  #shareOfPeer(): Usage {
    const peers = Math.max(1, this.#options.nodes() - 1);
    return {
      count: Math.max(MIN_OF_PEER.count, Math.floor(MAX_OF_PEERS.count / peers)),
      bytes: Math.max(MIN_OF_PEER.bytes, Math.floor(MAX_OF_PEERS.bytes / peers)),
    };
  }

  #usageOf(peer: PrincipalId | undefined): Usage {
    return this.#usage.get(peer) ?? { count: 0, bytes: 0 };
  }

  #isPast(expirySeconds: bigint): boolean {
    return (expirySeconds + 1n) * NS_PER_SECOND <= this.#ports.now();
  }
}

function parseId(id: string): { readonly expirySeconds: bigint; readonly requestId: RequestId } | undefined {
  const match = /^ingress\/(0|[1-9][0-9]{0,18})\/([0-9a-f]{64})$/.exec(id);
  return match === null ? undefined : { expirySeconds: BigInt(match[1] as string), requestId: match[2] as string };
}
