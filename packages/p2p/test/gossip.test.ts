// Abortable broadcast, fetching, and questions (consensus and chain-key facts, section 21) in a network in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { artifact, CALM, GossipNetwork, idOf, MS, SECOND } from "./gossip-network.ts";

function calmNetwork(count: number): GossipNetwork {
  const net = new GossipNetwork(1, CALM);
  for (let i = 0; i < count; i++) net.start(i);
  net.connectAll();
  net.run(10n * MS);
  return net;
}

test("a small artifact reaches every peer in one way", () => {
  const net = calmNetwork(4);
  const small = artifact(100, 7);
  net.node(0).gossip.publish(idOf(small), small);
  net.run(1n * MS);
  for (const { taken } of net.nodes.slice(1)) assert.deepEqual(taken.get(idOf(small)), small);
});

test("a large artifact is offered by its id and fetched", () => {
  const net = calmNetwork(4);
  const large = artifact(5_000_000, 7);
  net.node(0).gossip.publish(idOf(large), large);
  net.run(200n * MS);
  for (const { taken } of net.nodes.slice(1)) assert.deepEqual(taken.get(idOf(large)), large);
});

test("a question is answered, an answer of 8 MiB included", async () => {
  const net = calmNetwork(2);
  const answer = artifact(8 * 1024 * 1024, 9);
  net.node(1).serve = (peer, question) => (peer === net.node(0).id && question[0] === 5 ? answer : undefined);
  const asked = net.node(0).gossip.request(net.node(1).id, Uint8Array.of(5));
  net.run(1n * SECOND);
  assert.deepEqual(await asked, answer);
  const refused = net.node(0).gossip.request(net.node(1).id, Uint8Array.of(6));
  const outcome = assert.rejects(refused, { code: "PEER_REFUSED" });
  net.run(1n * SECOND);
  await outcome;
});
