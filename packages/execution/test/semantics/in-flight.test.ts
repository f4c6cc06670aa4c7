// What is under way on a subnet, as those see it who look into a network.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type InFlightMessage, messagesInFlight } from "@atoll/execution";
import { type CanisterId, MANAGEMENT_CANISTER } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const [a, b] = [s.newUniversal(m), s.newUniversal(m)];
s.settleAll(m);

const callTo = (id: CanisterId, program: u.Code, rest: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(id), method: "update", arg: u.bytes(program), ...rest });
const places = (): string[] => messagesInFlight(m.machine.state).map(({ place, kind }) => `${place} ${kind}`);
const at = (place: InFlightMessage["place"]): InFlightMessage =>
  messagesInFlight(m.machine.state).find((each) => each.place === place) as InFlightMessage;

test("a call on its way: in a queue, held, answered, awaited; nothing in the end", () => {
  assert.deepEqual(places(), []);
  const program = u.reply(u.bytes("answer"));
  const sent = s.message(m, a, "update", callTo(b, program, { cycles: 5n }));
  s.roundWith(m, { ingress: [sent], maxExecutions: 0 });
  assert.deepEqual(messagesInFlight(m.machine.state), [
    {
      ...{ place: "input", kind: "ingress", from: s.ALICE, to: a, methodName: "update", arg: sent.arg },
      ...{ cycles: 0n, deadlineSeconds: 0, requestId: sent.requestId },
    },
  ]);
  s.roundWith(m, { maxExecutions: 1 });
  assert.deepEqual(places(), ["awaiting ingress", "called request", "input request"]);
  const { callbackId } = at("input");
  assert.deepEqual(at("awaiting").awaits, [callbackId]);
  assert.equal(at("awaiting").requestId, sent.requestId);
  assert.deepEqual([at("input").from, at("input").arg, at("input").cycles], [a, program, 5n]);
  s.intervene(m, { kind: "hold", rule: { receiver: a, messageKind: "response", atMost: 1 } });
  s.settleAll(m);
  assert.deepEqual(places(), ["awaiting ingress", "called request", "held response"]);
  const held = at("held");
  assert.deepEqual([held.from, held.to, held.callbackId, held.cycles], [b, a, callbackId, 5n]);
  assert.equal(s.textOf(held.arg as Uint8Array), "answer");
  s.intervene(m, { kind: "release", numbers: [held.number as number] });
  s.settleAll(m);
  s.replyOf(s.statusOf(m, sent));
  assert.deepEqual(places(), []);
});

test("calls to the management canister that are answered later, and canisters that stop", () => {
  const arg = u.bytes(Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0));
  const random = u.call({ callee: s.MANAGEMENT, method: "raw_rand", arg });
  s.round(m, [s.message(m, a, "update", random)]);
  assert.deepEqual([at("management").methodName, at("management").to], ["raw_rand", MANAGEMENT_CANISTER]);
  s.settleAll(m);
  s.intervene(m, { kind: "hold", rule: { receiver: b, messageKind: "request", atMost: 1 } });
  s.round(m, [s.message(m, a, "update", callTo(b, u.reply()))]);
  s.round(m, [
    s.message(m, MANAGEMENT_CANISTER, "stop_canister", s.candid("stop_canister", s.onCanister(a)), { effective: a }),
  ]);
  assert.equal(at("stopping").from, s.ALICE);
  s.intervene(m, { kind: "release", numbers: [at("held").number as number] });
  s.settleAll(m);
  assert.deepEqual(places(), []);
});

test("an execution of many rounds", () => {
  const slow = s.newMachine({}, { long: { slices: { slice: 100_000, operation: 400_000 } } });
  const id = s.newUniversal(slow);
  const sent = s.message(slow, id, "update", u.seq(u.spin(1_000_000), u.reply()));
  s.round(slow, [sent]);
  const [first] = messagesInFlight(slow.machine.state);
  assert.deepEqual([first?.place, first?.requestId, first?.callContextId], ["executing", sent.requestId, 1]);
});
