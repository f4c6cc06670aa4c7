// One of the two nodes of the p2p benchmark: gossip over TLS on loopback, driven as a node drives it.
import { hash, randomBytes } from "node:crypto";
import { Gossip } from "@atoll/p2p";
import { createTlsTransport } from "@atoll/p2p/transport";
import { fromHex, type PeerHandler, type PrincipalId } from "@atoll/types";

/** The parent dials: its id is the lower one. */
export const PARENT = "01" as PrincipalId;
export const CHILD = "02" as PrincipalId;
export const ARTIFACT_BYTES = 300;
export const GROUP = 20;
export const ANSWER_BYTES: number = 8 * 1024 * 1024;

/** What the parent says of itself, and what is said back. */
export interface Introduction {
  readonly key: string;
  readonly port: number;
  readonly tcpPort: number;
}

export interface BenchNode {
  readonly gossip: Gossip;
  readonly port: number;
  /** The other node's key, in hex, and where it is. */
  meet(peer: PrincipalId, key: string, port: number): void;
  close(): Promise<void>;
}

const idOf = (artifact: Uint8Array) => hash("sha256", artifact, "hex");

export async function startBenchNode(
  self: PrincipalId,
  seed: Uint8Array,
  handler: Pick<PeerHandler, "receive" | "serve">,
): Promise<BenchNode> {
  const peers = new Map<PrincipalId, { signingKey: Uint8Array; address: string }>();
  const transport = createTlsTransport({ self, seed, listen: { port: 0 }, nodeRecord: (peer) => peers.get(peer) });
  const entropy = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const gossip = new Gossip({ self }, { transport, entropy, now: () => process.hrtime.bigint() });
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const step = () => {
    clearTimeout(timer);
    if (isClosed) return;
    const wait = Number(gossip.step() - process.hrtime.bigint()) / 1e6;
    timer = setTimeout(step, Math.max(1, Math.ceil(wait)));
  };
  gossip.onWork = () => setImmediate(step);
  gossip.start({ ...handler, idOf, wants: () => true });
  await transport.start(gossip);
  return {
    gossip,
    port: transport.port,
    meet(peer, key, port) {
      peers.set(peer, { signingKey: fromHex(key), address: `127.0.0.1:${port}` });
      gossip.setPeers([peer]);
    },
    async close() {
      gossip.stop();
      isClosed = true;
      clearTimeout(timer);
      await transport.close();
    },
  };
}

/** Publishes the next group of artifacts in place of the last one. */
export class Publisher {
  readonly #gossip: Gossip;
  #last: string[] = [];
  readonly #mark: number;
  #round = 0;

  /** `mark`: another one for each node, since what a peer has itself is not sent to it. */
  constructor(gossip: Gossip, mark: number) {
    this.#gossip = gossip;
    this.#mark = mark;
  }

  next(): void {
    for (const id of this.#last) this.#gossip.retract(id);
    this.#round++;
    this.#last = [];
    for (let i = 0; i < GROUP; i++) {
      const artifact = new Uint8Array(ARTIFACT_BYTES).fill(i);
      new DataView(artifact.buffer).setUint32(0, this.#round);
      artifact[4] = this.#mark;
      const id = idOf(artifact);
      this.#last.push(id);
      this.#gossip.publish(id, artifact);
    }
  }
}
