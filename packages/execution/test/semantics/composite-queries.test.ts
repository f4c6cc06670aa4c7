// Composite queries: calls between queries on one subnet, evaluated depth first, without any trace in the state.
// Specification, "Query call" and "composite_query_helper"; checklist 6.2.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterId } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const a = s.newUniversal(m);
const b = s.newUniversal(m);
const composite = (id: CanisterId, program: u.Code) => s.query(m, id, program, { method: "composite_query" });
const text = (result: ReturnType<typeof s.query>) => s.textOf(s.queried(result));
const ask = (
  callee: CanisterId,
  program: u.Code,
  on: { onReply?: u.Code; onReject?: u.Code; onCleanup?: u.Code } = {},
) => u.call({ callee: s.idBytes(callee), method: "query", arg: u.bytes(program), ...on });
const slotAsDigit = (slot: number) => u.seq(u.add(u.int(48), u.getSlot(slot)), u.op("setSlot", 20), digit());
/** The byte in slot 20 as a blob of one. */
function digit(): u.Code {
  return u.seq(u.int(1), u.op("alloc"), u.op("dup"), u.getSlot(20), u.op("store8"), u.int(1));
}

describe("the call graph", () => {
  test("a reply of the callee reaches the caller's callback", () => {
    assert.equal(text(composite(a, ask(b, u.reply(u.bytes("from b"))))), "from b");
  });

  test("nothing that any of them wrote is there afterwards", () => {
    const write = u.seq(u.setSlot(3, u.int(7)), u.stableGrow(1), u.stableWrite(0, u.bytes("x")));
    s.queried(composite(a, u.seq(write, ask(b, u.seq(write, u.reply())))));
    for (const id of [a, b]) {
      assert.equal(s.updateNumber(m, id, u.getSlot(3)), 0n);
      assert.equal(s.updateNumber(m, id, u.stableSize()), 0n);
    }
  });

  test("callbacks see what earlier executions of the same query wrote, in heap and stable memory", () => {
    const program = u.seq(
      u.setSlot(3, u.int(5)),
      u.stableGrow(1),
      u.stableWrite(10, u.bytes("kept")),
      ask(b, u.reply(), { onReply: u.reply(u.concat(slotAsDigit(3), u.stableRead(10, 4))) }),
    );
    assert.equal(text(composite(a, program)), "5kept");
  });

  test("a callback that traps leaves no trace for the next one", () => {
    const spoil = u.seq(u.setSlot(3, u.int(9)), u.stableWrite(10, u.bytes("lost")), u.stableGrow(5), u.unreachable());
    const program = u.seq(
      u.setSlot(3, u.int(5)),
      u.stableGrow(1),
      u.stableWrite(10, u.bytes("kept")),
      ask(b, u.reply(), { onReply: spoil }),
      ask(b, u.reply(), { onReply: u.reply(u.concat(slotAsDigit(3), u.stableRead(10, 4))) }),
    );
    assert.equal(text(composite(a, program)), "5kept");
  });

  test("a callback that grows the heap and traps leaves the heap as it was", () => {
    const spoil = u.seq(u.memoryGrow(u.int(20)), u.op("drop"), u.setSlot(3, u.int(9)), u.unreachable());
    const program = u.seq(
      u.setSlot(3, u.memorySize()),
      ask(b, u.reply(), { onReply: spoil }),
      ask(b, u.reply(), { onReply: u.reply(u.le64(u.sub(u.memorySize(), u.getSlot(3)))) }),
    );
    assert.equal(s.numberOf(s.queried(composite(a, program))), 0n);
    assert.equal(s.numberOf(s.queried(s.query(m, a, u.reply(u.le64(u.getSlot(3)))))), 0n);
  });

  test("calls are made in order, those of a callback after those that wait already", () => {
    const mark = (value: number): u.Code => u.setSlot(4, u.add(u.mul(u.getSlot(4), u.int(10)), u.int(value)));
    const program = u.seq(
      u.setSlot(4, u.int(0)),
      ask(b, u.reply(), {
        onReply: u.seq(mark(1), ask(b, u.reply(), { onReply: u.seq(mark(3), u.reply(u.le64(u.getSlot(4)))) })),
      }),
      ask(b, u.reply(), { onReply: mark(2) }),
    );
    assert.equal(s.numberOf(s.queried(composite(a, program))), 123n);
  });

  test("once there is an answer nothing more is evaluated", () => {
    const program = u.seq(ask(b, u.seq(u.spinForever(), u.reply())), u.reply(u.bytes("early")));
    assert.equal(text(composite(a, program)), "early");
  });

  test("a reject of the callee is code 4 with its message, an error is told without its IC code", () => {
    const report = u.reply(u.concat(slotAsDigit(5), u.rejectMessage()));
    const onReject = u.seq(u.setSlot(5, u.rejectCode()), report);
    assert.equal(text(composite(a, ask(b, u.reject("no"), { onReject }))), "4no");
    assert.match(text(composite(a, ask(b, u.trap("oh"), { onReject }))), /^5Error from Canister .*'oh'/);
    assert.match(text(composite(a, ask(b, u.seq(), { onReject }))), /^5Canister .* did not produce a response$/);
    const missing = u.call({ callee: u.bytes(Uint8Array.of(1, 2)), method: "query", onReject });
    assert.match(text(composite(a, missing)), /^3Canister .* not found$/);
    const update = u.call({ callee: s.idBytes(b), method: "update", onReject });
    assert.match(text(composite(a, update)), /^5Error from Canister .*has no query method 'update'/);
  });

  test("what the canisters print is told with the answer, and nothing of it stays", () => {
    const program = u.seq(
      u.debugPrint("asking"),
      ask(b, u.seq(u.debugPrint("asked"), u.trap("oh")), { onReject: u.seq(u.debugPrint("told"), u.reply()) }),
    );
    const { events = [] } = composite(a, program);
    const told = events.map((event) => event.kind === "canister-log" && [event.canister, s.textOf(event.text)]);
    assert.deepEqual(told, [
      [a, "asking"],
      [b, "asked"],
      [b, "[TRAP]: oh"],
      [a, "told"],
    ]);
    assert.deepEqual([...s.logsOf(m, a), ...s.logsOf(m, b)], []);
    assert.equal(composite(a, u.reply()).events, undefined);
  });

  test("a query that prints without end is told up to a bound", () => {
    const line = u.debugPrint("x".repeat(30_000));
    const program = u.seq(...Array.from({ length: 30 }, () => line), u.reply());
    const { events = [] } = composite(a, program);
    const bytes = events.reduce((sum, event) => sum + ("text" in event ? event.text.length : 0), 0);
    assert.ok(events.length > 0 && bytes <= 256 * 1024, `${bytes} bytes`);
  });

  test("a canister may call itself: the inner query starts from the committed state", () => {
    const inner = u.reply(u.le64(u.getSlot(3)));
    const program = u.seq(u.setSlot(3, u.int(8)), ask(a, inner));
    assert.equal(s.numberOf(s.queried(composite(a, program))), 0n);
  });

  test("six calls deep, not seven (IC0525)", () => {
    const nest = (depth: number): u.Code => {
      if (depth === 0) return u.reply(u.bytes("bottom"));
      const arg = u.bytes(nest(depth - 1));
      return u.call({ callee: s.idBytes(depth % 2 === 0 ? a : b), method: "composite_query", arg });
    };
    assert.equal(text(composite(a, nest(6))), "bottom");
    assert.equal(s.queryError(composite(a, nest(7))).code, s.ErrorCode.QueryCallGraphTooDeep);
  });

  test("the instructions of a whole graph are limited (IC0526), whatever the caller makes of it", () => {
    const costly = u.seq(u.spin(60_000_000), u.reply());
    const many = Array.from({ length: 20 }, () => ask(b, costly, { onReply: u.seq(), onReject: u.seq() }));
    const error = s.queryError(composite(a, u.seq(...many)));
    assert.equal(error.code, s.ErrorCode.QueryCallGraphTotalInstructionLimitExceeded);
  });
});

describe("failing callbacks", () => {
  test("the last execution's failure is the answer if nobody answered", () => {
    const error = s.queryError(composite(a, ask(b, u.reply(), { onReply: u.trap("late") })));
    assert.equal(error.code, s.ErrorCode.CanisterCalledTrap);
  });

  test("a callback after a failed one that succeeds without answering: no response", () => {
    const program = u.seq(ask(b, u.reply(), { onReply: u.trap("x") }), ask(b, u.reply(), { onReply: u.seq() }));
    const error = s.queryError(composite(a, program));
    assert.equal(error.code, s.ErrorCode.CanisterDidNotReply);
    assert.match(error.message, /^Canister .* did not produce a response$/);
  });

  test("cleanup runs after a trap; its own trap is told beside the first", () => {
    const program = ask(b, u.reply(), { onReply: u.trap("first"), onCleanup: u.trap("second") });
    const error = s.queryError(composite(a, program));
    assert.equal(error.code, s.ErrorCode.CanisterCalledTrap);
    assert.match(error.message, /'first'[\s\S]*call_on_cleanup also failed:[\s\S]*'second'/);
  });

  test("what cleanup wrote is seen by later callbacks", () => {
    const program = u.seq(
      ask(b, u.reply(), { onReply: u.unreachable(), onCleanup: u.setSlot(3, u.int(6)) }),
      ask(b, u.reply(), { onReply: u.reply(u.le64(u.getSlot(3))) }),
    );
    assert.equal(s.numberOf(s.queried(composite(a, program))), 6n);
  });
});

describe("the data certificate", () => {
  const certificate = Uint8Array.of(1, 2, 3);
  const present = u.ic0("data_certificate_present");

  test("is there for the canister that was called, not for those it calls, not in callbacks", () => {
    const asked = s.query(m, a, u.reply(u.dataCertificate()), { certificate });
    assert.deepEqual(s.queried(asked), certificate);
    const inB = s.query(m, a, ask(b, u.reply(u.le64(present))), { method: "composite_query", certificate });
    assert.equal(s.numberOf(s.queried(inB)), 0n);
    const later = ask(b, u.reply(), { onReply: u.reply(u.le64(present)) });
    assert.equal(s.numberOf(s.queried(s.query(m, a, later, { method: "composite_query", certificate }))), 0n);
    assert.equal(s.updateNumber(m, a, present), 0n);
  });
});
