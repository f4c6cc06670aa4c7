// The transport between nodes over real sockets on loopback: who gets in, what breaks, what comes back (consensus and
// chain-key facts, section 21.1). Every wait ends with what it waits for, however slow the machine is.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { PrincipalId } from "@atoll/types";
import { nodeCertificate } from "../src/transport/node-certificate.ts";
import { newSeed, type Registry, startNode, type TlsNode, until } from "./tls-network.ts";
import { createWire } from "./tls-proxy.ts";

const A = "01" as PrincipalId;
const B = "02" as PrincipalId;
const C = "03" as PrincipalId;

async function connectedPair(registry: Registry, options = {}): Promise<[TlsNode, TlsNode]> {
  const a = await startNode(registry, A, options);
  const b = await startNode(registry, B, options);
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && b.connected.has(A));
  return [a, b];
}

async function closeAll(...nodes: readonly TlsNode[]): Promise<void> {
  for (const { transport } of nodes) await transport.close();
}

/** A TLS client of the test's own: it shows this certificate, or none. */
function rawClient(port: number, seed: Uint8Array | undefined, options = {}): TLSSocket {
  const shown = seed && nodeCertificate(seed);
  const certificate = shown === undefined ? {} : { key: shown.key, cert: shown.certificate };
  const socket = connectTls({
    port,
    rejectUnauthorized: false,
    ALPNProtocols: ["atoll/1"],
    ...certificate,
    ...options,
  });
  socket.on("error", () => undefined);
  socket.on("data", () => undefined);
  return socket;
}

test("a node's certificate is signed by its own key, and the same each time", () => {
  const seed = newSeed();
  const { certificate, publicKey } = nodeCertificate(seed);
  const x509 = new X509Certificate(certificate);
  assert.equal(x509.publicKey.asymmetricKeyType, "ed25519");
  assert.ok(x509.verify(x509.publicKey));
  assert.ok(x509.checkIssued(x509));
  assert.equal(x509.validToDate.getUTCFullYear(), 9999);
  assert.deepEqual(x509.publicKey.export({ format: "jwk" }).x, Buffer.from(publicKey).toString("base64url"));
  assert.equal(nodeCertificate(seed).certificate, certificate);
});

test("two nodes of the registry connect, and frames of any size go both ways", async () => {
  const [a, b] = await connectedPair(new Map());
  const sizes = [1, 100, 5000, 70_000, 260_000];
  for (const size of sizes) {
    assert.ok(a.transport.send(B, new Uint8Array(size).fill(size & 255)));
    assert.ok(b.transport.send(A, new Uint8Array(size).fill(size & 255)));
  }
  for (const node of [a, b]) {
    await until(() => node.frames.length === sizes.length);
    for (const { frame } of node.frames) assert.ok(frame.every((byte) => byte === (frame.length & 255)));
  }
  assert.deepEqual(a.transport.connected(), [B]);
  await a.transport.close();
  await until(() => b.connected.size === 0);
  await closeAll(b);
});

test("a node whose key is not in the registry does not get in, whichever side dials", async () => {
  for (const [honest, stranger] of [
    [A, B],
    [B, A],
  ] as const) {
    const registry: Registry = new Map();
    const node = await startNode(registry, honest);
    const other = await startNode(registry, stranger);
    // The registry has another key for it than it has.
    const address = registry.get(stranger)?.address ?? "";
    registry.set(stranger, { signingKey: nodeCertificate(newSeed()).publicKey, address });
    node.transport.setPeers([stranger]);
    other.transport.setPeers([honest]);
    const failures = () => node.transport.statistics().handshakesRefused + node.transport.statistics().dialsFailed;
    await until(() => failures() >= 3);
    assert.equal(node.connected.size + other.connected.size, 0);
    await closeAll(node, other);
  }
});

test("a node of the registry cannot stand in for another", async () => {
  const registry: Registry = new Map();
  const a = await startNode(registry, A);
  const c = await startNode(registry, C);
  // Where B should be, C answers: with its own key, which A knows.
  registry.set(B, { signingKey: nodeCertificate(newSeed()).publicKey, address: `127.0.0.1:${c.transport.port}` });
  c.transport.setPeers([A]);
  a.transport.setPeers([B, C]);
  await until(() => a.connected.has(C) && a.transport.statistics().dialsFailed >= 3);
  assert.deepEqual([...a.connected], [C]);
  await closeAll(a, c);
});

test("whoever shows no key, another protocol or an older TLS gets nothing, and says nothing that is read", async () => {
  const registry: Registry = new Map();
  const a = await startNode(registry, A);
  const b = await startNode(registry, B, {
    handler: { onFrame: () => assert.fail("a stranger's frame came through") },
  });
  b.transport.setPeers([A]);
  const port = b.transport.port;
  const hello = Uint8Array.of(0, 0, 0, 17, 0, ...new Uint8Array(16));
  const clients = [
    rawClient(port, undefined),
    rawClient(port, newSeed()),
    rawClient(port, a.seed, { ALPNProtocols: ["other"] }),
    rawClient(port, a.seed, { ALPNProtocols: undefined }),
    rawClient(port, a.seed, { maxVersion: "TLSv1.2" }),
  ];
  for (const client of clients) client.on("secureConnect", () => client.write(hello));
  await until(() => clients.every((client) => client.destroyed));
  await until(() => b.transport.statistics().handshakesRefused >= clients.length);
  assert.equal(b.connected.size, 0);
  await closeAll(a, b);
});

test("what is no TLS, and what says nothing at all, is cut off", async () => {
  const registry: Registry = new Map();
  const b = await startNode(registry, B, { limits: { handshakeMs: 300 } });
  const garbage = connectTcp(b.transport.port, "127.0.0.1", () => garbage.write("GET / HTTP/1.1\r\n\r\n"));
  const silent = connectTcp(b.transport.port, "127.0.0.1");
  const halfway = connectTcp(b.transport.port, "127.0.0.1", () => halfway.write(Uint8Array.of(22, 3, 1, 2, 0, 1)));
  const sockets = [garbage, silent, halfway];
  for (const socket of sockets) socket.on("error", () => undefined).resume();
  await until(() => sockets.every((socket) => socket.destroyed));
  await closeAll(b);
});

test("a peer that does not say what its connection is for, or says nonsense, is cut off", async () => {
  const registry: Registry = new Map();
  const b = await startNode(registry, B, { limits: { handshakeMs: 300 } });
  const seed = newSeed();
  registry.set(A, { signingKey: nodeCertificate(seed).publicKey, address: "127.0.0.1:1" });
  b.transport.setPeers([A]);
  const first: readonly (Uint8Array | undefined)[] = [
    undefined,
    Uint8Array.of(0, 0, 0, 17, 2, ...new Uint8Array(16)),
    Uint8Array.of(0, 0, 0, 16, 0, ...new Uint8Array(15)),
    Uint8Array.of(0x7f, 0xff, 0xff, 0xff),
    Uint8Array.of(0, 0, 0, 18, ...new Uint8Array(18)),
    // One of a pair only.
    Uint8Array.of(0, 0, 0, 17, 0, ...new Uint8Array(16)),
  ];
  const clients = first.map((bytes) => {
    const client = rawClient(b.transport.port, seed);
    client.on("secureConnect", () => bytes && client.write(bytes));
    return client;
  });
  await until(() => clients.every((client) => client.destroyed));
  assert.equal(b.connected.size, 0);
  await closeAll(b);
});

test("a peer that announces a frame above the bound is disconnected before the frame is kept", async () => {
  const registry: Registry = new Map();
  const b = await startNode(registry, B);
  const seed = newSeed();
  registry.set(A, { signingKey: nodeCertificate(seed).publicKey, address: "127.0.0.1:1" });
  b.transport.setPeers([A]);
  const lanes = [0, 1].map((lane) => {
    const client = rawClient(b.transport.port, seed);
    client.on("secureConnect", () => client.write(Uint8Array.of(0, 0, 0, 17, lane, ...new Uint8Array(16))));
    return client;
  });
  await until(() => b.connected.has(A));
  lanes[0]?.write(Uint8Array.of(0x00, 0x40, 0x00, 0x00));
  await until(() => b.connected.size === 0 && lanes.every((client) => client.destroyed));
  await closeAll(b);
});

test("strangers are so many at a time, and peers get in when they have gone", async () => {
  const registry: Registry = new Map();
  const b = await startNode(registry, B, { limits: { handshakeMs: 500, strangersPerAddress: 5 } });
  const sockets = Array.from({ length: 50 }, () => connectTcp(b.transport.port, "127.0.0.1"));
  for (const socket of sockets) socket.on("error", () => undefined).resume();
  await until(() => sockets.filter((socket) => socket.destroyed).length >= 45);
  assert.ok(b.transport.statistics().strangersRefused >= 45);
  const a = await startNode(registry, A);
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && sockets.every((socket) => socket.destroyed));
  await closeAll(a, b);
});

test("a connection that breaks comes back by itself", async () => {
  const registry: Registry = new Map();
  const a = await startNode(registry, A);
  const b = await startNode(registry, B);
  const wire = await createWire(b.transport.port);
  registry.set(B, { signingKey: nodeCertificate(b.seed).publicKey, address: `127.0.0.1:${wire.port}` });
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  for (let i = 1; i <= 3; i++) {
    await until(() => a.connected.has(B) && b.connected.has(A));
    wire.cut();
    await until(() => a.disconnections === i && b.disconnections === i);
  }
  await until(() => a.connected.has(B) && b.connected.has(A));
  assert.ok(a.transport.send(B, Uint8Array.of(1)));
  await until(() => b.frames.length === 1);
  await closeAll(a, b);
  await wire.close();
});

test("a peer that is not heard of any more is given up by both sides, and found again", async () => {
  const registry: Registry = new Map();
  const limits = { aliveMs: 50, deadMs: 1000 };
  const a = await startNode(registry, A, { limits });
  const b = await startNode(registry, B, { limits });
  const wire = await createWire(b.transport.port);
  registry.set(B, { signingKey: nodeCertificate(b.seed).publicKey, address: `127.0.0.1:${wire.port}` });
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && b.connected.has(A));
  wire.stall(true);
  await until(() => a.disconnections === 1 && b.disconnections === 1);
  wire.cut();
  wire.stall(false);
  await until(() => a.connected.has(B) && b.connected.has(A));
  await closeAll(a, b);
  await wire.close();
});

test("to a peer that does not read no more than the bound is kept, and the rest goes when it reads again", async () => {
  const registry: Registry = new Map();
  let writable = 0;
  const limits = { deadMs: 600_000, controlBuffer: 100_000 };
  const a = await startNode(registry, A, { limits, handler: { onWritable: () => writable++ } });
  const b = await startNode(registry, B, { limits });
  const wire = await createWire(b.transport.port);
  registry.set(B, { signingKey: nodeCertificate(b.seed).publicKey, address: `127.0.0.1:${wire.port}` });
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && b.connected.has(A));
  wire.stall(true);
  const frame = new Uint8Array(10_000);
  let sent = 0;
  let refusals = 0;
  // What the system's own buffers take is not ours to bound; it ends somewhere.
  while (refusals < 20) {
    if (a.transport.send(B, frame)) {
      sent++;
      refusals = 0;
    } else {
      refusals++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(sent < 20_000, "at some point it is refused");
  }
  const before = writable;
  wire.stall(false);
  await until(() => b.frames.length === sent && writable > before);
  assert.ok(a.transport.send(B, frame));
  await closeAll(a, b);
  await wire.close();
});

test("a peer that does not read for long is disconnected", async () => {
  const registry: Registry = new Map();
  const limits = { deadMs: 600_000, stuckMs: 100, aliveMs: 20, controlBuffer: 100_000 };
  const a = await startNode(registry, A, { limits });
  const b = await startNode(registry, B, { limits });
  const wire = await createWire(b.transport.port);
  registry.set(B, { signingKey: nodeCertificate(b.seed).publicKey, address: `127.0.0.1:${wire.port}` });
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && b.connected.has(A));
  wire.stall(true);
  await until(() => {
    for (let i = 0; i < 100; i++) a.transport.send(B, new Uint8Array(10_000));
    return a.disconnections > 0;
  });
  await closeAll(a, b);
  await wire.close();
});

test("a key that changes in the registry shuts out the old one and lets in the new one", async () => {
  const registry: Registry = new Map();
  const [a, b] = await connectedPair(registry);
  const c = await startNode(new Map(), B, { seed: newSeed() });
  registry.set(B, { signingKey: nodeCertificate(c.seed).publicKey, address: `127.0.0.1:${c.transport.port}` });
  a.transport.setPeers([B]);
  await until(() => b.connected.size === 0 && a.disconnections === 1);
  await closeAll(b);
  // The node that took its place reads the same registry.
  const d = await startNode(registry, B, { seed: c.seed });
  await closeAll(c);
  a.transport.setPeers([B]);
  d.transport.setPeers([A]);
  await until(() => a.connected.has(B) && d.connected.has(A));
  await closeAll(a, d);
});

test("a node that is no peer any more is disconnected, and nothing of it is read", async () => {
  const [a, b] = await connectedPair(new Map());
  a.transport.setPeers([]);
  b.transport.send(A, Uint8Array.of(1));
  await until(() => a.connected.size === 0 && b.connected.size === 0);
  assert.equal(a.frames.length, 0);
  assert.equal(a.transport.send(B, Uint8Array.of(1)), false);
  await closeAll(a, b);
});

test("a peer that is disconnected for breaking the rules stays away for a while", async () => {
  const [a, b] = await connectedPair(new Map(), { limits: { banMs: 700 } });
  for (const [node, peer] of [
    [a, B],
    [b, A],
  ] as const) {
    const since = performance.now();
    node.transport.disconnect(peer);
    await until(() => !node.connected.has(peer));
    await until(() => a.connected.has(B) && b.connected.has(A));
    assert.ok(performance.now() - since >= 690);
  }
  await closeAll(a, b);
});

test("an address in use is said in one sentence", async () => {
  const registry: Registry = new Map();
  const a = await startNode(registry, A);
  const port = a.transport.port;
  await assert.rejects(startNode(registry, B, { port }), { name: "EnvironmentError", code: "EADDRINUSE" });
  await closeAll(a);
});
