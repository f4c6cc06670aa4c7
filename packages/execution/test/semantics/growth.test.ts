// Growing memory: within the limit of the heap, above the freezing threshold, within what the subnet has, and paid for
// in advance where the subnet is rather full. In that order, with the words that clients match on.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CanisterId, UserError } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const MIB = 1024 ** 2;
const PAGE = 65_536;
const BASE = 2 * MIB;
/** Less than any canister with code takes. */
const THRESHOLD = 4096;

const growHeap = (pages: number): u.Code => u.seq(u.memoryGrow(u.int(pages)), u.op("drop"), u.reply());
const growStable = (pages: number): u.Code => u.reply(u.le64(u.ic0("stable64_grow", pages)));
const failed = 2n ** 64n - 1n;

/** A canister whose heap has what its messages need. */
function newGrower(m: s.Machine, options: Parameters<typeof s.newUniversal>[1] = {}): CanisterId {
  const id = s.newUniversal(m, options);
  s.update(m, id, growStable(0));
  return id;
}

/** A subnet with little memory: reservations begin at `threshold` bytes. */
function smallSubnet(threshold: number, capacity: number): s.Machine {
  return s.newMachine({ resources: { memoryThreshold: threshold, memoryCapacity: capacity } });
}

/** What is reserved for the bytes from `used` on, computed as the documentation does. */
function reservation(used: number, bytes: number, threshold: number, capacity: number): bigint {
  const upTo = (at: number): bigint => {
    const above = BigInt(Math.max(0, Math.min(at, capacity) - threshold));
    const seconds = (300_000_000n * above) / BigInt(capacity - threshold) / 2n;
    return (above * 127_000n * seconds) / 1024n ** 3n;
  };
  return upTo(used + bytes) - upTo(used);
}

const used = (m: s.Machine): number => m.machine.state.usage.total.allocatedBytes;
const error = (m: s.Machine, id: CanisterId, program: u.Code): UserError => s.failure(m, id, program);

describe("a subnet without memory left", () => {
  test("fails the message that grows the heap and answers -1 to stable_grow", () => {
    const m = smallSubnet(BASE * 4, BASE * 4);
    const id = newGrower(m);
    const tooMuch = (4 * BASE) / PAGE;
    const refused = error(m, id, growHeap(tooMuch));
    assert.equal(refused.code, s.ErrorCode.CanisterOutOfMemory);
    assert.match(refused.message, /Canister cannot grow its memory usage\.+\nCheck the canister's memory usage/);
    assert.equal(s.numberOf(s.update(m, id, growStable(tooMuch))), failed);
    assert.equal(s.numberOf(s.update(m, id, growStable(1))), 0n);
    const left = Math.floor((4 * BASE - used(m)) / PAGE);
    assert.equal(s.numberOf(s.update(m, id, growStable(left + 1))), failed);
    assert.equal(s.numberOf(s.update(m, id, growStable(left))), 1n, "to the last page");
  });

  test("counts what other canisters took in the same round", () => {
    const m = smallSubnet(BASE * 4, BASE * 4);
    const ids = [0, 1, 2].map(() => newGrower(m));
    const pages = Math.floor(((4 * BASE - used(m)) * 0.6) / PAGE);
    const sent = ids.map((id) => s.message(m, id, "update", growStable(pages)));
    s.round(m, sent);
    const answers = sent.map((each) => s.numberOf(s.replyOf(s.statusOf(m, each))));
    assert.deepEqual(answers.filter((answer) => answer === 0n).length, 1);
  });

  test("has what it promised", () => {
    const m = smallSubnet(BASE * 4, BASE * 4);
    const settings = { memory_allocation: [BigInt(2 * BASE)] };
    const rich = newGrower(m, { settings });
    const poor = newGrower(m);
    const pages = Math.floor((4 * BASE - used(m)) / PAGE);
    assert.equal(s.numberOf(s.update(m, poor, growStable(pages))), 0n);
    assert.equal(s.numberOf(s.update(m, poor, growStable(1))), failed);
    assert.equal(s.numberOf(s.update(m, rich, growStable(8))), 0n);
    const more = { settings: { ...s.NO_SETTINGS, memory_allocation: [BigInt(4 * BASE)] }, sender_canister_version: [] };
    const refused = s.errorOf(s.manage(m, "update_settings", rich, { ...s.onCanister(rich), ...more }));
    assert.equal(refused.code, s.ErrorCode.SubnetOversubscribed);
    const code = s.errorOf(s.install(m, s.createCanister(m), s.universal()));
    assert.equal(code.code, s.ErrorCode.SubnetOversubscribed);
  });
});

describe("a subnet that is rather full", () => {
  const capacity = 64 * MIB;

  test("has cycles reserved for what grows, to the unit, and only then", () => {
    const m = smallSubnet(THRESHOLD, capacity);
    const id = newGrower(m);
    const before = s.canisterOf(m, id).reservedCycles;
    const from = used(m);
    const balance = s.balanceOf(m, id);
    s.update(m, id, growStable(16));
    const now = s.canisterOf(m, id);
    const wanted = reservation(from, 16 * PAGE, THRESHOLD, capacity);
    assert.ok(wanted > 0n);
    // What was reserved pays for storage at once, if it was charged.
    assert.ok(now.reservedCycles - before <= wanted && now.reservedCycles - before > wanted - 1000n);
    assert.ok(now.cycles < balance - wanted);
    const reserved = now.reservedCycles;
    s.update(m, id, u.reply());
    assert.ok(s.canisterOf(m, id).reservedCycles <= reserved);
    const failing = u.seq(u.stableGrow(16), u.unreachable());
    error(m, id, failing);
    assert.ok(s.canisterOf(m, id).reservedCycles <= reserved, "a failed message reserves nothing");
  });

  test("refuses what is above the limit for reserved cycles", () => {
    const m = smallSubnet(THRESHOLD, capacity);
    const id = newGrower(m, { settings: { reserved_cycles_limit: [5_000_000_000_000n] } });
    const limit = s.canisterOf(m, id).reservedCycles + 1000n;
    const settings = { ...s.NO_SETTINGS, reserved_cycles_limit: [limit] };
    s.replyOf(s.manage(m, "update_settings", id, { ...s.onCanister(id), settings, sender_canister_version: [] }));
    for (const program of [growHeap(16), growStable(16)]) {
      const refused = error(m, id, program);
      assert.equal(refused.code, s.ErrorCode.ReservedCyclesLimitExceededInMemoryGrow);
      assert.match(
        refused.message,
        /Canister cannot grow memory by 1048576 bytes due to its reserved cycles limit. The current limit \([\d_]+\) would be exceeded by [\d_]+\.+\nTry increasing the canister's reserved cycles limit/,
      );
    }
    const chunk = { ...s.onCanister(id), chunk: new Uint8Array(10) };
    const refused = s.errorOf(s.manage(m, "upload_chunk", id, chunk));
    assert.equal(refused.code, s.ErrorCode.ReservedCyclesLimitExceededInMemoryGrow);
    const larger = { ...s.NO_SETTINGS, memory_allocation: [BigInt(20 * MIB)] };
    const arg = { ...s.onCanister(id), settings: larger, sender_canister_version: [] };
    const allocation = s.errorOf(s.manage(m, "update_settings", id, arg));
    assert.equal(allocation.code, s.ErrorCode.ReservedCyclesLimitExceededInMemoryAllocation);
    assert.match(
      allocation.message,
      /^Cannot increase memory allocation to 20.00 MiB due to its reserved cycles limit\./,
    );
    const low = { ...s.NO_SETTINGS, reserved_cycles_limit: [0n] };
    const tooLow = s.errorOf(s.manage(m, "update_settings", id, { ...arg, settings: low }));
    assert.equal(tooLow.code, s.ErrorCode.ReservedCyclesLimitIsTooLow);
  });

  test("has cycles reserved for allocations, chunks and code", () => {
    const m = smallSubnet(THRESHOLD, capacity);
    const id = newGrower(m);
    const steps = [
      () => s.manage(m, "upload_chunk", id, { ...s.onCanister(id), chunk: new Uint8Array(10) }),
      () => {
        const settings = { ...s.NO_SETTINGS, memory_allocation: [BigInt(10 * MIB)] };
        return s.manage(m, "update_settings", id, { ...s.onCanister(id), settings, sender_canister_version: [] });
      },
    ];
    for (const step of steps) {
      const before = s.canisterOf(m, id).reservedCycles;
      const from = used(m);
      s.replyOf(step());
      const wanted = reservation(from, used(m) - from, THRESHOLD, capacity);
      const added = s.canisterOf(m, id).reservedCycles - before;
      assert.ok(added <= wanted && added > wanted - 20_000n, `${added} of ${wanted}`);
    }
    const other = s.createCanister(m);
    assert.equal(s.canisterOf(m, other).reservedCycles, 0n);
    s.replyOf(s.install(m, other, s.universal()));
    assert.ok(s.canisterOf(m, other).reservedCycles > 0n);
    const { reservedCycles } = s.canisterOf(m, other);
    s.replyOf(s.manage(m, "uninstall_code", other, { ...s.onCanister(other), sender_canister_version: [] }));
    assert.ok(s.canisterOf(m, other).reservedCycles > reservedCycles - 1000n, "they survive the code");
  });

  test("wants more than the balance has", () => {
    const m = smallSubnet(THRESHOLD, capacity);
    const id = newGrower(m, { settings: { freezing_threshold: [0n], reserved_cycles_limit: [10n ** 30n] } });
    s.setBalance(m, id, 40_010_000_000n);
    const refused = error(m, id, growStable(64));
    assert.equal(refused.code, s.ErrorCode.InsufficientCyclesInMemoryGrow);
    assert.match(refused.message, /due to insufficient cycles. At least [\d_]+ additional cycles are required\./);
    const settings = { ...s.NO_SETTINGS, memory_allocation: [BigInt(50 * MIB)] };
    s.setBalance(m, id, 1_000_000_000n);
    const arg = { ...s.onCanister(id), settings, sender_canister_version: [] };
    const allocation = s.errorOf(s.manage(m, "update_settings", id, arg));
    assert.equal(allocation.code, s.ErrorCode.InsufficientCyclesInMemoryAllocation);
  });
});

describe("the low-memory hook", () => {
  const note = u.seq(u.setSlot(5, u.add(u.getSlot(5), u.int(1))));
  const options = { universal: { onLowWasmMemory: true }, init: u.storeProgram("onLowWasmMemory", note) };
  const runs = (m: s.Machine, id: CanisterId): bigint => s.updateNumber(m, id, u.getSlot(5));
  const limits = (limit: number, threshold: number): object => {
    return { wasm_memory_limit: [BigInt(limit)], wasm_memory_threshold: [BigInt(threshold)] };
  };
  const set = (m: s.Machine, id: CanisterId, settings: object): void => {
    const arg = { ...s.onCanister(id), settings: { ...s.NO_SETTINGS, ...settings }, sender_canister_version: [] };
    s.replyOf(s.manage(m, "update_settings", id, arg));
  };

  test("runs once when the heap has grown to where little is left", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { ...options, settings: limits(100 * MIB, 50 * MIB) });
    assert.equal(runs(m, id), 0n);
    s.update(m, id, growHeap((60 * MIB) / PAGE));
    assert.equal(runs(m, id), 1n);
    s.update(m, id, growHeap(16));
    s.settleAll(m);
    assert.equal(runs(m, id), 1n, "not again");
    assert.equal(s.canisterOf(m, id).lowMemoryHook, "executed");
  });

  test("runs in the round in which it got little, before the canister's next message", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { ...options, settings: limits(100 * MIB, 50 * MIB) });
    const grow = s.message(m, id, "update", growHeap((60 * MIB) / PAGE));
    const next = s.message(m, id, "update", u.reply(u.le64(u.getSlot(5))));
    s.round(m, [grow, next]);
    assert.equal(s.numberOf(s.replyOf(s.statusOf(m, next))), 1n);
    const other = s.newUniversal(m, { ...options, settings: limits(100 * MIB, 50 * MIB) });
    s.round(m, [s.message(m, other, "update", growHeap((60 * MIB) / PAGE))]);
    assert.equal(s.canisterOf(m, other).lowMemoryHook, "executed");
  });

  test("runs again when there was enough in between", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { ...options, settings: limits(100 * MIB, 100 * MIB) });
    s.settleAll(m);
    assert.equal(runs(m, id), 1n);
    set(m, id, limits(100 * MIB, 0));
    assert.equal(s.canisterOf(m, id).lowMemoryHook, "notSatisfied");
    set(m, id, limits(100 * MIB, 100 * MIB));
    s.settleAll(m);
    assert.equal(runs(m, id), 2n);
  });

  test("comes before messages, and waits for a canister that is stopped", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, options);
    s.replyOf(s.manage(m, "stop_canister", id, s.onCanister(id)));
    set(m, id, limits(100 * MIB, 100 * MIB));
    s.settleAll(m);
    assert.equal(s.canisterOf(m, id).lowMemoryHook, "ready");
    s.replyOf(s.manage(m, "start_canister", id, s.onCanister(id)));
    assert.equal(runs(m, id), 1n);
  });

  test("is used up without an export, and takes four GiB for no limit", () => {
    const m = s.newMachine();
    const id = s.newUniversal(m, { settings: limits(0, 4 * 1024 * MIB) });
    s.settleAll(m);
    assert.equal(s.canisterOf(m, id).lowMemoryHook, "executed");
    assert.equal(s.round(m).hasMoreWork, false);
  });
});

describe("rates that are limited", () => {
  test("keep a canister that wrote too much from running until it has made up for it", () => {
    const m = s.newMachine({ resources: { heapDeltaPerRound: 10 * MIB } });
    const id = s.newUniversal(m);
    const other = s.newUniversal(m);
    s.settleAll(m);
    const write = u.seq(u.op("keep"), u.repeated(1, u.int(65 * MIB)), u.op("drop"), u.op("drop"), u.reply());
    s.update(m, id, write);
    const next = s.message(m, id, "update", u.reply());
    s.round(m, [next]);
    assert.equal(s.statusOf(m, next)?.state, "received");
    assert.ok(s.send(m, other, u.reply()).state === "replied", "others run");
    const chunk = { ...s.onCanister(id), chunk: new Uint8Array(10) };
    const refused = s.errorOf(s.manage(m, "upload_chunk", id, chunk));
    assert.equal(refused.code, s.ErrorCode.CanisterHeapDeltaRateLimited);
    assert.match(
      refused.message,
      /is heap delta rate limited: current delta debit is \d+, but limit is 10485760\.\nTry/,
    );
    for (let i = 0; i < 6; i++) s.round(m);
    assert.equal(s.statusOf(m, next)?.state, "replied");
    assert.deepEqual([s.canisterOf(m, id).heapDeltaDebit, m.machine.state.withDebit.size], [0, 0]);
  });

  test("refuse installations while earlier ones have not been made up for", () => {
    const m = s.newMachine({ resources: { installInstructionsPerRound: 2_000_000 } });
    const id = s.createCanister(m);
    s.replyOf(s.install(m, id, s.universal()));
    assert.ok(s.canisterOf(m, id).installCodeDebit > 10_000_000);
    const refused = s.errorOf(s.install(m, id, s.universal(), { mode: { reinstall: null } }));
    assert.equal(refused.code, s.ErrorCode.CanisterInstallCodeRateLimited);
    assert.match(
      refused.message,
      /is rate limited because it executed too many instructions in the previous install_code/,
    );
    for (let i = 0; i < 200 && s.canisterOf(m, id).installCodeDebit > 0; i++) s.round(m);
    s.replyOf(s.install(m, id, s.universal(), { mode: { reinstall: null } }));
  });

  test("are none on development networks and system subnets", () => {
    for (const config of [{}, { type: "system" as const, provisional: true }]) {
      const m = s.newMachine(config);
      const id = s.newUniversal(m);
      assert.equal(s.canisterOf(m, id).installCodeDebit, 0);
    }
  });
});
