// How long a node waits before it tells a peer something again: no longer than it may, however slow the peer once was.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ActiveSet } from "../src/active-set.ts";
import { DEFAULT_GOSSIP_LIMITS } from "../src/limits.ts";
import { Offers } from "../src/offers.ts";
import { artifact, idOf, SECOND } from "./gossip-network.ts";

test("a peer that once took ten minutes to acknowledge is not waited for longer than the longest pause", () => {
  const active = new ActiveSet(10);
  const offers = new Offers(DEFAULT_GOSSIP_LIMITS);
  const send = (seed: number, now: bigint) => {
    const bytes = artifact(100, seed);
    const place = active.add({ id: idOf(bytes), artifact: bytes, isRelayed: false });
    assert.ok(place !== undefined);
    offers.changed(place, active.at(place), now);
    return offers.take(active, now, 10_000, () => false).map(({ commit }) => commit);
  };
  const first = send(1, 0n);
  const now = 600n * SECOND;
  offers.acknowledge(first, active, now);
  assert.equal(send(2, now).length, 1);
  const next = offers.nextTime();
  assert.ok(next !== undefined && next - now <= DEFAULT_GOSSIP_LIMITS.maxRetry, `${next}`);
});
