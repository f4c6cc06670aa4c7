// Module acceptance, rule by rule (interface specification, "Canister module format"; instruction costs, section 8).
import assert from "node:assert/strict";
import { test } from "node:test";
import binaryen from "binaryen";
import { functionNames, validateModule } from "../../src/wasm/index.ts";
import { Writer } from "../../src/wasm/writer.ts";
import { accepted, fromText } from "./running.ts";

function refusal(bytes: Uint8Array): string {
  const result = validateModule(bytes);
  assert.equal(result.ok, false, "expected a refusal");
  return result.ok ? "" : result.refusal.text;
}

function refused(text: string, pattern: RegExp): void {
  assert.match(refusal(fromText(text)), pattern);
}

/** A feature of binaryen that its types do not know yet, and which changes how imports are written. */
const COMPACT_IMPORTS = 1 << 26;

/** With every feature of the text parser. */
function anyFeature(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All & ~COMPACT_IMPORTS);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

/** A module of sections, each an id and its bytes. */
function sections(...parts: [id: number, content: readonly number[]][]): Uint8Array {
  const out = new Writer(100);
  out.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  for (const [id, content] of parts) out.section(id, () => out.raw(content));
  return out.finish();
}

function custom(name: string, content: readonly number[]): [number, number[]] {
  const out = new Writer(100);
  out.name(name);
  out.raw(content);
  return [0, [...out.finish()]];
}

test("what a module tells about itself", () => {
  const info = accepted(
    fromText(`(module
      (import "ic0" "msg_reply" (func $reply))
      (memory 2 10) (table 5 7 funcref) (elem (i32.const 1) func $f)
      (data (i32.const 100) "abc") (data $p "passive")
      (global $g (mut i64) (i64.const 1)) (global $c i32 (i32.const 1)) (global $h (mut f32) (f32.const 1))
      (func $f) (start $f)
      (export "canister_update hello world" (func $f)) (export "canister_query " (func $f))
      (export "canister_composite_query c" (func $reply)) (export "canister_init" (func $f))
      (export "canister_heartbeat" (func $f)) (export "anything" (func $f)))`),
  );
  assert.deepEqual(info.memory, { initialPages: 2, maximumPages: 10, imported: false, memory64: false });
  assert.deepEqual(info.table, { initial: 5, maximum: 7, imported: false, is64: false });
  assert.deepEqual(info.methods, { update: ["hello world"], query: [""], compositeQuery: ["c"] });
  const { init, heartbeat, start, globalTimer } = info.entryPoints;
  assert.deepEqual([init, heartbeat, start, globalTimer], [true, true, true, false]);
  assert.deepEqual(info.dataSegments, [{ offset: 100, bytes: new TextEncoder().encode("abc") }]);
  assert.deepEqual(info.mutableGlobals, [
    { index: 0, type: "i64" },
    { index: 2, type: "f32" },
  ]);
  assert.deepEqual(info.systemImports, ["msg_reply"]);
  assert.equal(info.exports.length, 6);
});

test("compiled operators: those of the bodies, of the injected code, and 2 per global", () => {
  const empty = accepted(fromText("(module)")).compiledOperators;
  const one = accepted(fromText("(module (func))")).compiledOperators;
  // end, and 10 for the entry's decrement with test
  assert.equal(one - empty, 11);
  const grows =
    "(module (memory 1) (global i32 (i32.const 0)) (func (drop (memory.grow (i32.const 1))) (if (i32.const 1) (then (nop)))))";
  // const, grow, drop, const, if, nop, end, end; entry 10; the block in `if` 4; 3 beside memory.grow; the global 2
  assert.equal(accepted(fromText(grows)).compiledOperators - empty, 8 + 10 + 4 + 3 + 2);
});

test("imports", () => {
  refused(
    '(module (import "ic0" "foo" (func)))',
    /Module imports function 'foo' from 'ic0' that is not exported by the runtime\./,
  );
  refused(
    '(module (import "env" "msg_reply" (func)))',
    /Module imports function "msg_reply" from "env", expected to be imported from one of \["ic0"\] instead\./,
  );
  refused(
    '(module (import "ic0" "msg_reply" (func (param i64 i32))))',
    /invalid function signature\. Expected input params \[\] for 'msg_reply', got \[I64, I32\]\./,
  );
  refused('(module (import "ic0" "time" (func)))', /Expected return type \[I64\] for 'time', got \[\]\./);
  refused('(module (import "foo" "memory" (memory 1)))', /Only memory imported from env\.memory is allowed\./);
  refused('(module (import "env" "tab" (table 1 funcref)))', /Only tables imported from env\.table are allowed\./);
  refused('(module (import "env" "g" (global i32)))', /Importing globals is not allowed\./);
  accepted(
    fromText(
      '(module (import "env" "memory" (memory 529)) (import "env" "table" (table 33 33 funcref)) (import "ic0" "msg_reply" (func)))',
    ),
  );
});

test("pointers are as wide as the memory; no memory means 32 bits", () => {
  const copy = (type: string): string => `(import "ic0" "msg_caller_copy" (func (param ${type} ${type} ${type})))`;
  accepted(fromText(`(module ${copy("i32")})`));
  accepted(fromText(`(module ${copy("i32")} (memory 1))`));
  accepted(fromText(`(module ${copy("i64")} (memory i64 1))`));
  refused(`(module ${copy("i64")} (memory 1))`, /got \[I64, I64, I64\]/);
  refused(`(module ${copy("i32")} (memory i64 1))`, /Expected input params \[I64, I64, I64\]/);
  refused(
    '(module (import "ic0" "stable_size" (func (result i32))) (memory i64 1))',
    /'stable_size' from 'ic0' that is not exported/,
  );
  accepted(fromText('(module (import "ic0" "stable_size" (func (result i32))))'));
});

test("exports", () => {
  for (const name of ["canister counter_instructions", "canister_start", "stable_memory", "stable_memory_bytemap"]) {
    refused(`(module (func (export "${name}")))`, new RegExp(`Exporting reserved symbol ${name} not allowed\\.`));
  }
  refused(
    '(module (func (export "canister_foo")))',
    /Exporting reserved function 'canister_foo' with "canister_" prefix/,
  );
  refused('(module (func (export "canister_update")))', /Exporting reserved function 'canister_update'/);
  refused(
    '(module (func (export "canister_init") (param i32)))',
    /Expected input params \[\] for 'canister_init', got \[I32\]/,
  );
  refused(
    '(module (func (export "canister_query x") (result i32) (i32.const 1)))',
    /Expected return type \[\] for 'canister_query x', got \[I32\]/,
  );
  refused(
    '(module (func $f) (export "canister_query x" (func $f)) (export "canister_update x" (func $f)))',
    /^Duplicate function 'x' exported multiple times with different call types: update, query, or composite_query\.$/,
  );
  const many = (count: number, name: (i: number) => string): string =>
    `(module (func $f) ${Array.from({ length: count }, (_, i) => `(export "canister_query ${name(i)}" (func $f))`).join(" ")})`;
  accepted(fromText(many(1000, String)));
  refused(many(1001, String), /is 1001 which exceeds 1000\.$/);
  accepted(fromText(many(20, (i) => `${i}`.padStart(1000, "x"))));
  refused(
    many(20, (i) => `${i}`.padStart(i === 0 ? 1001 : 1000, "x")),
    /is 20001 which exceeds the allowed limit of 20000\.$/,
  );
});

test("functions and globals are counted", () => {
  const functions = (count: number): Uint8Array => {
    const vector = new Writer(100);
    vector.u32(count);
    for (let i = 0; i < count; i++) vector.byte(0);
    const code = new Writer(100);
    code.u32(count);
    for (let i = 0; i < count; i++) code.raw([2, 0, 0x0b]);
    return sections([1, [1, 0x60, 0, 0]], [3, [...vector.finish()]], [10, [...code.finish()]]);
  };
  accepted(functions(50_000));
  assert.match(refusal(functions(50_001)), /defined 50001 functions which exceeds the maximum number allowed 50000\.$/);
  const globals = (count: number): string => `(module ${"(global (mut i32) (i32.const 0))".repeat(count)})`;
  accepted(fromText(globals(1000)));
  refused(globals(1001), /defined 1001 globals which exceeds the maximum number allowed 1000\.$/);
  refused("(module (global (mut funcref) (ref.null func)))", /Unsupported global type: Ref\(funcref\)/);
});

test("data segments: one constant, inside the initial memory", () => {
  refused('(module (memory 1) (data (i32.const 65534) "abc"))', /invalid data segment of 3 bytes at 65534/);
  refused('(module (memory 1) (data (i32.const -1) "abc"))', /invalid data segment of 3 bytes at 4294967295/);
  assert.match(
    refusal(anyFeature('(module (memory 1) (data (offset (i32.add (i32.const 1) (i32.const 2))) "abc"))')),
    /extended const proposal is not enabled/,
  );
  refused(
    '(module (memory 1) (global $g i32 (i32.const 1)) (data (global.get $g) "abc"))',
    /Invalid offset expression in data segment for 32bit memory/,
  );
  accepted(fromText('(module (memory i64 1) (data (i64.const 5) "abc"))'));
});

test("memory and tables", () => {
  accepted(fromText("(module (memory i64 98304))"));
  refused(
    "(module (memory i64 98305))",
    /declares an initial Wasm64 heap memory size of 98305 pages which exceeds the maximum allowed size of 98304 pages\.$/,
  );
  assert.equal(accepted(fromText("(module (memory i64 1 200000))")).memory?.maximumPages, 98304);
  assert.equal(accepted(fromText("(module (memory 1))")).memory?.maximumPages, 65536);
  assert.match(refusal(anyFeature("(module (memory 1) (memory 1))")), /multi-memory/);
  assert.match(refusal(anyFeature("(module (table 1 externref))")), /funcref/);
  const table = (body: string): string => `(module (table $t 1 funcref) (elem $e func) (func ${body}))`;
  const index = "(i32.const 0)";
  refused(table(`(table.set $t ${index} (ref.null func))`), /at index 0 with unsupported instruction table\.set\.$/);
  refused(table(`(drop (table.grow $t (ref.null func) ${index}))`), /table\.grow/);
  refused(table(`(table.fill $t ${index} (ref.null func) ${index})`), /table\.fill/);
  refused(table(`(table.copy $t $t ${index} ${index} ${index})`), /table\.copy/);
  refused(table(`(table.init $t $e ${index} ${index} ${index})`), /table\.init/);
  accepted(fromText(table(`(drop (table.get $t ${index})) (drop (table.size $t))`)));
  accepted(fromText("(module (table i64 1 funcref))"));
  accepted(fromText("(module (table 1000000 funcref))"));
  refused(
    "(module (table 1 funcref) (table 1 funcref))",
    /^Failed to instantiate module: .* table count too high at 2$/,
  );
  refused("(module (table 1000001 funcref))", /table minimum size of 1000001 elements exceeds table limits$/);
});

test("complexity and size of functions", () => {
  const body = (operators: string): string => `(module (func $f ${operators}))`;
  // A call weighs 50, the end of the function 1.
  accepted(fromText(body("(call $f)".repeat(19_999))));
  refused(
    body("(call $f)".repeat(20_000)),
    /at index 0 with complexity 1000001 which exceeds the maximum complexity allowed 1000000\.$/,
  );
  const nops = (count: number): Uint8Array => {
    const code = new Writer(count + 100);
    code.byte(1);
    const length = code.openLength();
    code.raw([0, ...new Array<number>(count).fill(1), 0x0b]);
    code.closeLength(length);
    const out = new Writer(count + 200);
    out.raw(sections([1, [1, 0x60, 0, 0]], [3, [1, 0]]));
    out.section(10, () => out.raw(code.finish()));
    return out.finish();
  };
  accepted(nops(999_999));
  assert.match(refusal(nops(1_000_000)), /complexity 1000001/);
  assert.match(
    refusal(nops(12 * 1024 * 1024)),
    /^Wasm module code section size of 125829\d\d exceeds the maximum allowed size of 12582912\.$/,
  );
});

test("custom sections", () => {
  const bytes = sections(
    custom("icp:public candid:service", [1, 2]),
    custom("icp:private  two", []),
    custom("producers", [3]),
  );
  assert.deepEqual(accepted(bytes).customSections, [
    { name: "candid:service", visibility: "public", content: Uint8Array.of(1, 2) },
    { name: " two", visibility: "private", content: new Uint8Array() },
  ]);
  assert.match(
    refusal(sections(custom("icp:secret x", []))),
    /Custom section 'icp:secret x' has no public\/private scope defined\./,
  );
  assert.match(refusal(sections(custom("icp:public", []))), /must have a space after/);
  assert.match(refusal(sections(custom("icp:public a", []), custom("icp:private a", []))), /name a already exists/);
  const many = (count: number): Uint8Array =>
    sections(...Array.from({ length: count }, (_, i) => custom(`icp:public ${i}`, [])));
  accepted(many(16));
  assert.match(refusal(many(17)), /defined 17 custom sections which exceeds the maximum number allowed 16\.$/);
  const sized = (size: number): Uint8Array => sections(custom("icp:public abcd", new Array<number>(size).fill(0)));
  accepted(sized(1024 * 1024 - 4));
  assert.match(refusal(sized(1024 * 1024 - 3)), /size 1048577 bytes, allowed 1048576 bytes/);
});

test("proposals that are not enabled", () => {
  const refusedProposals: Record<string, string> = {
    threads: "(module (memory 1 2 shared))",
    atomics: "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
    "relaxed SIMD":
      "(module (func (drop (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))",
    exceptions: "(module (tag $t) (func (throw $t)))",
    "try table": "(module (func (block $b (try_table (catch_all $b)))))",
    gc: "(module (type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1)))))",
    "function references":
      "(module (type $f (func)) (func $g) (elem declare func $g) (func (call_ref $f (ref.func $g))))",
    "multi-memory": "(module (memory $a 1) (memory $b 1) (func (drop (i32.load $b (i32.const 0)))))",
    "wide arithmetic": "(module (func (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1))))",
  };
  for (const [name, text] of Object.entries(refusedProposals)) {
    assert.match(refusal(anyFeature(text)), /^Wasmtime failed to validate wasm module/, name);
  }
});

test("tags cannot be imported: the proposal they belong to is not enabled", () => {
  assert.match(refusal(anyFeature('(module (import "env" "t" (tag)))')), /exceptions proposal not enabled/);
});

test("custom page sizes are not enabled", () => {
  // One memory, its flags telling that a page size follows: 1 byte.
  assert.match(refusal(sections([5, [1, 8, 1, 0]])), /custom page sizes proposal must be enabled/);
});

test("proposals that are enabled", () => {
  const text = `(module (memory i64 1) (table i64 1 funcref) (type $t (func (param i32) (result i32 i32)))
    (func $f (param i32) (result i32 i32) (return_call $g (local.get 0)))
    (func $g (param i32) (result i32 i32) (i32.extend8_s (local.get 0)) (i32.trunc_sat_f32_s (f32.const 1)))
    (func (drop (v128.load (i64.const 0))) (drop (ref.is_null (ref.func $f))))
    (elem declare func $f))`;
  accepted(fromText(text));
});

test("names of functions", () => {
  const bytes = new Uint8Array(
    (() => {
      const module = binaryen.parseText(
        '(module (import "ic0" "time" (func $now (result i64))) (func $main) (func $other))',
      );
      binaryen.setDebugInfo(true);
      const binary = module.emitBinary();
      binaryen.setDebugInfo(false);
      return binary;
    })(),
  );
  assert.deepEqual(
    [...functionNames(bytes, accepted(bytes))],
    [
      [0, "now"],
      [1, "main"],
      [2, "other"],
    ],
  );
});
