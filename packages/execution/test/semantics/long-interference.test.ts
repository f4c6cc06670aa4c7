// What others do to a canister while an execution of it takes many rounds: none of it may be lost, done twice, or leave
// the canister with less than nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { processBatch } from "@atoll/messaging";
import { touch } from "@atoll/state";
import { type CanisterId, type IngressMessage, MANAGEMENT_CANISTER } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "./machine.ts";

const SLICES = { slice: 100_000, operation: 100_000 };

/** Counts down from its argument; then burns all that it may, or traps in a callback. */
const BURNER = wat(`
  (module
    (import "ic0" "msg_arg_data_copy" (func $arg (param i32 i32 i32)))
    (import "ic0" "msg_arg_data_size" (func $size (result i32)))
    (import "ic0" "cycles_burn128" (func $burn (param i64 i64 i32)))
    (import "ic0" "msg_reply" (func $reply))
    (import "ic0" "canister_self_copy" (func $self (param i32 i32 i32)))
    (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "ic0" "call_on_cleanup" (func $on_cleanup (param i32 i32)))
    (import "ic0" "call_perform" (func $perform (result i32)))
    (import "ic0" "debug_print" (func $print (param i32 i32)))
    (memory 1)
    (table funcref (elem $callback $cleanup))
    (data (i32.const 200) "shortcallbackcleanup")
    (func (export "canister_query short") (call $reply))
    (func $callback (param i32) (call $print (i32.const 205) (i32.const 8)) (unreachable))
    (func $cleanup (param i32) (call $print (i32.const 213) (i32.const 7)) (call $count))
    (func (export "canister_update callback_trap")
      (call $arg (i32.const 0) (i32.const 0) (call $size))
      (call $self (i32.const 300) (i32.const 0) (i32.const 10))
      (call $new (i32.const 300) (i32.const 10) (i32.const 200) (i32.const 5)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $on_cleanup (i32.const 1) (i32.const 0))
      (drop (call $perform)))
    (func $spin
      (call $arg (i32.const 0) (i32.const 0) (call $size))
      (call $count))
    (func $count (local $left i64)
      (local.set $left (i64.load (i32.const 0)))
      (block $out (loop $again
        (br_if $out (i64.eqz (local.get $left)))
        (local.set $left (i64.sub (local.get $left) (i64.const 1)))
        (br $again))))
    (func (export "canister_update spin") (call $spin) (call $reply))
    (func (export "canister_update burn")
      (call $spin)
      (call $burn (i64.const -1) (i64.const -1) (i32.const 16))
      (call $reply)))`);

const u64 = (value: number): Uint8Array => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);

/** A round after which nothing is left of what long executions did so far. */
async function checkpointRound(m: s.Machine): Promise<void> {
  await m.machine.long.runSlice();
  m.height++;
  m.time += 1_000_000_000n;
  const randomness = new Uint8Array(32);
  m.last = processBatch(m.machine, { height: m.height, time: m.time, randomness, ingress: [], isCheckpoint: true });
  m.queries.apply(m.last.delta);
}

const isOpen = (m: s.Machine, sent: IngressMessage): boolean =>
  ["received", "processing"].includes(s.statusOf(m, sent)?.state ?? "");

function newBurner(m: s.Machine, settings: object = {}): CanisterId {
  const id = s.createCanister(m, { settings });
  s.replyOf(s.install(m, id, BURNER));
  return id;
}

test("a balance never falls below zero when messages come in during an execution that spends everything", async () => {
  const m = s.newMachine({ resources: { gibPerSecond: 0n } }, { long: { slices: SLICES } });
  const id = newBurner(m, { freezing_threshold: [0n] });
  s.setBalance(m, id, m.machine.fees.execution(m.machine.fees.limits.update, false) + 60_000_000_000n);
  const sent = s.message(m, id, "burn", u64(800_000));
  await s.roundAfterSlice(m, [sent]);
  assert.ok(m.machine.long.has(id));
  for (let i = 0; i < 100 && s.statusOf(m, sent)?.state === "processing"; i++) {
    const large = { ...s.message(m, id, "spin", u64(1)), byteSize: 1_000_000 };
    await s.roundAfterSlice(m, [large]);
    assert.ok(s.canisterOf(m, id).cycles >= 0n, `${s.canisterOf(m, id).cycles}`);
  }
  s.replyOf(s.statusOf(m, sent));
});

test("a cleanup that a checkpoint aborts tells of its callback once", async () => {
  const lines: string[][] = [];
  for (const isAborted of [false, true]) {
    const m = s.newMachine({ resources: { gibPerSecond: 0n } }, { long: { slices: SLICES } });
    const id = newBurner(m);
    const sent = s.message(m, id, "callback_trap", u64(200_000));
    for (let i = 0; i < 100 && (i === 0 || isOpen(m, sent)); i++) {
      if (isAborted && i === 4) await checkpointRound(m);
      else await s.roundAfterSlice(m, i === 0 ? [sent] : []);
      if (i === 3) assert.equal(canisterKind(m, id), "response");
    }
    assert.match(s.errorOf(s.statusOf(m, sent)).message, /unreachable/);
    lines.push(s.logsOf(m, id));
  }
  assert.deepEqual(lines[1], lines[0]);
  assert.deepEqual(
    lines[0]?.map((line) => line.split("\n")[0]),
    ["callback", "[TRAP]: unreachable", "cleanup"],
  );
});

const canisterKind = (m: s.Machine, id: CanisterId): string | undefined => s.canisterOf(m, id).pendingExecution?.kind;

test("a canister that another one has just begun to upgrade does not run its low-memory hook first", async () => {
  const m = s.newMachine({ resources: { gibPerSecond: 0n } }, { long: { slices: SLICES } });
  const upgrader = s.newUniversal(m);
  const hooked = wat(`
    (module (memory 1)
      (func (export "canister_on_low_wasm_memory") (local $i i32)
        (loop $again
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))
      (func (export "canister_post_upgrade") (local $i i32)
        (loop $again
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))))`);
  const id = s.createCanister(m, { settings: { controllers: [[s.ALICE, upgrader].map(s.principal)] } });
  s.replyOf(s.install(m, id, hooked));
  const canister = s.canisterOf(m, id);
  // The upgrader goes first.
  canister.serviceReceived += 1_000_000;
  canister.lowMemoryHook = "ready";
  canister.settings = { ...canister.settings, wasmMemoryThreshold: 5n * 1024n ** 3n };
  touch(m.machine.state, canister);
  const arg = s.candid("install_code", {
    ...s.onCanister(id),
    mode: { upgrade: [] },
    wasm_module: hooked,
    arg: new Uint8Array(),
    sender_canister_version: [],
  });
  const program = u.call({
    callee: s.MANAGEMENT,
    method: "install_code",
    arg: u.bytes(arg),
    onReply: u.reply(u.bytes("upgraded")),
    onReject: u.reject("not upgraded"),
  });
  const sent = s.message(m, upgrader, "update", program);
  for (let i = 0; i < 60 && (i === 0 || isOpen(m, sent)); i++) {
    await s.roundAfterSlice(m, i === 0 ? [sent] : []);
    if (i === 0) assert.equal(canisterKind(m, id), "install");
  }
  assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "upgraded");
});

test("queries tell of a canister whose charges wait for the end of an execution, and exceed what it has", async () => {
  const m = s.newMachine({ resources: { gibPerSecond: 10n ** 12n } }, { long: { slices: SLICES } });
  const id = newBurner(m, { freezing_threshold: [0n] });
  s.setBalance(m, id, m.machine.fees.execution(m.machine.fees.limits.update, false) + 20_000_000_000n);
  await s.roundAfterSlice(m, [s.message(m, id, "spin", u64(1_000_000))]);
  for (let i = 0; i < 5; i++) {
    await m.machine.long.runSlice();
    s.round(m, [], 1000);
    assert.equal(canisterKind(m, id), "call");
    const reply = s.queried(
      s.query(m, MANAGEMENT_CANISTER, s.candid("canister_status", s.onCanister(id)), { method: "canister_status" }),
    );
    assert.ok(s.decode("canister_status", reply).cycles >= 0n);
  }
});

test("an execution that waits for room is not passed by those that begin after it", async () => {
  const slices = { slices: SLICES, maxPaused: 2 };
  const m = s.newMachine({ resources: { gibPerSecond: 0n } }, { long: slices });
  const ids = [1, 2, 3].map(() => newBurner(m));
  // Each of the three has one message after the other; there is room for two.
  const sent = Array.from({ length: 6 }, () => ids.map((id) => s.message(m, id, "spin", u64(60_000))));
  await s.roundAfterSlice(m, sent.flat());
  for (let i = 0; i < 400 && ids.some((_, at) => isOpen(m, sent[0]?.[at] as IngressMessage)); i++) {
    await s.roundAfterSlice(m);
  }
  const answered = sent.map((messages) => messages.filter((each) => !isOpen(m, each)).length);
  assert.equal(answered[0], 3, "the first of each");
  assert.ok((answered[3] ?? 0) === 0, `others had ${answered} messages answered by then`);
});
