// Who runs when in rounds that are too short for everybody: nobody starves, shares follow compute allocations, timer,
// heartbeat and messages of a canister take turns. Rounds here hold some ten executions of the overhead alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CanisterId, IngressMessage } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import {
  canisterOf,
  createCanister,
  install,
  type Machine,
  message,
  newMachine,
  newUniversal,
  replyOf,
  round,
  statusOf,
} from "./machine.ts";

/** Instructions that a round counts for each execution beside those of the Wasm. */
const OVERHEAD = 2_000_000;

/** Rounds as long as ever, for now. */
function newSubnet(): Machine {
  return newMachine({ resources: { instructions: { update: 40e9, query: 5e9, install: 300e9, round: 4e9 } } });
}

/** From here on a round holds so many executions: not before, as installing needs more. */
function shorten(m: Machine, executions: number): void {
  (m.machine.fees.limits as { round: number }).round = executions * OVERHEAD;
}

function flood(m: Machine, id: CanisterId, count: number): IngressMessage[] {
  return Array.from({ length: count }, () => message(m, id, "update", u.reply(u.bytes("done"))));
}

const answered = (m: Machine, sent: readonly IngressMessage[]): number =>
  sent.filter((each) => statusOf(m, each)?.state === "replied").length;

test("a flood on one canister does not keep another one waiting", () => {
  const m = newSubnet();
  const [busy, other] = [newUniversal(m), newUniversal(m)];
  shorten(m, 10);
  const sent = flood(m, busy, 200);
  round(m, sent);
  for (let i = 0; i < 5; i++) {
    const quick = flood(m, other, 1);
    round(m, quick);
    if (answered(m, quick) === 0) round(m);
    assert.equal(answered(m, quick), 1, `message ${i}`);
  }
  assert.ok(answered(m, sent) > 30);
});

test("canisters with the same allocation get the same, whatever their ids", () => {
  const m = newSubnet();
  const ids = [1, 2, 3, 4].map(() => newUniversal(m));
  shorten(m, 10);
  const sent = ids.map((id) => flood(m, id, 100));
  round(m, sent.flat());
  for (let i = 0; i < 15; i++) round(m);
  const counts = sent.map((each) => answered(m, each));
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 10, `${counts}`);
  assert.ok(
    counts.every((count) => count < 100),
    "there is still something to share",
  );
});

test("shares follow compute allocations", () => {
  const m = newSubnet();
  const [plain, allocated] = [
    newUniversal(m),
    newUniversal(m, { cycles: 10n ** 16n, settings: { compute_allocation: [9n] } }),
  ];
  shorten(m, 10);
  const sent = [flood(m, plain, 300), flood(m, allocated, 300)] as const;
  round(m, sent.flat());
  for (let i = 0; i < 25; i++) round(m);
  const [few, many] = sent.map((each) => answered(m, each)) as [number, number];
  assert.ok(few >= 10, `${few}: without an allocation one is served too`);
  assert.ok(many >= 5 * few, `${many} and ${few}`);
});

const TASKS = wat(`
  (module
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "global_timer_set" (func $timer (param i64) (result i64)))
    (memory 1)
    (global $heartbeats (export "h") (mut i64) (i64.const 0))
    (global $timers (export "t") (mut i64) (i64.const 0))
    (global $messages (export "m") (mut i64) (i64.const 0))
    (func (export "canister_init") (drop (call $timer (i64.const 1))))
    (func (export "canister_heartbeat") (global.set $heartbeats (i64.add (global.get $heartbeats) (i64.const 1))))
    (func (export "canister_global_timer")
      (global.set $timers (i64.add (global.get $timers) (i64.const 1)))
      (drop (call $timer (i64.const 1))))
    (func (export "canister_update count")
      (global.set $messages (i64.add (global.get $messages) (i64.const 1)))
      (call $reply)))`);

const globalsOf = (m: Machine, id: CanisterId): [bigint, bigint, bigint] => {
  const { execution } = canisterOf(m, id);
  assert.ok(execution !== undefined);
  return [...execution.globals] as [bigint, bigint, bigint];
};

test("timer, heartbeat and messages of one canister take turns when a round has room for one of them", () => {
  const m = newSubnet();
  const id = createCanister(m);
  replyOf(install(m, id, TASKS));
  shorten(m, 1);
  round(
    m,
    Array.from({ length: 40 }, () => message(m, id, "count", new Uint8Array())),
  );
  for (let i = 0; i < 29; i++) round(m);
  const [heartbeats, timers, messages] = globalsOf(m, id);
  for (const each of [heartbeats, timers, messages])
    assert.ok(each >= 9n && each <= 13n, `${[heartbeats, timers, messages]}`);
});

test("sixty canisters with heartbeats and timers in rounds of six executions: all get the same", () => {
  const m = newSubnet();
  const ids = Array.from({ length: 60 }, () => {
    const id = createCanister(m);
    replyOf(install(m, id, TASKS));
    return id;
  });
  const heartbeats = (): number[] => ids.map((id) => Number(globalsOf(m, id)[0]));
  const before = heartbeats();
  shorten(m, 6);
  for (let i = 0; i < 60; i++) round(m);
  const done = heartbeats().map((each, i) => each - (before[i] as number));
  assert.ok(Math.max(...done) - Math.min(...done) <= 2, `${done}`);
  assert.ok(Math.min(...done) >= 2, `${done}`);
});
