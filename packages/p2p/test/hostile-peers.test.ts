// What a peer that keeps to no rule can do: nothing is thrown, memory stays within its bounds, honest peers are served as
// before, and who breaks the rules is disconnected. Consensus and chain-key facts, sections 21.2 and 24.1.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFrame, encodeChunk, encodeFrame, MAX_CHUNKS, type Message, SESSION_BYTES } from "../src/messages.ts";
import { artifact, CALM, GossipNetwork, idOf, MS, type RawPeer, SECOND, seeded } from "./gossip-network.ts";

const session = new Uint8Array(SESSION_BYTES).fill(7);
const SAMPLES: readonly Message[] = [
  { kind: "inline", slot: 3, commit: 70_000, artifact: artifact(1000, 3) },
  { kind: "advert", slot: 29_999, commit: 1, id: "block-proposal/17/00ff", size: 4_000_000 },
  { kind: "empty", slot: 0, commit: 2 ** 40 },
  { kind: "ack", session, generation: 3, commits: [1, 2, 300_000] },
  { kind: "question", request: 1, question: artifact(300, 1) },
  { kind: "fetch", request: 9, id: "test/1" },
  { kind: "want", request: 9, chunks: [0, 1, MAX_CHUNKS - 1] },
  { kind: "done", request: 2 ** 53 - 1 },
  { kind: "chunk", request: 1, total: 700_000, place: 2, bytes: artifact(2000, 5) },
  { kind: "refused", request: 5 },
];

function withHostile(limits = {}): { net: GossipNetwork; hostile: RawPeer } {
  const net = new GossipNetwork(1, CALM, limits);
  net.start(0);
  net.start(1);
  const hostile = net.startRaw(2);
  net.run(10n * MS);
  return { net, hostile };
}

test("every message is read as it was written", () => {
  assert.deepEqual(decodeFrame(encodeFrame({ session, messages: SAMPLES })), { session, messages: SAMPLES });
});

test("a chunk is written alike alone and among others", () => {
  for (const length of [0, 1, 127, 128, 20_000]) {
    const chunk = {
      kind: "chunk",
      request: 300,
      total: 700_000,
      place: 2,
      bytes: artifact(Math.max(4, length), 5).subarray(0, length),
    } as const;
    assert.deepEqual(encodeChunk(session, chunk), encodeFrame({ session, messages: [chunk] }));
  }
});

test("the artifacts of a frame are shown together first: no more than the peer may send, and none that are done", () => {
  const { net, hostile } = withHostile({ updateRate: 5 });
  const node = net.node(0);
  const inline = (slot: number): Message => ({ kind: "inline", slot, commit: slot + 1, artifact: artifact(50, slot) });
  const advert: Message = { kind: "advert", slot: 50, commit: 60, id: "test/none", size: 7 };
  hostile.send(node, [inline(0), advert, inline(1), inline(2)]);
  net.run(10n * MS);
  assert.deepEqual(node.prepared, [3]);
  hostile.send(node, [inline(1), inline(2)]);
  net.run(10n * MS);
  assert.deepEqual(node.prepared, [3], "they are done");
  hostile.send(node, [3, 4, 5, 6, 7, 8, 9].map(inline));
  net.run(10n * MS);
  // Ten may come at once, of which six have been.
  assert.deepEqual(node.prepared, [3, 4]);
  assert.equal(node.taken.size, 7);
});

test("of the artifacts of a slot in one frame those that are not going to be received are not shown", () => {
  const { net, hostile } = withHostile();
  const node = net.node(0);
  const inline = (commit: number): Message => ({ kind: "inline", slot: 1, commit, artifact: artifact(50, commit) });
  const other: Message = { kind: "inline", slot: 2, commit: 1, artifact: artifact(50, 100) };
  hostile.send(node, [9, 8, 7, 6, 9, 5].map(inline).concat(other));
  net.run(10n * MS);
  assert.deepEqual(node.prepared, [2]);
  assert.equal(node.taken.size, 2);
  hostile.send(node, [10, 11, 12].map(inline));
  net.run(10n * MS);
  assert.deepEqual(node.prepared, [2, 3], "each is newer than the one before");
  hostile.send(node, [{ kind: "empty", slot: 1, commit: 20 }, inline(19), inline(18), { ...other, slot: 3 }]);
  net.run(10n * MS);
  assert.deepEqual(node.prepared, [2, 3], "one alone is not shown");
});

test("whatever the bytes of a frame are, they are a frame or they are none", () => {
  const random = seeded(5);
  const whole = encodeFrame({ session, messages: SAMPLES });
  const below = (count: number) => Math.floor(random() * count);
  let frames = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes =
      i % 2 === 0
        ? whole.slice(0, 8 + below(whole.length - 7))
        : Uint8Array.from({ length: below(80) }, () => below(256));
    for (let flips = below(4); flips > 0; flips--) bytes[below(bytes.length)] = below(256);
    const frame = decodeFrame(bytes);
    if (frame !== undefined) frames++;
    // There is one encoding of each frame.
    if (frame !== undefined) assert.deepEqual(encodeFrame(frame), bytes);
  }
  assert.ok(frames > 100);
});

test("what has too many parts, or parts that are too large, is no frame", () => {
  const many = (count: number, message: Message) =>
    encodeFrame({ session, messages: Array.from({ length: count }, () => message) });
  assert.ok(decodeFrame(many(4096, { kind: "done", request: 1 })) !== undefined);
  assert.equal(decodeFrame(many(4097, { kind: "done", request: 1 })), undefined);
  const large = encodeFrame({ session, messages: [] });
  assert.equal(
    decodeFrame(new Uint8Array([...large, 0, 0, 1, ...new Uint8Array([0x81, 0x08]), ...new Uint8Array(1025)])),
    undefined,
  );
  assert.equal(decodeFrame(new Uint8Array(300_000)), undefined);
  for (const slot of [30_000, 2 ** 32])
    assert.throws(() => encodeFrame({ session, messages: [{ kind: "empty", slot, commit: 1 }] }));
});

test("frames that are none get a peer disconnected, and let back in later", () => {
  const { net, hostile } = withHostile();
  hostile.sendBytes(net.node(0), Uint8Array.of(1, 2, 3));
  net.run(1n * MS);
  assert.equal(net.node(0).gossip.peers().includes(hostile.id), true);
  hostile.sendBytes(net.node(0), Uint8Array.of(1, 2, 3));
  let wasAway = false;
  for (let i = 0; i < 20; i++) {
    net.run(MS / 4n);
    wasAway ||= !net.node(0).gossip.peers().includes(hostile.id);
  }
  assert.ok(wasAway);
  assert.equal(net.node(0).gossip.statistics().get(hostile.id)?.brokenRules, 2);
  assert.equal(net.node(0).gossip.peers().includes(hostile.id), true);
});

test("random and broken frames of a peer throw nothing, and others go on", () => {
  const { net, hostile } = withHostile({ blame: 1e9 });
  const random = seeded(77);
  const below = (count: number) => Math.floor(random() * count);
  for (let i = 0; i < 5000; i++) {
    const message = SAMPLES[below(SAMPLES.length)] as Message;
    const request = below(20);
    const bytes = encodeFrame({ session, messages: ["request" in message ? { ...message, request } : message] });
    if (random() < 0.5) bytes[8 + below(bytes.length - 8)] = below(256);
    hostile.sendBytes(net.node(0), bytes);
    if (i % 100 === 0) net.run(2n * MS);
  }
  const [a, b] = [net.node(0), net.node(1)];
  for (const size of [100, 100_000]) b.gossip.publish(idOf(artifact(size, 1)), artifact(size, 1));
  net.run(1n * SECOND);
  for (const size of [100, 100_000]) assert.ok(a.taken.has(idOf(artifact(size, 1))));
});

test("a flood of adverts of what nobody has fills no more than the slots of one peer, and others get through", () => {
  const { net, hostile } = withHostile();
  const [victim, honest] = [net.node(0), net.node(1)];
  let commit = 0;
  for (let round = 0; round < 3; round++) {
    for (let from = 0; from < 30_000; from += 1000) {
      const messages: Message[] = [];
      for (let slot = from; slot < from + 1000; slot++) {
        messages.push({ kind: "advert", slot, commit: ++commit, id: `test/${round}/${slot}`, size: 2000 });
      }
      hostile.send(victim, messages);
      net.run(2n * MS);
    }
  }
  const { offeredSlots, offeredIds } = victim.gossip.size();
  assert.ok(offeredSlots <= 30_000 && offeredIds <= 30_000, `${offeredSlots} slots, ${offeredIds} ids`);
  const fetches = new Set(
    hostile.received.filter(({ kind }) => kind === "fetch").map((message) => "request" in message && message.request),
  );
  assert.ok(fetches.size <= 64, `${fetches.size} fetches are in flight from one peer`);
  assert.ok((victim.gossip.statistics().get(hostile.id)?.slowedDown ?? 0) > 0, "above its rate it is not looked at");
  for (const size of [100, 100_000]) honest.gossip.publish(idOf(artifact(size, 1)), artifact(size, 1));
  net.run(500n * MS);
  for (const size of [100, 100_000]) assert.ok(victim.taken.has(idOf(artifact(size, 1))));
});

test("a peer's questions are worked on so many at a time, and its answers take so much memory", () => {
  const { net, hostile } = withHostile({ answersInFlight: 10, answerBytesInFlight: 5_000_000 });
  let asked = 0;
  const waiting: ((answer: Uint8Array) => void)[] = [];
  net.node(0).serve = () => {
    asked++;
    return new Promise((resolve) => waiting.push(resolve));
  };
  for (let i = 0; i < 500; i++)
    hostile.send(net.node(0), [{ kind: "question", request: i, question: Uint8Array.of(1) }]);
  net.run(1n * SECOND);
  assert.equal(asked, 10);
});

test("a peer above its rate of questions is not answered, and its retries are", () => {
  const { net, hostile } = withHostile({ questionRate: 10 });
  let asked = 0;
  net.node(0).serve = () => {
    asked++;
    return Uint8Array.of(1);
  };
  for (let i = 0; i < 100; i++)
    hostile.send(net.node(0), [{ kind: "question", request: i, question: Uint8Array.of(1) }]);
  net.run(10n * MS);
  assert.equal(asked, 20);
  net.run(2n * SECOND);
  for (let i = 0; i < 100; i++)
    hostile.send(net.node(0), [{ kind: "question", request: i, question: Uint8Array.of(1) }]);
  net.run(10n * MS);
  assert.equal(asked, 40);
});

test("so many bytes a second are served to a peer", () => {
  const { net, hostile } = withHostile({ servedByteRate: 1_000_000 });
  net.node(0).serve = () => artifact(8_000_000, 1);
  hostile.onMessage = (message) => {
    if (message.kind !== "chunk") return;
    const next = Math.min(message.place + 8, 30);
    hostile.send(net.node(0), [{ kind: "want", request: 1, chunks: [next] }]);
  };
  hostile.send(net.node(0), [{ kind: "question", request: 1, question: Uint8Array.of(1) }]);
  net.run(3n * SECOND);
  const bytes = hostile.received.reduce(
    (sum, message) => sum + (message.kind === "chunk" ? message.bytes.length : 0),
    0,
  );
  assert.ok(bytes > 2_500_000 && bytes < 4_300_000, `${bytes} in 3 s`);
});

test("an answer whose parts do not fit breaks the rules", async () => {
  const lies: ((request: number) => Message[])[] = [
    (request) => [{ kind: "chunk", request, total: 10, place: 1, bytes: artifact(10, 1) }],
    (request) => [{ kind: "chunk", request, total: 10, place: 0, bytes: artifact(9, 1) }],
    (request) => [{ kind: "chunk", request, total: 300_000, place: 0, bytes: artifact(300, 1) }],
    (request) => [
      { kind: "chunk", request, total: 300_000, place: 0, bytes: artifact(262_144, 1) },
      { kind: "chunk", request, total: 300_001, place: 1, bytes: artifact(37_857, 1) },
    ],
  ];
  for (const lie of lies) {
    const { net, hostile } = withHostile();
    hostile.onMessage = (message) => {
      if (message.kind !== "question") return;
      for (const each of lie(message.request)) hostile.send(net.node(0), [each]);
    };
    const asked = assert.rejects(net.node(0).gossip.request(hostile.id, Uint8Array.of(1)), {
      code: "PEER_BROKEN_ANSWER",
    });
    net.run(1n * SECOND);
    await asked;
    assert.equal(net.node(0).gossip.statistics().get(hostile.id)?.brokenRules, 1);
  }
});

test("answers to what was not asked, or was asked of another, change nothing", async () => {
  const { net, hostile } = withHostile();
  const [victim, honest] = [net.node(0), net.node(1)];
  let answer: ((bytes: Uint8Array) => void) | undefined;
  honest.serve = () => new Promise((resolve) => (answer = resolve));
  const asked = victim.gossip.request(honest.id, Uint8Array.of(1));
  net.run(10n * MS);
  for (let request = 0; request < 100; request++) {
    hostile.send(victim, [{ kind: "chunk", request, total: 1, place: 0, bytes: Uint8Array.of(66) }]);
    hostile.send(victim, [{ kind: "refused", request }]);
  }
  net.run(10n * MS);
  answer?.(Uint8Array.of(1));
  await Promise.resolve();
  await Promise.resolve();
  net.run(10n * MS);
  assert.deepEqual(await asked, Uint8Array.of(1));
});

test("a peer that sends what is invalid is counted, and disconnected when it goes on", () => {
  const { net, hostile } = withHostile();
  const victim = net.node(0);
  const invalid = (mark: number) => {
    const bytes = artifact(100, mark);
    bytes[0] = 0xbd;
    return bytes;
  };
  let connections = 0;
  for (let i = 0; i < 300; i++) {
    hostile.send(victim, [{ kind: "inline", slot: i, commit: i + 1, artifact: invalid(i) }]);
    net.run(2n * MS);
    connections = victim.gossip.statistics().get(hostile.id)?.connections ?? 0;
  }
  assert.ok((victim.gossip.statistics().get(hostile.id)?.invalidArtifacts ?? 0) >= 200);
  assert.equal(connections, 2);
});

test("what is invalid from one peer is taken from another one that may send it", () => {
  for (const length of [100, 5000]) {
    const { net, hostile } = withHostile();
    const [victim, honest] = [net.node(0), net.node(1)];
    victim.invalidFrom.add(hostile.id);
    const bytes = artifact(length, 77);
    const id = idOf(bytes);
    hostile.onMessage = (message) => {
      if (message.kind === "fetch")
        hostile.send(victim, [{ kind: "chunk", request: message.request, total: length, place: 0, bytes }]);
    };
    const offer = { slot: 0, commit: 1 } as const;
    if (length <= 1024) hostile.send(victim, [{ kind: "inline", ...offer, artifact: bytes }]);
    else hostile.send(victim, [{ kind: "advert", ...offer, id, size: length }]);
    net.run(50n * MS);
    assert.equal(victim.gossip.statistics().get(hostile.id)?.invalidArtifacts, 1);
    honest.gossip.publish(id, bytes);
    net.run(2n * SECOND);
    assert.deepEqual(victim.taken.get(id), bytes);
  }
});

test("a peer is disconnected for what turns out to be wrong later, too", () => {
  const net = new GossipNetwork(1, CALM, { blame: 3 });
  const [one, other] = [net.start(0), net.start(1)];
  net.connectAll();
  net.run(10n * MS);
  assert.deepEqual(one.gossip.peers(), [other.id]);
  for (let i = 0; i < 3; i++) one.gossip.blame(other.id);
  assert.equal(one.gossip.statistics().get(other.id)?.invalidArtifacts, 3);
  assert.deepEqual(one.gossip.peers(), []);
});
