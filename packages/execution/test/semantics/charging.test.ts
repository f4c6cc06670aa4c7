// Storage and compute are paid for as time passes: to the unit what each canister used, whether anything happened to it
// or not; who cannot pay is frozen first and uninstalled in the end. Ten thousand idle canisters cost a round nothing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, canisterIdFromIndex } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const GIB = 1024n ** 3n;
const GIB_PER_SECOND = 127_000n;
const COMPUTE_PER_SECOND = 10_000_000n;

/** What `seconds` cost that are charged in one go. */
function storageCost(bytes: bigint, seconds: bigint): bigint {
  return (((bytes * GIB_PER_SECOND * 86_400n) / GIB) * seconds) / 86_400n;
}

/** Runs rounds until the subnet has just been charged. */
function untilCharged(m: s.Machine): void {
  const before = m.machine.state.charges.at(-1);
  for (let i = 0; i < 12 && m.machine.state.charges.at(-1) === before; i++) s.round(m);
}

const memoryAllocation = (bytes: bigint): object => ({ memory_allocation: [bytes] });

describe("storage and compute", () => {
  test("are charged every ten seconds, not before", () => {
    const m = s.newMachine();
    untilCharged(m);
    const id = s.createCanister(m, { settings: { ...memoryAllocation(GIB), compute_allocation: [2n] } });
    untilCharged(m);
    const age = (m.time - s.canisterOf(m, id).createdAt) / 1_000_000_000n;
    assert.ok(age > 5n && age < 10n, `${age} seconds`);
    assert.equal(s.balanceOf(m, id), 100_000_000_000_000n - age * (GIB_PER_SECOND + 2n * COMPUTE_PER_SECOND));
    const times = m.machine.state.charges.length;
    s.round(m, [], 7);
    assert.equal(m.machine.state.charges.length, times);
    s.round(m, [], 3);
    assert.equal(m.machine.state.charges.length, times + 1);
  });

  test("cost the same whether the canister is touched in between or not", () => {
    const m = s.newMachine();
    const settings = { ...memoryAllocation(3n * GIB + 12_345n), compute_allocation: [1n] };
    const [one, other] = [0, 1].map(() => s.createCanister(m, { settings })) as [CanisterId, CanisterId];
    const ages = [one, other].map((id) => s.canisterOf(m, id).createdAt);
    for (let i = 0; i < 40; i++) {
      s.round(m, [], 3 + (i % 11));
      assert.ok(s.balanceOf(m, one) > 0n);
    }
    untilCharged(m);
    const second = storageCost(3n * GIB + 12_345n, 1n) + COMPUTE_PER_SECOND;
    const younger = ((ages[1] as bigint) - (ages[0] as bigint)) / 1_000_000_000n;
    // Only the first charge, which the younger one pays for a shorter time, is rounded differently.
    const difference = s.balanceOf(m, other) - s.balanceOf(m, one) - younger * second;
    assert.ok(difference >= -1n && difference <= 1n, `${difference}`);
  });

  test("come off what queries see, without anything happening to the canister", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { settings: memoryAllocation(GIB) });
    untilCharged(m);
    s.send(m, id, u.reply());
    untilCharged(m);
    const seen = (): bigint => s.numberOf(s.queried(s.query(m, id, u.reply(u.cycleBalance()))));
    const before = seen();
    s.round(m, [], 10);
    assert.equal(m.last.delta.canisters.length, 0, "nothing happened to it");
    s.round(m, [], 10);
    assert.equal(seen(), before - 20n * GIB_PER_SECOND);
  });

  test("are free on system subnets and counted only where the schedule is free", () => {
    const system = s.newMachine({ type: "system" });
    const settings = memoryAllocation(GIB);
    const there = s.createCanister(system, { settings, cycles: 77n });
    s.round(system, [], 1000);
    assert.equal(s.balanceOf(system, there), 77n);
    const free = s.newMachine({ costSchedule: "free" });
    const id = s.newUniversal(free, { settings, cycles: 77n });
    s.round(free, [], 1000);
    assert.equal(s.balanceOf(free, id), 77n);
    const { memory, instructions, ingressInduction } = s.canisterOf(free, id).consumed;
    assert.ok(memory >= 1000n * GIB_PER_SECOND && instructions > 20_000_000n && ingressInduction > 0n);
  });

  test("have a price that is a setting", () => {
    const m = s.newMachine({ resources: { gibPerSecond: 317_500n } });
    const id = s.createCanister(m, { settings: memoryAllocation(GIB) });
    assert.equal(s.canisterStatus(m, id).idle_cycles_burned_per_day, 317_500n * 86_400n);
    const large = s.newMachine({ feeNodes: 34 });
    const other = s.createCanister(large, { settings: memoryAllocation(GIB) });
    assert.equal(s.canisterStatus(large, other).idle_cycles_burned_per_day, (GIB_PER_SECOND * 86_400n * 34n) / 13n);
  });

  test("take the reserved cycles first", () => {
    const m = s.newMachine();
    const id = s.createCanister(m, { settings: memoryAllocation(GIB) });
    untilCharged(m);
    const cycles = 1_000n * GIB_PER_SECOND;
    s.setBalance(m, id, cycles, 15n * GIB_PER_SECOND);
    s.round(m, [], 20);
    assert.equal(s.balanceOf(m, id), cycles - 5n * GIB_PER_SECOND);
    assert.equal(s.canisterOf(m, id).reservedCycles, 0n);
  });

  test("cost a round nothing for ten thousand canisters that nothing happens to", () => {
    const m = s.newMachine({ canisterRanges: [[canisterIdFromIndex(0x10n), canisterIdFromIndex(0xfffffn)]] });
    const first = s.createCanister(m, { settings: memoryAllocation(1n << 27n) });
    const template = s.canisterOf(m, first);
    const { state } = m.machine;
    for (let i = 0n; i < 10_000n; i++) {
      const id = canisterIdFromIndex(0x1000n + i);
      state.canisters.set(id, { ...template, id, consumed: { ...template.consumed } });
      state.unmeasured.add(id);
    }
    s.round(m);
    let touched = 0;
    for (let i = 0; i < 60; i++) touched += s.round(m, [], 10).delta.canisters.length;
    assert.ok(touched < 20, `${touched} canisters in ten minutes`);
    for (let i = 0; i < 360; i++) touched += s.round(m, [], 10).delta.canisters.length;
    assert.ok(touched > 10_000 && touched < 20_000, `${touched} in an hour: all pay some time`);
    assert.ok(state.charges.length < 400);
  });
});

describe("a canister that runs out of cycles", () => {
  const perSecond = GIB_PER_SECOND * 8n;
  const settings = { ...memoryAllocation(8n * GIB), freezing_threshold: [1000n] };

  /** Installed, with enough to go on for `seconds`. */
  function poor(m: s.Machine, seconds: bigint): CanisterId {
    const id = s.newUniversal(m, { settings });
    untilCharged(m);
    s.setBalance(m, id, seconds * perSecond);
    return id;
  }

  test("is frozen when less is left than its freezing threshold", () => {
    const m = s.newMachine();
    const id = poor(m, 1200n);
    s.round(m);
    assert.ok(s.queried(s.query(m, id, u.reply())));
    s.round(m, [], 300);
    const frozen = s.queryError(s.query(m, id, u.reply()));
    assert.equal(frozen.code, s.ErrorCode.CanisterOutOfCycles);
    const refused = s.errorOf(s.send(m, id, u.reply()));
    assert.equal(refused.code, s.ErrorCode.CanisterOutOfCycles);
    assert.match(refused.message, /please top up the canister with at least [0-9_]+ additional cycles$/);
    const stranger = s.errorOf(s.send(m, id, u.reply(), { sender: s.BOB }));
    assert.match(stranger.message, /is out of cycles$/, "how much is missing is for controllers to know");
  });

  test("is told to the filter in the very round in which it might not pay for a message any more", () => {
    const m = s.newMachine();
    const largest = 1_200_000n + 2_000n * BigInt(3.5 * 1024 * 1024);
    const id = poor(m, 1000n + largest / perSecond + 250n);
    s.round(m);
    const told = (): boolean | undefined => m.last.access.canisters.find((each) => each.id === id)?.admitsAnyIngress;
    s.round(m, [], 200);
    assert.equal(told(), undefined, "nothing has changed");
    s.round(m, [], 100);
    assert.equal(told(), false);
  });

  test("loses code and allocations with the charge that it cannot pay, not earlier", () => {
    const m = s.newMachine();
    const id = poor(m, 35n);
    const { version } = s.canisterOf(m, id);
    s.round(m, [], 10);
    s.round(m, [], 10);
    s.round(m, [], 10);
    assert.ok(s.canisterOf(m, id).execution !== undefined);
    s.round(m, [], 10);
    const { execution, cycles, reservedCycles, settings: left, history, consumed, ...canister } = s.canisterOf(m, id);
    assert.equal(execution, undefined);
    assert.deepEqual([cycles, reservedCycles, left.computeAllocation, left.memoryAllocation], [0n, 0n, 0, 0n]);
    assert.deepEqual([history.entries.length, history.total > 0], [0, true]);
    assert.equal(canister.version, version + 1);
    assert.equal(consumed.uninstall, 5n * perSecond, "what was left is burnt");
    assert.equal(left.controllers.length, 1);
  });

  test("pays with what arrives in time", () => {
    const m = s.newMachine();
    const giver = s.newUniversal(m);
    const id = poor(m, 15n);
    s.round(m, [], 10);
    const arg = u.bytes(s.candid("deposit_cycles", s.onCanister(id)));
    s.update(m, giver, u.call({ callee: s.MANAGEMENT, method: "deposit_cycles", arg, cycles: 100n * perSecond }));
    s.round(m, [], 30);
    assert.ok(s.canisterOf(m, id).execution !== undefined);
  });

  test("answers whoever waits for it", () => {
    const m = s.newMachine();
    const id = poor(m, 100_000n);
    const caller = s.newUniversal(m, {});
    const random = u.call({ callee: s.MANAGEMENT, method: "raw_rand", arg: u.bytes(s.candid("raw_rand")) });
    const call = {
      callee: s.idBytes(id),
      method: "update",
      arg: u.bytes(random),
      onReject: u.reply(u.rejectMessage()),
    };
    const sent = s.message(m, caller, "update", u.call(call));
    s.round(m, [sent]);
    assert.equal(s.canisterOf(m, id).callContexts.size, 1);
    // As if the answer of raw_rand took its time.
    const { state } = m.machine;
    const waiting = state.pendingRandomness.splice(0);
    s.setBalance(m, id, 0n);
    s.round(m, [], 10);
    state.pendingRandomness.push(...waiting);
    s.settleAll(m);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, sent))), "Canister has been uninstalled.");
    assert.ok(s.balanceOf(m, id) > 42_000_000_000n, "what it had paid for its callback in advance comes back");
  });
});
