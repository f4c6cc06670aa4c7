// The transport between nodes over real sockets on loopback: who gets in, what breaks, what comes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PrincipalId } from "@atoll/types";
import { type Registry, startNode, until } from "./tls-network.ts";

const A = "01" as PrincipalId;
const B = "02" as PrincipalId;

test("two nodes of the registry connect, and frames of any size go both ways", async () => {
  const registry: Registry = new Map();
  const a = await startNode(registry, A);
  const b = await startNode(registry, B);
  a.transport.setPeers([B]);
  b.transport.setPeers([A]);
  await until(() => a.connected.has(B) && b.connected.has(A));
  for (const size of [1, 100, 5000, 70_000, 260_000]) {
    assert.ok(a.transport.send(B, new Uint8Array(size).fill(size & 255)));
    assert.ok(b.transport.send(A, new Uint8Array(size).fill(size & 255)));
  }
  for (const node of [a, b]) {
    await until(() => node.frames.length === 5);
    for (const { frame } of node.frames) assert.ok(frame.every((byte) => byte === (frame.length & 255)));
  }
  await a.transport.close();
  await until(() => b.connected.size === 0);
  await b.transport.close();
});
