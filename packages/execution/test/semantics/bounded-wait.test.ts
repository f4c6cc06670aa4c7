// Calls with a best-effort response: the caller is answered by the deadline, by the callee or by the system.
// Specification, "Bounded-wait calls"; checklist 6.3.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nextDeadline } from "@atoll/execution";
import type { Callback } from "@atoll/state";
import { MANAGEMENT_CANISTER } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const NO_ARGUMENT = u.bytes(Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0));
/** Answers only after `rounds` rounds of raw_rand. */
function slow(rounds: number, answer: u.Code): u.Code {
  if (rounds === 0) return answer;
  return u.call({ callee: s.MANAGEMENT, method: "raw_rand", arg: NO_ARGUMENT, onReply: slow(rounds - 1, answer) });
}
const report = u.reply(u.concat(u.le64(u.rejectCode()), u.rejectMessage()));

describe("a bounded-wait call", () => {
  const a = s.newUniversal(m);
  const b = s.newUniversal(m);
  const bounded = (program: u.Code, timeoutSeconds: number, rest: Partial<u.CallOptions> = {}) =>
    u.call({
      callee: s.idBytes(b),
      method: "update",
      arg: u.bytes(program),
      timeoutSeconds,
      onReject: report,
      ...rest,
    });

  test("is answered by the callee in time", () => {
    assert.equal(s.updateText(m, a, bounded(u.reply(u.bytes("in time")), 10)), "in time");
  });

  test("tells the callee its deadline: now and the timeout, in whole seconds, 300 at most", () => {
    const deadline = u.reply(u.le64(u.ic0("msg_deadline")));
    const told = s.numberOf(s.update(m, a, bounded(deadline, 7)));
    assert.equal(told - (m.time / 1_000_000_000n) * 1_000_000_000n, 7_000_000_000n);
    const capped = s.numberOf(s.update(m, a, bounded(deadline, 1_000_000)));
    assert.equal(capped - (m.time / 1_000_000_000n) * 1_000_000_000n, 300_000_000_000n);
    assert.equal(
      s.numberOf(s.update(m, a, u.call({ callee: s.idBytes(b), method: "update", arg: u.bytes(deadline) }))),
      0n,
    );
  });

  test("is answered by the system with SYS_UNKNOWN once the deadline has passed; a late answer is dropped", () => {
    const cycles = 3_000_000_000n;
    const sent = s.message(
      m,
      a,
      "update",
      bounded(slow(3, u.seq(u.setSlot(1, u.int(5)), u.reply(u.bytes("late")))), 2, { cycles }),
    );
    s.round(m, [sent]);
    const before = s.canisterOf(m, a).cycles;
    assert.equal(m.last.wakeAt, (m.time / 1_000_000_000n + 2n) * 1_000_000_000n + 1n);
    s.round(m, [], 3);
    const told = s.replyOf(s.statusOf(m, sent));
    assert.equal(s.numberOf(told.subarray(0, 8)), 6n);
    assert.equal(s.textOf(told.subarray(8)), "Call deadline has expired.");
    s.settleAll(m);
    assert.equal(s.updateNumber(m, b, u.getSlot(1)), 5n);
    assert.equal(s.canisterOf(m, a).callbacks.size, 0);
    assert.equal(s.canisterOf(m, a).callContexts.size, 0);
    assert.ok(s.canisterOf(m, a).cycles > before + cycles, "what the callee did not take comes back");
  });

  test("has its deadline found again in a state that was just loaded, unless its answer has come", () => {
    const { state } = m.machine;
    const wake = (): bigint | undefined => nextDeadline({ state: { ...state, canisters: new Map(state.canisters) } });
    const sent = [20, 10, 30].map((timeout) => s.message(m, a, "update", bounded(slow(3, u.reply()), timeout)));
    s.round(m, sent);
    const first = m.last.wakeAt as bigint;
    assert.equal(first, (m.time / 1_000_000_000n + 10n) * 1_000_000_000n + 1n);
    assert.equal(wake(), first);
    const { input, callbacks } = s.canisterOf(m, a);
    const callback = [...callbacks.values()].find((each) => BigInt(each.deadlineSeconds) === first / 1_000_000_000n);
    const { id: callbackId, deadlineSeconds } = callback as Callback;
    const answer = { originator: a, respondent: b, callbackId, refund: 0n, deadlineSeconds };
    const payload = { kind: "reply" as const, data: new Uint8Array() };
    input.push({ kind: "response", response: { kind: "response", ...answer, payload } });
    assert.equal(wake(), first + 10_000_000_000n);
    assert.equal(nextDeadline({ state }), first, "the state in use was not told");
    input.extract((item) => item.kind === "response");
    s.settleAll(m);
    assert.equal(m.last.wakeAt, undefined);
  });

  test("an unbounded call is never answered by the system", () => {
    const call = u.call({ callee: s.idBytes(b), method: "update", arg: u.bytes(slow(3, u.reply(u.bytes("at last")))) });
    const sent = s.message(m, a, "update", call);
    s.round(m, [sent]);
    s.round(m, [], 1000);
    assert.equal(s.statusOf(m, sent)?.state, "processing");
    s.settleAll(m);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "at last");
  });
});

describe("a stop that takes too long", () => {
  test("is answered with IC0206 after five minutes, and the subnet wakes for it; the canister goes on stopping", () => {
    const a = s.newUniversal(m);
    const b = s.newUniversal(m);
    // A circle: each waits for the other's answer until the end of the loop.
    const open = s.message(
      m,
      a,
      "update",
      u.call({ callee: s.idBytes(b), method: "update", arg: u.bytes(slow(6, u.reply())) }),
    );
    const stop = s.message(m, MANAGEMENT_CANISTER, "stop_canister", s.candid("stop_canister", s.onCanister(a)), {
      effective: a,
    });
    s.round(m, [open]);
    s.round(m, [stop]);
    assert.equal(m.last.wakeAt, m.time + 300_000_000_000n);
    s.round(m, [], 300);
    assert.equal(s.errorOf(s.statusOf(m, stop)).code, s.ErrorCode.StopCanisterRequestTimeout);
    assert.equal(s.canisterOf(m, a).status.kind, "stopping");
    s.settleAll(m);
    assert.equal(s.canisterOf(m, a).status.kind, "stopped");
  });
});
