// A network in memory for tests: frames between transports of one process, on a clock of its own, lost, repeated and
// delayed (and so reordered) as a seeded source of chance says. It keeps to the contract of PeerTransport, no more.
import type { PrincipalId, Time } from "@atoll/types";
import type { PeerTransport, TransportHandler } from "./peer-transport.ts";

export interface MemoryNetworkOptions {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A frame takes between these. */
  readonly minDelay: Time;
  readonly maxDelay: Time;
  /** Probabilities, for each frame. */
  readonly loss: number;
  readonly repetition: number;
  /** Bytes from one node to another that may be on their way. */
  readonly window: number;
}

interface Pair {
  isConnected: boolean;
  isCut: boolean;
  /** Grows with each connection. */
  connection: number;
}

export class MemoryNetwork {
  /** Virtual. */
  now: Time = 0n;
  options: MemoryNetworkOptions;
  readonly #transports = new Map<PrincipalId, MemoryTransport>();
  readonly #pairs = new Map<string, Pair>();
  readonly #events: { readonly at: Time; readonly sequence: number; readonly run: () => void }[] = [];
  #sequence = 0;

  constructor(options: MemoryNetworkOptions) {
    this.options = options;
  }

  /** A node's place in the network; that of an earlier process of the node is gone. */
  join(id: PrincipalId): MemoryTransport {
    const transport = new MemoryTransport(this, id);
    this.#transports.set(id, transport);
    for (const other of this.#transports.keys()) this.disconnect(id, other);
    return transport;
  }

  at(id: PrincipalId): MemoryTransport | undefined {
    return this.#transports.get(id);
  }

  pair(a: PrincipalId, b: PrincipalId): Pair {
    const name = a < b ? `${a}/${b}` : `${b}/${a}`;
    const pair = this.#pairs.get(name) ?? { isConnected: false, isCut: false, connection: 0 };
    this.#pairs.set(name, pair);
    return pair;
  }

  /** Both ends see the connection break; it comes again unless the pair is cut. */
  disconnect(a: PrincipalId, b: PrincipalId): void {
    const pair = this.pair(a, b);
    if (pair.isConnected) {
      pair.isConnected = false;
      this.later(0n, () => this.at(a)?.handler?.onDisconnected(b));
      this.later(0n, () => this.at(b)?.handler?.onDisconnected(a));
    }
    this.later(this.options.maxDelay, () => this.connect(a, b));
  }

  /** Breaks the connection for as long as it is cut. */
  cut(a: PrincipalId, b: PrincipalId, isCut: boolean): void {
    this.pair(a, b).isCut = isCut;
    if (isCut) this.disconnect(a, b);
    else this.later(this.options.maxDelay, () => this.connect(a, b));
  }

  connect(a: PrincipalId, b: PrincipalId): void {
    const pair = this.pair(a, b);
    const wanted = this.at(a)?.wanted.has(b) === true && this.at(b)?.wanted.has(a) === true;
    if (pair.isConnected || pair.isCut || !wanted) return;
    pair.isConnected = true;
    pair.connection++;
    for (const end of [a, b]) this.at(end)?.onTheWay.clear();
    this.at(a)?.handler?.onConnected(b);
    this.at(b)?.handler?.onConnected(a);
  }

  later(delay: Time, run: () => void): void {
    this.#events.push({ at: this.now + delay, sequence: this.#sequence++, run });
  }

  delay(): Time {
    const { minDelay, maxDelay, random } = this.options;
    return minDelay + BigInt(Math.floor(random() * Number(maxDelay - minDelay + 1n)));
  }

  /** When the next thing happens. */
  nextTime(): Time | undefined {
    let next: Time | undefined;
    for (const { at } of this.#events) if (next === undefined || at < next) next = at;
    return next;
  }

  /** Lets what happens until then happen. */
  advance(to: Time): void {
    for (;;) {
      let first = -1;
      for (const [i, event] of this.#events.entries()) {
        const best = this.#events[first];
        const isEarlier =
          best === undefined || event.at < best.at || (event.at === best.at && event.sequence < best.sequence);
        if (event.at <= to && isEarlier) first = i;
      }
      const event = this.#events[first];
      if (event === undefined) break;
      this.#events.splice(first, 1);
      if (event.at > this.now) this.now = event.at;
      event.run();
    }
    if (to > this.now) this.now = to;
  }
}

export class MemoryTransport implements PeerTransport {
  handler: TransportHandler | undefined;
  wanted: ReadonlySet<PrincipalId> = new Set();
  /** Bytes by receiver. */
  readonly onTheWay = new Map<PrincipalId, number>();
  readonly #network: MemoryNetwork;
  readonly #id: PrincipalId;

  constructor(network: MemoryNetwork, id: PrincipalId) {
    this.#network = network;
    this.#id = id;
  }

  start(handler: TransportHandler): void {
    this.handler = handler;
  }

  send(peer: PrincipalId, frame: Uint8Array): boolean {
    const network = this.#network;
    const pair = network.pair(this.#id, peer);
    const before = this.onTheWay.get(peer) ?? 0;
    const { window, random, loss, repetition } = network.options;
    if (network.at(this.#id) !== this || !pair.isConnected) return false;
    if (before > 0 && before + frame.length > window) return false;
    const { connection } = pair;
    const copy = frame.slice();
    this.onTheWay.set(peer, before + copy.length);
    const isLost = random() < loss;
    network.later(network.delay(), () => {
      if (connection !== pair.connection || !pair.isConnected) return;
      this.onTheWay.set(peer, (this.onTheWay.get(peer) ?? 0) - copy.length);
      if (!isLost) network.at(peer)?.handler?.onFrame(this.#id, copy);
      this.handler?.onWritable(peer);
    });
    if (random() < repetition) {
      network.later(network.delay(), () => {
        if (connection === pair.connection && pair.isConnected) network.at(peer)?.handler?.onFrame(this.#id, copy);
      });
    }
    return true;
  }

  connected(): readonly PrincipalId[] {
    return [...this.wanted].filter((peer) => this.#network.pair(this.#id, peer).isConnected).sort();
  }

  setPeers(peers: readonly PrincipalId[]): void {
    const before = this.wanted;
    this.wanted = new Set(peers);
    for (const peer of before) if (!this.wanted.has(peer)) this.#network.disconnect(this.#id, peer);
    for (const peer of peers) this.#network.later(0n, () => this.#network.connect(this.#id, peer));
  }

  disconnect(peer: PrincipalId): void {
    this.#network.disconnect(this.#id, peer);
  }
}
