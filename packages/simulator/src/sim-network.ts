// The network between the nodes of a run: connections with delay, jitter and bounded room, and everything that can happen to
// them. A cut lets frames pile up as the network's retransmission would, until the connection is given up; loss, replay and
// disorder go beyond what a connection does, as the layer above promises to be right under them. Section 21.1.
import type { FrameCodec, PeerTransport, TransportHandler } from "@atoll/p2p";
import type { PrincipalId } from "@atoll/types";
import { markOf } from "./event-log.ts";
import type { Random } from "./random.ts";
import { MS, type Scheduler, SECOND, type VirtualTime } from "./scheduler.ts";
import { sharedFrames } from "./sim-frames.ts";

/** How one direction between two nodes behaves now. */
export interface LinkQuality {
  readonly delayNs: number;
  readonly jitterNs: number;
  /** Parts of all frames: lost, said twice, let out of order. */
  readonly loss: number;
  readonly replay: number;
  readonly reorder: number;
  readonly bytesPerSecond: number;
  readonly isCut: boolean;
}

export const GOOD_LINK: LinkQuality = {
  delayNs: 5 * MS,
  jitterNs: 2 * MS,
  loss: 0,
  replay: 0,
  reorder: 0,
  bytesPerSecond: 125_000_000,
  isCut: false,
};

/** A connection whose other side is not heard of is given up after that. */
const IDLE_NS = 5 * SECOND;
const RECONNECT_NS = 500 * MS;
/** Bytes that may be on their way in one direction: a frame more is taken when there is less. */
const ROOM_BYTES = 4 * 1024 * 1024;
/** A frame let out of order overtakes at most this much time. */
const DISORDER_NS = 200 * MS;

interface Endpoint {
  readonly handler: TransportHandler;
  /** Undefined: nobody has been named yet. */
  peers: ReadonlySet<PrincipalId> | undefined;
  /** A stopped process: what arrives waits. */
  heldUntil: VirtualTime;
}

/** One direction of a connection. */
interface Stream {
  freeAt: VirtualTime;
  lastArrival: VirtualTime;
  bytes: number;
  isFull: boolean;
  /** Sent while the link was cut. */
  held: Uint8Array[];
}

interface Connection {
  isOpen: boolean;
  readonly streams: Map<PrincipalId, Stream>;
}

/** Who schedules the network within its rights: extra delay of a frame, in ns. */
export type NetworkAdversary = (from: PrincipalId, to: PrincipalId, frame: Uint8Array) => number;

export class SimNetwork {
  adversary: NetworkAdversary | undefined;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #nodes: readonly PrincipalId[];
  readonly #endpoints = new Map<PrincipalId, Endpoint>();
  /** Of two nodes, the lower one first. */
  readonly #connections = new PairMap<Connection>();
  /** From one node to another. */
  readonly #links = new PairMap<LinkQuality>();
  /** Of a link that nothing is wrong with. */
  readonly usual: LinkQuality;
  /** How the nodes write and read what they send. */
  readonly frames: FrameCodec = sharedFrames();

  constructor(
    nodes: readonly PrincipalId[],
    { scheduler, random, usual = {} }: { scheduler: Scheduler; random: Random; usual?: Partial<LinkQuality> },
  ) {
    this.usual = { ...GOOD_LINK, ...usual };
    this.#nodes = nodes;
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** A node's process has started. */
  attach(node: PrincipalId, handler: TransportHandler): PeerTransport {
    const endpoint: Endpoint = { handler, peers: undefined, heldUntil: 0 };
    this.#endpoints.set(node, endpoint);
    const isCurrent = (): boolean => this.#endpoints.get(node) === endpoint;
    return {
      send: (peer, frame) => isCurrent() && this.#send(node, peer, frame),
      connected: () => (isCurrent() ? this.#connectedTo(node) : []),
      setPeers: (peers) => {
        if (!isCurrent()) return;
        endpoint.peers = new Set(peers);
        for (const other of this.#nodes) this.#review(node, other);
      },
      disconnect: (peer) => isCurrent() && this.disconnect(node, peer),
    };
  }

  /** The process has ended, and its connections with it. */
  detach(node: PrincipalId): void {
    this.#endpoints.delete(node);
    for (const other of this.#nodes) this.#close(node, other);
  }

  /** The process stands still: what arrives waits until then. */
  hold(node: PrincipalId, until: VirtualTime): void {
    const endpoint = this.#endpoints.get(node);
    if (endpoint !== undefined) endpoint.heldUntil = Math.max(endpoint.heldUntil, until);
  }

  link(from: PrincipalId, to: PrincipalId): LinkQuality {
    return this.#links.get(from, to) ?? this.usual;
  }

  setLink(from: PrincipalId, to: PrincipalId, quality: LinkQuality): void {
    const before = this.link(from, to);
    this.#links.set(from, to, quality);
    if (quality.isCut && !before.isCut) this.#giveUpLater(from, to);
    if (!quality.isCut && before.isCut) {
      this.#release(from, to);
      this.#review(from, to);
    }
  }

  /** Breaks the connection of two nodes; they make a new one as soon as they may. */
  disconnect(a: PrincipalId, b: PrincipalId): void {
    this.#close(a, b);
    this.#scheduler.after(RECONNECT_NS, () => this.#review(a, b));
  }

  #connectedTo(node: PrincipalId): PrincipalId[] {
    return this.#nodes.filter((other) => this.#connection(node, other)?.isOpen === true).sort();
  }

  #connection(a: PrincipalId, b: PrincipalId): Connection | undefined {
    return a < b ? this.#connections.get(a, b) : this.#connections.get(b, a);
  }

  /** Opens or closes the connection of two nodes, as they want and can. */
  #review(a: PrincipalId, b: PrincipalId): void {
    const wants = (one: PrincipalId, other: PrincipalId): boolean =>
      this.#endpoints.get(one)?.peers?.has(other) === true;
    const isOpen = this.#connection(a, b)?.isOpen === true;
    if (a === b || !wants(a, b) || !wants(b, a)) {
      if (isOpen) this.#close(a, b);
      return;
    }
    if (isOpen || this.link(a, b).isCut || this.link(b, a).isCut) return;
    const connection = { isOpen: false, streams: new Map([a, b].map((node) => [node, newStream()])) };
    this.#connections.set(...pairOf(a, b), connection);
    this.#scheduler.after(2 * (this.link(a, b).delayNs + this.link(b, a).delayNs), () => this.#open(a, b, connection));
  }

  #open(a: PrincipalId, b: PrincipalId, connection: Connection): void {
    const [first, second] = [this.#endpoints.get(a), this.#endpoints.get(b)];
    if (this.#connection(a, b) !== connection || first === undefined || second === undefined) return;
    connection.isOpen = true;
    this.#scheduler.settleSoon();
    first.handler.onConnected(b);
    if (connection.isOpen) second.handler.onConnected(a);
  }

  #close(a: PrincipalId, b: PrincipalId): void {
    const connection = this.#connection(a, b);
    if (connection === undefined) return;
    this.#connections.delete(...pairOf(a, b));
    if (!connection.isOpen) return;
    connection.isOpen = false;
    this.#tellDisconnected(a, b);
    this.#tellDisconnected(b, a);
  }

  /** Not at once: it may be the node itself that has just asked for it. */
  #tellDisconnected(node: PrincipalId, from: PrincipalId): void {
    const endpoint = this.#endpoints.get(node);
    this.#scheduler.after(0, () => {
      if (endpoint === undefined || this.#endpoints.get(node) !== endpoint) return;
      this.#scheduler.settleSoon();
      endpoint.handler.onDisconnected(from);
    });
  }

  #giveUpLater(from: PrincipalId, to: PrincipalId): void {
    const connection = this.#connection(from, to);
    this.#scheduler.after(IDLE_NS, () => {
      const isSame = connection !== undefined && this.#connection(from, to) === connection;
      if (isSame && (this.link(from, to).isCut || this.link(to, from).isCut)) this.#close(from, to);
    });
  }

  #send(from: PrincipalId, to: PrincipalId, frame: Uint8Array): boolean {
    const connection = this.#connection(from, to);
    const stream = connection?.streams.get(from);
    if (connection?.isOpen !== true || stream === undefined) return false;
    if (stream.bytes >= ROOM_BYTES) {
      stream.isFull = true;
      return false;
    }
    stream.bytes += frame.length;
    if (this.link(from, to).isCut) stream.held.push(frame);
    else this.#carry(from, to, { connection, stream, frame });
    return true;
  }

  #release(from: PrincipalId, to: PrincipalId): void {
    const connection = this.#connection(from, to);
    const stream = connection?.streams.get(from);
    if (connection === undefined || stream === undefined) return;
    for (const frame of stream.held.splice(0)) this.#carry(from, to, { connection, stream, frame });
  }

  #carry(from: PrincipalId, to: PrincipalId, sent: Sent): void {
    const { stream, frame } = sent;
    const link = this.link(from, to);
    const random = this.#random;
    const { now } = this.#scheduler;
    stream.freeAt = Math.max(stream.freeAt, now) + Math.ceil((frame.length * SECOND) / link.bytesPerSecond);
    const extra = this.adversary?.(from, to, frame) ?? 0;
    const arrival = stream.freeAt + link.delayNs + random.below(link.jitterNs + 1) + extra;
    const isLost = random.chance(link.loss);
    if (random.chance(link.reorder)) this.#arrive(from, to, arrival + random.below(DISORDER_NS), sent, isLost);
    else {
      stream.lastArrival = Math.max(stream.lastArrival, arrival);
      this.#arrive(from, to, stream.lastArrival, sent, isLost);
    }
    if (!random.chance(link.replay)) return;
    const again = { ...sent, isReplay: true };
    this.#arrive(from, to, arrival + random.below(2 * SECOND), again, false);
  }

  #arrive(from: PrincipalId, to: PrincipalId, time: VirtualTime, sent: Sent, isLost: boolean): void {
    this.#scheduler.at(time, () => {
      const { connection, stream, frame } = sent;
      if (sent.isReplay !== true) stream.bytes -= frame.length;
      const endpoint = this.#endpoints.get(to);
      if (!connection.isOpen || endpoint === undefined) return;
      if (endpoint.heldUntil > this.#scheduler.now) {
        stream.bytes += sent.isReplay === true ? 0 : frame.length;
        this.#arrive(from, to, endpoint.heldUntil, sent, isLost);
        return;
      }
      if (!isLost) {
        this.#scheduler.note(`frame ${this.#nodes.indexOf(from)}>${this.#nodes.indexOf(to)} ${markOf(frame)}`);
        endpoint.handler.onFrame(from, frame);
      }
      if (!stream.isFull || stream.bytes >= ROOM_BYTES / 2 || !connection.isOpen) return;
      stream.isFull = false;
      this.#endpoints.get(from)?.handler.onWritable(to);
    });
  }
}

interface Sent {
  readonly connection: Connection;
  readonly stream: Stream;
  readonly frame: Uint8Array;
  readonly isReplay?: boolean;
}

function newStream(): Stream {
  return { freeAt: 0, lastArrival: 0, bytes: 0, isFull: false, held: [] };
}

function pairOf(a: PrincipalId, b: PrincipalId): [PrincipalId, PrincipalId] {
  return a < b ? [a, b] : [b, a];
}

/** By two names, without making one of them for each look. */
class PairMap<T> {
  readonly #entries = new Map<PrincipalId, Map<PrincipalId, T>>();

  get(a: PrincipalId, b: PrincipalId): T | undefined {
    return this.#entries.get(a)?.get(b);
  }

  set(a: PrincipalId, b: PrincipalId, value: T): void {
    const ofA = this.#entries.get(a) ?? new Map<PrincipalId, T>();
    this.#entries.set(a, ofA);
    ofA.set(b, value);
  }

  delete(a: PrincipalId, b: PrincipalId): void {
    this.#entries.get(a)?.delete(b);
  }
}
