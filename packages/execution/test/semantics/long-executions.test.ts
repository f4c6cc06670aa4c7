// Executions that take more than a slice: same results, traps, charges and effects as in one go, other canisters and
// queries served in between, and nothing lost when a checkpoint drops what they did so far.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CheckpointStore, Checkpoints, MemoryStorage } from "@atoll/state";
import { type CanisterId, type IngressMessage, type IngressStatus, MANAGEMENT_CANISTER } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import {
  ALICE,
  candid,
  canisterOf,
  createCanister,
  ErrorCode,
  errorOf,
  install,
  logsOf,
  type Machine,
  message,
  newMachine,
  newUniversal,
  numberOf,
  principal,
  queried,
  query,
  replyOf,
  round,
  roundAfterSlice,
  send,
  statusOf,
} from "./machine.ts";

const SLICES = { slice: 100_000, operation: 100_000 };

/** Counts `arg` (u64) down in a loop, adding to memory, stable memory and a global on the way. */
const BUSY = wat(
  `
  (module
    (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
    (import "ic0" "msg_arg_data_size" (func $size (result i32)))
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
    (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
    (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (import "ic0" "debug_print" (func $print (param i32 i32)))
    (memory 2)
    (global $done (mut i64) (i64.const 0))
    (table funcref (elem $callback $cleanup))
    (data (i32.const 100) "nothing here")
    (data (i32.const 200) "shortspun")
    (func $spin
      (if (i32.ge_u (call $size) (i32.const 8)) (then (call $arg (i32.const 0) (i32.const 0) (i32.const 8))))
      (call $work))
    (func $work
      (local $left i64)
      (local.set $left (i64.load (i32.const 0)))
      (drop (call $grow (i64.const 1)))
      (block $out (loop $again
        (br_if $out (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (i64.store (i32.const 70000) (i64.add (i64.load (i32.const 70000)) (local.get $left)))
        (global.set $done (i64.add (global.get $done) (i64.const 1)))
        (br $again)))
      (call $write (i64.const 8) (i64.const 70000) (i64.const 8))
      (call $print (i32.const 205) (i32.const 4)))
    (func $answer
      (i64.store (i32.const 16) (call $counter (i32.const 0)))
      (i64.store (i32.const 24) (global.get $done))
      (i64.store (i32.const 32) (i64.load (i32.const 70000)))
      (call $append (i32.const 16) (i32.const 24))
      (call $reply))
    (func (export "canister_update spin") (call $spin) (call $answer))
    (func (export "canister_query spin_query") (call $spin) (call $answer))
    (func $deep (call $spin) (unreachable))
    (func (export "canister_update spin_and_trap") (call $deep))
    (func (export "canister_update state") (call $answer))
    (func (export "canister_query short") (call $append (i32.const 200) (i32.const 5)) (call $reply))
    (func $callback (param i32) (call $spin) (if (local.get 0) (then (unreachable))) (call $answer))
    (func $cleanup (param i32) (call $work))
    (func $call (param $trap i32)
      (call $arg (i32.const 0) (i32.const 0) (i32.const 8))
      (call $self (i32.const 300) (i32.const 0) (i32.const 10))
      (call $new (i32.const 300) (i32.const 10) (i32.const 200) (i32.const 5)
        (i32.const 0) (local.get $trap) (i32.const 0) (local.get $trap))
      (call $on_cleanup (i32.const 1) (i32.const 0))
      (drop (call $perform)))
    (func (export "canister_update callback") (call $call (i32.const 0)))
    (func (export "canister_update callback_trap") (call $call (i32.const 1)))
    (func (export "canister_init") (call $spin))
    (func (export "canister_pre_upgrade") (call $work))
    (func (export "canister_post_upgrade") (call $spin))
  )`,
  { names: true },
);

const u64 = (value: number): Uint8Array => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);

/** What takes longer would cost more. */
const TIME_IS_FREE = { resources: { gibPerSecond: 0n } };

function sliced(options: { maxPaused?: number } = {}): Machine {
  return newMachine(TIME_IS_FREE, { long: { slices: SLICES, ...options } });
}

function newBusy(m: Machine): CanisterId {
  const id = createCanister(m);
  replyOf(install(m, id, BUSY, { arg: u64(0) }));
  return id;
}

/** Rounds until `sent` is answered; gives their number. */
async function finish(m: Machine, sent: IngressMessage, atMost = 2000): Promise<number> {
  for (let rounds = 1; rounds <= atMost; rounds++) {
    await roundAfterSlice(m, rounds === 1 ? [sent] : []);
    const state = statusOf(m, sent)?.state;
    if (state === "replied" || state === "rejected") return rounds;
  }
  return assert.fail("no answer");
}

const spun = (status: IngressStatus | undefined): { instructions: bigint; done: bigint; sum: bigint } => {
  const reply = replyOf(status);
  return {
    instructions: numberOf(reply.subarray(0, 8)),
    done: numberOf(reply.subarray(8, 16)),
    sum: numberOf(reply.subarray(16, 24)),
  };
};

for (const method of ["spin", "spin_query", "callback"]) {
  test(`${method}: the same in slices and in one go`, async () => {
    const [whole, parts] = [newMachine(TIME_IS_FREE), sliced()];
    const ids = [newBusy(whole), newBusy(parts)];
    const [one, other] = [
      message(whole, ids[0] as CanisterId, method, u64(40_000)),
      message(parts, ids[1] as CanisterId, method, u64(40_000)),
    ];
    assert.ok((await finish(whole, one)) <= 2);
    const rounds = await finish(parts, other);
    assert.ok(rounds >= 7, `${rounds} rounds`);
    assert.deepEqual(spun(statusOf(parts, other)), spun(statusOf(whole, one)));
    const [a, b] = [canisterOf(whole, ids[0] as CanisterId), canisterOf(parts, ids[1] as CanisterId)];
    assert.equal(b.cycles, a.cycles, "charged alike");
    assert.equal(b.version, a.version);
    assert.deepEqual(b.execution?.globals, a.execution?.globals);
    assert.deepEqual(b.execution?.stable.read(0), a.execution?.stable.read(0));
    assert.deepEqual(b.execution?.heap.read(17), a.execution?.heap.read(17));
    assert.equal(b.callContexts.size, 0);
    assert.equal(b.pendingExecution, undefined);
    const again = send(parts, ids[1] as CanisterId, new Uint8Array(), { method: "state" });
    assert.equal(spun(again).done, method === "spin_query" ? 0n : 40_000n);
  });
}

test("the log tells of a trap after many slices what it tells of one in one go", async () => {
  const lines: string[][] = [];
  for (const m of [newMachine(TIME_IS_FREE), sliced()]) {
    const id = newBusy(m);
    const sent = message(m, id, "spin_and_trap", u64(40_000));
    await finish(m, sent);
    assert.equal(errorOf(statusOf(m, sent)).code, ErrorCode.CanisterTrapped);
    lines.push(logsOf(m, id));
  }
  assert.deepEqual(lines[1], lines[0]);
  assert.match(String(lines[0]), /unreachable[\s\S]*Backtrace/);
});

test("a trap after many slices leaves no trace but the charge", async () => {
  const m = sliced();
  const id = newBusy(m);
  const before = canisterOf(m, id).cycles;
  const sent = message(m, id, "spin_and_trap", u64(40_000));
  assert.ok((await finish(m, sent)) > 6);
  assert.equal(errorOf(statusOf(m, sent)).code, ErrorCode.CanisterTrapped);
  assert.ok(before - canisterOf(m, id).cycles > 600_000n);
  assert.deepEqual(spun(send(m, id, new Uint8Array(), { method: "state" })).done, 0n);
  assert.equal(canisterOf(m, id).execution?.stable.wasmPages, 1, "as init left it");
});

test("a callback that traps after many slices is followed by its cleanup, in slices too", async () => {
  const m = sliced();
  const id = newBusy(m);
  const sent = message(m, id, "callback_trap", u64(30_000));
  assert.ok((await finish(m, sent)) > 6);
  assert.equal(errorOf(statusOf(m, sent)).code, ErrorCode.CanisterTrapped);
  assert.equal(spun(send(m, id, new Uint8Array(), { method: "state" })).done, 30_000n, "by the cleanup");
});

test("others are served in the meantime, and queries of the busy canister see what is committed", async () => {
  const m = sliced();
  const busy = newBusy(m);
  const other = newUniversal(m);
  const sent = message(m, busy, "spin", u64(100_000));
  await roundAfterSlice(m, [sent]);
  for (let i = 0; i < 5; i++) {
    const quick = message(m, other, "update", u.reply(u.bytes("quick")));
    await roundAfterSlice(m, [quick]);
    assert.equal(statusOf(m, quick)?.state, "replied");
    assert.equal(statusOf(m, sent)?.state, "processing");
    assert.equal(new TextDecoder().decode(queried(query(m, busy, new Uint8Array(), { method: "short" }))), "short");
  }
  const mine = message(m, busy, "state", new Uint8Array());
  await roundAfterSlice(m, [mine]);
  assert.equal(statusOf(m, mine)?.state, "received", "one execution at a time");
  await finish(m, mine);
  assert.equal(spun(statusOf(m, mine)).done, 100_000n);
});

test("management calls about a busy canister wait, in order; about others they do not", async () => {
  const m = sliced();
  const [busy, other] = [newBusy(m), newBusy(m)];
  await roundAfterSlice(m, [message(m, busy, "spin", u64(60_000))]);
  const calls = [busy, busy, other].map((id, i) => {
    const method = i === 1 ? "start_canister" : "stop_canister";
    return message(m, MANAGEMENT_CANISTER, method, candid(method, { canister_id: principal(id) }), { effective: id });
  });
  await roundAfterSlice(m, calls);
  assert.deepEqual(
    calls.map((call) => statusOf(m, call)?.state),
    ["received", "received", "replied"],
  );
  await finish(m, calls[1] as IngressMessage);
  assert.equal(statusOf(m, calls[0] as IngressMessage)?.state, "replied");
  assert.equal(canisterOf(m, busy).status.kind, "running");
});

test("memory that several long executions take at once is given out once", async () => {
  const resources = { ...TIME_IS_FREE.resources, memoryCapacity: 20_000_000 };
  const m = newMachine({ resources }, { long: { slices: SLICES } });
  const wasm = wat(`(module
    (import "ic0" "msg_reply" (func $reply))
    (memory 1 400)
    (func (export "canister_update grow") (local $i i32)
      (if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then (unreachable)))
      (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 60000))))
      (call $reply)))`);
  const sent = [1, 2, 3].map(() => {
    const id = createCanister(m);
    replyOf(install(m, id, wasm));
    return message(m, id, "grow", new Uint8Array());
  });
  await roundAfterSlice(m, sent);
  assert.equal(m.machine.long.size, 3);
  for (let i = 0; i < 60 && m.machine.long.size > 0; i++) await roundAfterSlice(m);
  const ends = sent.map((each) => statusOf(m, each));
  assert.deepEqual(ends.map((end) => end?.state).sort(), ["rejected", "rejected", "replied"]);
  for (const end of ends) if (end?.state === "rejected") assert.equal(end.error.code, ErrorCode.CanisterOutOfMemory);
});

test("calls that wait are bounded in bytes", async () => {
  const m = sliced();
  const busy = newBusy(m);
  await roundAfterSlice(m, [message(m, busy, "spin", u64(60_000))]);
  const arg = new Uint8Array(2 * 1024 * 1024);
  const calls = Array.from({ length: 70 }, () => {
    return message(m, MANAGEMENT_CANISTER, "install_code", arg, { effective: busy });
  });
  await roundAfterSlice(m, calls);
  const states = calls.map((call) => statusOf(m, call)?.state);
  assert.deepEqual([...new Set(states.slice(0, 64))], ["received"]);
  assert.deepEqual([...new Set(states.slice(64))], ["rejected"]);
  assert.equal(errorOf(statusOf(m, calls[69] as IngressMessage)).code, ErrorCode.CanisterQueueFull);
});

test("installing takes slices, one installation at a time, and ends as in one go", async () => {
  const [whole, parts] = [newMachine(), sliced()];
  const ids = [whole, parts, parts].map((m) => createCanister(m)) as [CanisterId, CanisterId, CanisterId];
  replyOf(install(whole, ids[0], BUSY, { arg: u64(30_000) }));
  const sent = [ids[1], ids[2]].map((id, i) =>
    message(
      parts,
      MANAGEMENT_CANISTER,
      "install_code",
      candid("install_code", {
        mode: { install: null },
        canister_id: principal(id),
        wasm_module: BUSY,
        arg: u64(i === 0 ? 30_000 : 0),
        sender_canister_version: [],
      }),
      { effective: id },
    ),
  ) as [IngressMessage, IngressMessage];
  await roundAfterSlice(parts, sent);
  await roundAfterSlice(parts);
  assert.deepEqual([statusOf(parts, sent[0])?.state, statusOf(parts, sent[1])?.state], ["processing", "received"]);
  await finish(parts, sent[1]);
  assert.equal(statusOf(parts, sent[0])?.state, "replied");
  const [a, b] = [canisterOf(whole, ids[0]), canisterOf(parts, ids[1])];
  assert.equal(b.cycles, a.cycles);
  assert.equal(b.version, a.version);
  assert.deepEqual(b.execution?.globals, a.execution?.globals);
  assert.deepEqual(
    b.logs.records.map(({ content }) => content),
    a.logs.records.map(({ content }) => content),
  );
});

test("upgrading in slices keeps what pre_upgrade and post_upgrade wrote", async () => {
  const m = sliced();
  const id = newBusy(m);
  await finish(m, message(m, id, "spin", u64(10_000)));
  const sent = message(
    m,
    MANAGEMENT_CANISTER,
    "install_code",
    candid("install_code", {
      mode: { upgrade: [] },
      canister_id: principal(id),
      wasm_module: BUSY,
      arg: u64(40_000),
      sender_canister_version: [],
    }),
    { effective: id },
  );
  assert.ok((await finish(m, sent)) > 3);
  replyOf(statusOf(m, sent));
  assert.equal(spun(send(m, id, new Uint8Array(), { method: "state" })).done, 40_000n, "a new heap and globals");
  assert.equal(canisterOf(m, id).execution?.stable.wasmPages, 4, "stable memory goes on: init, spin, pre, post");
});

test("more long executions than may be suspended all end, in the order of their age", async () => {
  const m = sliced({ maxPaused: 2 });
  const sent = Array.from({ length: 5 }, () => message(m, newBusy(m), "spin", u64(30_000)));
  await roundAfterSlice(m, sent);
  assert.equal(m.machine.long.size, 2);
  for (const each of sent)
    if (statusOf(m, each)?.state === "processing")
      await finish(m, message(m, each.receiver, "state", new Uint8Array()));
  for (const each of sent) assert.equal(spun(statusOf(m, each)).done, 30_000n);
});

test("a checkpoint in the midst of long executions loses nothing but time", async () => {
  const m = sliced();
  const id = newBusy(m);
  const sent = message(m, id, "spin", u64(60_000));
  for (let i = 0; i < 4; i++) await roundAfterSlice(m, i === 0 ? [sent] : []);
  await m.machine.long.runSlice();
  m.height++;
  m.time += 1_000_000_000n;
  const { processBatch } = await import("@atoll/messaging");
  processBatch(m.machine, {
    height: m.height,
    time: m.time,
    randomness: new Uint8Array(32),
    ingress: [],
    isCheckpoint: true,
  });
  assert.equal(m.machine.long.size, 0);
  const store = CheckpointStore.open(new MemoryStorage(), {});
  new Checkpoints(store).save(m.machine.state);
  const restored = newMachine(TIME_IS_FREE, { long: { slices: SLICES } });
  restored.machine.state.canisters.clear();
  new Checkpoints(store).load(restored.machine.state);
  restored.height = m.height;
  restored.time = m.time;
  for (const each of [m, restored]) {
    for (let i = 0; i < 100 && statusOf(each, sent)?.state !== "replied"; i++) await roundAfterSlice(each);
    assert.equal(spun(statusOf(each, sent)).done, 60_000n);
  }
  assert.equal(restored.height, m.height, "after as many rounds");
  assert.equal(canisterOf(restored, id).cycles, canisterOf(m, id).cycles);
});

test("system calls of more than a slice together suspend at the next loop head; one alone fails", async () => {
  const m = sliced();
  const id = createCanister(m);
  const wasm = wat(`(module
    (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
    (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
    (import "ic0" "msg_reply" (func $reply))
    (memory 4)
    (func (export "canister_update many") (local $i i32)
      (drop (call $grow (i64.const 10)))
      (loop $again
        (call $read (i64.const 0) (i64.const 0) (i64.const 90000))
        (call $read (i64.const 0) (i64.const 0) (i64.const 90000))
        (call $read (i64.const 0) (i64.const 0) (i64.const 90000))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))
      (call $reply))
    (func (export "canister_update one")
      (drop (call $grow (i64.const 10)))
      (call $read (i64.const 0) (i64.const 0) (i64.const 250000))))`);
  replyOf(install(m, id, wasm));
  const many = message(m, id, "many", new Uint8Array());
  assert.ok((await finish(m, many)) >= 4);
  replyOf(statusOf(m, many));
  const error = errorOf(send(m, id, new Uint8Array(), { method: "one" }));
  assert.match(error.message, /large memory operation that used \d+ instructions and exceeded the slice limit 100000/);
});

test("one operation of more than a slice fails, a loop of more does not", () => {
  const m = sliced();
  const id = createCanister(m);
  const wasm = wat(`(module (memory 4)
    (func (export "canister_update fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 250000))))`);
  replyOf(install(m, id, wasm));
  const error = errorOf(send(m, id, new Uint8Array(), { method: "fill" }));
  assert.equal(error.code, ErrorCode.CanisterInstructionLimitExceeded);
  assert.match(
    error.message,
    /attempted to perform a large memory operation that used \d+ instructions and exceeded the slice limit 100000/,
  );
});

test("a round that begins before the slice has run is our own mistake, and said to be", async () => {
  const m = sliced();
  await roundAfterSlice(m, [message(m, newBusy(m), "spin", u64(60_000), { sender: ALICE })]);
  assert.throws(() => round(m), /slice/);
});
