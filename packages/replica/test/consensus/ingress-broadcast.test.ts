// Messages between the nodes of a subnet: a client speaks to one node, every node can put its message into a block, each
// verifies it once, and no peer can take the room of others. Consensus and chain-key facts, section 21.5.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { AnonymousIdentity } from "@icp-sdk/core/agent";
import { build, envelope, makeNodes, NOW, node, SECOND, verdict } from "./payload-nodes.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

const envelopes = (count: number) => Promise.all(Array.from({ length: count }, () => envelope()));

/** With another signature. */
function forge(message: Uint8Array): Uint8Array {
  const forged = message.slice();
  forged.set(
    message.subarray(-64).map((byte) => byte ^ 1),
    forged.length - 64,
  );
  return forged;
}

test("a message that one node takes can be in the next block of every node, and each verifies its signature once", async () => {
  const nodes = makeNodes();
  assert.equal(node(nodes, 2).payloads.submit(await envelope()), "accepted");
  for (const [by] of nodes.nodes.entries()) {
    const { batch, payload } = build(nodes, { by });
    assert.equal(payload.ingress.length, 1);
    for (let other = 0; other < 4; other++) assert.equal(verdict(nodes, batch, { by: other }), "valid");
  }
  assert.equal(nodes.verifications, 3, "the node that the client spoke to did so before");
});

test("a node hashes a message once, and its envelope once more for each block that brings it", async () => {
  const nodes = makeNodes();
  // Names of fields and of the method are known from here on.
  node(nodes).payloads.submit(await envelope());
  nodes.hashes = 0;
  const message = await envelope();
  node(nodes).payloads.submit(message);
  // Sender, canister, argument, time, nonce, and all of them together; the envelope.
  assert.equal(nodes.hashes, 4 * (6 + 1));
  nodes.hashes = 0;
  for (let by = 0; by < 4; by++) assert.equal(verdict(nodes, { ingress: [message] }, { by }), "valid");
  assert.equal(nodes.hashes, 4);
});

test("of an authentic message little more is kept than its bytes", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const messages: Uint8Array[] = [];
  for (let i = 0; i < 2000; i++) messages.push(await envelope({}, new AnonymousIdentity()));
  const before = heapBytes();
  for (const each of messages) assert.equal(payloads.receive(node(nodes, 1).id, payloads.idOf(each), each), "taken");
  const perMessage = (heapBytes() - before) / messages.length;
  assert.ok(perMessage < 1200, `${perMessage} bytes`);
});

test("a message that came only in blocks is verified once, too", async () => {
  const nodes = makeNodes();
  const ingress = [await envelope(), await envelope()];
  for (let i = 0; i < 3; i++) assert.equal(verdict(nodes, { ingress }, { height: i + 1 }), "valid");
  assert.equal(nodes.verifications, 2);
});

test("messages that come together are verified together, and their verdicts are those of each alone", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const peer = node(nodes, 1).id;
  const messages = await envelopes(20);
  const wrong = forge(messages[7] as Uint8Array);
  const other = await envelope({}, new AnonymousIdentity());
  const all = [...messages.with(7, wrong), other];
  // The same message twice: the second time it would not be verified.
  payloads.prepare(peer, [...all, (all[0] as Uint8Array).slice(), Uint8Array.of(0xa0), Uint8Array.of(1)]);
  assert.equal(nodes.batches[0], 20);
  nodes.batches.length = 0;
  for (const each of all) {
    assert.equal(payloads.receive(peer, payloads.idOf(each), each), each === wrong ? "invalid" : "taken");
  }
  assert.ok(nodes.verifications <= 6);
  assert.deepEqual(nodes.batches, []);
  payloads.prepare(peer, all.slice(0, 6));
  assert.deepEqual(nodes.batches, [], "nothing is new");
});

test("of a block that nobody has seen the messages are verified together", async () => {
  const nodes = makeNodes();
  const ingress = await envelopes(100);
  assert.equal(verdict(nodes, { ingress }), "valid");
  assert.deepEqual(nodes.batches, [64, 36]);
  assert.equal(nodes.verifications, 0);
  assert.equal(verdict(nodes, { ingress }, { height: 2 }), "valid");
  assert.deepEqual(nodes.batches, [64, 36]);
  assert.equal(verdict(nodes, { ingress: ingress.with(3, forge(ingress[3] as Uint8Array)) }, { by: 2 }), "invalid");
});

test("nothing is verified in advance for a peer that has no room", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const peer = node(nodes, 1).id;
  const large = await Promise.all(Array.from({ length: 6 }, () => envelope({ arg: new Uint8Array(1_900_000) })));
  const rest = await envelopes(50);
  let taken = 0;
  for (let bytes = 0; bytes < 84 * 1024 * 1024; bytes += 1_900_000) {
    const each = await envelope({ arg: new Uint8Array(1_900_000) }, new AnonymousIdentity());
    if (payloads.receive(peer, payloads.idOf(each), each) === "taken") taken++;
  }
  assert.ok(taken > 40, `${taken}`);
  payloads.prepare(peer, large);
  assert.deepEqual(nodes.batches, []);
  payloads.prepare(peer, rest);
  assert.deepEqual(nodes.batches, [50]);
});

test("what peers send is authenticated completely, and counts against them when it is not authentic", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const peer = node(nodes, 1).id;
  const good = await envelope();
  const forged = forge(good);
  const id = payloads.idOf(good);
  assert.match(id, /^ingress\/1800000120\/[0-9a-f]{64}$/);
  assert.equal(payloads.receive(peer, payloads.idOf(forged), forged), "invalid");
  assert.equal(payloads.receive(peer, id, await envelope()), "invalid", "the id is that of another message");
  assert.equal(payloads.receive(peer, "ingress/1/2", good), "invalid");
  for (const bytes of [new Uint8Array(), Uint8Array.of(0xa0), new Uint8Array(100).fill(0xff)]) {
    assert.equal(payloads.receive(peer, id, bytes), "invalid");
    assert.equal(payloads.receive(peer, payloads.idOf(bytes), bytes), "invalid");
  }
  assert.equal(payloads.waitingIngress, 0);
  assert.equal(payloads.receive(peer, id, good), "taken");
  assert.equal(payloads.waitingIngress, 1);
});

test("a node wants what it has not got and what still has time", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const message = await envelope();
  const id = payloads.idOf(message);
  assert.equal(payloads.wants(id), true);
  payloads.submit(message);
  assert.equal(payloads.wants(id), false);
  assert.equal(payloads.wants(payloads.idOf(await envelope({ expiry: NOW - SECOND }))), false);
  assert.equal(payloads.wants(payloads.idOf(await envelope({ expiry: NOW + 600n * SECOND }))), false);
  assert.equal(payloads.wants("ingress/../x"), false);
});

test("a message leaves the pools, and is no longer broadcast, when it expires", async () => {
  const nodes = makeNodes();
  node(nodes).payloads.submit(await envelope({ expiry: NOW + 10n * SECOND }));
  assert.equal(nodes.published.size, 1);
  nodes.now += 11n * SECOND;
  for (const { payloads } of nodes.nodes) {
    payloads.step();
    assert.equal(payloads.waitingIngress, 0);
  }
  assert.equal(nodes.published.size, 0);
});

test("a message whose time has not come is offered again later; one whose time is over is done with", async () => {
  const nodes = makeNodes();
  const { payloads } = node(nodes);
  const peer = node(nodes, 1).id;
  const early = await envelope({ expiry: NOW + 310n * SECOND });
  assert.equal(payloads.receive(peer, payloads.idOf(early), early), "unwanted");
  nodes.now += 20n * SECOND;
  assert.equal(payloads.receive(peer, payloads.idOf(early), early), "taken");
  const late = await envelope({ expiry: NOW });
  assert.equal(payloads.receive(peer, payloads.idOf(late), late), "taken");
  assert.equal(payloads.waitingIngress, 1);
});

test("a peer that floods has its share of the room and takes nobody else's", async () => {
  const nodes = makeNodes(40);
  const { payloads } = node(nodes);
  const [flooder, other] = [node(nodes, 1).id, node(nodes, 2).id];
  const anonymous = new AnonymousIdentity();
  const outcomes = new Map<string, number>();
  for (let i = 0; i < 700; i++) {
    const message = await envelope({}, anonymous);
    const outcome = payloads.receive(flooder, payloads.idOf(message), message);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  assert.deepEqual(
    [...outcomes],
    [
      ["taken", 512],
      ["unwanted", 188],
    ],
  );
  const message = await envelope({}, anonymous);
  assert.equal(payloads.receive(other, payloads.idOf(message), message), "taken");
  assert.equal(payloads.submit(await envelope()), "accepted");
  const large = await Promise.all(Array.from({ length: 6 }, () => envelope({ arg: new Uint8Array(1_900_000) })));
  const taken = large.map((each) => payloads.receive(other, payloads.idOf(each), each));
  assert.deepEqual(taken, ["taken", "taken", "taken", "taken", "unwanted", "unwanted"], "bytes are counted, too");
});
