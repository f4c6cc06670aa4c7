// Calls between canisters of different subnets over certified streams: answers, cycles, order, refusals, and what becomes
// of messages for which there is no room. Consensus and chain-key, 16; checklist 6.3.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CanisterId, canisterIdFromIndex, principalToText } from "@atoll/types";
import * as u from "../../execution/test/canisters/universal.ts";
import * as s from "../../execution/test/semantics/machine.ts";
import { call, newNetwork, type Subnet, settle, step } from "./subnets.ts";

const BILLION = 1_000_000_000n;
const idOn = (index: number, number = 0): CanisterId =>
  canisterIdFromIndex(BigInt(index + 1) * 0x1000n + BigInt(number));
const A = idOn(0);
const B = idOn(1);

/** A universal canister on each subnet. */
const two = () => {
  const network = newNetwork(["application", "application"], (m) => s.newUniversal(m));
  const [a, b] = network.subnets as [Subnet, Subnet];
  return { network, a, b };
};
const remote = (callee: CanisterId, arg: u.Code, options: Partial<u.CallOptions> = {}): u.Code =>
  u.call({ callee: s.idBytes(callee), method: "update", arg: u.bytes(arg), ...options });
const answer = { onReply: u.reply(u.argData()), onReject: u.reply(u.concat(u.bytes("rejected: "), u.rejectMessage())) };
const textOf = (status: ReturnType<typeof call>): string => s.textOf(s.replyOf(status));

test("a call to another subnet and its answer", () => {
  const { network, a, b } = two();
  assert.equal(textOf(call(network, a, A, remote(B, u.reply(u.bytes("hello")), answer))), "hello");
  assert.equal(textOf(call(network, b, B, remote(A, u.reply(u.bytes("back")), answer))), "back");
  assert.deepEqual(
    [...a.positions.values()].map(({ begin, end, signalsEnd }) => [begin, end, signalsEnd]),
    [[2, 2, 2]],
  );
});

test("calls within calls go back and forth", () => {
  const { network, a } = two();
  const inner = remote(A, u.reply(u.bytes("deep")), answer);
  assert.equal(textOf(call(network, a, A, remote(B, inner, answer))), "deep");
});

test("cycles go along and come back", () => {
  const { network, a, b } = two();
  const before = s.balanceOf(b.m, B);
  const accept = u.seq(u.cyclesAccept(3n * BILLION), u.op("drop"), u.op("drop"), u.reply());
  const program = remote(B, accept, {
    cycles: 10n * BILLION,
    onReply: u.reply(u.cyclesRefunded()),
    onReject: u.trap("no"),
  });
  assert.equal(s.numberOf(s.replyOf(call(network, a, A, program))), 7n * BILLION);
  assert.ok(s.balanceOf(b.m, B) > before + 2n * BILLION);
});

test("canisters that are not there, stopped, or ask for more cycles", () => {
  const { network, a, b } = two();
  const heard = (callee: CanisterId): string => textOf(call(network, a, A, remote(callee, u.reply(), answer)));
  const missing = idOn(1, 77);
  assert.equal(heard(missing), `rejected: Canister ${principalToText(missing)} not found`);
  const nowhere = idOn(7);
  assert.equal(heard(nowhere), `rejected: No route to canister ${principalToText(nowhere)}`);
  const stop = s.message(b.m, "" as CanisterId, "stop_canister", s.candid("stop_canister", s.onCanister(B)), {
    effective: B,
  });
  step(network, b, [stop]);
  assert.equal(heard(B), `rejected: Canister ${principalToText(B)} is stopped`);
  settle(network);
});
