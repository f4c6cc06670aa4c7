// Nodes with TLS transports on loopback in one process: what the tests of the transport run.
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import type { NodeRecord, PrincipalId } from "@atoll/types";
import type { TransportHandler } from "../src/peer-transport.ts";
import type { TlsLimits } from "../src/transport/limits.ts";
import { nodeCertificate } from "../src/transport/node-certificate.ts";
import { createTlsTransport, type TlsTransport } from "../src/transport/tls-transport.ts";

export interface TlsNode {
  readonly id: PrincipalId;
  readonly seed: Uint8Array;
  readonly transport: TlsTransport;
  readonly connected: Set<PrincipalId>;
  readonly frames: { readonly from: PrincipalId; readonly frame: Uint8Array }[];
  disconnections: number;
}

export type Registry = Map<PrincipalId, Pick<NodeRecord, "signingKey" | "address">>;

export function newSeed(): Uint8Array {
  const { d } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  return new Uint8Array(Buffer.from(d as string, "base64url"));
}

/** Short, so that tests of dead connections do not take long. */
const LIMITS: Partial<TlsLimits> = { minPauseMs: 20, maxPauseMs: 200, banMs: 300 };

/** Starts a node and tells the registry. Peers are set with `setPeers`. */
export async function startNode(
  registry: Registry,
  id: PrincipalId,
  {
    seed = newSeed(),
    limits = {},
    handler = {},
    port = 0,
  }: {
    readonly seed?: Uint8Array;
    readonly limits?: Partial<TlsLimits>;
    readonly handler?: Partial<TransportHandler>;
    readonly port?: number;
  } = {},
): Promise<TlsNode> {
  const transport = createTlsTransport({
    self: id,
    seed,
    listen: { port },
    nodeRecord: (peer) => registry.get(peer),
    limits: { ...LIMITS, ...limits },
  });
  const node: TlsNode = { id, seed, transport, connected: new Set(), frames: [], disconnections: 0 };
  await transport.start({
    onConnected(peer) {
      node.connected.add(peer);
      handler.onConnected?.(peer);
    },
    onDisconnected(peer) {
      node.connected.delete(peer);
      node.disconnections++;
      handler.onDisconnected?.(peer);
    },
    onFrame(peer, frame) {
      if (handler.onFrame === undefined) node.frames.push({ from: peer, frame });
      else handler.onFrame(peer, frame);
    },
    onWritable: (peer) => handler.onWritable?.(peer),
  });
  registry.set(id, { signingKey: nodeCertificate(seed).publicKey, address: `127.0.0.1:${transport.port}` });
  return node;
}

/** Waits, as long as it takes, until it is so. The test's own time limit ends it if it never is. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await once(AbortSignal.timeout(5), "abort");
}
