// Installing, upgrading, reinstalling as one transaction; stopping, uninstalling and deleting with calls open.
// Specification, "IC method install_code" and after; checklist 3.5, 4.4, 5.2.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { touch } from "@atoll/state";
import { type CanisterId, canisterIdFromIndex, MANAGEMENT_CANISTER } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const UPGRADE = { mode: { upgrade: [] as [] } };
const upgrade = (id: CanisterId, arg: u.Code = u.seq(), wasm = s.universal()) =>
  s.install(m, id, wasm, { ...UPGRADE, arg });
const persistent = { metadata: { "icp:private enhanced-orthogonal-persistence": "" } };
const keep = { skip_pre_upgrade: [], wasm_memory_persistence: [{ keep: null }] };
const manage = (method: Parameters<typeof s.manage>[1], id: CanisterId) =>
  s.manage(m, method, id, { ...s.onCanister(id), sender_canister_version: [] });

describe("an upgrade", () => {
  test("keeps stable memory and certified data, replaces the heap, clears the timer, raises the version once", () => {
    const id = s.newUniversal(m);
    const fill = u.seq(u.setSlot(1, u.int(5)), u.stableGrow(1), u.stableWrite(0, u.bytes("kept")));
    s.update(m, id, u.seq(fill, u.certifiedDataSet(u.bytes("c")), u.globalTimerSet(u.int(2n ** 62n)), u.reply()));
    const { version } = s.canisterOf(m, id);
    s.replyOf(upgrade(id));
    const canister = s.canisterOf(m, id);
    assert.equal(canister.version, version + 1);
    assert.equal(canister.globalTimer, 0n);
    assert.equal(s.textOf(canister.certifiedData), "c");
    assert.equal(s.updateText(m, id, u.reply(u.stableRead(0, 4))), "kept");
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
  });

  test("that traps in post_upgrade undoes what pre_upgrade wrote, and leaves the old code running on the old heap", () => {
    const id = s.newUniversal(m);
    const save = u.seq(
      u.stableGrow(1),
      u.stableWrite(0, u.bytes("saved")),
      u.setSlot(1, u.int(9)),
      u.certifiedDataSet(u.bytes("x")),
    );
    s.update(
      m,
      id,
      u.seq(u.setSlot(1, u.int(5)), u.storeProgram("preUpgrade", save), u.globalTimerSet(u.int(2n ** 62n)), u.reply()),
    );
    const { version } = s.canisterOf(m, id);
    assert.equal(s.errorOf(upgrade(id, u.unreachable())).code, s.ErrorCode.CanisterTrapped);
    const canister = s.canisterOf(m, id);
    assert.equal(canister.version, version);
    assert.equal(canister.globalTimer, 2n ** 62n);
    assert.equal(canister.certifiedData.length, 0);
    assert.equal(s.updateNumber(m, id, u.stableSize()), 0n);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 5n);
  });

  test("that traps in pre_upgrade changes nothing; skip_pre_upgrade passes it by", () => {
    const id = s.newUniversal(m);
    s.update(m, id, u.seq(u.storeProgram("preUpgrade", u.seq(u.setSlot(1, u.int(1)), u.trap("stuck"))), u.reply()));
    assert.equal(s.errorOf(upgrade(id)).code, s.ErrorCode.CanisterCalledTrap);
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 0n);
    const skip = [{ skip_pre_upgrade: [true], wasm_memory_persistence: [] }];
    s.replyOf(s.install(m, id, s.universal(), { mode: { upgrade: skip as [object] } }));
  });

  test("post_upgrade sees the new version and the arguments", () => {
    const id = s.newUniversal(m);
    const { version } = s.canisterOf(m, id);
    s.replyOf(upgrade(id, u.seq(u.setSlot(1, u.ic0("canister_version")), u.setSlot(2, u.lengthOf(u.argData())))));
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), BigInt(version + 1));
    assert.ok(s.updateNumber(m, id, u.getSlot(2)) > 0n);
  });

  test("keep carries the heap over and fails as a whole", () => {
    const id = s.newUniversal(m, { universal: persistent });
    s.update(m, id, u.seq(u.setSlot(1, u.int(5)), u.reply()));
    const wasm = s.universal(persistent);
    s.replyOf(s.install(m, id, wasm, { mode: { upgrade: [keep] } }));
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 5n);
    const spoil = u.seq(u.setSlot(1, u.int(6)), u.memoryGrow(u.int(3)), u.op("drop"), u.unreachable());
    s.errorOf(s.install(m, id, wasm, { mode: { upgrade: [keep] }, arg: spoil }));
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 5n);
    const missing = s.errorOf(s.install(m, id, wasm, UPGRADE));
    assert.equal(missing.code, s.ErrorCode.CanisterContractViolation);
    assert.match(missing.message, /Missing upgrade option/);
  });

  test("keep into a module whose memory may not be that large is refused, not fatal", () => {
    const id = s.newUniversal(m, { universal: persistent });
    s.update(m, id, u.seq(u.memoryGrow(u.int(10)), u.op("drop"), u.reply()));
    const small = wat(`(module (memory 1 2))`);
    const withSection = Uint8Array.from([...small, ...customSection("icp:private enhanced-orthogonal-persistence")]);
    assert.equal(
      s.errorOf(s.install(m, id, withSection, { mode: { upgrade: [keep] } })).code,
      s.ErrorCode.CanisterWasmEngineError,
    );
    assert.equal(s.updateText(m, id, u.reply(u.bytes("alive"))), "alive");
  });

  test("of a canister by itself takes effect after its own message", () => {
    const id = s.newUniversal(m);
    s.manage(m, "update_settings", id, {
      ...s.onCanister(id),
      settings: { ...s.NO_SETTINGS, controllers: [[s.principal(s.ALICE), s.principal(id)]] },
      sender_canister_version: [],
    });
    const mode = { upgrade: [] };
    const arg = s.candid("install_code", {
      ...s.onCanister(id),
      mode,
      wasm_module: s.universal(),
      arg: [],
      sender_canister_version: [],
    });
    const { version } = s.canisterOf(m, id);
    const large = u.bytes(arg);
    s.update(
      m,
      id,
      u.seq(u.call({ callee: s.MANAGEMENT, method: "install_code", arg: large, onReply: u.seq() }), u.reply()),
    );
    s.settleAll(m);
    const { history } = s.canisterOf(m, id);
    assert.equal(history.entries.at(-1)?.change.kind, "code_deployment");
    assert.equal(history.entries.at(-1)?.canisterVersion, version + 2);
  });
});

function customSection(name: string): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  return Uint8Array.of(0, bytes.length + 1, bytes.length, ...bytes);
}

describe("the Wasm memory limit", () => {
  const limited = (bytes: bigint) => ({ settings: { wasm_memory_limit: [bytes] } });
  const MIB = 1024n * 1024n;

  test("stops growth in updates (IC0539), not in queries, callbacks and tasks", () => {
    const id = s.newUniversal(m, limited(MIB));
    const grow = u.seq(u.memoryGrow(u.int(40)), u.op("drop"), u.reply(u.bytes("grown")));
    assert.equal(s.failure(m, id, grow).code, s.ErrorCode.CanisterWasmMemoryLimitExceeded);
    assert.equal(s.textOf(s.queried(s.query(m, id, grow))), "grown");
    assert.equal(s.textOf(s.replyOf(s.send(m, id, grow, { method: "query" }))), "grown");
    const inCallback = u.call({ callee: s.idBytes(id), method: "query", arg: u.bytes(u.reply()), onReply: grow });
    assert.equal(s.updateText(m, id, inCallback), "grown");
  });

  test("bars updates once the heap is above it, but not queries", () => {
    const id = s.newUniversal(m);
    s.update(m, id, u.seq(u.memoryGrow(u.int(40)), u.op("drop"), u.reply()));
    s.manage(m, "update_settings", id, {
      ...s.onCanister(id),
      settings: { ...s.NO_SETTINGS, wasm_memory_limit: [MIB] },
      sender_canister_version: [],
    });
    assert.equal(s.failure(m, id, u.reply()).code, s.ErrorCode.CanisterWasmMemoryLimitExceeded);
    s.replyOf(s.send(m, id, u.reply(), { method: "query" }));
    s.queried(s.query(m, id, u.reply()));
  });

  test("refuses the installation of a module that starts above it", () => {
    const id = s.createCanister(m, limited(MIB));
    const error = s.errorOf(s.install(m, id, wat("(module (memory 40))")));
    assert.equal(error.code, s.ErrorCode.CanisterWasmMemoryLimitExceeded);
    assert.equal(s.canisterOf(m, id).execution, undefined);
  });
});

describe("the freezing threshold", () => {
  const year = { freezing_threshold: [31_536_000n * 1000n] };

  test("stops memory growth in updates with what is missing for a controller (IC0532)", () => {
    const id = s.newUniversal(m, { cycles: 2_000_000_000_000n, settings: { freezing_threshold: [0n] } });
    s.manage(m, "update_settings", id, {
      ...s.onCanister(id),
      settings: { ...s.NO_SETTINGS, freezing_threshold: [100_000_000n] },
      sender_canister_version: [],
    });
    const error = s.failure(m, id, u.seq(u.stableGrow(16_384), u.reply()));
    assert.equal(error.code, s.ErrorCode.InsufficientCyclesInMemoryGrow);
    assert.match(
      error.message,
      /cannot grow memory by 1073741824 bytes due to insufficient cycles\. At least [\d_]+ additional cycles/,
    );
    const status = s.send(m, id, u.seq(u.stableGrow(16_384), u.reply()), { sender: s.BOB });
    assert.doesNotMatch(s.errorOf(status).message, /At least/);
  });

  test("a frozen canister refuses updates and queries with IC0207; the missing amount is for controllers", () => {
    const id = s.newUniversal(m);
    const settings = { ...s.NO_SETTINGS, ...year };
    s.manage(m, "update_settings", id, { ...s.onCanister(id), settings, sender_canister_version: [] });
    const canister = s.canisterOf(m, id);
    canister.cycles = 1_000_000n;
    touch(m.machine.state, canister);
    s.round(m);
    const error = s.errorOf(s.send(m, id, u.reply()));
    assert.equal(error.code, s.ErrorCode.CanisterOutOfCycles);
    assert.match(
      error.message,
      /is out of cycles: please top up the canister with at least \d{1,3}(_\d{3})+ additional cycles$/,
    );
    assert.match(s.errorOf(s.send(m, id, u.reply(), { sender: s.BOB })).message, /is out of cycles$/);
    assert.equal(s.queryError(s.query(m, id, u.reply())).code, s.ErrorCode.CanisterOutOfCycles);
  });
});

describe("stopping, uninstalling, deleting", () => {
  const waiting = (id: CanisterId) =>
    u.call({
      callee: s.MANAGEMENT,
      method: "raw_rand",
      arg: u.bytes(Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0)),
      onReply: u.seq(u.setSlot(1, u.int(id.length)), u.reply(u.bytes("late"))),
    });

  test("stop waits for open calls, takes no new ones, and then answers", () => {
    const id = s.newUniversal(m);
    const open = s.message(m, id, "update", waiting(id));
    s.round(m, [open]);
    const stop = s.message(m, MANAGEMENT_CANISTER, "stop_canister", s.candid("stop_canister", s.onCanister(id)), {
      effective: id,
    });
    // The answer of raw_rand comes at the start of the round, but its callback runs after the stop.
    s.round(m, [stop]);
    assert.equal(s.textOf(s.replyOf(s.statusOf(m, open))), "late");
    s.replyOf(s.statusOf(m, stop));
    assert.equal(s.errorOf(s.send(m, id, u.reply())).code, s.ErrorCode.CanisterStopped);
  });

  test("uninstalling rejects open calls at once and drops their late responses; refunds are credited", () => {
    const id = s.newUniversal(m);
    const other = s.newUniversal(m);
    const slow = u.call({
      callee: s.MANAGEMENT,
      method: "raw_rand",
      arg: u.bytes(Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0)),
      onReply: u.reply(),
    });
    const sent = s.message(
      m,
      id,
      "update",
      u.call({ callee: s.idBytes(other), method: "update", arg: u.bytes(slow), cycles: 5_000_000_000n }),
    );
    s.round(m, [sent]);
    const before = s.canisterOf(m, id).cycles;
    const uninstall = s.candid("uninstall_code", { ...s.onCanister(id), sender_canister_version: [] });
    s.round(m, [s.message(m, MANAGEMENT_CANISTER, "uninstall_code", uninstall, { effective: id })]);
    const error = s.errorOf(s.statusOf(m, sent));
    assert.equal(error.code, s.ErrorCode.CanisterRejectedMessage);
    assert.equal(error.message, "Canister has been uninstalled.");
    s.settleAll(m);
    const canister = s.canisterOf(m, id);
    assert.equal(canister.callContexts.size, 0);
    assert.equal(canister.callbacks.size, 0);
    assert.ok(canister.cycles > before + 5_000_000_000n - 100_000_000n);
  });

  test("an id is never given out twice, also not one ahead of the counter", () => {
    const ahead = canisterIdFromIndex(0x90n);
    const machine = s.newMachine();
    s.createCanister(machine, { id: ahead });
    for (const method of ["stop_canister", "delete_canister"] as const) {
      s.replyOf(s.manage(machine, method, ahead, s.onCanister(ahead)));
    }
    assert.throws(() => s.createCanister(machine, { id: ahead }), /is already installed/);
    machine.machine.state.nextCanisterIndex = 0x8fn;
    assert.equal(s.createCanister(machine), canisterIdFromIndex(0x8fn));
    assert.equal(s.createCanister(machine), canisterIdFromIndex(0x91n));
    assert.throws(() => s.createCanister(machine, { id: ahead }), /is already installed/);
  });

  test("a canister with its queue empty and stopped can be deleted; calls to it then find nothing", () => {
    const id = s.newUniversal(m);
    const caller = s.newUniversal(m);
    assert.equal(s.errorOf(manage("delete_canister", id)).code, s.ErrorCode.CanisterNotStopped);
    s.replyOf(manage("stop_canister", id));
    s.replyOf(manage("delete_canister", id));
    const told = s.updateText(
      m,
      caller,
      u.call({ callee: s.idBytes(id), method: "x", onReject: u.reply(u.rejectMessage()) }),
    );
    assert.match(told, /^Canister \S+ not found$/);
  });
});
