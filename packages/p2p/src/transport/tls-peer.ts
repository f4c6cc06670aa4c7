// One node to hold a pair of connections with: dials it again and again when its id is higher than ours, else takes in the
// connections that it dials. A newer pair takes the place of an older one, which the peer must have given up.
// Section 21.1.
import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { MAX_FRAME_BYTES } from "../limits.ts";
import { Channel } from "./channel.ts";
import { dial } from "./handshake.ts";
import { decodeHello, encodeHello, HELLO_BYTES, type Hello, LANES, type Lane, TOKEN_BYTES } from "./hello.ts";
import type { TlsLimits } from "./limits.ts";
import type { NodeCertificate } from "./node-certificate.ts";
import type { PeerAddress } from "./peer-address.ts";
import { PeerPair } from "./peer-pair.ts";

export interface TlsPeerOptions {
  readonly certificate: NodeCertificate;
  readonly limits: TlsLimits;
  /** Hex of the key that the registry has for it. */
  readonly key: string;
  /** Undefined: it dials us. */
  readonly dialAt: PeerAddress | undefined;
}

export interface TlsPeerHandler {
  onConnected(): void;
  onDisconnected(why: string): void;
  onFrame(frame: Uint8Array): void;
  onWritable(): void;
  /** An attempt came to nothing. */
  onFailed(why: string): void;
}

interface Forming {
  readonly token: string;
  readonly lanes: Map<Lane, Channel>;
  readonly sockets: Set<TLSSocket>;
  readonly timer: NodeJS.Timeout;
}

export class TlsPeer {
  readonly #options: TlsPeerOptions;
  readonly #handler: TlsPeerHandler;
  #pair: PeerPair | undefined;
  #forming: Forming | undefined;
  #attempts = 0;
  #redial: NodeJS.Timeout | undefined;
  #bannedUntil = 0;
  #isClosed = false;

  constructor(options: TlsPeerOptions, handler: TlsPeerHandler) {
    this.#options = options;
    this.#handler = handler;
    if (options.dialAt !== undefined) this.#dialAfter(0);
  }

  get isConnected(): boolean {
    return this.#pair !== undefined;
  }

  send(frame: Uint8Array): boolean {
    return this.#pair?.send(frame) === true;
  }

  tick(now: number): void {
    this.#pair?.tick(now, this.#options.limits);
  }

  forgive(now: number): void {
    this.#pair?.forgive(now);
  }

  /** It broke the rules. */
  ban(): void {
    this.#bannedUntil = performance.now() + this.#options.limits.banMs;
    this.#abandon("it broke the rules");
    this.#pair?.close("it broke the rules");
  }

  /** It is no peer any more. `onDisconnected` still follows when it was connected. */
  close(why: string): void {
    this.#isClosed = true;
    clearTimeout(this.#redial);
    this.#abandon(why);
    this.#pair?.close(why);
  }

  #dialAfter(milliseconds: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#redial);
    this.#redial = setTimeout(() => this.#dial(), milliseconds);
  }

  #dial(): void {
    const { certificate, dialAt, key } = this.#options;
    if (this.#isClosed || this.#pair !== undefined || dialAt === undefined) return;
    const forming = this.#form(randomBytes(TOKEN_BYTES).toString("hex"));
    for (const lane of LANES) {
      const socket = dial(certificate, dialAt, key, (outcome) => {
        if (this.#forming !== forming) socket.destroy();
        else if (typeof outcome === "string") this.#failed(outcome);
        else this.#greet(forming, { lane, token: forming.token }, outcome);
      });
      forming.sockets.add(socket);
    }
  }

  /** The one that was dialled is the right one: it is told what the connection is for, and has to repeat it. */
  #greet(forming: Forming, hello: Hello, socket: TLSSocket): void {
    const channel = newChannel(socket, hello.lane, this.#options.limits);
    channel.handler = {
      onFrame: (frame) => {
        const echo = decodeHello(frame);
        if (this.#forming !== forming || echo?.lane !== hello.lane || echo.token !== hello.token) {
          channel.close("it does not keep to the protocol");
          return;
        }
        this.#joined(forming, hello.lane, channel);
      },
      onWritable: () => undefined,
      onClose: (why) => this.#forming === forming && this.#failed(why),
    };
    channel.send(encodeHello(hello));
  }

  /** A connection that the peer has dialled, and what it is for. */
  accept(channel: Channel, hello: Hello): void {
    if (this.#isClosed || this.#options.dialAt !== undefined || performance.now() < this.#bannedUntil) {
      channel.close("it is not expected");
      return;
    }
    if (this.#forming?.token !== hello.token) this.#abandon("a newer pair takes its place");
    const forming = this.#forming ?? this.#form(hello.token);
    if (forming.lanes.has(hello.lane)) {
      channel.close("there is one already");
      return;
    }
    channel.handler = {
      onFrame: () => channel.close("it does not keep to the protocol"),
      onWritable: () => undefined,
      onClose: (why) => this.#forming === forming && this.#failed(why),
    };
    this.#joined(forming, hello.lane, channel);
  }

  #form(token: string): Forming {
    const timer = setTimeout(() => this.#failed("the handshake takes too long"), this.#options.limits.handshakeMs);
    this.#forming = { token, lanes: new Map(), sockets: new Set(), timer };
    return this.#forming;
  }

  #joined(forming: Forming, lane: Lane, channel: Channel): void {
    channel.hold();
    forming.lanes.set(lane, channel);
    const control = forming.lanes.get("control");
    const bulk = forming.lanes.get("bulk");
    if (control === undefined || bulk === undefined) return;
    clearTimeout(forming.timer);
    this.#forming = undefined;
    const older = this.#pair;
    if (older !== undefined) {
      this.#pair = undefined;
      older.close("a newer pair takes its place");
      this.#handler.onDisconnected("a newer pair takes its place");
    }
    this.#begin({ control, bulk }, forming.token);
  }

  #begin(lanes: Readonly<Record<Lane, Channel>>, token: string): void {
    const pair = new PeerPair(lanes, {
      onFrame: (frame) => this.#handler.onFrame(frame),
      onWritable: () => this.#handler.onWritable(),
      onClose: (why) => {
        if (this.#pair === pair) this.#ended(why);
      },
    });
    this.#pair = pair;
    this.#attempts = 0;
    for (const lane of LANES) {
      lanes[lane].maxFrameBytes = MAX_FRAME_BYTES;
      if (this.#options.dialAt === undefined) lanes[lane].send(encodeHello({ lane, token }));
    }
    this.#handler.onConnected();
    pair.release();
  }

  #ended(why: string): void {
    this.#pair = undefined;
    this.#handler.onDisconnected(why);
    this.#again();
  }

  #failed(why: string): void {
    this.#abandon(why);
    this.#handler.onFailed(why);
    this.#again();
  }

  #again(): void {
    const { minPauseMs, maxPauseMs } = this.#options.limits;
    const pause = Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(this.#attempts++, 20));
    const banned = Math.max(0, this.#bannedUntil - performance.now());
    if (this.#options.dialAt !== undefined) this.#dialAfter(banned + pause * (1 - Math.random() / 2));
  }

  #abandon(why: string): void {
    const forming = this.#forming;
    if (forming === undefined) return;
    this.#forming = undefined;
    clearTimeout(forming.timer);
    for (const channel of forming.lanes.values()) channel.close(why);
    for (const socket of forming.sockets) socket.destroy();
  }
}

/** A channel on which no more than a hello is taken. */
export function newChannel(socket: TLSSocket, lane: Lane | undefined, limits: TlsLimits): Channel {
  return new Channel(socket, HELLO_BYTES, lane === "control" ? limits.controlBuffer : limits.bulkBuffer);
}
