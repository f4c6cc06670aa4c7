// A frozen canister, one with less than its freezing threshold: nothing new begins on it, what it has begun goes on, and
// what it would take to thaw it is for its controllers to know. And the balance to the unit at each point of a call.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, principalToText, RejectCode } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const BILLION = 1_000_000_000n;

/** Frozen in a month, unless more than `cycles` are there. */
function freeze(m: s.Machine, id: CanisterId, cycles = 1000n): void {
  s.setBalance(m, id, cycles);
}

/** With so much memory promised that a month of it costs something. */
const newCostly = (m: s.Machine, options: Parameters<typeof s.newUniversal>[1] = {}): CanisterId => {
  return s.newUniversal(m, { settings: { memory_allocation: [1_000_000_000n] }, ...options });
};

describe("a frozen canister", () => {
  test("takes no messages of users, and tells how much is missing to controllers alone", () => {
    const m = s.newMachine();
    const id = newCostly(m);
    freeze(m, id);
    const told = s.failure(m, id, u.reply());
    assert.equal(told.code, s.ErrorCode.CanisterOutOfCycles);
    const sentence = `Canister ${principalToText(id)} is out of cycles`;
    assert.match(
      told.message,
      new RegExp(`^${sentence}: please top up the canister with at least [0-9_]+ additional cycles$`),
    );
    assert.equal(s.errorOf(s.send(m, id, u.reply(), { sender: s.BOB })).message, sentence);
    const missing = BigInt((/least ([0-9_]+)/.exec(told.message)?.[1] ?? "").replaceAll("_", ""));
    s.setBalance(m, id, s.balanceOf(m, id) + missing - 1n);
    s.failure(m, id, u.reply());
    s.setBalance(m, id, s.balanceOf(m, id) + missing + 100n * BILLION);
    s.update(m, id, u.reply());
  });

  test("rejects calls of other canisters, with their cycles, as one that will be back", () => {
    const m = s.newMachine();
    const id = newCostly(m);
    const caller = s.newUniversal(m);
    freeze(m, id);
    const onReject = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), u.rejectMessage()));
    const answer = s.update(m, caller, u.call({ callee: s.idBytes(id), method: "update", cycles: 55n, onReject }));
    assert.equal(s.numberOf(answer.subarray(0, 8)), BigInt(RejectCode.SYS_TRANSIENT));
    assert.equal(s.numberOf(answer.subarray(8, 24)), 55n);
    assert.equal(s.textOf(answer.subarray(24)), `IC0207: Canister ${principalToText(id)} is out of cycles`);
  });

  test("answers no queries", () => {
    const m = s.newMachine();
    const id = newCostly(m);
    freeze(m, id);
    s.round(m);
    const { code, message } = s.queryError(s.query(m, id, u.reply()));
    assert.equal(code, s.ErrorCode.CanisterOutOfCycles);
    assert.match(message, /is unable to process query calls because it's frozen\. Please top up the canister/);
  });

  test("runs no tasks", () => {
    const m = s.newMachine();
    const count = u.setSlot(5, u.add(u.getSlot(5), u.int(1)));
    const init = u.seq(u.storeProgram("heartbeat", count), u.storeProgram("globalTimer", count));
    const id = newCostly(m, { universal: { heartbeat: true }, init });
    const counted = (): bigint => s.updateNumber(m, id, u.getSlot(5));
    s.update(m, id, u.seq(u.globalTimerSet(u.int(1)), u.reply()));
    freeze(m, id);
    const { version } = s.canisterOf(m, id);
    for (let i = 0; i < 3; i++) s.round(m);
    assert.equal(s.canisterOf(m, id).version, version);
    s.setBalance(m, id, 1000n * BILLION);
    const first = counted();
    assert.ok(counted() > first, "they go on");
  });

  test("still runs its callbacks, but makes no calls in them and burns nothing", () => {
    const m = s.newMachine();
    const callee = s.newUniversal(m);
    const id = newCostly(m);
    const again = u.callBuild({ callee: s.idBytes(callee), method: "update", onReply: u.seq(), onReject: u.seq() });
    const onReply = u.reply(u.concat(u.argData(), u.seq(again, u.le64(u.ic0("call_perform"))), u.cyclesBurn(5n)));
    const arg = u.bytes(u.reply(u.bytes("yes")));
    const sent = s.message(m, id, "update", u.call({ callee: s.idBytes(callee), method: "update", arg, onReply }));
    s.canisterOf(m, callee).heapDeltaDebit = 2 ** 52;
    s.round(m, [sent]);
    assert.equal(s.canisterOf(m, id).callbacks.size, 1);
    freeze(m, id, 0n);
    s.canisterOf(m, callee).heapDeltaDebit = 0;
    s.settleAll(m);
    const answer = s.replyOf(s.statusOf(m, sent));
    assert.equal(s.textOf(answer.subarray(0, 3)), "yes");
    assert.equal(s.numberOf(answer.subarray(3, 11)), 2n, "call_perform refuses");
    assert.equal(s.numberOf(answer.subarray(11)), 0n);
  });

  test("is thawed by cycles or by a lower threshold, for which it pays afterwards", () => {
    const m = s.newMachine();
    const id = newCostly(m);
    freeze(m, id, 100_000_000n);
    const settings = { ...s.NO_SETTINGS, freezing_threshold: [0n], memory_allocation: [0n] };
    s.replyOf(s.manage(m, "update_settings", id, { ...s.onCanister(id), settings, sender_canister_version: [] }));
    assert.ok(s.balanceOf(m, id) < 100_000_000n - 1_200_000n);
  });

  test("is not installed", () => {
    const m = s.newMachine();
    const id = newCostly(m);
    s.setBalance(m, id, 400n * BILLION);
    const { code, message } = s.errorOf(s.install(m, id, s.universal(), { mode: { reinstall: null } }));
    assert.equal(code, s.ErrorCode.CanisterOutOfCycles);
    assert.match(
      message,
      /^Canister installation failed with `Canister .* is out of cycles: please top up the canister with at least/,
    );
  });
});

describe("the balance, to the unit,", () => {
  const FREE_STORAGE = { resources: { gibPerSecond: 0n } };

  test("of a canister that is called by a user is less by message, base and instructions", () => {
    const m = s.newMachine(FREE_STORAGE);
    const id = s.newUniversal(m);
    const before = s.balanceOf(m, id);
    const sent = s.message(m, id, "update", u.reply(u.cycleBalance()));
    s.round(m, [sent]);
    const during = s.numberOf(s.replyOf(s.statusOf(m, sent)));
    const fee = 1_200_000n + 2_000n * BigInt(sent.byteSize);
    assert.equal(during, before - fee - 5_000_000n - 40n * BILLION, "all that it could cost is put aside");
    const { consumed } = s.canisterOf(m, id);
    const instructions = before - fee - s.balanceOf(m, id) - 5_000_000n;
    assert.ok(instructions > 1000n && instructions < 100_000n);
    assert.equal(consumed.ingressInduction % 2_000n, 0n);
  });

  test("of two canisters after a call is what they paid for it and gave each other", () => {
    const m = s.newMachine(FREE_STORAGE);
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    const ids = [caller, callee];
    const counts = (): bigint[] => ids.flatMap((id) => Object.values(s.canisterOf(m, id).consumed) as bigint[]);
    const balances = ids.map((id) => s.balanceOf(m, id));
    const sum = (all: bigint[]): bigint => all.reduce((a, b) => a + b, 0n);
    const consumed = sum(counts());
    const { requestAndResponseTransmission: moved } = s.canisterOf(m, caller).consumed;
    const program = u.seq(u.cyclesAccept(30n), u.op("drop"), u.op("drop"), u.reply(u.bytes("12345")));
    const call = { callee: s.idBytes(callee), method: "update", arg: u.bytes(program), cycles: 100n };
    const refunded = s.update(m, caller, u.call({ ...call, onReply: u.reply(u.cyclesRefunded()) }));
    assert.equal(s.numberOf(refunded), 70n);
    const transmission = s.canisterOf(m, caller).consumed.requestAndResponseTransmission - moved;
    assert.equal(transmission, 260_000n + 1000n * BigInt("update".length + program.length) + 1000n * 5n);
    const after = ids.map((id) => s.balanceOf(m, id));
    assert.equal(sum(balances) - sum(after), sum(counts()) - consumed, "all else was consumed");
    const { consumed: byCallee } = s.canisterOf(m, callee);
    assert.ok((balances[1] as bigint) - (after[1] as bigint) + 30n < byCallee.instructions);
  });
});
