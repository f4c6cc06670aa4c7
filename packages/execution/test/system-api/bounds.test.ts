// Addresses, sizes and states that a System API function refuses: each with the code and the words of the replica.
// Specification, "System API"; checklist 3.3 to 3.5, instruction costs 4 and 5.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as u from "../canisters/universal.ts";
import { wat } from "../canisters/wat.ts";
import * as s from "../semantics/machine.ts";

const FAR = 0x7fff_0000;
const { CanisterContractViolation: VIOLATION, CanisterTrapped: TRAPPED } = s.ErrorCode;

for (const width of [32, 64] as const) {
  const m = s.newMachine();
  const id = s.newUniversal(m, { universal: { width } });
  const other = s.newUniversal(m);
  const refused = (program: u.Code, code: number, words: RegExp): void => {
    const error = s.failure(m, id, program);
    assert.match(error.message, words);
    assert.equal(error.code, code);
  };

  describe(`heap ranges outside of the memory, ${width}-bit`, () => {
    test("are a contract violation of the function, not a trap", () => {
      refused(
        u.ic0("msg_arg_data_copy", FAR, 0, 1),
        VIOLATION,
        /ic0\.msg_arg_data_copy heap: src=2147418112 \+ length=1 exceeds/,
      );
      refused(
        u.ic0("msg_reply_data_append", FAR, 1),
        VIOLATION,
        /msg\.reply: src=2147418112 \+ length=1 exceeds the slice size=\d+/,
      );
      refused(u.ic0("canister_cycle_balance128", FAR), VIOLATION, /dst \+ size is out of bounds/);
      refused(u.ic0("call_new", FAR, 1, 0, 1, 0, 0, 0, 0), VIOLATION, /ic0\.call_new callee_src: src=/);
    });

    test("a copy beyond the end of its source is one too", () => {
      refused(
        u.ic0("msg_caller_copy", 0, 0, 30),
        VIOLATION,
        /ic0\.msg_caller_copy .*src=0 \+ length=30 exceeds the slice size=29/,
      );
      refused(u.ic0("msg_caller_copy", 0, 30, 0), VIOLATION, /src=30 \+ length=0 exceeds the slice size=29/);
      s.update(m, id, u.seq(u.ic0("msg_caller_copy", 0, 29, 0), u.reply()));
    });

    test("debug_print and trap never fail on them", () => {
      s.update(m, id, u.seq(u.ic0("debug_print", FAR, 5), u.reply()));
      assert.equal(s.logsOf(m, id).at(-1), "(debug_print message out of memory bounds)");
      assert.match(s.failure(m, id, u.ic0("trap", FAR, 5)).message, /'\(trap message out of memory bounds\)'/);
    });
  });

  describe(`answers, ${width}-bit`, () => {
    test("are at most 2 MiB in replicated mode, 3 MiB in a query", () => {
      const large = u.reply(u.repeated(1, u.int(2 * 1024 * 1024 + 1)));
      refused(large, VIOLATION, /application payload size \(2097153\) cannot be larger than 2097152/);
      assert.equal(s.queried(s.query(m, id, large)).length, 2 * 1024 * 1024 + 1);
      const larger = s.query(m, id, u.reply(u.repeated(1, u.int(3 * 1024 * 1024 + 1))));
      assert.equal(s.queryError(larger).code, VIOLATION);
    });

    test("a reject message must be UTF-8; a trap message is repaired", () => {
      refused(u.reject(u.bytes(Uint8Array.of(0xff))), VIOLATION, /ic0\.msg_reject: invalid UTF-8 string provided/);
      assert.match(s.failure(m, id, u.trap(u.bytes(Uint8Array.of(0xff)))).message, /'\uFFFD'/);
    });

    test("certified data is at most 32 bytes", () => {
      s.update(m, id, u.seq(u.certifiedDataSet(u.repeated(1, u.int(32))), u.reply()));
      refused(
        u.certifiedDataSet(u.repeated(1, u.int(33))),
        VIOLATION,
        /must be no larger than 32 bytes\. Found 33 bytes/,
      );
    });

    test("is_controller takes principals only, performance_counter counters 0 and 1 only", () => {
      refused(u.seq(u.ic0("is_controller", 0, 30), u.op("drop")), VIOLATION, /invalid principal id/);
      refused(
        u.seq(u.ic0("performance_counter", 2), u.op("drop")),
        VIOLATION,
        /Error getting performance counter type 2$/,
      );
    });
  });

  describe(`calls under construction, ${width}-bit`, () => {
    const to = { callee: s.idBytes(other), method: "update", arg: u.bytes(u.reply()) };

    test("no call_* but after call_new", () => {
      const programs = [
        u.ic0("call_data_append", 0, 0),
        u.ic0("call_on_cleanup", 0, 0),
        u.ic0("call_cycles_add128", 0, 0),
      ];
      for (const program of programs) refused(program, VIOLATION, /called when no call is under construction/);
      refused(u.seq(u.ic0("call_perform"), u.op("drop")), VIOLATION, /ic0\.call_perform called when no call/);
    });

    test("cleanup and timeout at most once", () => {
      const cleanup = u.ic0("call_on_cleanup", 0, 0);
      refused(u.seq(u.callBuild(to), cleanup, cleanup), VIOLATION, /call_on_cleanup can be called at most once/);
      const timeout = u.ic0("call_with_best_effort_response", 5);
      refused(u.seq(u.callBuild(to), timeout, timeout), VIOLATION, /a timeout is already set/);
    });

    test("method names up to 20,000 bytes, name and payload up to 10 MiB", () => {
      refused(
        u.ic0("call_new", 0, 0, 0, 20_001, 0, 0, 0, 0),
        VIOLATION,
        /Size of method_name 20001 exceeds the allowed limit of 20000/,
      );
      const large = u.repeated(0, u.int(10 * 1024 * 1024));
      refused(
        u.callBuild({ ...to, arg: large }),
        VIOLATION,
        /has a payload size of 10485766, which exceeds the allowed limit of 10485760/,
      );
    });

    test("a call that is not performed gives its cycles back", () => {
      const balance = (): u.Code => u.setBlobSlot(2, u.cycleBalance());
      const abandoned = u.callBuild({ ...to, cycles: 7_000_000_000n });
      const program = u.seq(
        balance(),
        abandoned,
        u.ic0("call_new", 0, 0, 0, 0, 0, 0, 0, 0),
        u.reply(u.concat(u.getBlobSlot(2), u.cycleBalance())),
      );
      const reply = s.update(m, id, program);
      assert.equal(s.numberOf(reply.subarray(0, 16)), s.numberOf(reply.subarray(16)));
    });

    test("more cycles than there are to spend: a contract violation that names no sum", () => {
      refused(u.callBuild({ ...to, cycles: 1n << 100n }), VIOLATION, /Canister \S+ is out of cycles$/);
    });

    test("call_perform answers 2 at the 501st open call to one receiver, and its cycles are back", () => {
      const perform = u.seq(u.callBuild(to), u.setSlot(5, u.ic0("call_perform")));
      const rich = s.newUniversal(m, { universal: { width }, cycles: 10n ** 17n });
      const many = u.seq(
        u.setSlot(4, u.int(0)),
        u.whileTrue(u.less(u.getSlot(4), u.int(501)), u.seq(perform, u.setSlot(4, u.add(u.getSlot(4), u.int(1))))),
        u.reply(u.le64(u.getSlot(5))),
      );
      assert.equal(s.numberOf(s.update(m, rich, many)), 2n);
    });
  });

  describe(`stable memory, ${width}-bit`, () => {
    const grown = s.newUniversal(m, { universal: { width } });
    const fails = (program: u.Code, words: RegExp): void => {
      const error = s.failure(m, grown, program);
      assert.equal(error.code, TRAPPED);
      assert.match(error.message, words);
    };
    s.update(m, grown, u.seq(u.stableGrow(1), u.reply()));

    test("its last byte may be touched, the one after may not", () => {
      s.update(m, grown, u.seq(u.ic0("stable64_write", 65_535, 0, 1), u.ic0("stable64_read", 0, 65_535, 1), u.reply()));
      fails(u.ic0("stable64_write", 65_535, 0, 2), /stable memory out of bounds/);
      fails(u.ic0("stable64_read", 0, 65_536, 1), /stable memory out of bounds/);
      fails(u.ic0("stable64_read", 0, -1n, 1), /stable memory out of bounds/);
    });

    test("heap addresses out of bounds trap", () => {
      fails(u.ic0("stable64_read", FAR, 0, 1), /heap out of bounds/);
      fails(u.ic0("stable64_write", 0, 1n << 40n, 1), /heap out of bounds/);
    });

    test("64-bit reads and writes of nothing never fail", () => {
      const far = 1n << 50n;
      s.update(m, grown, u.seq(u.ic0("stable64_write", far, far, 0), u.ic0("stable64_read", far, far, 0), u.reply()));
    });

    test("growing beyond 500 GiB is -1, not a trap; to it is the old size", () => {
      const max = 500n * 16_384n;
      const sizes = [u.ic0("stable64_grow", max), u.ic0("stable64_grow", -1n)];
      for (const size of sizes) assert.equal(s.updateNumber(m, grown, size), (1n << 64n) - 1n);
      assert.equal(s.updateNumber(m, grown, u.ic0("stable64_grow", 0)), 1n);
    });

    test("what a query writes to it is gone with the query", () => {
      const program = u.seq(u.stableGrow(1), u.stableWrite(3, u.bytes("q")), u.reply(u.stableRead(3, 1)));
      assert.equal(s.textOf(s.queried(s.query(m, grown, program))), "q");
      assert.deepEqual([...s.queried(s.query(m, grown, u.reply(u.stableRead(3, 1))))], [0]);
    });
  });
}

describe("32-bit stable memory functions", () => {
  const m = s.newMachine();
  const id = s.newUniversal(m);
  const error = (program: u.Code): string => s.failure(m, id, program).message;
  s.update(m, id, u.seq(u.stableGrow(1), u.reply()));

  test("stable_write of nothing still checks its offset, stable_read does not", () => {
    s.update(m, id, u.seq(u.ic0("stable_write", 65_536, 0, 0), u.ic0("stable_read", 0, 70_000, 0), u.reply()));
    assert.match(error(u.ic0("stable_write", 65_537, 0, 0)), /stable memory out of bounds/);
  });

  test("stable_grow stops at 4 GiB with -1; above it all four trap, but for reading nothing", () => {
    const rich = s.newUniversal(m, { cycles: 10n ** 18n });
    assert.equal(s.updateNumber(m, rich, u.ic0("stable_grow", 65_537)), (1n << 64n) - 1n);
    s.update(m, rich, u.seq(u.stableGrow(65_537), u.reply()));
    for (const program of [
      u.seq(u.ic0("stable_size"), u.op("drop")),
      u.seq(u.ic0("stable_grow", 0), u.op("drop")),
      u.ic0("stable_read", 0, 0, 1),
      u.ic0("stable_write", 0, 0, 0),
    ]) {
      assert.match(s.failure(m, rich, program).message, /32 bit stable memory api used on a memory larger than 4GB/);
    }
    s.update(m, rich, u.seq(u.ic0("stable_read", 0, 0, 0), u.reply()));
    assert.equal(s.updateNumber(m, rich, u.stableSize()), 65_537n);
  });
});

test("a query may touch 1 GiB of stable memory and not a page more (IC0524)", () => {
  const m = s.newMachine();
  const id = s.newUniversal(m, { cycles: 10n ** 18n });
  s.update(m, id, u.seq(u.stableGrow(20_000), u.reply()));
  const touch = (pages: number): u.Code =>
    u.seq(
      u.setSlot(1, u.int(0)),
      u.whileTrue(
        u.less(u.getSlot(1), u.int(pages)),
        u.seq(
          u.ic0("stable64_read", 0, u.mul(u.getSlot(1), u.int(4096)), 1),
          u.setSlot(1, u.add(u.getSlot(1), u.int(1))),
        ),
      ),
      u.reply(),
    );
  s.queried(s.query(m, id, touch(262_144)));
  assert.equal(s.queryError(s.query(m, id, touch(262_145))).code, s.ErrorCode.CanisterMemoryAccessLimitExceeded);
});

test("amounts beyond 64 bits trap in the 64-bit functions", () => {
  const m = s.newMachine();
  const id = s.newUniversal(m, { cycles: 1n << 70n });
  const error = s.failure(m, id, u.seq(u.ic0("canister_cycle_balance"), u.op("drop")));
  assert.match(error.message, /cycles amount exceeds 64-bit representation/);
  assert.equal(error.code, TRAPPED);
});

test("data segments dropped by one execution are there for the next, in updates and in queries", () => {
  const m = s.newMachine();
  const body = `(memory.init $d (i32.const 0) (i32.const 0) (i32.const 2)) (data.drop $d)
    (call $append (i32.const 0) (i32.const 2)) (call $reply)`;
  const wasm = wat(`(module
    (import "ic0" "msg_reply_data_append" (func $append (param i32 i32))) (import "ic0" "msg_reply" (func $reply))
    (memory 1) (data $d "ok")
    (func (export "canister_update go") ${body}) (func (export "canister_query go2") ${body}))`);
  const id = s.newUniversal(m, { wasm });
  for (let i = 0; i < 2; i++) {
    assert.equal(s.textOf(s.replyOf(s.send(m, id, new Uint8Array(), { method: "go" }))), "ok");
    assert.equal(s.textOf(s.queried(s.query(m, id, new Uint8Array(), { method: "go2" }))), "ok");
  }
});
