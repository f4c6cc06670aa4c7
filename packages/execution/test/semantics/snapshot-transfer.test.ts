// Snapshots read piece by piece and uploaded piece by piece: a canister moves as its snapshot, and what is uploaded in
// part, wrongly or by nobody's leave is refused. Specification, "IC method read_canister_snapshot_metadata" and after;
// checklist 4.5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type CanisterId, fromHex, principalToText, toHex } from "@atoll/types";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "./machine.ts";

const m = s.newMachine();
const PIECE = 500_000;

interface Metadata {
  readonly source: object;
  readonly taken_at_timestamp: bigint;
  readonly wasm_module_size: bigint;
  readonly globals: readonly object[];
  readonly wasm_memory_size: bigint;
  readonly stable_memory_size: bigint;
  readonly wasm_chunk_store: readonly { hash: Uint8Array }[];
  readonly canister_version: bigint;
  readonly certified_data: Uint8Array;
  readonly global_timer: readonly object[];
  readonly on_low_wasm_memory_hook_status: readonly object[];
}

const about = (id: CanisterId, snapshot: Uint8Array) => ({ ...s.onCanister(id), snapshot_id: snapshot });

function take(id: CanisterId): Uint8Array {
  const arg = { ...s.onCanister(id), replace_snapshot: [], uninstall_code: [], sender_canister_version: [] };
  return s.decode("take_canister_snapshot", s.replyOf(s.manage(m, "take_canister_snapshot", id, arg))).id;
}

const tryLoad = (id: CanisterId, snapshot: Uint8Array) =>
  s.manage(m, "load_canister_snapshot", id, { ...about(id, snapshot), sender_canister_version: [] });

const tryMetadata = (id: CanisterId, snapshot: Uint8Array, sender = s.ALICE) =>
  s.manage(m, "read_canister_snapshot_metadata", id, about(id, snapshot), sender);
const metadata = (id: CanisterId, snapshot: Uint8Array): Metadata =>
  s.decode("read_canister_snapshot_metadata", s.replyOf(tryMetadata(id, snapshot)));

const tryRead = (id: CanisterId, snapshot: Uint8Array, kind: object, sender = s.ALICE) =>
  s.manage(m, "read_canister_snapshot_data", id, { ...about(id, snapshot), kind }, sender);
const read = (id: CanisterId, snapshot: Uint8Array, kind: object): Uint8Array =>
  s.decode("read_canister_snapshot_data", s.replyOf(tryRead(id, snapshot, kind))).chunk;

const tryCreate = (id: CanisterId, arg: object, sender = s.ALICE) =>
  s.manage(m, "upload_canister_snapshot_metadata", id, { ...s.onCanister(id), replace_snapshot: [], ...arg }, sender);
const create = (id: CanisterId, arg: object): Uint8Array =>
  s.decode("upload_canister_snapshot_metadata", s.replyOf(tryCreate(id, arg))).snapshot_id;

const tryUpload = (id: CanisterId, snapshot: Uint8Array, kind: object, chunk: Uint8Array, sender = s.ALICE) =>
  s.manage(m, "upload_canister_snapshot_data", id, { ...about(id, snapshot), kind, chunk }, sender);
const upload = (...args: Parameters<typeof tryUpload>) => s.replyOf(tryUpload(...args));

const EMPTY = {
  wasm_module_size: 8n,
  globals: [],
  wasm_memory_size: 0n,
  stable_memory_size: 0n,
  certified_data: new Uint8Array(),
  global_timer: [],
  on_low_wasm_memory_hook_status: [],
};

/** Everything of a snapshot, piece by piece, onto another canister: the id of the copy. */
function copy(from: CanisterId, snapshot: Uint8Array, to: CanisterId): Uint8Array {
  const about = metadata(from, snapshot);
  const made = create(to, about);
  for (const [kind, size] of [
    ["wasm_module", about.wasm_module_size],
    ["wasm_memory", about.wasm_memory_size],
    ["stable_memory", about.stable_memory_size],
  ] as const) {
    for (let offset = 0n; offset < size; offset += BigInt(PIECE)) {
      const length = size - offset < PIECE ? size - offset : BigInt(PIECE);
      upload(to, made, { [kind]: { offset } }, read(from, snapshot, { [kind]: { offset, size: length } }));
    }
  }
  for (const { hash } of about.wasm_chunk_store) {
    upload(to, made, { wasm_chunk: null }, read(from, snapshot, { wasm_chunk: { hash } }));
  }
  return made;
}

function newCanister(): CanisterId {
  const id = s.newUniversal(m);
  const chunk = Uint8Array.of(4, 5, 6);
  s.replyOf(s.manage(m, "upload_chunk", id, { ...s.onCanister(id), chunk }));
  s.update(
    m,
    id,
    u.seq(
      u.setSlot(1, u.int(77)),
      u.setBlobSlot(2, u.seq(u.bytes("heap"), u.keep())),
      u.stableGrow(2),
      u.stableWrite(70_000, u.bytes("stable")),
      u.certifiedDataSet(u.bytes("certified")),
      u.globalTimerSet(u.int(2n ** 62n)),
      u.reply(),
    ),
  );
  return id;
}

const content = (id: CanisterId): string =>
  s.updateText(m, id, u.reply(u.concat(u.getBlobSlot(2), u.bytes(" "), u.stableRead(70_000, 6))));

describe("a snapshot", () => {
  test("tells what it consists of", () => {
    const id = newCanister();
    const snapshot = take(id);
    const canister = s.canisterOf(m, id);
    const told = metadata(id, snapshot);
    const { execution } = canister;
    assert.deepEqual(told.source, { taken_from_canister: null });
    assert.equal(told.canister_version, BigInt(canister.version));
    assert.equal(told.wasm_module_size, BigInt(s.universal().length));
    assert.equal(told.wasm_memory_size, BigInt(execution?.heap.bytes as number));
    assert.equal(told.stable_memory_size, 131_072n);
    assert.equal(s.textOf(told.certified_data), "certified");
    assert.deepEqual(told.global_timer, [{ active: 2n ** 62n }]);
    assert.deepEqual(told.on_low_wasm_memory_hook_status, [{ condition_not_satisfied: null }]);
    assert.equal(told.globals.length, execution?.globals.length);
    assert.deepEqual(
      told.wasm_chunk_store.map(({ hash }) => toHex(hash)),
      [...canister.chunkStore.keys()],
    );
    assert.deepEqual(read(id, snapshot, { wasm_module: { offset: 3n, size: 5n } }), s.universal().slice(3, 8));
    assert.equal(s.textOf(read(id, snapshot, { stable_memory: { offset: 70_000n, size: 6n } })), "stable");
  });

  test("moves a canister piece by piece", () => {
    const [id, other] = [newCanister(), s.createCanister(m)];
    const snapshot = take(id);
    const made = copy(id, snapshot, other);
    const { source, taken_at_timestamp: _, canister_version: __, ...told } = metadata(other, made);
    const { source: ___, taken_at_timestamp: ____, canister_version: _____, ...expected } = metadata(id, snapshot);
    assert.deepEqual(source, { metadata_upload: null });
    assert.deepEqual(told, expected);
    assert.equal(
      s.canisterOf(m, other).snapshots.get(toHex(made))?.size,
      s.canisterOf(m, id).snapshots.get(toHex(snapshot))?.size,
    );
    s.replyOf(tryLoad(other, made));
    assert.equal(content(other), "heap stable");
    assert.equal(s.updateNumber(m, other, u.getSlot(1)), 77n);
    const canister = s.canisterOf(m, other);
    assert.equal(s.textOf(canister.certifiedData), "certified");
    assert.equal(canister.globalTimer, 2n ** 62n, "the timer of an uploaded snapshot is loaded");
    assert.deepEqual([...canister.chunkStore.values()], [Uint8Array.of(4, 5, 6)]);
    assert.deepEqual(canister.history.entries.at(-1)?.change, {
      kind: "load_snapshot",
      snapshotId: toHex(made),
      canisterVersion: 0,
      takenAt: canister.snapshots.get(toHex(made))?.takenAt,
      source: "metadata_upload",
    });
    // What is uploaded after loading is not the canister's.
    upload(other, made, { stable_memory: { offset: 70_000n } }, new TextEncoder().encode("STABLE"));
    assert.equal(content(other), "heap stable");
    s.replyOf(tryLoad(other, made));
    assert.equal(content(other), "heap STABLE");
  });

  test("that is uploaded leaves the timer alone when it states none", () => {
    const id = newCanister();
    const snapshot = take(id);
    const made = create(id, { ...metadata(id, snapshot), global_timer: [] });
    upload(id, made, { wasm_module: { offset: 0n } }, s.universal());
    s.update(m, id, u.seq(u.globalTimerSet(u.int(2n ** 61n)), u.reply()));
    s.replyOf(tryLoad(id, made));
    assert.equal(s.canisterOf(m, id).globalTimer, 2n ** 61n);
  });

  test("keeps globals of every type to the bit", () => {
    const id = s.createCanister(m);
    const wasm = wat(`(module
      (global $a (mut i32) (i32.const -5)) (global $b (mut i64) (i64.const -6))
      (global $c (mut f32) (f32.const 1.5)) (global $d (mut f64) (f64.const -2.25))
      (global $e (mut v128) (v128.const i64x2 1 -1))
      (func (export "canister_update go")))`);
    s.replyOf(s.install(m, id, wasm));
    const snapshot = take(id);
    const { globals } = metadata(id, snapshot);
    assert.deepEqual(globals, [
      { i32: -5 },
      { i64: -6n },
      { f32: 1.5 },
      { f64: -2.25 },
      { v128: ((2n ** 64n - 1n) << 64n) | 1n },
    ]);
    const other = s.createCanister(m);
    s.replyOf(tryLoad(other, copy(id, snapshot, other)));
    assert.deepEqual(s.canisterOf(m, other).execution?.globals, s.canisterOf(m, id).execution?.globals);
    assert.equal(s.send(m, other, new Uint8Array(), { method: "go" }).state, "rejected");
  });
});

describe("reading", () => {
  const id = newCanister();
  const snapshot = take(id);
  const size = BigInt(s.canisterOf(m, id).execution?.heap.bytes as number);

  for (const [name, kind, message] of [
    ["beyond the end", { wasm_memory: { offset: size - 4n, size: 5n } }, `offset: ${size - 4n}, size: 5`],
    [
      "far beyond the end",
      { stable_memory: { offset: 2n ** 64n - 1n, size: 5n } },
      `offset: ${2n ** 64n - 1n}, size: 5`,
    ],
    ["beyond the module", { wasm_module: { offset: BigInt(s.universal().length), size: 1n } }, "size: 1"],
    [
      "more than two million bytes",
      { wasm_memory: { offset: 0n, size: 2_000_001n } },
      "Requested slice too large: 2000001 > 2000000",
    ],
  ] as const) {
    test(`${name} is refused`, () => {
      const error = s.errorOf(tryRead(id, snapshot, kind));
      assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
      assert.ok(error.message.includes(message), error.message);
    });
  }

  test("a chunk that is not there is refused", () => {
    const unknown = s.errorOf(tryRead(id, snapshot, { wasm_chunk: { hash: new Uint8Array(32) } }));
    assert.equal(unknown.code, s.ErrorCode.CanisterContractViolation);
    assert.match(unknown.message, /^Error from Wasm chunk store: WasmChunkHash \[00, 00, .*\] not found\./);
    const short = s.errorOf(tryRead(id, snapshot, { wasm_chunk: { hash: Uint8Array.of(1, 255) } }));
    assert.match(short.message, /Bytes \[01, ff\] are not a valid WasmChunkHash\./);
  });

  test("of nothing at the end is nothing", () => {
    assert.equal(read(id, snapshot, { wasm_memory: { offset: size, size: 0n } }).length, 0);
  });

  test("is for controllers and those whom the settings name", () => {
    const kind = { wasm_memory: { offset: 0n, size: 1n } };
    for (const refused of [tryMetadata(id, snapshot, s.BOB), tryRead(id, snapshot, kind, s.BOB)]) {
      assert.equal(s.errorOf(refused).code, s.ErrorCode.CanisterRejectedMessage);
    }
    const canister = s.canisterOf(m, id);
    canister.settings = { ...canister.settings, snapshotVisibility: { kind: "allowed_viewers", viewers: [s.BOB] } };
    s.replyOf(tryMetadata(id, snapshot, s.BOB));
    s.replyOf(tryRead(id, snapshot, kind, s.BOB));
  });

  test("costs 5 million instructions and one for each byte", () => {
    const before = s.canisterOf(m, id).cycles;
    const kind = { wasm_memory: { offset: 0n, size: 60_000n } };
    const arg = s.candid("read_canister_snapshot_data", { ...about(id, snapshot), kind });
    read(id, snapshot, kind);
    const spent = before - s.canisterOf(m, id).cycles - m.machine.fees.ingress(arg.length + 200);
    assert.ok(spent >= 5_060_000n && spent < 6_000_000n, `${spent}`);
  });

  test("of what is not there is refused", () => {
    const unknown = fromHex(`${"0".repeat(15)}9${id}`);
    assert.equal(s.errorOf(tryMetadata(id, unknown)).code, s.ErrorCode.CanisterSnapshotNotFound);
    const other = newCanister();
    assert.equal(s.errorOf(tryMetadata(other, snapshot)).code, s.ErrorCode.CanisterRejectedMessage);
  });
});

describe("metadata", () => {
  const id = s.createCanister(m);
  const page = 65_536n;
  for (const [flaw, arg] of [
    ["WasmModuleEmpty", { wasm_module_size: 0n }],
    ["WasmModuleTooLarge", { wasm_module_size: 100n * 1024n * 1024n + 1n }],
    ["WasmMemoryNotPageAligned", { wasm_memory_size: page + 1n }],
    ["WasmMemoryTooLarge", { wasm_memory_size: 4n * 1024n ** 3n + page }],
    ["StableMemoryNotPageAligned", { stable_memory_size: 1n }],
    ["StableMemoryTooLarge", { stable_memory_size: 500n * 1024n ** 3n + page }],
    ["StableMemoryTooLarge", { stable_memory_size: 2n ** 64n - page }],
    ["ExportedGlobalsTooLarge", { globals: Array.from({ length: 1001 }, () => ({ i32: 1 })) }],
    ["CertifiedDataTooLarge", { certified_data: new Uint8Array(33) }],
  ] as const) {
    test(`with ${flaw} is refused`, () => {
      const error = s.errorOf(tryCreate(id, { ...EMPTY, ...arg }));
      assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
      assert.equal(error.message, `Snapshot Metadata contains invalid data: ${flaw}`);
    });
  }

  test("of a vector with more than 128 bits is refused", () => {
    const error = s.errorOf(tryCreate(id, { ...EMPTY, globals: [{ v128: 2n ** 128n }] }));
    assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
  });

  test("counts and costs for the whole snapshot at once, without holding a page", () => {
    const target = s.createCanister(m);
    const before = s.canisterOf(m, target).cycles;
    const slots = m.machine.state.pages.slotsInUse;
    const made = create(target, { ...EMPTY, stable_memory_size: 1024n ** 3n });
    assert.equal(m.machine.state.pages.slotsInUse, slots);
    assert.equal(s.canisterOf(m, target).snapshots.get(toHex(made))?.size, 1024 ** 3 + 8);
    const spent = before - s.canisterOf(m, target).cycles;
    assert.ok(spent > 2_000_000_000n + 1024n ** 3n && spent < 2_000_000_000n + 1024n ** 3n + 10_000_000n, `${spent}`);
    const poor = s.createCanister(m, { cycles: 3_000_000_000n });
    assert.equal(
      s.errorOf(tryCreate(poor, { ...EMPTY, stable_memory_size: 1024n ** 3n })).code,
      s.ErrorCode.InsufficientCyclesInMemoryGrow,
    );
  });

  test("replaces a snapshot, and needs to when there are ten", () => {
    const target = s.createCanister(m);
    const all = Array.from({ length: 10 }, () => create(target, EMPTY));
    assert.equal(s.errorOf(tryCreate(target, EMPTY)).code, s.ErrorCode.CanisterRejectedMessage);
    create(target, { ...EMPTY, replace_snapshot: [all[0]] });
    assert.equal(s.canisterOf(m, target).snapshots.size, 10);
    assert.equal(s.canisterOf(m, target).snapshots.has(toHex(all[0] as Uint8Array)), false);
  });

  test("is uploaded by controllers", () => {
    assert.equal(s.errorOf(tryCreate(id, EMPTY, s.BOB)).code, s.ErrorCode.CanisterInvalidController);
  });
});

describe("uploading", () => {
  test("beyond the sizes of the metadata is refused", () => {
    const id = s.createCanister(m);
    const made = create(id, { ...EMPTY, wasm_memory_size: 65_536n });
    for (const kind of [
      { wasm_module: { offset: 6n } },
      { wasm_memory: { offset: 65_534n } },
      { stable_memory: { offset: 0n } },
      { wasm_memory: { offset: 2n ** 64n - 1n } },
    ]) {
      const error = s.errorOf(tryUpload(id, made, kind, Uint8Array.of(1, 2, 3)));
      assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
      assert.match(
        error.message,
        /^Invalid subslice into wasm module \/ main memory \/ stable memory: offset: \d+, size: 3$/,
      );
    }
    upload(id, made, { wasm_memory: { offset: 65_533n } }, Uint8Array.of(1, 2, 3));
    assert.deepEqual(read(id, made, { wasm_memory: { offset: 65_532n, size: 4n } }), Uint8Array.of(0, 1, 2, 3));
  });

  test("to a snapshot that was taken is refused", () => {
    const id = newCanister();
    const error = s.errorOf(tryUpload(id, take(id), { wasm_memory: { offset: 0n } }, Uint8Array.of(1)));
    assert.equal(error.code, s.ErrorCode.CanisterSnapshotImmutable);
    assert.equal(error.message, "Only canister snapshots created by metadata upload can be mutated.");
  });

  test("chunks counts a MiB for each, at most 100 of 1 MiB", () => {
    const id = s.createCanister(m);
    const made = create(id, EMPTY);
    for (let i = 0; i < 2; i++) upload(id, made, { wasm_chunk: null }, Uint8Array.of(1));
    assert.equal(s.canisterOf(m, id).snapshots.get(toHex(made))?.size, 8 + 1024 * 1024);
    const error = s.errorOf(tryUpload(id, made, { wasm_chunk: null }, new Uint8Array(1024 * 1024 + 1)));
    assert.equal(error.code, s.ErrorCode.CanisterContractViolation);
  });

  test("is for controllers", () => {
    const id = s.createCanister(m);
    const made = create(id, EMPTY);
    const error = s.errorOf(tryUpload(id, made, { wasm_module: { offset: 0n } }, Uint8Array.of(1), s.BOB));
    assert.equal(error.code, s.ErrorCode.CanisterInvalidController);
  });
});

describe("loading what was uploaded", () => {
  const id = newCanister();
  const about = metadata(id, take(id));
  const uploaded = (arg: object, wasm = s.universal()): Uint8Array => {
    const all = [...s.canisterOf(m, id).snapshots.keys()];
    const made = create(id, {
      ...about,
      replace_snapshot: all.length > 5 ? [fromHex(all[1] as string)] : [],
      wasm_module_size: BigInt(wasm.length),
      ...arg,
    });
    upload(id, made, { wasm_module: { offset: 0n } }, wasm);
    return made;
  };

  test("is refused when the globals are not those of the module", () => {
    for (const globals of [
      about.globals.slice(1),
      [...about.globals, { i32: 1 }],
      about.globals.map(() => ({ f64: 1 })),
    ]) {
      const error = s.errorOf(tryLoad(id, uploaded({ globals })));
      assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
      assert.equal(error.message, "Wasm exported globals of canister module and snapshot metadata do not match.");
    }
    assert.equal(content(id), "heap stable");
  });

  test("is refused when the heap is smaller than the module's", () => {
    const error = s.errorOf(tryLoad(id, uploaded({ wasm_memory_size: 0n })));
    assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
  });

  test("is refused when the hook status cannot be so", () => {
    const error = s.errorOf(tryLoad(id, uploaded({ on_low_wasm_memory_hook_status: [{ ready: null }] })));
    assert.equal(error.code, s.ErrorCode.InvalidManagementPayload);
    assert.equal(
      error.message,
      "Hook status (Some(Ready)) of uploaded snapshot is inconsistent with the canister's state (hook condition " +
        "satisfied: false).",
    );
    const canister = s.canisterOf(m, id);
    const { settings } = canister;
    canister.settings = { ...settings, wasmMemoryThreshold: settings.wasmMemoryLimit };
    const opposite = s.errorOf(
      tryLoad(id, uploaded({ on_low_wasm_memory_hook_status: [{ condition_not_satisfied: null }] })),
    );
    assert.match(opposite.message, /^Hook status \(Some\(ConditionNotSatisfied\)\) .* satisfied: true\)\.$/);
    s.replyOf(tryLoad(id, uploaded({ on_low_wasm_memory_hook_status: [{ executed: null }] })));
    assert.equal(canister.lowMemoryHook, "executed");
    canister.settings = settings;
  });

  test("is refused when the module is none, and nothing is changed or charged but for the message", () => {
    const was = content(id);
    const { version } = s.canisterOf(m, id);
    const made = uploaded({}, Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9));
    const before = s.canisterOf(m, id).cycles;
    const error = s.errorOf(tryLoad(id, made));
    assert.equal(error.code, s.ErrorCode.CanisterInvalidWasm);
    assert.match(error.message, new RegExp(`^Error from Canister ${principalToText(id)}: `));
    assert.equal(s.canisterOf(m, id).version, version);
    assert.ok(before - s.canisterOf(m, id).cycles < 100_000_000n);
    assert.equal(content(id), was);
  });
});
