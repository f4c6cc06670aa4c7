// Memory of messages: reserved at both ends for responses that must be delivered, counted as it is for those that may be
// dropped, part of what a canister costs and of what must be left for it. Too much of it and no call is made, or the
// largest messages are dropped.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, canisterIdFromIndex, RejectCode } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const MIB = 1024 ** 2;
/** A canister that does not run: as if it had written too much lately. */
function hold(m: s.Machine, id: CanisterId): void {
  s.canisterOf(m, id).heapDeltaDebit = 2 ** 40;
}
function release(m: s.Machine, id: CanisterId): void {
  s.canisterOf(m, id).heapDeltaDebit = 0;
}
const RESOURCES = { heapDeltaPerRound: 1000 * MIB };
const messages = (m: s.Machine): { guaranteed: number; bestEffort: number } => {
  const { guaranteedMessages, bestEffortMessages } = m.machine.state.usage.total;
  return { guaranteed: guaranteedMessages, bestEffort: bestEffortMessages };
};
const callTo = (id: CanisterId, more: object = {}): u.Code => {
  return u.call({ callee: s.idBytes(id), method: "update", arg: u.bytes(u.reply(u.bytes("yes"))), ...more });
};

describe("messages whose response must be delivered", () => {
  test("take two MiB at each end until the response is read", () => {
    const m = s.newMachine({ resources: RESOURCES });
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    hold(m, callee);
    const sent = s.message(m, caller, "update", callTo(callee));
    s.round(m, [sent]);
    assert.deepEqual(messages(m), { guaranteed: 4 * MIB, bestEffort: 0 });
    const perDay = s.canisterStatus(m, caller).idle_cycles_burned_per_day;
    release(m, callee);
    hold(m, caller);
    s.round(m);
    assert.deepEqual(messages(m), { guaranteed: 3, bestEffort: 0 }, "the response alone");
    release(m, caller);
    s.settleAll(m);
    assert.deepEqual(messages(m), { guaranteed: 0, bestEffort: 0 });
    const { idle_cycles_burned_per_day, memory_size } = s.canisterStatus(m, caller);
    assert.equal(perDay - idle_cycles_burned_per_day, (127_000n * 86_400n) / 512n, "two MiB cost what two MiB cost");
    assert.ok(memory_size < 2n * BigInt(MIB), "they are no memory of the canister");
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "yes");
  });

  test("are not sent when the subnet has no room for the response", () => {
    const m = s.newMachine({ resources: { ...RESOURCES, guaranteedMessageMemory: 8 * MIB } });
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    hold(m, callee);
    const call = u.seq(
      u.callBuild({ callee: s.idBytes(callee), method: "update", onReply: u.seq(), onReject: u.seq() }),
    );
    const results = u.concat(...([1, 2, 3, 4, 5].map(() => u.seq(call, u.le64(u.ic0("call_perform")))) as [u.Code]));
    const answers = s.update(m, caller, u.reply(results));
    const codes = [0, 8, 16, 24, 32].map((at) => s.numberOf(answers.subarray(at, at + 8)));
    assert.deepEqual(codes, [0n, 0n, 0n, 0n, 2n]);
  });

  test("leave less of the balance to be spent: their price, and what their memory adds to the freezing threshold", () => {
    const m = s.newMachine();
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    const spent = (more: object): bigint => {
      const call = u.callBuild({
        callee: s.idBytes(callee),
        method: "update",
        onReply: u.seq(),
        onReject: u.seq(),
        ...more,
      });
      const perform = u.seq(u.ic0("call_perform"), u.op("drop"));
      const before = u.setBlobSlot(5, u.liquidCycleBalance());
      const answer = u.reply(u.concat(u.getBlobSlot(5), u.liquidCycleBalance()));
      const liquid = s.update(m, caller, u.seq(before, call, perform, answer));
      return s.numberOf(liquid.subarray(0, 16)) - s.numberOf(liquid.subarray(16));
    };
    const price = 260_000n + 1000n * 6n + 1000n * 2_097_152n + 5_000_000n + 40_000_000_000n;
    const perDay = (127_000n * 86_400n) / 512n;
    // Thresholds are rounded down as a whole.
    const guaranteed = spent({}) - price - 30n * perDay;
    assert.ok(guaranteed >= 0n && guaranteed <= 60n, `${guaranteed}`);
    const bestEffort = spent({ timeoutSeconds: 10 }) - price;
    assert.ok(bestEffort >= 0n && bestEffort < 5_000n, `${bestEffort}`);
  });
});

describe("messages that may be dropped", () => {
  const large = (bytes: number): u.Code => u.concat(u.bytes(u.reply(u.bytes("yes"))), u.repeated(0, u.int(bytes)));

  test("are dropped, largest first, when all together take too much", () => {
    const m = s.newMachine({ resources: { ...RESOURCES, bestEffortMessageMemory: 100_000 } });
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    hold(m, callee);
    const arg = (bytes: number): object => ({
      arg: large(bytes),
      timeoutSeconds: 30,
      onReject: u.reply(u.le64(u.rejectCode())),
    });
    const sent = [60_000, 80_000, 30_000].map((bytes) => s.message(m, caller, "update", callTo(callee, arg(bytes))));
    s.round(m, sent);
    assert.equal(s.canisterOf(m, callee).input.length, 2);
    assert.ok(messages(m).bestEffort > 90_000 && messages(m).bestEffort < 100_000);
    assert.equal(messages(m).guaranteed, 0);
    release(m, callee);
    s.settleAll(m);
    const states = sent.map((each) => s.statusOf(m, each)?.state);
    assert.deepEqual(states, ["replied", "processing", "replied"]);
    s.round(m, [], 40);
    s.settleAll(m);
    const code = s.numberOf(s.replyOf(s.statusOf(m, sent[1] as (typeof sent)[0])));
    assert.equal(code, BigInt(RejectCode.SYS_UNKNOWN), "the deadline tells");
  });

  test("become a reject where the response is dropped; their cycles come back all the same", () => {
    const m = s.newMachine({ resources: { ...RESOURCES, bestEffortMessageMemory: 1000 } });
    const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
    const reply = u.bytes(u.reply(u.repeated(1, u.int(5000))));
    const onReject = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), u.rejectMessage()));
    const call = callTo(callee, { arg: reply, timeoutSeconds: 30, cycles: 77n, onReject });
    const sent = s.message(m, caller, "update", call);
    hold(m, callee);
    s.round(m, [sent]);
    release(m, callee);
    hold(m, caller);
    const before = s.balanceOf(m, caller);
    s.round(m);
    const cost = s.balanceOf(m, caller) - before;
    assert.ok(cost <= 77n && cost > -1000n, `${cost}: 77, less what time costs`);
    release(m, caller);
    s.settleAll(m);
    const answer = s.replyOf(s.statusOf(m, sent));
    assert.equal(s.numberOf(answer.subarray(0, 8)), BigInt(RejectCode.SYS_UNKNOWN));
    assert.equal(s.numberOf(answer.subarray(8, 24)), 0n);
    assert.equal(s.textOf(answer.subarray(24)), "Response was dropped.");
  });
});

test("a request that waits beyond its deadline is never executed; its cycles come back", () => {
  const m = s.newMachine({ resources: { ...RESOURCES, gibPerSecond: 0n } });
  const [caller, callee] = [s.newUniversal(m), s.newUniversal(m)];
  const count = u.seq(u.setSlot(5, u.add(u.getSlot(5), u.int(1))), u.reply());
  const onReject = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded()));
  hold(m, callee);
  const call = { callee: s.idBytes(callee), method: "update", arg: u.bytes(count), onReject };
  const sent = s.message(m, caller, "update", u.call({ ...call, timeoutSeconds: 5, cycles: 10n ** 13n }));
  const before = s.balanceOf(m, caller);
  s.round(m, [sent]);
  assert.equal(s.canisterOf(m, callee).input.length, 1);
  s.round(m, [], 10);
  s.settleAll(m);
  const answer = s.replyOf(s.statusOf(m, sent));
  assert.equal(s.numberOf(answer.subarray(0, 8)), BigInt(RejectCode.SYS_UNKNOWN));
  assert.equal(s.numberOf(answer.subarray(8)), 0n, "they come by themselves");
  assert.ok(s.balanceOf(m, caller) > before - 10n ** 9n);
  assert.equal(s.canisterOf(m, callee).input.length, 0);
  release(m, callee);
  assert.equal(s.updateNumber(m, callee, u.getSlot(5)), 0n);
});

test("the management canister goes by two names and has one queue of 500", () => {
  const m = s.newMachine();
  const id = s.newUniversal(m, { cycles: 10n ** 18n });
  const other = canisterIdFromIndex(0xddn);
  const to = (callee: u.Code): u.Code =>
    u.callBuild({ callee, method: "raw_rand", onReply: u.seq(), onReject: u.seq() });
  const many = (callee: u.Code, count: number): u.Code => {
    const once = u.seq(to(callee), u.ic0("call_perform"), u.op("drop"));
    return u.seq(
      u.setSlot(3, u.int(count)),
      u.whileTrue(u.getSlot(3), u.seq(once, u.setSlot(3, u.sub(u.getSlot(3), u.int(1))))),
    );
  };
  const subnet = u.subnetSelf();
  const program = u.seq(many(s.MANAGEMENT, 300), many(subnet, 200), to(subnet), u.setSlot(4, u.ic0("call_perform")));
  const rest = u.seq(
    to(s.MANAGEMENT),
    u.setSlot(5, u.ic0("call_perform")),
    to(s.idBytes(other)),
    u.setSlot(6, u.ic0("call_perform")),
  );
  const answers = u.concat(u.le64(u.getSlot(4)), u.le64(u.getSlot(5)), u.le64(u.getSlot(6)));
  const codes = s.update(m, id, u.seq(program, rest, u.reply(answers)));
  assert.deepEqual(
    [0, 8, 16].map((at) => s.numberOf(codes.subarray(at, at + 8))),
    [2n, 2n, 0n],
  );
});
