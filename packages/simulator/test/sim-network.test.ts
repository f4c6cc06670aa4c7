// The simulated network carries what a connection would, fails as it is told to, and tells both sides.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerTransport } from "@atoll/p2p";
import type { PrincipalId } from "@atoll/types";
import { EventLog } from "../src/event-log.ts";
import { seededRandom } from "../src/random.ts";
import { MS, Scheduler, SECOND } from "../src/scheduler.ts";
import { GOOD_LINK, type LinkQuality, SimNetwork } from "../src/sim-network.ts";
import { settle } from "./settle.ts";

interface Node {
  readonly id: PrincipalId;
  transport: PeerTransport;
  readonly connected: Set<PrincipalId>;
  readonly frames: { readonly at: number; readonly from: PrincipalId; readonly frame: number }[];
  writable: number;
}

function world(count: number) {
  const scheduler = new Scheduler(new EventLog(), settle);
  const ids = Array.from({ length: count }, (_, i) => `node-${i}` as PrincipalId);
  const network = new SimNetwork(ids, { scheduler, random: seededRandom("network") });
  const attach = (id: PrincipalId): Node => {
    const node: Omit<Node, "transport"> = { id, connected: new Set(), frames: [], writable: 0 };
    const transport = network.attach(id, {
      onConnected: (peer) => node.connected.add(peer),
      onDisconnected: (peer) => node.connected.delete(peer),
      onFrame: (from, frame) => node.frames.push({ at: scheduler.now / MS, from, frame: frame[0] as number }),
      onWritable: () => full.writable++,
    });
    const full: Node = Object.assign(node, { transport });
    transport.setPeers(ids.filter((other) => other !== id));
    return full;
  };
  const nodes = ids.map(attach);
  const pass = (ns: number): Promise<void> => scheduler.run(scheduler.now + ns);
  const link = (from: number, to: number, change: Partial<LinkQuality>): void =>
    network.setLink(ids[from] as PrincipalId, ids[to] as PrincipalId, { ...GOOD_LINK, ...change });
  const [a, b] = nodes as [Node, Node];
  return { scheduler, network, nodes, attach, pass, link, a, b };
}

const frame = (value: number, length = 10): Uint8Array => new Uint8Array(length).fill(value);
const values = (node: Node): number[] => node.frames.map((each) => each.frame);

test("frames come in order, after the delay of the link", async () => {
  const { a, b, pass, scheduler } = world(2);
  await pass(SECOND);
  assert.deepEqual(a.transport.connected(), [b.id]);
  const sent = scheduler.now / MS;
  for (let i = 0; i < 50; i++) assert.ok(a.transport.send(b.id, frame(i)));
  await pass(SECOND);
  assert.deepEqual(
    values(b),
    Array.from({ length: 50 }, (_, i) => i),
  );
  for (const { at } of b.frames) assert.ok(at >= sent + 5 && at < sent + 9, `${at - sent} ms`);
});

test("nothing can be sent to a node that is not there or not wanted", async () => {
  const { network, a, b, pass } = world(2);
  await pass(SECOND);
  network.detach(b.id);
  await pass(0);
  assert.deepEqual([...a.connected], []);
  assert.ok(!a.transport.send(b.id, frame(1)));
  assert.ok(!b.transport.send(a.id, frame(1)));
});

test("a node that was started again is connected again, and its former self says nothing", async () => {
  const { network, attach, a, b, pass } = world(2);
  await pass(SECOND);
  network.detach(b.id);
  const again = attach(b.id);
  await pass(SECOND);
  assert.deepEqual([...a.connected], [b.id]);
  assert.ok(a.transport.send(b.id, frame(7)));
  assert.ok(!b.transport.send(a.id, frame(8)));
  await pass(SECOND);
  assert.deepEqual([values(again), values(b), values(a)], [[7], [], []]);
});

test("a short cut holds frames back; a long one ends the connection and loses them", async () => {
  const { link, a, b, pass } = world(2);
  await pass(SECOND);
  link(0, 1, { isCut: true });
  a.transport.send(b.id, frame(1));
  b.transport.send(a.id, frame(2));
  await pass(2 * SECOND);
  assert.deepEqual([values(a), values(b)], [[2], []], "the other direction goes on");
  link(0, 1, {});
  await pass(SECOND);
  assert.deepEqual(values(b), [1]);
  link(0, 1, { isCut: true });
  a.transport.send(b.id, frame(3));
  await pass(6 * SECOND);
  assert.deepEqual([a.connected.size, b.connected.size], [0, 0]);
  link(0, 1, {});
  await pass(SECOND);
  assert.deepEqual([...a.connected], [b.id]);
  assert.deepEqual(values(b), [1]);
});

test("loss, replay and disorder do what they say", async () => {
  const { link, a, b, pass } = world(2);
  await pass(SECOND);
  const send = async (): Promise<number[]> => {
    b.frames.length = 0;
    for (let i = 0; i < 200; i++) a.transport.send(b.id, frame(i));
    await pass(10 * SECOND);
    return values(b);
  };
  link(0, 1, { loss: 0.5 });
  const lossy = await send();
  assert.ok(lossy.length > 60 && lossy.length < 140, `${lossy.length} of 200`);
  link(0, 1, { replay: 0.5 });
  const replayed = await send();
  assert.ok(replayed.length > 260 && new Set(replayed).size === 200, `${replayed.length} of 200`);
  link(0, 1, { reorder: 0.5 });
  const disordered = await send();
  assert.equal(new Set(disordered).size, 200);
  assert.notDeepEqual(
    disordered,
    [...disordered].sort((x, y) => x - y),
  );
});

test("a clogged link takes so much and no more, and says when there is room again", async () => {
  const { link, a, b, pass } = world(2);
  await pass(SECOND);
  link(0, 1, { bytesPerSecond: 1024 * 1024 });
  let taken = 0;
  while (a.transport.send(b.id, frame(taken, 512 * 1024))) taken++;
  assert.equal(taken, 8);
  assert.equal(a.writable, 0);
  await pass(3 * SECOND);
  assert.equal(a.writable, 1);
  assert.ok(b.frames.length >= 5 && b.frames.length <= 6, `${b.frames.length} frames of half a MiB in 3 s`);
  assert.ok(a.transport.send(b.id, frame(9)));
});

test("what comes to a process that stands still waits", async () => {
  const { network, scheduler, a, b, pass } = world(2);
  await pass(SECOND);
  network.hold(b.id, scheduler.now + 2 * SECOND);
  a.transport.send(b.id, frame(1));
  a.transport.send(b.id, frame(2));
  await pass(SECOND);
  assert.deepEqual(values(b), []);
  await pass(2 * SECOND);
  assert.deepEqual(values(b), [1, 2]);
});

test("an adversary delays what it wants to", async () => {
  const { network, a, b, pass } = world(2);
  await pass(SECOND);
  network.adversary = (from) => (from === a.id ? SECOND : 0);
  a.transport.send(b.id, frame(1));
  b.transport.send(a.id, frame(2));
  await pass(500 * MS);
  assert.deepEqual([values(a), values(b)], [[2], []]);
  await pass(SECOND);
  assert.deepEqual(values(b), [1]);
});

test("a broken connection loses what was on its way and comes back", async () => {
  const { a, b, pass } = world(2);
  await pass(SECOND);
  a.transport.send(b.id, frame(1));
  a.transport.disconnect(b.id);
  assert.equal(a.connected.size, 1, "a node is not called from within its own call");
  await pass(0);
  assert.equal(a.connected.size, 0);
  await pass(SECOND);
  assert.deepEqual([...a.connected], [b.id]);
  assert.deepEqual(values(b), []);
});
