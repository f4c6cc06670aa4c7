// Gossip and the transport joined as a node joins them: broadcast and questions over TLS on loopback.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { type PeerHandler, type PrincipalId, principalFromBytes } from "@atoll/types";
import { Gossip } from "../src/gossip.ts";
import { nodeCertificate } from "../src/transport/node-certificate.ts";
import { createTlsTransport, type TlsTransport } from "../src/transport/tls-transport.ts";
import { artifact, idOf } from "./gossip-network.ts";
import { newSeed, type Registry, until } from "./tls-network.ts";
import { createWire } from "./tls-proxy.ts";

interface Node {
  readonly id: PrincipalId;
  readonly gossip: Gossip;
  readonly transport: TlsTransport;
  readonly taken: Map<string, Uint8Array>;
  readonly stop: () => Promise<void>;
}

async function startNode(registry: Registry, index: number, serve: PeerHandler["serve"]): Promise<Node> {
  const id = principalFromBytes(Uint8Array.of(index + 1, 2));
  const seed = newSeed();
  const limits = { minPauseMs: 20, maxPauseMs: 200 };
  const transport = createTlsTransport({
    self: id,
    seed,
    listen: { port: 0 },
    nodeRecord: (peer) => registry.get(peer),
    limits,
  });
  const entropy = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) };
  const gossip = new Gossip({ self: id }, { transport, entropy, now: () => process.hrtime.bigint() });
  const taken = new Map<string, Uint8Array>();
  const stopDriving = drive(gossip);
  gossip.start({
    idOf,
    serve,
    wants: (each) => !taken.has(each),
    receive(_peer, each, bytes) {
      taken.set(each, bytes);
      return "taken";
    },
  });
  await transport.start(gossip);
  registry.set(id, { signingKey: nodeCertificate(seed).publicKey, address: `127.0.0.1:${transport.port}` });
  const stop = async () => {
    gossip.stop();
    stopDriving();
    await transport.close();
  };
  return { id, gossip, transport, taken, stop };
}

/** A step when there is work, and when the last one said. */
function drive(gossip: Gossip): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const step = () => {
    clearTimeout(timer);
    if (isStopped) return;
    const next = gossip.step();
    const wait = Number(next - process.hrtime.bigint()) / 1e6;
    timer = setTimeout(step, Math.max(1, Math.ceil(wait)));
  };
  gossip.onWork = () => setImmediate(step);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

async function startNetwork(count: number, serve: PeerHandler["serve"] = () => undefined): Promise<[Node[], Registry]> {
  const registry: Registry = new Map();
  const nodes: Node[] = [];
  for (let i = 0; i < count; i++) nodes.push(await startNode(registry, i, serve));
  for (const { gossip } of nodes) gossip.setPeers([...registry.keys()]);
  return [nodes, registry];
}

test("thirteen nodes reach each other with artifacts of all sizes", async () => {
  const [nodes] = await startNetwork(13);
  await until(() => nodes.every(({ gossip }) => gossip.peers().length === 12));
  const ids: string[] = [];
  for (const [i, { gossip }] of nodes.entries()) {
    for (const size of [100, 1024, 1025, 100_000 + i]) {
      const bytes = artifact(size, 100 * i + (size & 63));
      ids.push(idOf(bytes));
      gossip.publish(idOf(bytes), bytes);
    }
  }
  const others = ids.length - 4;
  await until(() => nodes.every(({ taken }) => taken.size === others));
  for (const { gossip } of nodes) {
    for (const peer of gossip.statistics().values()) assert.equal(peer.invalidArtifacts + peer.brokenRules, 0);
  }
  for (const node of nodes) await node.stop();
});

test("answers of 8 MiB come whole, several at once, while shares pass them by", async () => {
  const answers = Array.from({ length: 4 }, (_, i) => artifact(8 * 1024 * 1024, i + 1));
  const [nodes] = await startNetwork(2, (_peer, question) => answers[question[0] as number]);
  const [a, b] = nodes as [Node, Node];
  await until(() => a.gossip.peers().length === 1 && b.gossip.peers().length === 1);
  const asked = answers.map((_, i) => a.gossip.request(b.id, Uint8Array.of(i)));
  const share = artifact(200, 1);
  b.gossip.publish(idOf(share), share);
  await until(() => a.taken.has(idOf(share)));
  for (const [i, each] of asked.entries()) assert.ok(Buffer.from(await each).equals(answers[i] as Uint8Array));
  for (const node of nodes) await node.stop();
});

test("what was published while the connection was broken arrives when it is back", async () => {
  const [nodes, registry] = await startNetwork(2);
  const [a, b] = nodes as [Node, Node];
  const wire = await createWire(b.transport.port);
  const record = registry.get(b.id);
  assert.ok(record !== undefined);
  registry.set(b.id, { ...record, address: `127.0.0.1:${wire.port}` });
  a.gossip.setPeers([b.id]);
  for (let round = 0; round < 5; round++) {
    await until(
      () => wire.connections >= 2 * (round + 1) && a.gossip.peers().length === 1 && b.gossip.peers().length === 1,
    );
    for (const size of [100, 300_000]) a.gossip.publish(idOf(artifact(size, round)), artifact(size, round));
    wire.cut();
    await until(() => b.taken.size === 2 * (round + 1));
  }
  for (const node of nodes) await node.stop();
  await wire.close();
});
