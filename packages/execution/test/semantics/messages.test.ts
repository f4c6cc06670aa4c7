// Updates, replicated queries, callbacks, tasks: what commits, what leaves no trace, who is answered what and when.
// Specification, "Message execution"; checklist 3.2, 6.2, 6.4, 6.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterId } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const BILLION = 1_000_000_000n;
const m = s.newMachine();
const a = s.newUniversal(m);
const b = s.newUniversal(m);
const callTo = (callee: CanisterId, program: u.Code, rest: Partial<u.CallOptions> = {}) =>
  u.call({ callee: s.idBytes(callee), method: "update", arg: u.bytes(program), ...rest });

describe("a trap leaves no trace", () => {
  const changes = u.seq(
    u.setSlot(1, u.int(99)),
    u.stableGrow(1),
    u.stableWrite(0, u.bytes("x")),
    u.certifiedDataSet(u.bytes("changed")),
    u.globalTimerSet(u.int(123)),
    u.reply(u.bytes("never")),
  );

  test("in heap, stable memory, certified data, timer, reply; the log keeps what was printed and the trap", () => {
    const id = s.newUniversal(m);
    const version = s.canisterOf(m, id).version;
    const error = s.failure(m, id, u.seq(u.debugPrint("before"), changes, u.trap("boom")));
    assert.equal(error.code, s.ErrorCode.CanisterCalledTrap);
    const canister = s.canisterOf(m, id);
    assert.equal(canister.version, version);
    assert.equal(canister.certifiedData.length, 0);
    assert.equal(canister.globalTimer, 0n);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
    assert.equal(s.updateNumber(m, id, u.stableSize()), 0n);
    assert.deepEqual(s.logsOf(m, id), ["before", "[TRAP]: boom"]);
  });

  test("in the heap's size, when it had grown", () => {
    const id = s.newUniversal(m);
    const before = s.updateNumber(m, id, u.memorySize());
    s.failure(m, id, u.seq(u.memoryGrow(u.int(10)), u.op("drop"), u.setSlot(1, u.int(5)), u.unreachable()));
    assert.equal(s.updateNumber(m, id, u.memorySize()), before);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
  });

  test("in calls: none goes out, their cycles stay", () => {
    const id = s.newUniversal(m);
    s.failure(m, id, u.seq(callTo(b, u.seq(u.setSlot(9, u.int(1)), u.reply()), { cycles: BILLION }), u.unreachable()));
    assert.equal(s.updateNumber(m, b, u.getSlot(9)), 0n);
    assert.equal(s.canisterOf(m, id).callContexts.size, 0);
  });

  test("in accepted cycles: they return to the caller", () => {
    const before = s.canisterOf(m, b).cycles;
    const callee = u.seq(u.cyclesAccept(BILLION), u.op("drop"), u.op("drop"), u.unreachable());
    const report = u.reply(u.cyclesRefunded());
    assert.equal(s.numberOf(s.update(m, a, callTo(b, callee, { cycles: BILLION, onReject: report }))), BILLION);
    assert.ok(s.canisterOf(m, b).cycles <= before);
  });

  test("only traps are told to the log, not other failures", () => {
    const id = s.newUniversal(m);
    s.failure(m, id, u.unreachable());
    s.failure(m, id, u.trap(""));
    s.failure(m, id, u.ic0("accept_message"));
    assert.deepEqual(s.logsOf(m, id), ["[TRAP]: unreachable", "[TRAP]: (no message)"]);
  });
});

describe("a replicated query", () => {
  test("drops heap and stable memory, keeps accepted and burned cycles, logs and version", () => {
    const id = s.newUniversal(m);
    const { version, cycles } = s.canisterOf(m, id);
    const accept = u.seq(u.cyclesAccept(600n * BILLION), u.op("drop"), u.op("drop"));
    const query = u.seq(u.setSlot(1, u.int(5)), u.stableGrow(1), accept, u.debugPrint("seen"), u.reply());
    const sent = u.call({ callee: s.idBytes(id), method: "query", arg: u.bytes(query), cycles: 1000n * BILLION });
    s.update(m, a, sent);
    const canister = s.canisterOf(m, id);
    assert.equal(canister.version, version + 1);
    assert.ok(canister.cycles > cycles + 599n * BILLION);
    assert.deepEqual(s.logsOf(m, id), ["seen"]);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
    assert.equal(s.updateNumber(m, id, u.stableSize()), 0n);
  });
});

describe("who is answered what", () => {
  test("no reply: IC0506 to a user, code 5 and no IC code to a canister", () => {
    const error = s.failure(m, b, u.seq());
    assert.equal(error.code, s.ErrorCode.CanisterDidNotReply);
    assert.match(error.message, /^Canister \S+ did not reply to the call$/);
    assert.equal(s.updateText(m, a, callTo(b, u.seq(), { onReject: u.reply(u.rejectMessage()) })), "No response");
  });

  test("errors carry their code in what a canister is told, not in what a user is told", () => {
    assert.match(s.failure(m, b, u.trap("x")).message, /^Error from Canister/);
    const told = s.updateText(m, a, callTo(b, u.trap("x"), { onReject: u.reply(u.rejectMessage()) }));
    assert.match(told, /^IC0503: Error from Canister \S+: Canister called `ic0.trap` with message: 'x'/);
  });

  test("a missing method is IC0536 and still costs the charge for an execution", () => {
    const before = s.canisterOf(m, b).cycles;
    const status = s.send(m, b, new Uint8Array(), { method: "absent" });
    assert.equal(s.errorOf(status).code, s.ErrorCode.CanisterMethodNotFound);
    const induction = 1_200_000n + 2_000n * 200n;
    assert.equal(before - s.canisterOf(m, b).cycles, induction + 5_000_000n);
  });

  test("an answer given before a later trap stands", () => {
    const program = u.seq(callTo(b, u.reply(), { onReply: u.unreachable() }), u.reply(u.bytes("first")));
    assert.equal(s.updateText(m, a, program), "first");
    s.settleAll(m);
    assert.equal(s.canisterOf(m, a).callContexts.size, 0);
  });

  test("a trap with calls open is told only when no callback can answer any more", () => {
    const program = u.seq(
      callTo(b, u.reply(), { onReply: u.unreachable() }),
      callTo(b, callTo(b, u.reply()), { onReply: u.reply(u.bytes("second")) }),
    );
    assert.equal(s.updateText(m, a, program), "second");
  });

  // The specification's formal part has them gone with the answer; the replica settles when the execution ends, and
  // the one-way methods of Motoko, which answer before their body runs, count on it.
  test("in the execution that answers, cycles are still there and can be accepted", () => {
    const accept = u.seq(u.cyclesAccept(BILLION / 4n), u.op("drop"), u.op("drop"));
    const callee = u.seq(u.reply(), accept, u.debugPrint(u.cyclesAvailable()));
    const report = u.reply(u.cyclesRefunded());
    assert.equal(s.numberOf(s.update(m, a, callTo(b, callee, { cycles: BILLION, onReply: report }))), 750_000_000n);
    const printed = s.canisterOf(m, b).logs.records.at(-1)?.content ?? new Uint8Array();
    assert.equal(s.numberOf(printed), 750_000_000n);
  });

  test("in a callback after the answer there are no cycles left", () => {
    const later = u.seq(u.cyclesAccept(BILLION), u.op("drop"), u.op("drop"), u.debugPrint(u.cyclesAvailable()));
    const callee = u.seq(u.reply(), callTo(a, u.reply(), { onReply: later }));
    const report = u.reply(u.cyclesRefunded());
    assert.equal(s.numberOf(s.update(m, a, callTo(b, callee, { cycles: BILLION, onReply: report }))), BILLION);
    s.settleAll(m);
    const printed = s.canisterOf(m, b).logs.records.at(-1)?.content ?? new Uint8Array();
    assert.equal(s.numberOf(printed), 0n);
  });

  test("a call that finds its callee stopped or gone is told so without an IC code", () => {
    const id = s.newUniversal(m);
    const told = (): string => s.updateText(m, a, callTo(id, u.reply(), { onReject: u.reply(u.rejectMessage()) }));
    s.replyOf(s.manage(m, "stop_canister", id, s.onCanister(id)));
    assert.match(told(), /^Canister \S+ is stopped$/);
    s.replyOf(s.manage(m, "delete_canister", id, s.onCanister(id)));
    assert.match(told(), /^Canister \S+ not found$/);
  });

  test("the management canister tells a canister no IC code, the canister's own side does", () => {
    const told = (method: string, arg: Uint8Array): string =>
      s.updateText(
        m,
        a,
        u.call({ callee: s.MANAGEMENT, method, arg: u.bytes(arg), onReject: u.reply(u.rejectMessage()) }),
      );
    assert.match(
      told("start_canister", s.candid("start_canister", s.onCanister(b))),
      /^Only the controllers of the canister \S+ can control it/,
    );
    assert.equal(told("frobnicate", new Uint8Array()), "IC0536: Management canister has no method 'frobnicate'");
    assert.match(
      told("uninstall_code", s.candid("uninstall_code", { ...s.onCanister(b), sender_canister_version: [999n] })),
      /^IC0504: Management canister call payload includes sender canister version 999 that does not match /,
    );
  });

  test("an answer is given once: the second is a contract violation", () => {
    for (const [name, second] of [
      ["msg_reply", u.ic0("msg_reply")],
      ["msg_reject", u.reject("x")],
      ["msg_reply_data_append", u.replyData(u.bytes("x"))],
    ] as const) {
      const error = s.failure(m, a, u.seq(u.reply(), second));
      assert.equal(error.code, s.ErrorCode.CanisterContractViolation);
      assert.match(error.message, new RegExp(`ic0.${name}: the call is already replied`));
    }
  });
});

describe("cleanup", () => {
  const lock = u.seq(u.setSlot(2, u.int(1)));
  const release = u.setSlot(2, u.int(0));

  test("runs when the callback trapped, commits, sees the reject code; the callback's error is told", () => {
    const program = u.seq(
      lock,
      callTo(b, u.reject("no"), { onReject: u.trap("again"), onCleanup: u.seq(release, u.setSlot(5, u.rejectCode())) }),
    );
    assert.equal(s.failure(m, a, program).code, s.ErrorCode.CanisterCalledTrap);
    assert.equal(s.updateNumber(m, a, u.getSlot(2)), 0n);
    assert.equal(s.updateNumber(m, a, u.getSlot(5)), 4n);
  });

  test("does not run when the callback succeeded", () => {
    s.update(m, a, u.seq(lock, callTo(b, u.reply(), { onReply: u.reply(), onCleanup: release })));
    assert.equal(s.updateNumber(m, a, u.getSlot(2)), 1n);
  });

  test("its own trap undoes its own changes only, and both errors are told", () => {
    const program = u.seq(
      u.setSlot(6, u.int(3)),
      callTo(b, u.reply(), { onReply: u.trap("one"), onCleanup: u.seq(u.setSlot(6, u.int(4)), u.trap("two")) }),
    );
    const error = s.failure(m, a, program);
    assert.match(
      error.message,
      /'one'\n\ncall_on_cleanup also failed:\n\nCanister called `ic0.trap` with message: 'two'$/,
    );
    assert.equal(s.updateNumber(m, a, u.getSlot(6)), 3n);
  });

  test("makes no calls", () => {
    const program = callTo(b, u.reply(), { onReply: u.unreachable(), onCleanup: callTo(b, u.reply()) });
    assert.match(s.failure(m, a, program).message, /"ic0_call_new" cannot be executed in cleanup mode/);
  });
});

describe("callbacks", () => {
  test("a function index outside of the table is IC0513", () => {
    const bad = u.seq(s.idBytes(b), u.bytes("update"), u.int(7), u.int(0), u.int(7), u.int(0));
    const program = u.seq(
      bad,
      Uint8Array.of(u.ic0("call_new", 0, 0, 0, 0, 0, 0, 0, 0).at(-1) as number),
      u.ic0("call_perform"),
      u.op("drop"),
    );
    const error = s.failure(m, a, program);
    assert.equal(error.code, s.ErrorCode.CanisterFunctionNotFound);
    assert.match(error.message, /non-existent Wasm function 7 from table 0/);
  });

  test("performance_counter(1) adds up over a call context, performance_counter(0) starts again", () => {
    const program = u.seq(
      u.spin(1_000_000),
      callTo(b, u.reply(), {
        onReply: u.reply(u.concat(u.le64(u.performanceCounter(0)), u.le64(u.performanceCounter(1)))),
      }),
    );
    const reply = s.update(m, a, program);
    assert.ok(s.numberOf(reply.subarray(0, 8)) < 100_000n);
    assert.ok(s.numberOf(reply.subarray(8)) > 3_000_000n);
  });

  test("requests between two canisters start in the order in which they were sent", () => {
    const id = s.newUniversal(m);
    const note = (value: number) => u.seq(u.setSlot(7, u.add(u.mul(u.getSlot(7), u.int(10)), u.int(value))), u.reply());
    s.update(m, a, u.seq(...[1, 2, 3, 4].map((value) => callTo(id, note(value), { onReply: u.seq() })), u.reply()));
    s.settleAll(m);
    assert.equal(s.updateNumber(m, id, u.getSlot(7)), 1234n);
  });
});

describe("the global timer", () => {
  test("fires once when its time has come, is off while it runs, and may set itself again", () => {
    const id = s.newUniversal(m);
    const tick = u.seq(u.setSlot(8, u.add(u.getSlot(8), u.int(1))), u.setSlot(9, u.ic0("global_timer_set", 0)));
    s.update(m, id, u.seq(u.storeProgram("globalTimer", tick), u.globalTimerSet(u.int(1)), u.reply()));
    s.round(m);
    s.round(m);
    assert.equal(s.updateNumber(m, id, u.getSlot(8)), 1n);
    assert.equal(s.updateNumber(m, id, u.getSlot(9)), 0n);
  });

  test("stays off when its function traps", () => {
    const id = s.newUniversal(m);
    s.update(m, id, u.seq(u.storeProgram("globalTimer", u.unreachable()), u.globalTimerSet(u.int(1)), u.reply()));
    s.round(m);
    s.round(m);
    assert.equal(s.canisterOf(m, id).globalTimer, 0n);
    assert.deepEqual(s.logsOf(m, id), ["[TRAP]: unreachable"]);
  });
});

describe("ingress", () => {
  test("a message whose expiry passed before it started is not executed", () => {
    const sent = s.message(m, a, "update", u.reply(), { expiry: m.time });
    s.round(m, [sent]);
    assert.equal(s.statusOf(m, sent), undefined);
  });

  test("the same request is executed once", () => {
    const sent = s.message(m, a, "update", u.seq(u.setSlot(10, u.add(u.getSlot(10), u.int(1))), u.reply()));
    s.round(m, [sent, sent]);
    s.round(m, [sent]);
    assert.equal(s.updateNumber(m, a, u.getSlot(10)), 1n);
  });
});

test("time is the same for all canisters in a round and moves on from round to round", () => {
  const sent = [a, b].map((id) => s.message(m, id, "update", u.reply(u.le64(u.time()))));
  s.round(m, sent);
  const [first, second] = sent.map((each) => s.numberOf(s.replyOf(s.statusOf(m, each))));
  assert.equal(first, second);
  assert.ok(s.updateNumber(m, a, u.time()) > (first as bigint));
});
