// What became of each message: kept while it could be submitted again and while its caller may still ask, then
// forgotten; and what a checkpoint is told is enough to have the same history after a restart.
// Interface specification, "Request status"; checklist 2.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type CanisterId,
  type IngressStatus,
  MAX_INGRESS_TTL_NS,
  type PrincipalId,
  type RequestId,
} from "@atoll/types";
import fc from "fast-check";
import { IngressHistory, type IngressRecord } from "../src/ingress-history.ts";

const SECOND = 1_000_000_000n;
const START = 1_700_000_000n * SECOND;
const ORIGIN = { sender: "04" as PrincipalId, receiver: "00000000000000000101" as CanisterId };
const REPLIED: IngressStatus = { state: "replied", reply: Uint8Array.of(1) };
const RECEIVED: IngressStatus = { state: "received" };

function historyWith(id: RequestId, keepUntil: bigint): IngressHistory {
  const history = new IngressHistory();
  history.add(id, ORIGIN, RECEIVED, keepUntil);
  return history;
}

describe("a message", () => {
  test("that was answered is known until it expires, so that it never runs twice", () => {
    const expiry = START + 300n * SECOND;
    const history = historyWith("a", expiry);
    history.set("a", REPLIED, START);
    history.prune(expiry);
    assert.equal(history.get("a")?.status.state, "replied");
    history.prune(expiry + 30n * SECOND);
    assert.equal(history.get("a"), undefined);
    assert.equal(history.size, 0);
  });

  test("that was answered late can be asked for another five minutes", () => {
    const history = historyWith("a", START + SECOND);
    const answered = START + 1_000n * SECOND;
    history.prune(answered);
    history.set("a", REPLIED, answered);
    history.prune(answered + MAX_INGRESS_TTL_NS);
    assert.deepEqual(history.get("a")?.status, REPLIED);
    history.prune(answered + MAX_INGRESS_TTL_NS + 30n * SECOND);
    assert.equal(history.get("a"), undefined);
  });

  test("that is under way is never forgotten", () => {
    for (const state of ["received", "processing"] as const) {
      const history = historyWith("a", START);
      history.set("a", { state }, START);
      history.prune(START + 1_000_000n * SECOND);
      assert.equal(history.get("a")?.status.state, state);
    }
  });

  test("that nobody knows cannot be answered", () => {
    const history = new IngressHistory();
    history.set("a", REPLIED, START);
    assert.equal(history.size, 0);
    assert.deepEqual([...history.takeChanges()], []);
  });
});

test("changes name each id once, forgetting included", () => {
  const history = historyWith("a", START);
  history.set("a", { state: "processing" }, START);
  history.add("b", ORIGIN, RECEIVED, START);
  assert.deepEqual([...history.takeChanges()].sort(), ["a", "b"]);
  history.set("a", REPLIED, START);
  assert.deepEqual([...history.takeChanges()], ["a"]);
  history.prune(START + 1_000n * SECOND);
  assert.deepEqual([...history.takeChanges()], ["a"]);
  assert.deepEqual([...history.takeChanges()], []);
  history.noteAll();
  assert.deepEqual([...history.takeChanges()], ["b"]);
});

const id = fc.integer({ min: 0, max: 20 }).map(String);
const step = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), id, ttl: fc.bigInt({ min: 0n, max: 300n }) }),
  fc.record({
    kind: fc.constant("set" as const),
    id,
    status: fc.constantFrom<IngressStatus>({ state: "processing" }, REPLIED, { state: "done" }),
  }),
  fc.record({ kind: fc.constant("pass" as const), seconds: fc.bigInt({ min: 1n, max: 400n }) }),
  fc.record({ kind: fc.constant("checkpoint" as const) }),
);

test("what checkpoints were told makes the same history again", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const history = new IngressHistory();
      const disk = new Map<number, [RequestId, IngressRecord][]>();
      let now = START;
      for (const action of [...steps, { kind: "checkpoint" } as const]) {
        if (action.kind === "add" && history.get(action.id) === undefined) {
          history.add(action.id, ORIGIN, RECEIVED, now + action.ttl * SECOND);
        } else if (action.kind === "set") history.set(action.id, action.status, now);
        else if (action.kind === "pass") {
          now += action.seconds * SECOND;
          history.prune(now);
        } else if (action.kind === "checkpoint") {
          for (const [bucket, records] of history.takeBucketChanges()) {
            if (records.length === 0) disk.delete(bucket);
            else disk.set(bucket, records);
          }
          assert.equal(history.takeBucketChanges().size, 0);
        }
      }
      const loaded = new IngressHistory();
      for (const records of disk.values()) for (const [id, record] of records) loaded.insert(id, record);
      assert.equal(loaded.size, history.size);
      for (let i = 0; i <= 20; i++) assert.deepEqual(loaded.get(String(i)), history.get(String(i)));
      const later = now + 400n * SECOND;
      loaded.prune(later);
      history.prune(later);
      assert.equal(loaded.size, history.size);
    }),
    { numRuns: 300 },
  );
});

test("above the limit the answers that expire first become done; their messages stay known", () => {
  const history = new IngressHistory();
  const reply = (bytes: number) => ({ state: "replied", reply: new Uint8Array(bytes) }) as const;
  for (const id of ["c", "a", "b"]) history.add(id, ORIGIN, RECEIVED, START + 100n * SECOND);
  for (const id of ["c", "a"]) history.set(id, reply(100), START);
  history.set("b", reply(100), START + 50n * SECOND);
  history.takeChanges();
  history.dropAnswersAbove(300);
  assert.equal(history.takeChanges().size, 0);
  history.dropAnswersAbove(250);
  assert.deepEqual([...history.takeChanges()], ["a"]);
  assert.deepEqual(history.get("a")?.status, { state: "done" });
  assert.equal(history.get("c")?.status.state, "replied");
  history.dropAnswersAbove(100);
  assert.deepEqual(history.get("c")?.status, { state: "done" });
  assert.equal(history.get("b")?.status.state, "replied");
  history.set("b", { state: "done" }, START);
  history.prune(START + 10_000n * SECOND);
  assert.equal(history.size, 0);
});
