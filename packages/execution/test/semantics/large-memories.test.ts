// Memories as large as the specification allows, of which a few pages are used: they work at both ends, fail beyond
// with the right words, are rolled back and come back after a restart, and cost what they use wherever they are: in the
// state, on the disk, in live instances on both sides.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { describeWholeState } from "@atoll/messaging";
import { CheckpointStore, Checkpoints, MemoryStorage } from "@atoll/state";
import { type CanisterId, MAX_STABLE_MEMORY_BYTES, OS_PAGE_BYTES, WASM_PAGE_BYTES } from "@atoll/types";
import { wat } from "../canisters/wat.ts";
import * as s from "./machine.ts";

const RICH = { cycles: 10n ** 20n, settings: { wasm_memory_limit: [0n] } };
const FEW_BYTES = 64 * OS_PAGE_BYTES;
const { CanisterTrapped, CanisterMemoryAccessLimitExceeded } = s.ErrorCode;

const call = (m: s.Machine, id: CanisterId, method: string): bigint =>
  s.numberOf(s.replyOf(s.send(m, id, new Uint8Array(), { method })));
const failure = (m: s.Machine, id: CanisterId, method: string) =>
  s.errorOf(s.send(m, id, new Uint8Array(), { method }));
const ask = (m: s.Machine, id: CanisterId, method: string): bigint =>
  s.numberOf(s.queried(s.query(m, id, new Uint8Array(), { method })));

/** The state as it is after the process has ended and another one has loaded the checkpoint. */
function restarted(m: s.Machine, storage = new MemoryStorage()): s.Machine {
  new Checkpoints(CheckpointStore.open(storage)).save(m.machine.state);
  const again = s.newMachine({}, {}, { isEmpty: true });
  new Checkpoints(CheckpointStore.open(storage)).load(again.machine.state);
  again.queries.apply(describeWholeState(again.machine).delta);
  return Object.assign(again, { height: m.height, time: m.time });
}

const bytesOf = (storage: MemoryStorage): number =>
  storage.list().reduce((sum, name) => sum + (storage.size(name) ?? 0), 0);

const residentBefore = process.memoryUsage().rss;
after(() => {
  const grown = process.memoryUsage().rss - residentBefore;
  assert.ok(grown < 2 * 1024 ** 3, `the process grew by ${Math.round(grown / 1024 ** 2)} MiB`);
});

/** Answers with the i64 that `value` gives. */
const answering = (value: string): string =>
  `(i64.store (PTR.const 8192) ${value}) (call $append (PTR.const 8192) (PTR.const 8)) (call $reply)`;

describe("stable memory of 500 GiB", () => {
  const last = MAX_STABLE_MEMORY_BYTES - 8;
  const pages = MAX_STABLE_MEMORY_BYTES / WASM_PAGE_BYTES;
  const touch = (count: number, before = ""): string => `
    (local $i i64)
    ${before}
    (loop $next
      (call $read (i64.const 0) (i64.mul (local.get $i) (i64.const 4096)) (i64.const 1))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $next (i64.lt_u (local.get $i) (i64.const ${count}))))`;
  const wasm = (init = ""): Uint8Array =>
    wat(
      `(module
        (import "ic0" "stable64_size" (func $size (result i64)))
        (import "ic0" "stable64_grow" (func $grow (param i64) (result i64)))
        (import "ic0" "stable64_read" (func $read (param i64 i64 i64)))
        (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
        (import "ic0" "msg_reply" (func $reply))
        (memory 1)
        (func $at (param $position i64) (result i64)
          (call $read (i64.const 0) (local.get $position) (i64.const 8)) (i64.load (i32.const 0)))
        (func $put (param $position i64) (param $value i64)
          (i64.store (i32.const 0) (local.get $value))
          (call $write (local.get $position) (i64.const 0) (i64.const 8)))
        (func (export "canister_init") ${init})
        (func (export "canister_update grow") ${answering(`(call $grow (i64.const ${pages}))`)})
        (func (export "canister_update one") ${answering("(call $grow (i64.const 1))")})
        (func (export "canister_update put")
          (call $put (i64.const 0) (i64.const 17)) (call $put (i64.const ${last}) (i64.const 18)) (call $reply))
        (func (export "canister_update trap")
          (call $put (i64.const 0) (i64.const 99)) (call $put (i64.const ${last}) (i64.const 99)) (unreachable))
        (func (export "canister_update beyond") (call $put (i64.const ${last + 1}) (i64.const 1)))
        (func (export "canister_query first") ${answering("(call $at (i64.const 0))")})
        (func (export "canister_query last") ${answering(`(call $at (i64.const ${last}))`)})
        (func (export "canister_query middle") ${answering(`(call $at (i64.const ${last / 2}))`)})
        (func (export "canister_query size") ${answering("(call $size)")})
        (func (export "canister_update all") ${touch(524_288)} (call $reply))
        (func (export "canister_update more") ${touch(524_289)} (call $reply)))`.replaceAll("PTR", "i32"),
    );
  const m = s.newMachine();
  const id = s.newUniversal(m, { ...RICH, wasm: wasm() });

  test("grows to the limit and no further, and is written and read at both ends", () => {
    assert.equal(call(m, id, "grow"), 0n);
    assert.equal(call(m, id, "one"), 2n ** 64n - 1n);
    call(m, id, "put");
    assert.deepEqual([call(m, id, "first"), call(m, id, "last"), call(m, id, "middle")], [17n, 18n, 0n]);
    assert.deepEqual([ask(m, id, "first"), ask(m, id, "last"), ask(m, id, "size")], [17n, 18n, BigInt(pages)]);
    const { code, message } = failure(m, id, "beyond");
    assert.equal(code, CanisterTrapped);
    assert.match(message, /stable memory out of bounds/);
    failure(m, id, "trap");
    assert.deepEqual([call(m, id, "first"), call(m, id, "last")], [17n, 18n]);
  });

  test("holds two pages in the state and on the disk, and comes back", () => {
    assert.equal(s.canisterOf(m, id).execution?.stable.table.count, 2);
    const storage = new MemoryStorage();
    const again = restarted(m, storage);
    assert.ok(bytesOf(storage) < FEW_BYTES, `${bytesOf(storage)} bytes on the disk`);
    for (const each of [call, ask]) assert.deepEqual([each(again, id, "first"), each(again, id, "last")], [17n, 18n]);
    assert.equal(ask(again, id, "size"), BigInt(pages));
  });

  test("of which an update may touch 2 GiB, code being installed 8 GiB, and not a page more (IC0524)", () => {
    call(m, id, "all");
    const { code, message } = failure(m, id, "more");
    assert.equal(code, CanisterMemoryAccessLimitExceeded);
    assert.match(
      message,
      /number of accessed pages in the stable memory in a single message execution: limit 2097152 KB/,
    );
    const grow = "(drop (call $grow (i64.const 140000)))";
    const installed = (count: number) => s.install(m, s.createCanister(m, RICH), wasm(touch(count, grow)));
    assert.equal(installed(2_097_152).state, "replied");
    assert.equal(s.errorOf(installed(2_097_153)).code, CanisterMemoryAccessLimitExceeded);
  });
});

for (const { type, gib } of [
  { type: "i32", gib: 4 },
  { type: "i64", gib: 6 },
] as const) {
  describe(`a heap of ${gib} GiB, addresses ${type}`, () => {
    const end = gib * 1024 ** 3;
    const pages = end / WASM_PAGE_BYTES;
    const width = type === "i64" ? "i64 " : "";
    const far = type === "i64" ? `(i64.const ${end - 8})` : `(i32.const ${(end - 8) | 0})`;
    const asI64 = type === "i64" ? "i64.add (i64.const 0)" : "i64.extend_i32_s";
    const text = (memory: string): Uint8Array =>
      wat(
        `(module
          (import "ic0" "msg_reply_data_append" (func $append (param PTR PTR)))
          (import "ic0" "msg_reply" (func $reply))
          (memory ${width}${memory})
          (func (export "canister_update grow") ${answering(`(${asI64} (memory.grow (PTR.const ${pages - 1})))`)})
          (func (export "canister_update one") ${answering(`(${asI64} (memory.grow (PTR.const 1)))`)})
          (func (export "canister_update vain") (drop (memory.grow (PTR.const ${pages - 1}))) (unreachable))
          (func $put (param $value i64)
            (i64.store (PTR.const 0) (local.get $value)) (i64.store ${far} (local.get $value)))
          (func (export "canister_update put") (call $put (i64.const 17)) (call $reply))
          (func (export "canister_update trap") (call $put (i64.const 99)) (unreachable))
          (func (export "canister_update beyond") (i64.store offset=1 ${far} (i64.const 1)))
          (func (export "canister_query first") ${answering("(i64.load (PTR.const 0))")})
          (func (export "canister_query last") ${answering(`(i64.load ${far})`)})
          (func (export "canister_query write") (call $put (i64.const 5)) ${answering(`(i64.load ${far})`)})
          (func (export "canister_query size") ${answering(`(${asI64} (memory.size))`)}))`.replaceAll("PTR", type),
      );
    const m = s.newMachine();
    const id = s.newUniversal(m, { ...RICH, wasm: text("1") });

    test("a growth in vain leaves nothing", () => {
      assert.equal(failure(m, id, "vain").code, CanisterTrapped);
      assert.deepEqual([call(m, id, "size"), ask(m, id, "size")], [1n, 1n]);
    });

    test("grows to the limit and no further, and is written and read at both ends", () => {
      assert.equal(call(m, id, "grow"), 1n);
      assert.equal(BigInt.asIntN(64, call(m, id, "one")), -1n);
      call(m, id, "put");
      assert.deepEqual([call(m, id, "first"), call(m, id, "last")], [17n, 17n]);
      assert.deepEqual([ask(m, id, "first"), ask(m, id, "last"), ask(m, id, "size")], [17n, 17n, BigInt(pages)]);
      const { code, message } = failure(m, id, "beyond");
      assert.equal(code, CanisterTrapped);
      assert.match(message, /heap out of bounds/);
    });

    test("is rolled back at both ends, in updates and in queries", () => {
      failure(m, id, "trap");
      assert.deepEqual([call(m, id, "first"), call(m, id, "last")], [17n, 17n]);
      assert.equal(ask(m, id, "write"), 5n);
      assert.deepEqual([ask(m, id, "first"), ask(m, id, "last")], [17n, 17n]);
    });

    test("costs the pages that are used: in the state, on the disk, in live instances; and comes back", () => {
      assert.equal(s.canisterOf(m, id).execution?.heap.table.count, 3);
      assert.ok(m.machine.pool.bytes < FEW_BYTES);
      const storage = new MemoryStorage();
      const again = restarted(m, storage);
      assert.ok(bytesOf(storage) < FEW_BYTES, `${bytesOf(storage)} bytes on the disk`);
      for (const each of [ask, call]) assert.deepEqual([each(again, id, "first"), each(again, id, "last")], [17n, 17n]);
      assert.ok(again.machine.pool.bytes < FEW_BYTES);
      failure(again, id, "trap");
      assert.deepEqual([call(again, id, "last"), call(again, id, "size")], [17n, BigInt(pages)]);
    });

    test("may be that large from the beginning, and not a page larger", () => {
      const whole = s.newUniversal(m, { ...RICH, wasm: text(`${pages}`) });
      call(m, whole, "put");
      assert.deepEqual([call(m, whole, "last"), ask(m, whole, "last")], [17n, 17n]);
      if (type === "i32") return;
      const larger = s.install(m, s.createCanister(m, RICH), text(`${pages + 1}`));
      assert.equal(s.errorOf(larger).code, s.ErrorCode.CanisterInvalidWasm);
    });
  });
}
