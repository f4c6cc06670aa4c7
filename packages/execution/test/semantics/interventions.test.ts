// Interventions of a test: cycles and stable memory out of nowhere, messages that are held, released in another order,
// answered or lost, traps on demand, full queues. Each leaves the rest of the protocol to do what it always does.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HeldMessage } from "@atoll/state";
import {
  type CanisterId,
  canisterIdFromIndex,
  type IngressMessage,
  type Intervention,
  MANAGEMENT_CANISTER,
  RejectCode,
} from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const BILLION = 1_000_000_000n;
const m = s.newMachine();

function made(...interventions: readonly Intervention[]): void {
  assert.deepEqual(
    s.intervene(m, ...interventions).filter((result) => !result.ok),
    [],
  );
}

function refusal(intervention: Intervention): string {
  const [result] = s.intervene(m, intervention);
  if (result === undefined || result.ok) throw new Error("it was made");
  return result.error;
}

const held = (): [number, HeldMessage][] => [...m.machine.state.interventions.held];
const numbers = (): number[] => held().map(([number]) => number);

/** Sends an update and runs until nothing moves any more. */
function start(id: CanisterId, program: u.Code): IngressMessage {
  const sent = s.message(m, id, "update", program);
  s.round(m, [sent]);
  s.settleAll(m);
  return sent;
}

const callTo = (id: CanisterId, program: u.Code, rest: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(id), method: "update", arg: u.bytes(program), ...rest });

describe("cycles and stable memory", () => {
  const a = s.newUniversal(m);

  test("add_cycles adds to a balance, set_cycles replaces it", () => {
    const before = s.balanceOf(m, a);
    made({ kind: "add_cycles", canister: a, amount: 5n * BILLION });
    assert.equal(s.canisterOf(m, a).cycles, before + 5n * BILLION);
    made({ kind: "set_cycles", canister: a, amount: 7n });
    assert.equal(s.canisterOf(m, a).cycles, 7n);
    assert.match(s.failure(m, a, u.reply()).message, /out of cycles/);
    made({ kind: "set_cycles", canister: a, amount: 100_000n * BILLION });
    s.update(m, a, u.reply());
  });

  test("amounts that are none are refused", () => {
    const before = s.balanceOf(m, a);
    for (const kind of ["add_cycles", "set_cycles"] as const) {
      for (const amount of [-1n, 2n ** 128n]) assert.match(refusal({ kind, canister: a, amount }), /2\^128/);
      assert.match(refusal({ kind, canister: canisterIdFromIndex(0xfen), amount: 1n }), /not found/);
      assert.match(refusal({ kind, canister: "no id" as CanisterId, amount: 1n }), /not found/);
    }
    assert.equal(s.canisterOf(m, a).cycles, before);
  });

  test("set_stable_memory replaces all: updates and queries see it, whether it grows or shrinks", () => {
    s.update(m, a, u.seq(u.stableGrow(3), u.stableWrite(150_000, u.bytes("old")), u.reply()));
    const content = new Uint8Array(70_000).fill(7);
    made({ kind: "set_stable_memory", canister: a, content });
    assert.equal(s.updateNumber(m, a, u.stableSize()), 2n);
    assert.deepEqual(s.update(m, a, u.reply(u.stableRead(69_999, 2))), Uint8Array.of(7, 0));
    assert.deepEqual(s.queried(s.query(m, a, u.reply(u.stableRead(69_999, 2)))), Uint8Array.of(7, 0));
    s.update(m, a, u.seq(u.stableWrite(1, u.bytes("x")), u.reply()));
    assert.deepEqual(s.update(m, a, u.reply(u.stableRead(0, 3))), Uint8Array.of(7, 120, 7));
    made({ kind: "set_stable_memory", canister: a, content: new Uint8Array() });
    assert.equal(s.updateNumber(m, a, u.stableSize()), 0n);
    s.update(m, a, u.seq(u.stableGrow(3), u.reply()));
    assert.deepEqual(s.update(m, a, u.reply(u.stableRead(0, 3))), Uint8Array.of(0, 0, 0));
  });

  test("content that is too large, and a canister without code, change nothing", () => {
    const huge = new Uint8Array(129 * 1024 * 1024);
    assert.match(refusal({ kind: "set_stable_memory", canister: a, content: huge }), /more than 134217728 bytes/);
    assert.equal(s.updateNumber(m, a, u.stableSize()), 3n);
    const empty = s.createCanister(m);
    assert.match(
      refusal({ kind: "set_stable_memory", canister: empty, content: huge.subarray(0, 1) }),
      /no Wasm module/,
    );
    const little = s.newMachine({ resources: { memoryCapacity: 2_000_000 } });
    const only = s.newUniversal(little);
    const [result] = s.intervene(little, { kind: "set_stable_memory", canister: only, content: new Uint8Array(4e6) });
    assert.deepEqual(result, { ok: false, error: "The subnet has not so much memory left." });
  });
});

describe("a batch with interventions", () => {
  test("runs nothing else, and the next round goes on", () => {
    const a = s.newUniversal(m);
    const sent = s.message(m, a, "update", u.reply(u.bytes("done")));
    s.roundWith(m, { ingress: [sent], maxExecutions: 0 });
    assert.equal(s.statusOf(m, sent)?.state, "received");
    made({ kind: "add_cycles", canister: a, amount: 1n });
    assert.equal(m.last.executions, 0);
    assert.equal(m.last.hasMoreWork, true);
    assert.equal(s.statusOf(m, sent)?.state, "received");
    s.round(m);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "done");
  });

  test("is an ordinary one on a network that takes none", () => {
    const real = s.newMachine({ provisional: false });
    const [result] = s.intervene(real, { kind: "unhold" });
    assert.deepEqual(result, { ok: false, error: "Only networks for tests and development take interventions." });
    assert.equal(real.machine.state.interventions.rules.length, 0);
  });

  test("tells of kinds that it does not know", () => {
    assert.match(refusal({ kind: "explode" } as never), /no intervention of the kind "explode"/);
  });
});

describe("a held message", () => {
  const a = s.newUniversal(m);
  const b = s.newUniversal(m);
  const c = s.newUniversal(m);

  test("is one that matches; the rule ends after as many as it says, or by unhold", () => {
    const rule = { receiver: b, sender: a, methodName: "update", messageKind: "request", atMost: 1 } as const;
    const [result] = s.intervene(m, { kind: "hold", rule });
    const count = m.machine.state.interventions.nextNumber;
    assert.deepEqual(result, { ok: true, rule: count - 1 });
    const other = start(c, callTo(b, u.reply(u.bytes("from c"))));
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, other))), "from c");
    const first = start(a, callTo(b, u.reply(u.bytes("one"))));
    const second = start(a, callTo(b, u.reply(u.bytes("two"))));
    assert.equal(s.statusOf(m, first)?.state, "processing");
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, second))), "two");
    assert.equal(m.last.hasMoreWork, false, "nobody waits for a round");
    made({ kind: "release", numbers: numbers() });
    s.settleAll(m);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, first))), "one");
    assert.match(refusal({ kind: "unhold", rule: count - 1 }), /no rule/);
    made({ kind: "hold", rule: { receiver: b } }, { kind: "unhold" });
    s.update(m, a, callTo(b, u.reply()));
  });

  test("of a user waits too, and expires as in a queue", () => {
    made({ kind: "hold", rule: { receiver: b, messageKind: "ingress" } });
    const [first, second] = [u.reply(u.bytes("in")), u.reply()].map((program) => start(b, program));
    assert.equal(s.statusOf(m, first as IngressMessage)?.state, "received");
    made({ kind: "release", numbers: [numbers()[0] as number] }, { kind: "unhold" });
    s.round(m);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, first as IngressMessage))), "in");
    assert.equal(m.last.wakeAt, (second as IngressMessage).expiry + 1n);
    s.round(m, [], 300);
    assert.match(s.errorOf(s.statusOf(m, second as IngressMessage)).message, /timed out waiting to start executing/);
    assert.deepEqual(numbers(), []);
  });

  test("two responses come in the order in which they are released", () => {
    const note = (letter: string): u.Code => u.setBlobSlot(1, u.concat(u.getBlobSlot(1), u.bytes(letter)));
    const part = (id: CanisterId, letter: string): u.Code => callTo(id, u.reply(), { onReply: note(letter) });
    const order = (): string => s.updateText(m, a, u.reply(u.getBlobSlot(1)));
    for (const reversed of [false, true]) {
      s.update(m, a, u.seq(u.setBlobSlot(1, u.bytes("")), u.reply()));
      made({ kind: "hold", rule: { receiver: a, messageKind: "response" } });
      start(a, u.seq(part(b, "b"), part(c, "c"), u.reply()));
      const waiting = numbers();
      assert.equal(waiting.length, 2);
      made({ kind: "unhold" }, { kind: "release", numbers: reversed ? waiting.reverse() : waiting });
      s.settleAll(m);
      assert.equal(order(), reversed ? "cb" : "bc");
    }
  });

  test("an upgrade during an await: the response meets the new code", () => {
    made({ kind: "hold", rule: { receiver: a, messageKind: "response", atMost: 1 } });
    const sent = start(a, callTo(b, u.reply(u.bytes("late"))));
    s.replyOf(s.install(m, a, s.universal(), { mode: { upgrade: [] } }));
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    made({ kind: "release", numbers: numbers() });
    s.settleAll(m);
    // The environment of the callback pointed into the heap that the upgrade has cleared.
    assert.equal(s.statusOf(m, sent)?.state, "rejected");
    assert.equal(s.canisterOf(m, a).callContexts.size, 0);
  });

  test("a rejected request is answered in place of its receiver, with its cycles", () => {
    made({ kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } });
    const report = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded(), u.rejectMessage()));
    const sent = start(a, callTo(b, u.reply(), { cycles: 3n * BILLION, onReject: report }));
    const [number] = numbers() as [number];
    const reject = { kind: "reject_held", number, message: "not today" } as const;
    assert.match(refusal({ ...reject, code: RejectCode.SYS_UNKNOWN }), /with a deadline/);
    assert.match(refusal({ ...reject, code: 7 as RejectCode }), /no reject code 7/);
    assert.match(refusal({ ...reject, code: 2, message: "x".repeat(1_000_000) }), /more than/);
    assert.match(refusal({ ...reject, code: 2, message: "\ud800" }), /well-formed/);
    made({ ...reject, code: RejectCode.SYS_TRANSIENT });
    s.settleAll(m);
    const told = s.replyOf(s.statusOf(m, sent));
    assert.equal(s.numberOf(told.subarray(0, 8)), 2n);
    assert.equal(s.numberOf(told.subarray(8, 24)), 3n * BILLION);
    assert.equal(s.textOf(told.subarray(24)), "not today");
  });

  test("a rejected response comes as a reject; what the callee accepted is its own", () => {
    made({ kind: "hold", rule: { receiver: a, messageKind: "response", atMost: 1 } });
    const take = u.seq(u.cyclesAccept(BILLION), u.op("drop"), u.op("drop"), u.reply());
    const report = u.reply(u.concat(u.cyclesRefunded(), u.rejectMessage()));
    const sent = start(a, callTo(b, take, { cycles: 3n * BILLION, onReject: report }));
    made({ kind: "reject_held", number: numbers()[0] as number, code: RejectCode.CANISTER_ERROR, message: "lost" });
    s.settleAll(m);
    const told = s.replyOf(s.statusOf(m, sent));
    assert.equal(s.numberOf(told.subarray(0, 16)), 2n * BILLION);
    assert.equal(s.textOf(told.subarray(16)), "lost");
  });

  test("a rejected ingress message is rejected", () => {
    made({ kind: "hold", rule: { receiver: b, messageKind: "ingress", atMost: 1 } });
    const sent = start(b, u.reply());
    made({ kind: "reject_held", number: numbers()[0] as number, code: RejectCode.SYS_FATAL, message: "no" });
    assert.deepEqual(s.errorOf(s.statusOf(m, sent)), { code: 101, message: "no" });
  });

  test("only messages with a deadline can be lost; their cycles come back and the deadline tells", () => {
    made({ kind: "hold", rule: { receiver: b, messageKind: "request" } });
    const guaranteed = start(a, callTo(b, u.reply()));
    assert.match(refusal({ kind: "drop_held", number: numbers()[0] as number }), /reject it instead/);
    made({ kind: "unhold" }, { kind: "release", numbers: numbers() });
    s.settleAll(m);
    s.replyOf(s.statusOf(m, guaranteed));
    made({ kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } });
    const report = u.reply(u.rejectMessage());
    const sent = start(a, callTo(b, u.reply(), { cycles: 9n * BILLION, timeoutSeconds: 60, onReject: report }));
    const before = s.canisterOf(m, a).cycles;
    made({ kind: "drop_held", number: numbers()[0] as number });
    assert.equal(s.canisterOf(m, a).cycles, before + 9n * BILLION);
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    s.round(m, [], 70);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "Call deadline has expired.");
  });

  test("a best-effort call expires while its request, or its response, is held", () => {
    for (const messageKind of ["request", "response"] as const) {
      made({ kind: "hold", rule: { ...(messageKind === "request" ? { receiver: b } : { receiver: a }), messageKind } });
      const report = u.reply(u.concat(u.le64(u.rejectCode()), u.cyclesRefunded()));
      const sent = start(a, callTo(b, u.reply(), { cycles: 9n * BILLION, timeoutSeconds: 60, onReject: report }));
      const before = s.canisterOf(m, a).cycles;
      assert.equal(numbers().length, 1);
      s.round(m, [], 70);
      assert.equal(s.numberOf(s.replyOf(s.statusOf(m, sent)).subarray(0, 8)), 6n, messageKind);
      made({ kind: "unhold" }, { kind: "release", numbers: numbers() });
      s.settleAll(m);
      assert.equal(s.canisterOf(m, a).callbacks.size, 0);
      assert.ok(s.canisterOf(m, a).cycles > before + 8n * BILLION, "the cycles have come back");
    }
  });

  test("is delivered to a canister that has stopped as any other: not", () => {
    made({ kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } });
    const sent = start(a, callTo(b, u.reply(), { onReject: u.reply(u.rejectMessage()) }));
    s.replyOf(s.manage(m, "stop_canister", b, s.onCanister(b)));
    made({ kind: "release", numbers: numbers() });
    s.settleAll(m);
    assert.match(s.textOf(s.replyOf(s.statusOf(m, sent))), /is stopped/);
    s.replyOf(s.manage(m, "start_canister", b, s.onCanister(b)));
  });

  test("has a number that is known, once", () => {
    for (const number of [0, -1, 1e9, Number.NaN]) {
      assert.match(refusal({ kind: "release", numbers: [number] }), /No message .* is held/);
      assert.match(refusal({ kind: "reject_held", number, code: 2, message: "" }), /No message/);
      assert.match(refusal({ kind: "drop_held", number }), /No message/);
    }
    made({ kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } });
    const sent = start(a, callTo(b, u.reply()));
    const [number] = numbers() as [number];
    assert.match(refusal({ kind: "release", numbers: [number, number] }), /only once/);
    assert.match(refusal({ kind: "release", numbers: [number, 77_777] }), /No message 77777/);
    assert.deepEqual(numbers(), [number], "nothing was changed");
    made({ kind: "release", numbers: [number] });
    s.settleAll(m);
    s.replyOf(s.statusOf(m, sent));
  });

  test("rules that could hold nothing are refused", () => {
    assert.match(refusal({ kind: "hold", rule: { receiver: MANAGEMENT_CANISTER } }), /management canister/);
    assert.match(refusal({ kind: "hold", rule: { messageKind: "response", methodName: "m" } }), /no method name/);
    for (const atMost of [0, -1, 0.5, Number.NaN])
      assert.match(refusal({ kind: "hold", rule: { atMost } }), /at least/);
    assert.match(refusal({ kind: "hold", rule: { methodName: "x".repeat(100_000) } }), /more than/);
  });
});

describe("trap_next", () => {
  const a = s.newUniversal(m);
  const b = s.newUniversal(m);

  test("the next message traps as if its code had, and is undone", () => {
    made({ kind: "trap_next", canister: a, message: "on purpose" });
    const error = s.failure(m, a, u.seq(u.setSlot(1, u.int(9)), u.reply()));
    assert.equal(error.code, s.ErrorCode.CanisterCalledTrap);
    assert.match(error.message, /Canister called `ic0.trap` with message: 'on purpose'/);
    assert.ok(s.logsOf(m, a).at(-1)?.includes("[TRAP]: on purpose"));
    assert.equal(s.updateNumber(m, a, u.getSlot(1)), 0n);
  });

  test("of one method only: others run", () => {
    made({ kind: "trap_next", canister: a, on: { kind: "method", name: "query" }, message: "there" });
    s.update(m, a, u.reply());
    assert.match(s.errorOf(s.send(m, a, u.reply(), { method: "query" })).message, /there/);
  });

  test("in a callback: what it did is undone, the cleanup callback runs", () => {
    made({ kind: "trap_next", canister: a, on: { kind: "callback" }, message: "in the callback" });
    const onReply = u.seq(u.setSlot(2, u.int(1)), u.reply());
    const error = s.failure(m, a, callTo(b, u.reply(), { onReply, onCleanup: u.setSlot(3, u.int(1)) }));
    assert.match(error.message, /in the callback/);
    assert.equal(s.updateNumber(m, a, u.getSlot(2)), 0n);
    assert.equal(s.updateNumber(m, a, u.getSlot(3)), 1n);
    assert.equal(s.canisterOf(m, a).callContexts.size, 0);
  });

  test("in the cleanup callback too", () => {
    made({ kind: "trap_next", canister: a, on: { kind: "callback" }, message: "first" });
    made({ kind: "trap_next", canister: a, on: { kind: "cleanup" }, message: "second" });
    const error = s.failure(m, a, callTo(b, u.reply(), { onCleanup: u.setSlot(4, u.int(1)) }));
    assert.match(error.message, /first/);
    assert.match(error.message, /second/);
    assert.equal(s.updateNumber(m, a, u.getSlot(4)), 0n);
    assert.deepEqual(m.machine.state.interventions.traps, []);
  });

  test("a canister that is not there and texts that are none are refused", () => {
    assert.match(refusal({ kind: "trap_next", canister: canisterIdFromIndex(0xfen), message: "" }), /not found/);
    assert.match(refusal({ kind: "trap_next", canister: a, message: "\ud800" }), /well-formed/);
    assert.match(refusal({ kind: "trap_next", canister: a, message: "x".repeat(1e6) }), /more than/);
  });
});

test("fill_queue takes places in one queue until they are given back", () => {
  const a = s.newUniversal(m);
  const b = s.newUniversal(m);
  const c = s.newUniversal(m);
  const perform = (id: CanisterId): u.Code => {
    const build = u.callBuild({ callee: s.idBytes(id), method: "update", arg: u.bytes(u.reply()), onReply: u.seq() });
    return u.seq(build, u.ic0("call_perform"));
  };
  const codes = (): bigint[] => {
    const told = u.concat(u.le64(perform(b)), u.le64(perform(b)), u.le64(perform(c)));
    const bytes = s.update(m, a, u.reply(told));
    return [0, 8, 16].map((at) => s.numberOf(bytes.subarray(at, at + 8)));
  };
  made({ kind: "fill_queue", sender: a, receiver: b, places: 500 });
  assert.deepEqual(codes(), [2n, 2n, 0n]);
  made({ kind: "fill_queue", sender: a, receiver: b, places: 499 });
  assert.deepEqual(codes(), [0n, 2n, 0n]);
  made({ kind: "fill_queue", sender: a, receiver: b, places: 0 });
  assert.deepEqual(codes(), [0n, 0n, 0n]);
  assert.deepEqual(m.machine.state.interventions.fullQueues, []);
  for (const places of [-1, 501, 0.5, Number.NaN]) {
    assert.match(refusal({ kind: "fill_queue", sender: a, receiver: b, places }), /500 places/);
  }
  assert.match(
    refusal({ kind: "fill_queue", sender: canisterIdFromIndex(0xfen), receiver: b, places: 1 }),
    /not found/,
  );
});

describe("maxExecutions", () => {
  test("1: a round runs one message up to its next await", () => {
    const a = s.newUniversal(m);
    const b = s.newUniversal(m);
    s.settleAll(m);
    const sent = s.message(m, a, "update", callTo(b, u.reply(u.bytes("done"))));
    const seen: string[] = [];
    s.roundWith(m, { ingress: [sent], maxExecutions: 1 });
    seen.push(`${s.statusOf(m, sent)?.state} ${m.last.executions} ${m.last.hasMoreWork}`);
    for (let i = 0; i < 2; i++) {
      s.roundWith(m, { maxExecutions: 1 });
      seen.push(`${s.statusOf(m, sent)?.state} ${m.last.executions} ${m.last.hasMoreWork}`);
    }
    assert.deepEqual(seen, ["processing 1 true", "processing 1 true", "replied 1 false"]);
  });

  test("starves nobody: canisters with heartbeats and many messages take turns", () => {
    const beat = u.setSlot(1, u.add(u.getSlot(1), u.int(1)));
    const ids = Array.from({ length: 3 }, () =>
      s.newUniversal(m, { universal: { heartbeat: true }, init: u.storeProgram("heartbeat", beat) }),
    );
    const messages = ids.flatMap((id) =>
      Array.from({ length: 4 }, () =>
        s.message(m, id, "update", u.seq(u.setSlot(2, u.add(u.getSlot(2), u.int(1))), u.reply())),
      ),
    );
    s.roundWith(m, { ingress: messages, maxExecutions: 1 });
    for (let i = 0; i < 40; i++) s.roundWith(m, { maxExecutions: 1 });
    for (const sent of messages) s.replyOf(s.statusOf(m, sent));
    for (const id of ids) assert.ok(s.updateNumber(m, id, u.getSlot(1)) > 3n);
  });
});
