// Abortable broadcast, fetching, and questions (consensus and chain-key facts, section 21) in a network in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../src/messages.ts";
import { artifact, CALM, GossipNetwork, idOf, MS, type RawPeer, SECOND } from "./gossip-network.ts";

function calmNetwork(count: number): GossipNetwork {
  const net = new GossipNetwork(1, CALM);
  for (let i = 0; i < count; i++) net.start(i);
  net.connectAll();
  net.run(10n * MS);
  return net;
}

function received<K extends Message["kind"]>(peer: RawPeer, kind: K): Extract<Message, { kind: K }>[] {
  return peer.received.filter((message) => message.kind === kind) as Extract<Message, { kind: K }>[];
}

test("a small artifact reaches every peer in one way", () => {
  const net = calmNetwork(4);
  const small = artifact(100, 7);
  net.node(0).gossip.publish(idOf(small), small);
  net.run(1n * MS);
  for (const { taken } of net.nodes.slice(1)) assert.deepEqual(taken.get(idOf(small)), small);
});

test("what is published together shares a frame", () => {
  const net = calmNetwork(2);
  const { gossip } = net.node(0);
  const { id } = net.node(1);
  const before = gossip.statistics().get(id)?.framesSent ?? 0;
  for (let i = 0; i < 50; i++) gossip.publish(idOf(artifact(100, i)), artifact(100, i));
  net.run(1n * MS);
  assert.equal(net.node(1).taken.size, 50);
  assert.equal(gossip.statistics().get(id)?.framesSent, before + 1);
});

test("a large artifact is offered by its id and fetched", () => {
  const net = calmNetwork(4);
  const large = artifact(5_000_000, 7);
  net.node(0).gossip.publish(idOf(large), large);
  net.run(200n * MS);
  for (const { taken } of net.nodes.slice(1)) assert.deepEqual(taken.get(idOf(large)), large);
});

test("what was published before a peer connected reaches it then", () => {
  const net = new GossipNetwork(1, CALM);
  const node = net.start(0);
  for (const size of [100, 100_000]) node.gossip.publish(idOf(artifact(size, 1)), artifact(size, 1));
  net.start(1);
  net.connectAll();
  net.run(1n * SECOND);
  assert.equal(net.node(1).taken.size, 2);
});

test("what is retracted before it was sent is not sent, and what was sent is taken back", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const { gossip } = net.node(0);
  const [first, second] = [artifact(100, 1), artifact(100, 2)];
  gossip.publish(idOf(first), first);
  gossip.retract(idOf(first));
  net.run(1n * SECOND);
  assert.deepEqual(peer.received, []);
  gossip.publish(idOf(second), second);
  net.run(1n * MS);
  assert.equal(received(peer, "inline").length, 1);
  gossip.retract(idOf(second));
  net.run(30n * SECOND);
  assert.ok(received(peer, "empty").length > 0);
  assert.ok(!received(peer, "inline").some((update) => update.artifact.length === first.length && update.commit === 1));
});

test("to a peer that acknowledges nothing only so much is sent, and nothing of what was retracted meanwhile", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const { gossip } = net.node(0);
  for (let i = 0; i < 20_000; i++) gossip.publish(idOf(artifact(1000, i)), artifact(1000, i));
  net.run(100n * MS);
  const sent = received(peer, "inline").length;
  assert.ok(sent >= 1000 && sent <= 1100, `${sent} of at most about 1 MiB in flight`);
  for (let i = 0; i < 20_000; i++) gossip.retract(idOf(artifact(1000, i)));
  peer.received.length = 0;
  net.run(100n * SECOND);
  assert.equal(received(peer, "inline").length, 0);
  assert.equal(new Set(received(peer, "empty").map(({ slot }) => slot)).size, sent, "of those it was told, it is told");
});

test("updates that are not acknowledged are sent again, with pauses that grow from 250 ms to a minute", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  net.node(0).gossip.publish(idOf(artifact(100, 1)), artifact(100, 1));
  const pauses: number[] = [];
  let last = net.network.now;
  for (let i = 0; i < 12; i++) {
    const before = received(peer, "inline").length;
    while (received(peer, "inline").length === before) net.run(1n * MS);
    pauses.push(Number((net.network.now - last) / MS));
    last = net.network.now;
  }
  const [first, second, ...others] = pauses as [number, number, ...number[]];
  assert.ok(first <= 2 && second >= 250 && second <= 255, `${first}, ${second}`);
  for (const [i, pause] of others.entries()) {
    const wanted = Math.min(60_000, 250 * 2 ** (i + 1));
    assert.ok(Math.abs(pause - wanted) <= 5, `${pause} instead of ${wanted} ms`);
  }
});

test("a peer that acknowledges something again is soon sent again what else was lost", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  const publish = (mark: number) => node.gossip.publish(idOf(artifact(100, mark)), artifact(100, mark));
  let session = new Uint8Array();
  peer.onFrame = (frame) => {
    session = new Uint8Array(frame.session);
  };
  peer.send(node, []);
  publish(1);
  const sent = () => received(peer, "inline");
  while (sent().length < 10) net.run(1n * MS);
  publish(2);
  net.run(2n * MS);
  assert.equal(sent().length, 11, "the pause before the first one comes again is long by now");
  peer.send(node, [{ kind: "ack", session, generation: 1, commits: [sent().at(-1)?.commit ?? 0] }]);
  net.run(300n * MS);
  assert.equal(sent().length, 12);
});

test("a way there and back that takes longer than the first pause soon causes no updates to be sent again", () => {
  const far = { ...CALM, minDelay: 200n * MS, maxDelay: 200n * MS };
  const net = new GossipNetwork(1, far);
  for (let i = 0; i < 2; i++) net.start(i);
  net.connectAll();
  net.run(1n * SECOND);
  const { gossip } = net.node(0);
  const retries = () => gossip.statistics().get(net.node(1).id)?.retries ?? 0;
  const publish = (from: number, count: number) => {
    for (let i = from; i < from + count; i++) {
      gossip.publish(idOf(artifact(100, i)), artifact(100, i));
      net.run(20n * MS);
    }
  };
  publish(0, 100);
  const before = retries();
  publish(100, 500);
  net.run(2n * SECOND);
  assert.equal(net.node(1).taken.size, 600);
  assert.equal(retries() - before, 0);
});

test("an update that comes again after its artifact was taken is acknowledged, and costs nothing else", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  const update = { kind: "inline", slot: 0, commit: 5, artifact: artifact(100, 1) } as const;
  for (let i = 0; i < 3; i++) {
    peer.send(node, [update]);
    net.run(1n * SECOND);
  }
  assert.equal(node.taken.size, 1);
  assert.equal(node.named, 1);
  assert.deepEqual(
    received(peer, "ack").flatMap(({ commits }) => commits),
    [5, 5, 5],
  );
});

test("an update with an older commit number does not take the place of a newer one", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  peer.send(node, [{ kind: "advert", slot: 0, commit: 5, id: "test/new", size: 5000 }]);
  peer.send(node, [{ kind: "advert", slot: 0, commit: 3, id: "test/old", size: 5000 }]);
  net.run(1n * SECOND);
  assert.deepEqual(new Set(received(peer, "fetch").map(({ id }) => id)), new Set(["test/new"]));
  assert.equal(node.gossip.size().offeredIds, 1);
  const acknowledged = received(peer, "ack").flatMap(({ commits }) => commits);
  assert.deepEqual(acknowledged.sort(), [3, 5], "the older one need not be sent again either");
});

test("what a peer offers in another slot than before is still offered when it empties the old one, be it late", () => {
  for (const order of [
    [0, 1, 2],
    [1, 0, 2],
    [1, 2, 0],
  ]) {
    const net = calmNetwork(1);
    const peer = net.startRaw(1);
    const node = net.node(0);
    node.unwanted.add("test/a");
    const updates = [
      { kind: "advert", slot: 0, commit: 1, id: "test/a", size: 5000 },
      { kind: "advert", slot: 1, commit: 2, id: "test/a", size: 5000 },
      { kind: "empty", slot: 0, commit: 3 },
    ] as const;
    for (const place of order) peer.send(node, [updates[place] as Message]);
    net.run(1n * SECOND);
    node.unwanted.clear();
    net.run(1n * SECOND);
    assert.equal(received(peer, "fetch").length > 0, true, `${order}`);
  }
});

test("a peer that starts a new session offers anew, and is told that nothing of the last one is kept", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  node.unwanted.add("test/a").add("test/b");
  peer.send(node, [{ kind: "advert", slot: 0, commit: 9, id: "test/a", size: 5000 }]);
  net.run(1n * SECOND);
  peer.send(node, [{ kind: "advert", slot: 1, commit: 1, id: "test/b", size: 5000 }], new Uint8Array(8).fill(9));
  net.run(1n * SECOND);
  assert.deepEqual(node.gossip.size(), { active: 0, offeredSlots: 1, offeredIds: 1 });
  const generations = received(peer, "ack").map(({ generation }) => generation);
  assert.ok((generations[0] as number) < (generations.at(-1) as number));
});

test("a peer that has forgotten what it acknowledged is offered everything again", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  node.gossip.publish(idOf(artifact(100, 1)), artifact(100, 1));
  let session = new Uint8Array();
  peer.onFrame = (frame) => {
    session = new Uint8Array(frame.session);
  };
  net.run(10n * MS);
  const [update] = received(peer, "inline");
  peer.send(node, [{ kind: "ack", session, generation: 4, commits: [update?.commit ?? 0] }]);
  net.run(100n * SECOND);
  assert.equal(received(peer, "inline").length, 1);
  peer.send(node, [{ kind: "ack", session, generation: 5, commits: [] }]);
  net.run(10n * MS);
  assert.equal(received(peer, "inline").length, 2);
});

test("what every node makes by itself goes one way between each two of them, and a part of it from each", () => {
  const net = calmNetwork(4);
  for (let mark = 0; mark < 40; mark++) {
    const same = artifact(100, mark);
    for (const { gossip, taken } of net.nodes) {
      taken.set(idOf(same), same);
      gossip.publish(idOf(same), same, "aggregate");
    }
  }
  net.run(10n * SECOND);
  const named = net.nodes.map((node) => node.named);
  assert.equal(
    named.reduce((a, b) => a + b),
    40 * 6,
  );
  for (const count of named) assert.ok(count >= 20 && count <= 100, `${named}`);
});

test("what every node makes by itself soon reaches a peer that makes none of it, also when that is the one to begin", () => {
  const times = new Set<bigint>();
  for (const publisher of [0, 1]) {
    for (let mark = 0; mark < 10; mark++) {
      const net = calmNetwork(2);
      const { taken } = net.node(1 - publisher);
      const small = artifact(100, mark);
      net.node(publisher).gossip.publish(idOf(small), small, "aggregate");
      const from = net.network.now;
      while (!taken.has(idOf(small))) net.run(1n * MS);
      times.add((net.network.now - from) / MS);
    }
  }
  assert.deepEqual(times, new Set([1n, 101n]));
});

test("what every node makes by itself is sent although a peer had offered it, once that peer begins anew without it", () => {
  const net = calmNetwork(2);
  const artifacts = Array.from({ length: 10 }, (_, mark) => artifact(100, mark));
  for (const { gossip } of net.nodes) for (const each of artifacts) gossip.publish(idOf(each), each, "aggregate");
  net.run(1n * SECOND);
  const node = net.start(1);
  net.connectAll();
  net.run(1n * SECOND);
  assert.equal(node.taken.size, artifacts.length);
});

test("what is relayed is offered by one of two nodes that have it from a third", () => {
  const net = calmNetwork(3);
  for (const { gossip } of net.nodes.slice(1)) {
    const node = net.nodes.find((each) => each.gossip === gossip);
    if (node !== undefined) node.onReceive = (_peer, id, bytes) => gossip.publish(id, bytes);
  }
  const [b, c] = [net.node(1), net.node(2)];
  for (let mark = 0; mark < 20; mark++) net.node(0).gossip.publish(idOf(artifact(100, mark)), artifact(100, mark));
  net.run(10n * SECOND);
  assert.equal(b.taken.size + c.taken.size, 40);
  const offered = b.gossip.size().offeredSlots + c.gossip.size().offeredSlots;
  assert.equal(offered, 3 * 20);
});

test("what a peer offers itself is not sent to it", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  const small = artifact(100, 1);
  peer.send(node, [{ kind: "inline", slot: 0, commit: 1, artifact: small }]);
  net.run(10n * MS);
  assert.deepEqual(node.taken.get(idOf(small)), small);
  node.gossip.publish(idOf(small), small);
  net.run(10n * SECOND);
  assert.deepEqual([...received(peer, "inline"), ...received(peer, "advert")], []);
});

test("what is not wanted is not fetched, and is asked about again until it is", () => {
  const net = calmNetwork(2);
  const large = artifact(5000, 1);
  const [sender, receiver] = [net.node(0), net.node(1)];
  receiver.unwanted.add(idOf(large));
  sender.gossip.publish(idOf(large), large);
  net.run(10n * SECOND);
  assert.equal(sender.gossip.statistics().get(receiver.id)?.isConnected, true);
  assert.equal(receiver.times.get(idOf(large)), undefined);
  receiver.unwanted.clear();
  net.run(1n * SECOND);
  assert.deepEqual(receiver.taken.get(idOf(large)), large);
});

test("a small artifact that is not wanted comes again when it is", () => {
  const net = calmNetwork(2);
  const small = artifact(50, 1);
  net.node(1).unwanted.add(idOf(small));
  net.node(0).gossip.publish(idOf(small), small);
  net.run(10n * SECOND);
  assert.equal(net.node(1).times.get(idOf(small)), 1);
  net.node(1).unwanted.clear();
  net.node(1).gossip.reconsider();
  net.run(10n * MS);
  assert.deepEqual(net.node(1).taken.get(idOf(small)), small);
});

test("an artifact is fetched from another peer when the first does not answer, or answers with something else", () => {
  for (const doesLie of [false, true]) {
    for (let mark = 0; mark < 4; mark++) {
      const net = calmNetwork(2);
      const large = artifact(5000, mark);
      const id = idOf(large);
      const liar = net.startRaw(2);
      const [receiver, honest] = [net.node(0), net.node(1)];
      if (doesLie) {
        liar.onMessage = (message) => {
          if (message.kind !== "fetch") return;
          const bytes = artifact(5000, 99);
          liar.send(receiver, [{ kind: "chunk", request: message.request, total: 5000, place: 0, bytes }]);
        };
      }
      liar.send(receiver, [{ kind: "advert", slot: 0, commit: 1, id, size: 5000 }]);
      net.run(3n * MS);
      honest.gossip.publish(id, large);
      net.run(doesLie ? 500n * MS : 6n * SECOND);
      assert.deepEqual(receiver.taken.get(id), large);
      assert.equal(received(liar, "fetch").length > 0, true);
      assert.equal(receiver.gossip.statistics().get(liar.id)?.invalidArtifacts, doesLie ? 1 : 0);
    }
  }
});

test("what a peer refuses although it offers it is asked for again, less and less", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  const node = net.node(0);
  const large = artifact(5000, 1);
  peer.onMessage = (message) => {
    if (message.kind === "fetch") peer.send(node, [{ kind: "refused", request: message.request }]);
  };
  peer.send(node, [{ kind: "advert", slot: 0, commit: 1, id: idOf(large), size: 5000 }]);
  net.run(60n * SECOND);
  const { length } = received(peer, "fetch");
  assert.ok(length > 4 && length < 12, `${length} fetches in a minute`);
  peer.onMessage = (message) => {
    if (message.kind !== "fetch") return;
    peer.send(node, [{ kind: "chunk", request: message.request, total: 5000, place: 0, bytes: large }]);
  };
  net.run(60n * SECOND);
  assert.deepEqual(node.taken.get(idOf(large)), large);
});

test("a fetch from a peer that never answers is given up later and later", () => {
  const net = calmNetwork(1);
  const peer = net.startRaw(1);
  peer.send(net.node(0), [{ kind: "advert", slot: 0, commit: 1, id: "test/none", size: 5000 }]);
  net.run(600n * SECOND);
  const requests = new Set(received(peer, "fetch").map(({ request }) => request));
  // 5 + 10 + 20 + 40 + 80 + 120 + 120 + 120 s, and a pause after each.
  assert.equal(requests.size, 9);
});

test("a question is answered, an answer of 8 MiB included, and refused when the handler does", async () => {
  const net = calmNetwork(2);
  const answer = artifact(8 * 1024 * 1024, 9);
  net.node(1).serve = (peer, question) => (peer === net.node(0).id && question[0] === 5 ? answer : undefined);
  const asked = net.node(0).gossip.request(net.node(1).id, Uint8Array.of(5));
  net.run(1n * SECOND);
  assert.deepEqual(await asked, answer);
  const refused = assert.rejects(net.node(0).gossip.request(net.node(1).id, Uint8Array.of(6)), {
    code: "PEER_REFUSED",
  });
  net.run(1n * SECOND);
  await refused;
});

test("an answer arrives although frames get lost, come twice and out of order", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const faults = { minDelay: 1n * MS, maxDelay: 50n * MS, loss: 0.2, repetition: 0.2, window: 3_000_000 };
    const net = new GossipNetwork(seed, faults);
    net.start(0);
    net.start(1);
    net.connectAll();
    net.run(100n * MS);
    const answer = artifact(6_000_000, seed);
    net.node(1).serve = () => answer;
    const asked = net.node(0).gossip.request(net.node(1).id, Uint8Array.of(5));
    net.run(60n * SECOND);
    assert.deepEqual(await asked, answer, `seed ${seed}`);
  }
});

test("a question fails when the peer is not there, goes away, says nothing, or has too many already", async () => {
  const net = calmNetwork(1);
  const { gossip } = net.node(0);
  const peer = net.startRaw(1);
  await assert.rejects(gossip.request("99" as typeof peer.id, Uint8Array.of(1)), { code: "PEER_NOT_CONNECTED" });
  const silent = assert.rejects(gossip.request(peer.id, Uint8Array.of(1)), { code: "PEER_TIMEOUT" });
  net.run(11n * SECOND);
  await silent;
  const open = Array.from({ length: 32 }, () => gossip.request(peer.id, Uint8Array.of(1)));
  await assert.rejects(gossip.request(peer.id, Uint8Array.of(1)), { code: "PEER_BUSY" });
  net.network.disconnect(net.node(0).id, peer.id);
  net.run(1n * MS);
  for (const each of open) await assert.rejects(each, { code: "PEER_NOT_CONNECTED" });
});
