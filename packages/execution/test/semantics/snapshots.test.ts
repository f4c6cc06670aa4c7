// Snapshots of canisters: taken, loaded onto the same or another canister, listed, deleted; what they cost and count
// for; who may. Specification, "IC method take_canister_snapshot" and after; checklist 4.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freezingThreshold } from "@atoll/execution";
import { type CanisterId, fromHex, type PrincipalId, principalToText, toHex } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import * as s from "./machine.ts";

const m = s.newMachine();

interface Taken {
  readonly id: Uint8Array;
  readonly taken_at_timestamp: bigint;
  readonly total_size: bigint;
}

function takeArg(id: CanisterId, options: { replace?: Uint8Array; uninstall?: boolean; version?: bigint } = {}) {
  return {
    ...s.onCanister(id),
    replace_snapshot: options.replace === undefined ? [] : [options.replace],
    uninstall_code: options.uninstall === undefined ? [] : [options.uninstall],
    sender_canister_version: options.version === undefined ? [] : [options.version],
  };
}
const tryTake = (id: CanisterId, options: Parameters<typeof takeArg>[1] = {}, sender = s.ALICE) =>
  s.manage(m, "take_canister_snapshot", id, takeArg(id, options), sender);
const take = (id: CanisterId, options: Parameters<typeof takeArg>[1] = {}): Taken =>
  s.decode("take_canister_snapshot", s.replyOf(tryTake(id, options)));
const tryLoad = (id: CanisterId, snapshot: Uint8Array, sender = s.ALICE) =>
  s.manage(
    m,
    "load_canister_snapshot",
    id,
    { ...s.onCanister(id), snapshot_id: snapshot, sender_canister_version: [] },
    sender,
  );
const load = (id: CanisterId, snapshot: Uint8Array) => s.replyOf(tryLoad(id, snapshot));
const tryList = (id: CanisterId, sender = s.ALICE) =>
  s.manage(m, "list_canister_snapshots", id, s.onCanister(id), sender);
const list = (id: CanisterId): Taken[] => s.decode("list_canister_snapshots", s.replyOf(tryList(id)));
const tryDelete = (id: CanisterId, snapshot: Uint8Array, sender = s.ALICE) =>
  s.manage(m, "delete_canister_snapshot", id, { ...s.onCanister(id), snapshot_id: snapshot }, sender);

/** A canister whose heap, stable memory and global say `word`. */
function withWord(word: string): CanisterId {
  const id = s.newUniversal(m);
  remember(id, word);
  return id;
}
const remember = (id: CanisterId, word: string) =>
  s.update(
    m,
    id,
    u.seq(
      u.setSlot(1, u.int(word.length)),
      u.setBlobSlot(2, u.seq(u.bytes(word), u.keep())),
      u.ifElse(u.equal(u.stableSize(), u.int(0)), u.stableGrow(1)),
      u.stableWrite(0, u.bytes(word)),
      u.certifiedDataSet(u.bytes(word)),
      u.reply(),
    ),
  );
const words = (id: CanisterId): string =>
  s.updateText(m, id, u.reply(u.concat(u.getBlobSlot(2), u.bytes(" "), u.stableRead(0, 4))));
const queriedWords = (id: CanisterId): string =>
  s.textOf(s.queried(s.query(m, id, u.reply(u.concat(u.getBlobSlot(2), u.bytes(" "), u.stableRead(0, 4))))));

function status(id: CanisterId) {
  return s.decode("canister_status", s.replyOf(s.manage(m, "canister_status", id, s.onCanister(id))));
}

describe("a snapshot", () => {
  test("brings heap, stable memory, globals, certified data and chunks back", () => {
    const id = withWord("abcd");
    const chunk = Uint8Array.of(1, 2, 3);
    s.replyOf(s.manage(m, "upload_chunk", id, { ...s.onCanister(id), chunk }));
    const { id: snapshot } = take(id);
    remember(id, "efgh");
    s.replyOf(s.manage(m, "clear_chunk_store", id, s.onCanister(id)));
    assert.equal(words(id), "efgh efgh");
    load(id, snapshot);
    assert.equal(queriedWords(id), "abcd abcd");
    assert.equal(words(id), "abcd abcd");
    assert.equal(s.updateNumber(m, id, u.getSlot(1)), 4n);
    assert.equal(s.textOf(s.canisterOf(m, id).certifiedData), "abcd");
    assert.deepEqual([...s.canisterOf(m, id).chunkStore.values()], [chunk]);
    remember(id, "ijkl");
    assert.equal(queriedWords(id), "ijkl ijkl");
    load(id, snapshot);
    assert.equal(words(id), "abcd abcd", "the snapshot is not what the canister writes to");
  });

  test("brings back the module and a smaller heap", () => {
    const id = withWord("abcd");
    const { heap } = s.canisterOf(m, id).execution as { heap: { wasmPages: number } };
    const small = heap.wasmPages;
    const { id: snapshot } = take(id);
    s.update(m, id, u.seq(u.memoryGrow(u.int(3)), u.op("drop"), u.reply()));
    load(id, snapshot);
    assert.equal(s.updateNumber(m, id, u.memorySize()), BigInt(small));
    assert.equal(s.numberOf(s.queried(s.query(m, id, u.reply(u.le64(u.memorySize()))))), BigInt(small));
    const other = s.universal({ metadata: { "icp:public x": "y" } });
    s.replyOf(s.install(m, id, other, { mode: { reinstall: null } }));
    load(id, snapshot);
    assert.equal(words(id), "abcd abcd");
    assert.equal(queriedWords(id), "abcd abcd");
  });

  test("loads onto another canister of the subnet, also an empty one", () => {
    const [id, empty, other] = [withWord("abcd"), s.createCanister(m), withWord("efgh")];
    const { id: snapshot } = take(id);
    for (const target of [empty, other]) {
      load(target, snapshot);
      assert.equal(queriedWords(target), "abcd abcd");
      remember(target, "ijkl");
      assert.equal(words(target), "ijkl ijkl");
    }
    assert.equal(words(id), "abcd abcd");
    const { change } = s.canisterOf(m, empty).history.entries.at(-1) as { change: { fromCanisterId?: string } };
    assert.equal(change.fromCanisterId, id);
  });

  test("outlives the code: the module stays as long as a snapshot needs it", () => {
    const wasm = s.universal({ metadata: { "icp:public only": "here" } });
    const id = s.newUniversal(m, { wasm });
    remember(id, "abcd");
    const hash = s.canisterOf(m, id).execution?.moduleHash as string;
    const { version } = s.canisterOf(m, id);
    const { id: snapshot } = take(id, { uninstall: true });
    assert.equal(s.canisterOf(m, id).execution, undefined);
    assert.equal(s.canisterOf(m, id).version, version + 1);
    assert.equal(s.canisterOf(m, id).history.entries.at(-1)?.change.kind, "code_uninstall");
    assert.ok(m.machine.state.modules.get(hash) !== undefined);
    load(id, snapshot);
    assert.equal(words(id), "abcd abcd");
    s.replyOf(tryDelete(id, snapshot));
    assert.equal(words(id), "abcd abcd");
    take(id, { uninstall: true });
    const [{ id: last }] = list(id) as [Taken];
    s.replyOf(tryDelete(id, last));
    assert.equal(m.machine.state.modules.get(hash), undefined);
  });

  test("that is loaded and deleted within one round leaves what queries see", () => {
    const id = withWord("abcd");
    const { id: snapshot } = take(id);
    remember(id, "efgh");
    const arg = { ...s.onCanister(id), snapshot_id: snapshot };
    const write = u.seq(u.stableWrite(0, u.bytes("ijkl")), u.reply());
    s.round(m, [
      s.message(
        m,
        "" as PrincipalId,
        "load_canister_snapshot",
        s.candid("load_canister_snapshot", { ...arg, sender_canister_version: [] }),
        { effective: id },
      ),
      s.message(m, "" as PrincipalId, "delete_canister_snapshot", s.candid("delete_canister_snapshot", arg), {
        effective: id,
      }),
      s.message(m, id, "update", write),
    ]);
    s.settleAll(m);
    assert.equal(queriedWords(id), "abcd ijkl");
    assert.equal(words(id), "abcd ijkl");
    assert.deepEqual(list(id), []);
  });
});

describe("the record of a snapshot", () => {
  test("has an id, a time and a size, and counts in the canister's memory", () => {
    const id = withWord("abcd");
    const before = status(id);
    const { version } = s.canisterOf(m, id);
    const [first, second] = [take(id), take(id)];
    assert.equal(toHex(first.id), `${"0".repeat(16)}${id}`);
    assert.equal(toHex(second.id), `${"0".repeat(15)}1${id}`);
    assert.ok(first.taken_at_timestamp < second.taken_at_timestamp);
    assert.deepEqual(list(id), [first, second]);
    const { memory_metrics: parts } = before;
    const size =
      parts.wasm_memory_size + parts.stable_memory_size + parts.global_memory_size + parts.wasm_binary_size + 4n;
    assert.equal(first.total_size, size);
    const after = status(id);
    assert.equal(after.memory_metrics.snapshots_size, 2n * size);
    assert.equal(after.memory_size, before.memory_size + 2n * size);
    assert.ok(after.idle_cycles_burned_per_day > before.idle_cycles_burned_per_day);
    assert.equal(s.canisterOf(m, id).version, version, "taking one is no change of the canister");
    s.replyOf(tryDelete(id, first.id));
    assert.deepEqual(list(id), [second]);
    assert.equal(status(id).memory_metrics.snapshots_size, size);
  });

  test("of a load raises the version and goes to the history", () => {
    const id = withWord("abcd");
    const taken = take(id);
    const at = s.canisterOf(m, id).version;
    remember(id, "efgh");
    const { version } = s.canisterOf(m, id);
    load(id, taken.id);
    const canister = s.canisterOf(m, id);
    assert.equal(canister.version, version + 1);
    assert.deepEqual(canister.history.entries.at(-1), {
      time: m.machine.state.time,
      canisterVersion: version + 1,
      origin: { kind: "user", userId: s.ALICE },
      change: {
        kind: "load_snapshot",
        snapshotId: toHex(taken.id),
        canisterVersion: at,
        takenAt: taken.taken_at_timestamp,
        source: "taken_from_canister",
      },
    });
  });

  test("leaves global timers as they are", () => {
    const id = withWord("abcd");
    const later = (n: bigint) => s.update(m, id, u.seq(u.globalTimerSet(u.int(n)), u.reply()));
    later(2n ** 62n);
    const { id: snapshot } = take(id);
    later(2n ** 61n);
    load(id, snapshot);
    assert.equal(s.canisterOf(m, id).globalTimer, 2n ** 61n);
  });
});

describe("taking", () => {
  test("costs 2 billion instructions and one for each byte, loading as much", () => {
    const id = withWord("abcd");
    s.round(m);
    const start = s.canisterOf(m, id).cycles;
    const arg = s.candid("take_canister_snapshot", takeArg(id));
    const induction = m.machine.fees.ingress(arg.length + 200);
    const { total_size: size, id: snapshot } = take(id);
    const cost = 2_000_000_000n + size;
    const close = (actual: bigint, expected: bigint) =>
      assert.ok(actual >= expected && actual < expected + 1_000_000n, `${actual} for ${expected}`);
    close(start - s.canisterOf(m, id).cycles, cost + induction);
    const before = s.canisterOf(m, id).cycles;
    load(id, snapshot);
    const loadArg = s.candid("load_canister_snapshot", {
      ...s.onCanister(id),
      snapshot_id: snapshot,
      sender_canister_version: [],
    });
    close(before - s.canisterOf(m, id).cycles, cost + m.machine.fees.ingress(loadArg.length + 200));
  });

  test("more than ten needs a replacement", () => {
    const id = withWord("abcd");
    const all = Array.from({ length: 10 }, () => take(id));
    const error = s.errorOf(tryTake(id));
    assert.equal(error.code, s.ErrorCode.CanisterRejectedMessage);
    assert.match(
      error.message,
      new RegExp(`^Canister ${principalToText(id)} has reached the maximum number of snapshots allowed: 10\\.`),
    );
    const eleventh = take(id, { replace: (all[3] as Taken).id });
    assert.deepEqual(
      list(id).map((each) => toHex(each.id)),
      [...all.filter((_, i) => i !== 3), eleventh].map((each) => toHex(each.id)),
    );
    assert.equal(toHex(eleventh.id).slice(0, 16), "000000000000000a", "ids are not given out twice");
  });

  test("replacing what is not there, or another canister's, is refused", () => {
    const [id, other] = [withWord("abcd"), withWord("efgh")];
    const { id: foreign } = take(other);
    const unknown = fromHex(`${"0".repeat(15)}7${id}`);
    const missing = s.errorOf(tryTake(id, { replace: unknown }));
    assert.equal(missing.code, s.ErrorCode.CanisterSnapshotNotFound);
    assert.match(
      missing.message,
      new RegExp(`^Could not find the snapshot ID ${toHex(unknown)} for canister ${principalToText(id)}\\.`),
    );
    const owned = s.errorOf(tryTake(id, { replace: foreign }));
    assert.equal(owned.code, s.ErrorCode.CanisterRejectedMessage);
    assert.match(
      owned.message,
      new RegExp(`^The snapshot ${toHex(foreign)} does not belong to canister ${principalToText(id)}\\.`),
    );
    assert.equal(s.errorOf(tryTake(id, { replace: Uint8Array.of(1) })).code, s.ErrorCode.InvalidManagementPayload);
    assert.deepEqual(list(id), []);
  });

  test("from an empty canister is refused", () => {
    const id = s.createCanister(m);
    const error = s.errorOf(tryTake(id));
    assert.equal(error.code, s.ErrorCode.CanisterRejectedMessage);
    assert.equal(error.message, `Failed to create snapshot for empty canister ${principalToText(id)}:`);
  });

  test("needs cycles above the freezing threshold of what it adds", () => {
    const id = withWord("abcd");
    const canister = s.canisterOf(m, id);
    const threshold = () => freezingThreshold(m.machine, canister);
    canister.cycles = threshold() + 1_500_000_000n;
    const poor = s.errorOf(tryTake(id));
    assert.equal(poor.code, s.ErrorCode.CanisterOutOfCycles);
    assert.match(
      poor.message,
      /^Canister snapshotting failed with: `Canister .* is out of cycles: please top up the canister with at least /,
    );
    canister.settings = { ...canister.settings, freezingThreshold: 3_000_000_000n };
    canister.cycles = threshold() + 30_000_000n;
    const frozen = s.errorOf(tryTake(id));
    assert.equal(frozen.code, s.ErrorCode.InsufficientCyclesInMemoryGrow);
    assert.match(frozen.message, /^Canister cannot grow memory by \d+ bytes due to insufficient cycles\. At least /);
    assert.equal(canister.snapshots.size, 0);
  });

  test("and loading from a calling canister checks the version that it states", () => {
    const target = withWord("abcd");
    const caller = s.newUniversal(m);
    s.canisterOf(m, target).settings = { ...s.canisterOf(m, target).settings, controllers: [s.ALICE, caller] };
    const callWith = (version: bigint) =>
      s.updateText(
        m,
        caller,
        u.call({
          callee: s.MANAGEMENT,
          method: "take_canister_snapshot",
          arg: u.bytes(s.candid("take_canister_snapshot", takeArg(target, { version }))),
          onReply: u.reply(u.bytes("taken")),
          onReject: u.reply(u.rejectMessage()),
        }),
      );
    assert.match(callWith(99n), /sender canister version 99 that does not match/);
    assert.equal(callWith(BigInt(s.canisterOf(m, caller).version)), "taken");
  });
});

describe("only controllers", () => {
  test("take, load and delete; viewers may list", () => {
    const id = withWord("abcd");
    const { id: snapshot } = take(id);
    for (const refused of [tryTake(id, {}, s.BOB), tryLoad(id, snapshot, s.BOB), tryDelete(id, snapshot, s.BOB)]) {
      assert.equal(s.errorOf(refused).code, s.ErrorCode.CanisterInvalidController);
    }
    assert.equal(s.errorOf(tryList(id, s.BOB)).code, s.ErrorCode.CanisterRejectedMessage);
    const canister = s.canisterOf(m, id);
    canister.settings = { ...canister.settings, snapshotVisibility: { kind: "allowed_viewers", viewers: [s.BOB] } };
    assert.equal(s.decode("list_canister_snapshots", s.replyOf(tryList(id, s.BOB))).length, 1);
    canister.settings = { ...canister.settings, snapshotVisibility: { kind: "public" } };
    assert.equal(s.decode("list_canister_snapshots", s.replyOf(tryList(id, s.BOB))).length, 1);
    assert.equal(s.errorOf(tryDelete(id, snapshot, s.BOB)).code, s.ErrorCode.CanisterInvalidController);
  });

  test("of both canisters load from one onto the other", () => {
    const [id, own] = [withWord("abcd"), withWord("efgh")];
    const { id: snapshot } = take(id);
    const canister = s.canisterOf(m, own);
    canister.settings = { ...canister.settings, controllers: [s.BOB] };
    const error = s.errorOf(tryLoad(own, snapshot, s.BOB));
    assert.equal(error.code, s.ErrorCode.CanisterRejectedMessage);
    assert.match(
      error.message,
      /^Only a controller of the canister that snapshot [0-9a-f]+ belongs to can load it on canister /,
    );
  });

  test("are told that there is no such snapshot or canister", () => {
    const id = withWord("abcd");
    const unknown = fromHex(`${"0".repeat(16)}${id}`);
    assert.equal(s.errorOf(tryLoad(id, unknown)).code, s.ErrorCode.CanisterSnapshotNotFound);
    assert.equal(s.errorOf(tryDelete(id, unknown)).code, s.ErrorCode.CanisterSnapshotNotFound);
    const nobody = `${"0".repeat(14)}990101` as CanisterId;
    assert.equal(s.errorOf(tryList(nobody)).code, s.ErrorCode.CanisterNotFound);
  });
});

test("a deleted canister takes its snapshots with it", () => {
  const wasm = s.universal({ metadata: { "icp:public gone": "soon" } });
  const id = s.newUniversal(m, { wasm });
  const hash = s.canisterOf(m, id).execution?.moduleHash as string;
  const { id: snapshot } = take(id);
  s.replyOf(s.manage(m, "stop_canister", id, s.onCanister(id)));
  s.replyOf(s.manage(m, "delete_canister", id, s.onCanister(id)));
  assert.equal(m.machine.state.modules.get(hash), undefined);
  const other = withWord("abcd");
  assert.equal(s.errorOf(tryLoad(other, snapshot)).code, s.ErrorCode.CanisterSnapshotNotFound);
});

test("a snapshot costs storage from the moment that it is taken until it is deleted", () => {
  const id = s.newUniversal(m);
  const burn = (): bigint => s.canisterOf(m, id).idleBurn.memory;
  const before = burn();
  const { id: snapshot, total_size } = take(id);
  const bytes = m.machine.state.usage.canisters.get(id)?.bytes ?? 0;
  assert.ok(bytes > Number(total_size) * 2, "with the canister itself");
  assert.ok(burn() > before);
  s.replyOf(s.manage(m, "delete_canister_snapshot", id, { ...s.onCanister(id), snapshot_id: snapshot }));
  assert.ok(burn() <= before + 1n, "the history of the canister is all that is left");
});
