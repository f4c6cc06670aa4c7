// Frames between the nodes of a subnet over TLS: one listening socket, a pair of connections with each peer, and the
// registry's word on which key and which address a peer has. Section 21.1; DESIGN, "network between nodes".
import type { AddressInfo, Server } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  EnvironmentError,
  type LogPort,
  type NodeRecord,
  type PrincipalId,
  principalToText,
  toHex,
} from "@atoll/types";
import type { PeerTransport, TransportHandler } from "../peer-transport.ts";
import { createListener } from "./handshake.ts";
import { decodeHello } from "./hello.ts";
import { DEFAULT_TLS_LIMITS, type TlsLimits } from "./limits.ts";
import { type NodeCertificate, nodeCertificate } from "./node-certificate.ts";
import { parsePeerAddress } from "./peer-address.ts";
import { Strangers } from "./strangers.ts";
import { newChannel, TlsPeer } from "./tls-peer.ts";

export interface TlsTransportOptions {
  readonly self: PrincipalId;
  /** Ed25519 seed of this node's signing key, 32 bytes. */
  readonly seed: Uint8Array;
  /** `host`: default 127.0.0.1. `port`: 0 for any. */
  readonly listen: { readonly host?: string; readonly port: number };
  /** What the registry has of a node; read again at each `setPeers`. */
  readonly nodeRecord: (peer: PrincipalId) => Pick<NodeRecord, "signingKey" | "address"> | undefined;
  readonly log?: LogPort;
  readonly limits?: Partial<TlsLimits>;
}

export interface TlsTransport extends PeerTransport {
  /** Listens; connections are held from now on. Throws EnvironmentError when the port cannot be had. */
  start(handler: TransportHandler): Promise<void>;
  /** The port that it listens on. */
  readonly port: number;
  statistics(): TlsStatistics;
  /** Ends all connections and stops listening. */
  close(): Promise<void>;
}

export interface TlsStatistics {
  /** Connections that were refused unseen because there were too many. */
  readonly strangersRefused: number;
  /** Connections whose other side is no peer, or does not keep to the protocol. */
  readonly handshakesRefused: number;
  /** Attempts of ours that came to nothing. */
  readonly dialsFailed: number;
}

export function createTlsTransport(options: TlsTransportOptions): TlsTransport {
  return new TlsConnections(options);
}

class TlsConnections implements TlsTransport {
  readonly #options: TlsTransportOptions;
  readonly #limits: TlsLimits;
  readonly #certificate: NodeCertificate;
  readonly #strangers: Strangers;
  readonly #peers = new Map<
    PrincipalId,
    { readonly key: string; readonly address: string; readonly connection: TlsPeer }
  >();
  /** Hex of a key -> whose it is. */
  readonly #byKey = new Map<string, PrincipalId>();
  /** Sockets whose first frame has not come. */
  readonly #unknown = new Set<TLSSocket>();
  #wanted: readonly PrincipalId[] = [];
  #server: Server | undefined;
  #handler: TransportHandler | undefined;
  #ticks: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  #handshakesRefused = 0;
  #dialsFailed = 0;

  constructor(options: TlsTransportOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_TLS_LIMITS, ...options.limits };
    this.#certificate = nodeCertificate(options.seed);
    this.#strangers = new Strangers(this.#limits);
  }

  async start(handler: TransportHandler): Promise<void> {
    const { host = "127.0.0.1", port } = this.#options.listen;
    const server = createListener(this.#certificate, this.#strangers, this.#limits, {
      onSocket: (socket, key, leave) => this.#onSocket(socket, key, leave),
      onRefused: (address, why) => this.#refused(address, why),
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause: NodeJS.ErrnoException) => {
        const code = cause.code ?? "ELISTEN";
        reject(new EnvironmentError(code, `The port ${port} for other nodes cannot be opened on ${host}.`, { cause }));
      });
      server.listen(port, host, resolve);
    });
    server.on("error", (error) => this.#options.log?.log("warning", `listening for other nodes: ${error.message}`));
    this.#server = server;
    this.#handler = handler;
    this.#tickedAt = performance.now();
    this.#ticks = setInterval(() => this.#tick(), this.#limits.aliveMs / 2);
    this.setPeers(this.#wanted);
  }

  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0;
  }

  statistics(): TlsStatistics {
    return {
      strangersRefused: this.#strangers.refused,
      handshakesRefused: this.#handshakesRefused,
      dialsFailed: this.#dialsFailed,
    };
  }

  async close(): Promise<void> {
    this.setPeers([]);
    clearInterval(this.#ticks);
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of this.#unknown) socket.destroy();
    });
    this.#handler = undefined;
  }

  setPeers(peers: readonly PrincipalId[]): void {
    this.#wanted = peers.filter((peer) => peer !== this.#options.self);
    if (this.#server === undefined) return;
    const wanted = new Set(this.#wanted);
    for (const [peer, { key, address, connection }] of this.#peers) {
      const record = wanted.has(peer) ? this.#options.nodeRecord(peer) : undefined;
      if (record !== undefined && toHex(record.signingKey) === key && record.address === address) continue;
      this.#peers.delete(peer);
      connection.close("it is no peer any more");
    }
    for (const peer of wanted) {
      if (!this.#peers.has(peer)) this.#hold(peer);
    }
    this.#byKey.clear();
    for (const [peer, { key }] of this.#peers) this.#byKey.set(key, peer);
  }

  #hold(peer: PrincipalId): void {
    const record = this.#options.nodeRecord(peer);
    if (record === undefined) return;
    const key = toHex(record.signingKey);
    const dials = this.#options.self < peer;
    const dialAt = dials ? parsePeerAddress(record.address) : undefined;
    if (dials && dialAt === undefined) {
      this.#options.log?.log("warning", "the registry has no usable address of a node", {
        node: principalToText(peer),
      });
      return;
    }
    const node = principalToText(peer);
    const connection = new TlsPeer(
      { certificate: this.#certificate, limits: this.#limits, key, dialAt },
      {
        onConnected: () => {
          this.#options.log?.log("info", "connected with a node", { node });
          this.#handler?.onConnected(peer);
        },
        onDisconnected: (why) => {
          this.#options.log?.log("info", "disconnected from a node", { node, why });
          this.#handler?.onDisconnected(peer);
        },
        onFrame: (frame) => this.#handler?.onFrame(peer, frame),
        onWritable: () => this.#handler?.onWritable(peer),
        onFailed: (why) => {
          this.#dialsFailed++;
          this.#options.log?.log("debug", "no connection with a node", { node, why });
        },
      },
    );
    this.#peers.set(peer, { key, address: record.address, connection });
  }

  /** Somebody has shown to have a key: one of a peer's, or it is refused before anything of it is read. */
  #onSocket(socket: TLSSocket, key: string, leave: () => void): void {
    const address = socket.remoteAddress ?? "";
    const peer = this.#byKey.get(key);
    if (peer === undefined) {
      socket.on("error", () => undefined);
      socket.destroy();
      this.#refused(address, "it is no peer");
      return;
    }
    this.#unknown.add(socket);
    socket.once("close", () => this.#unknown.delete(socket));
    const channel = newChannel(socket, undefined, this.#limits);
    const timer = setTimeout(() => channel.close("it does not say what it wants"), this.#limits.handshakeMs);
    channel.handler = {
      onFrame: (frame) => {
        clearTimeout(timer);
        leave();
        this.#unknown.delete(socket);
        const hello = decodeHello(frame);
        const connection = this.#peers.get(peer)?.connection;
        if (hello !== undefined && connection !== undefined && this.#byKey.get(key) === peer) {
          connection.accept(channel, hello);
          return;
        }
        channel.close("it does not keep to the protocol");
        this.#refused(address, "it does not keep to the protocol");
      },
      onWritable: () => undefined,
      onClose: () => clearTimeout(timer),
    };
  }

  #refused(address: string, why: string): void {
    this.#handshakesRefused++;
    this.#options.log?.log("debug", "refused a connection", { address, why });
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#tickedAt > this.#limits.deadMs / 2;
    this.#tickedAt = now;
    for (const { connection } of this.#peers.values()) {
      if (late) connection.forgive(now);
      connection.tick(now);
    }
  }

  send(peer: PrincipalId, frame: Uint8Array): boolean {
    return this.#peers.get(peer)?.connection.send(frame) === true;
  }

  connected(): readonly PrincipalId[] {
    return [...this.#peers]
      .filter(([, { connection }]) => connection.isConnected)
      .map(([peer]) => peer)
      .sort();
  }

  disconnect(peer: PrincipalId): void {
    this.#peers.get(peer)?.connection.ban();
  }
}
