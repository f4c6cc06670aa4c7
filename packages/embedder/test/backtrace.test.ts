// Backtraces: the functions on the stack of a trap, as the replica prints them in log lines and in the errors that
// those see who may read the log. Instruction costs, section 9.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { demangle } from "../src/rust-names.ts";
import {
  assemble,
  CONTEXTS,
  type Context,
  input,
  type Ran,
  runnable,
  runnableBytes,
  runnableInSlices,
} from "./system-api/executing.ts";

const UPDATE = CONTEXTS.U?.[0] as Context;

/** `go` calls `outer`, that calls `inner`, which does it. */
function nested(code: string, more = ""): string {
  return `(module
    (import "ic0" "trap" (func $trap (param i32 i32)))
    (import "ic0" "stable64_write" (func $write (param i64 i64 i64)))
    (import "ic0" "canister_cycle_balance" (func $balance (result i64)))
    (memory 1) (data (i32.const 0) "uh oh") ${more}
    (func $unused) (func $inner ${code}) (func $outer (call $inner))
    (func $go (export "canister_update go") (call $outer)))`;
}

const logOf = (ran: Ran) => ran.effects.log.kept().map((line) => new TextDecoder().decode(line));
const run = (text: string, given = input(UPDATE)) => runnable(text, { names: true }).run(given);
const backtrace = (...names: string[]) => `Canister Backtrace:\n${names.map((name) => `${name}\n`).join("")}`;
const CALLERS = ["inner", "outer", "go"];

describe("a backtrace", () => {
  test("follows the sentence in the error, and the line in the log", () => {
    const ran = run(nested("(unreachable)"));
    const expected = backtrace(...CALLERS);
    assert.ok(
      ran.told.startsWith(
        `IC0502 Error from Canister rdmx6-jaaaa-aaaaa-aaadq-cai: Canister trapped: unreachable\n${expected}.\nConsider gracefully`,
      ),
      ran.told,
    );
    assert.deepEqual(logOf(ran), [`[TRAP]: unreachable\n${expected}`]);
  });

  test("is there for every trap, of the code or of a system call", () => {
    const TRAPS: Readonly<Record<string, string>> = {
      "heap out of bounds": "(drop (i32.load (i32.const -1)))",
      "integer division by 0": "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
      "table out of bounds": "(call_indirect (i32.const 9))",
      "uh oh": "(call $trap (i32.const 0) (i32.const 5))",
      "(no message)": "(call $trap (i32.const 0) (i32.const 0))",
      "cycles amount exceeds 64-bit representation": "(drop (call $balance))",
    };
    for (const [line, code] of Object.entries(TRAPS)) {
      const ran = run(nested(code, "(table 1 funcref)"), input(UPDATE, { canister: { cycles: 1n << 64n } }));
      assert.deepEqual(logOf(ran), [`[TRAP]: ${line}\n${backtrace(...CALLERS)}`]);
    }
  });

  test("leaves out what the rewriter added, and names the stable memory call that trapped", () => {
    const filled = run(nested("(memory.fill (i32.const 65535) (i32.const 0) (i32.const 2))"));
    assert.deepEqual(logOf(filled), [`[TRAP]: heap out of bounds\n${backtrace(...CALLERS)}`]);
    const written = run(nested("(call $write (i64.const 0) (i64.const 0) (i64.const 1))"));
    assert.deepEqual(logOf(written), [
      `[TRAP]: stable memory out of bounds\n${backtrace("stable64_write", ...CALLERS)}`,
    ]);
  });

  test("has the innermost 20 frames", () => {
    const deep = run(
      nested(
        "(call $down (i32.const 30))",
        `(func $down (param i32)
      (if (i32.eqz (local.get 0)) (then (unreachable))) (call $down (i32.sub (local.get 0) (i32.const 1))))`,
      ),
    );
    assert.deepEqual(logOf(deep), [`[TRAP]: unreachable\n${backtrace(...new Array<string>(20).fill("down"))}`]);
  });

  test("is only for those who may read the log; the log has it all the same", () => {
    const ran = run(nested("(unreachable)"), input(UPDATE, { canister: { maySeeLog: () => false } }));
    assert.ok(!ran.told.includes("Backtrace"));
    assert.match(ran.told, /Canister trapped: unreachable\.\nConsider/);
    assert.match(logOf(ran)[0] ?? "", /Canister Backtrace:\ninner\n/);
  });

  test("is not there without names, for other failures, and in modules with tail calls", () => {
    const nameless = runnable(nested("(unreachable)")).run(input(UPDATE));
    assert.deepEqual(logOf(nameless), ["[TRAP]: unreachable"]);
    const endless = run(nested("(loop $l (br $l))"));
    assert.match(endless.told, /^IC0522 /);
    assert.ok(!endless.told.includes("Backtrace"));
    const tail = run(nested("(unreachable)", "(func $tail (return_call $outer))"));
    assert.deepEqual(logOf(tail), ["[TRAP]: unreachable"]);
  });

  test("calls functions without a name by their index", () => {
    const bytes = assemble(nested("(unreachable)"), false);
    // Only `go`, function 6 of the module, has a name.
    const names = [0, 11, 4, 0x6e, 0x61, 0x6d, 0x65, 1, 4, 1, 6, 1, 0x67];
    const ran = runnableBytes(Uint8Array.from([...bytes, ...names])).run(input(UPDATE));
    const expected = backtrace("unknown function at index 4", "unknown function at index 5", "g");
    assert.deepEqual(logOf(ran), [`[TRAP]: unreachable\n${expected}`]);
  });

  test("is the same of an execution in slices", async () => {
    const spin = `(local $i i32) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 100000)))) `;
    for (const trap of [
      "(unreachable)",
      "(drop (i32.load (i32.const -1)))",
      "(call $trap (i32.const 0) (i32.const 0))",
    ]) {
      const direct = run(nested(spin + trap));
      const ran = await runnableInSlices(nested(spin + trap))(input(UPDATE), 100_000);
      assert.ok(ran.slices > 3);
      assert.deepEqual(ran.effects.log.kept(), direct.effects.log.kept());
      assert.match(logOf(direct)[0] ?? "", /Backtrace:\ninner\nouter\ngo\n$/);
    }
  });

  test("shows Rust's names as people write them", () => {
    const text = nested("(unreachable)").replaceAll("$inner", "$_ZN3app5inner17h0123456789abcdefE");
    assert.deepEqual(logOf(run(text)), [`[TRAP]: unreachable\n${backtrace("app::inner", "outer", "go")}`]);
  });
});

describe("hostile name sections", () => {
  const bytes = assemble(nested("(unreachable)"), false);
  const withNames = (content: readonly number[]) => {
    const section = [4, 0x6e, 0x61, 0x6d, 0x65, ...content];
    return logOf(runnableBytes(Uint8Array.from([...bytes, 0, ...leb(section.length), ...section])).run(input(UPDATE)));
  };
  const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);

  test("name nothing, or the wrong thing, and cost nothing", () => {
    for (const content of [
      [1, 200],
      [1, 3, 255, 255, 255],
      [1, 5, 1, 4, 200, 1, 65],
      [7, 7, 7],
      [255, 255, 255],
    ]) {
      assert.deepEqual(withNames(content), ["[TRAP]: unreachable"]);
    }
    // The same function twice: the first name counts. An index that does not exist: nobody.
    assert.match(withNames([1, 7, 2, 4, 1, 0x61, 4, 1, 0x62])[0] ?? "", /\na\nunknown/);
    assert.deepEqual(withNames([1, 5, 1, 99, 2, 0x61, 0x61]), ["[TRAP]: unreachable"]);
  });

  test("cannot pretend to be frames", () => {
    const fake = Array.from(new TextEncoder().encode("x\n    at wasm://wasm/00:wasm-function[1]:0x1\nz"));
    const line = withNames([1, fake.length + 3, 1, 4, fake.length, ...fake])[0] ?? "";
    assert.equal(line.match(/unknown function at index/g)?.length, 2);
  });

  test("of megabytes are cut", () => {
    const long = new Array<number>(1_000_000).fill(0x61);
    const entry = [1, 4, ...leb(long.length), ...long];
    const line = withNames([1, ...leb(entry.length), ...entry])[0] ?? "";
    assert.equal(line.split("\n")[2]?.length, 2000);
  });
});

test("mangled names of Rust", () => {
  const NAMES: Readonly<Record<string, string>> = {
    _ZN4core3fmt5write17h0123456789abcdefE: "core::fmt::write",
    _ZN4testE: "test",
    ZN4testE: "test",
    _ZN3foo3barE: "foo::bar",
    _ZN28_$u7b$$u7b$closure$u7d$$u7d$E: "{{closure}}",
    _ZN13test$u20$test4foobE: "test test::foob",
    _ZN35Bar$LT$$u5b$u32$u3b$$u20$4$u5d$$GT$E: "Bar<[u32; 4]>",
    "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3barE":
      "<Test + 'static as foo::Bar<Test>>::bar",
    "_ZN3foo3bar17h05af221e174051e9E.llvm.9D1C9369": "foo::bar",
    _ZN3foo: "_ZN3foo",
    _ZN5abcE: "_ZN5abcE",
    _ZN99999999999E: "_ZN99999999999E",
    main: "main",
    "": "",
    _RNvC6_123foo3bar: "_RNvC6_123foo3bar",
  };
  for (const [mangled, name] of Object.entries(NAMES)) assert.equal(demangle(mangled), name);
});
