// How long a node waits before it tells a peer something again: no longer than it may, however slow the peer once was.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ActiveSet } from "../src/active-set.ts";
import { DEFAULT_GOSSIP_LIMITS, SECOND } from "../src/limits.ts";
import type { Message } from "../src/messages.ts";
import { Offers } from "../src/offers.ts";
import { artifact, idOf } from "./gossip-network.ts";

test("a peer that once took ten minutes to acknowledge is not waited for longer than the longest pause", () => {
  const active = new ActiveSet(10);
  const offers = new Offers(DEFAULT_GOSSIP_LIMITS, () => true);
  const send = (seed: number, now: number) => {
    const bytes = artifact(100, seed);
    const place = active.add({ id: idOf(bytes), artifact: bytes, isRelayed: false, origin: "own" });
    assert.ok(place !== undefined);
    offers.changed(place, active.at(place), now);
    const taken: Message[] = [];
    offers.take(taken, active, { now, maxBytes: 10_000, goesAnyhow: false, peerHas: () => false });
    return taken.map((message) => (message.kind === "inline" ? message.commit : 0));
  };
  const first = send(1, 0);
  const now = 600 * SECOND;
  offers.acknowledge(first, now);
  assert.equal(send(2, now).length, 1);
  const next = offers.nextTime();
  assert.ok(next - now <= DEFAULT_GOSSIP_LIMITS.maxRetry, `${next}`);
});

test("what was sent and is then offered by the peer, too, is not taken back while it is active, but afterwards", () => {
  const active = new ActiveSet(10);
  const offers = new Offers(DEFAULT_GOSSIP_LIMITS, () => true);
  const bytes = artifact(100, 1);
  const take = (now: number, peerHas: boolean): Message[] => {
    const taken: Message[] = [];
    offers.retry(now);
    offers.take(taken, active, { now, maxBytes: 10_000, goesAnyhow: false, peerHas: () => peerHas });
    return taken;
  };
  const place = active.add({ id: idOf(bytes), artifact: bytes, isRelayed: false, origin: "own" });
  assert.ok(place !== undefined);
  offers.changed(place, active.at(place), 0);
  const commits = take(0, false).map((message) => (message.kind === "inline" ? message.commit : 0));
  // The acknowledgement is late: the peer may or may not have taken the update.
  assert.deepEqual(
    take(SECOND, true).map(({ kind }) => kind),
    ["advert"],
  );
  offers.acknowledge(commits, SECOND);
  active.remove(idOf(bytes));
  offers.changed(place, active.at(place), SECOND);
  assert.deepEqual(
    take(60 * SECOND, true).map(({ kind }) => kind),
    ["empty"],
  );
});

test("a peer that has what took the place of something else is told once, and late, that this is gone", () => {
  const active = new ActiveSet(10);
  const offers = new Offers(DEFAULT_GOSSIP_LIMITS, () => true);
  const had = new Set<string>();
  const publish = (seed: number, now: number) => {
    const bytes = artifact(100, seed);
    const place = active.add({ id: idOf(bytes), artifact: bytes, isRelayed: false, origin: "own" });
    assert.ok(place !== undefined);
    offers.changed(place, active.at(place), now);
    return idOf(bytes);
  };
  const take = (now: number): string[] => {
    const taken: Message[] = [];
    offers.take(taken, active, { now, maxBytes: 10_000, goesAnyhow: false, peerHas: (id) => had.has(id) });
    for (const message of taken) if ("commit" in message) offers.acknowledge([message.commit], now);
    return taken.map(({ kind }) => kind);
  };
  const first = publish(1, 0);
  assert.deepEqual(take(0), ["inline"]);
  const place = active.remove(first) as number;
  offers.changed(place, active.at(place), SECOND);
  had.add(publish(2, SECOND));
  assert.deepEqual(take(SECOND), []);
  had.clear();
  assert.deepEqual(take(60 * SECOND), ["empty"]);
  assert.equal(offers.backlog, 0);
});
